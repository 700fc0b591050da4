"""CTSDG as it was published, in PyTorch: what benchmarks/compare.py measures this project's cell against.

Written from the paper. What it computes is what src/ctsdg computes; how is the published way: masks have as many
channels as the features and are convolved with as many ones, each sample's affinity is a convolution of its own, each
gate as well. Parameters have the official names, so a file written by convert.py --source ours can be loaded.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ENCODER_STAGES = ((64, 7), (128, 5), (256, 5), (512, 3), (512, 3), (512, 3), (512, 3))  # channels, kernel
DECODER_STAGES = (512, 512, 512, 256, 128, 64, 64)
DILATIONS = (1, 2, 4, 8)


class PartialConv(nn.Conv2d):
    """features, mask: (B, C_in, H, W) -> features, mask: (B, C_out, H', W')"""

    ones: Tensor
    padding: tuple[int, ...]

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)
        self.register_buffer("ones", torch.ones_like(self.weight), persistent=False)

    # As published: a convolution, but of two tensors.
    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        count = F.conv2d(mask, self.ones, None, self.stride, self.padding)
        updated = count.clamp(0, 1)
        ratio = self.ones[0].numel() / (count + 1e-8) * updated
        return super().forward(features * mask) * ratio, updated


class PConvBNActiv(nn.Module):
    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, norm: bool, activation: nn.Module
    ) -> None:
        super().__init__()
        self.conv = PartialConv(in_channels, out_channels, kernel_size, stride)
        if norm:
            self.bn = nn.BatchNorm2d(out_channels)
        self.norm, self.activation = norm, activation

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features, mask = self.conv(features, mask)
        return self.activation(self.bn(features) if self.norm else features), mask


class Resolver(nn.Module):
    """A residual block: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


class Projection(nn.Module):
    def __init__(self, stream: str, channels: int, hidden: int, out_channels: int, activation: nn.Module) -> None:
        super().__init__()
        self.resolver = f"{stream}_resolver"
        self.add_module(self.resolver, Resolver(channels, hidden))
        self.out_layer = nn.Sequential(nn.Conv2d(channels, out_channels, 1), activation)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_layer(self.get_submodule(self.resolver)(x))


class BiGFF(nn.Module):
    """texture, structure: (B, C, H, W) -> (B, 2C, H, W)"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.structure_gate = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.Sigmoid())
        self.texture_gate = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.Sigmoid())
        self.structure_gamma, self.texture_gamma = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, texture: Tensor, structure: Tensor) -> Tensor:
        both = torch.cat((texture, structure), 1)
        to_texture, to_structure = self.structure_gate(both), self.texture_gate(both)
        texture = texture + self.texture_gamma * (to_texture * structure)
        structure = structure + self.structure_gamma * (to_structure * texture)
        return torch.cat((texture, structure), 1)


class RegionAffinity(nn.Module):
    """Each sample's patches are the kernels of its convolutions: (B, C, H, W) -> (B, C, H, W)."""

    def forward(self, features: Tensor) -> Tensor:
        batch, channels = features.shape[:2]
        small = F.interpolate(features, scale_factor=0.5, mode="bilinear", align_corners=True)
        keys = F.unfold(small, 3, padding=1).transpose(1, 2).reshape(batch, -1, channels, 3, 3)
        values = F.unfold(features, 4, padding=1, stride=2).transpose(1, 2).reshape(batch, -1, channels, 4, 4)
        rebuilt = []
        for sample, kernels, blocks in zip(small, keys, values, strict=True):
            norm = kernels.square().sum((1, 2, 3), keepdim=True).sqrt().clamp(min=1e-4)
            scores = F.conv2d(sample[None], kernels / norm, padding=1)  # (1, N, H/2, W/2)
            affinity = F.softmax(scores * 10, 1).clamp(min=1e-8)
            rebuilt.append(F.conv_transpose2d(affinity, blocks, stride=2, padding=1) / 4)
        return torch.cat(rebuilt)


class Aggregation(nn.Module):
    """Dilated convolutions, weighted pixel by pixel: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        for i, dilation in enumerate(DILATIONS):
            conv = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
            self.add_module(f"dilated_conv_{i}", nn.Sequential(conv, nn.ReLU()))
        first, second = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, len(DILATIONS), 1)
        self.weight_calc = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Softmax(1))

    def forward(self, x: Tensor) -> Tensor:
        weights = self.weight_calc(x)
        return sum(self.get_submodule(f"dilated_conv_{i}")(x) * weights[:, i : i + 1] for i in range(len(DILATIONS)))


class CFA(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ral, self.msfa = RegionAffinity(), Aggregation(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.msfa(self.ral(x))


class Generator(nn.Module):
    """image: (B, 3, H, W); mask, edge, gray: (B, 1, H, W) -> the completed image (B, 3, H, W)

    The projections are computed, as published, though inpainting does not need them.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        scaled = lambda channels: max(1, round(channels * width))  # noqa: E731
        for stream, in_channels in (("texture", 3), ("structure", 2)):
            levels = [in_channels]
            for i, (out_channels, kernel_size) in enumerate(ENCODER_STAGES):
                out_channels = scaled(out_channels)
                stage = PConvBNActiv(levels[-1], out_channels, kernel_size, 2, i > 0, nn.ReLU())
                self.add_module(f"ec_{stream}_{i + 1}", stage)
                levels.append(out_channels)
            channels = levels.pop()
            for level, out_channels in zip(range(7, 0, -1), DECODER_STAGES, strict=True):
                out_channels = scaled(out_channels)
                stage = PConvBNActiv(channels + levels.pop(), out_channels, 3, 1, True, nn.LeakyReLU(0.2))
                self.add_module(f"dc_{stream}_{level}", stage)
                channels = out_channels
        hidden = scaled(16)
        self.texture_feature_projection = Projection("texture", channels, hidden, 3, nn.Tanh())
        self.structure_feature_projection = Projection("structure", channels, hidden, 1, nn.Sigmoid())
        self.bigff, self.cfa = BiGFF(channels), CFA(channels)
        self.fusion_layer1 = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, 2, 1), nn.LeakyReLU(0.2))
        self.fusion_layer2 = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, 1, 1), nn.LeakyReLU(0.2))
        self.out_layer = nn.Sequential(nn.Conv2d(3 * channels, 3, 1), nn.Tanh())
        for name, parameter in self.named_parameters():
            if parameter.dim() == 4:
                nn.init.normal_(parameter, std=0.02)
            elif name.endswith("gamma"):
                nn.init.constant_(parameter, 0.5)  # at 0 a compiler might leave out what follows

    def encode(self, stream: str, features: Tensor, mask: Tensor) -> list:
        levels = [(features, mask)]
        for i in range(1, 8):
            levels.append(self.get_submodule(f"ec_{stream}_{i}")(*levels[-1]))
        return levels

    def decode(self, stream: str, deepest: tuple, levels: list) -> Tensor:
        features, mask = deepest
        for level in range(7, 0, -1):
            features = F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
            mask = F.interpolate(mask, scale_factor=2, mode="nearest")
            skip, skip_mask = levels[level - 1]
            stage = self.get_submodule(f"dc_{stream}_{level}")
            features, mask = stage(torch.cat((features, skip), 1), torch.cat((mask, skip_mask), 1))
        return features

    def forward(self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor) -> Tensor:
        textures = self.encode("texture", image, mask.repeat(1, 3, 1, 1))
        structures = self.encode("structure", torch.cat((edge, gray), 1), mask.repeat(1, 2, 1, 1))
        texture = self.decode("texture", structures[-1], textures)
        structure = self.decode("structure", textures[-1], structures)
        self.texture_feature_projection(texture), self.structure_feature_projection(structure)

        fused = self.bigff(texture, structure)
        half = self.fusion_layer1(fused)
        half = self.fusion_layer2(torch.cat((half, self.cfa(half)), 1))
        refined = F.interpolate(half, scale_factor=2, mode="bilinear", align_corners=False)
        output = self.out_layer(torch.cat((refined, fused), 1))
        return image * mask + output * (1 - mask)

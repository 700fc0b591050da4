"""DGTS's upsampler as it was published, in PyTorch: what benchmarks/compare.py measures this project's cell against.

Written from the papers. Feature and gate are two convolutions, spectral norms divide the weights at each call, batch
norms are cells of their own, and SPADE norms the doubled map. Parameters have the official names.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

DILATIONS = (1, 1, 2, 4, 8, 16)


class Gated(nn.Module):
    """Feature times the sigmoid of a gate, two spectral-norm convolutions; with `norm`, each has a batch norm.

    (B, C_in, H, W) -> (B, C_out, H', W')
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        *,
        norm: bool,
        relu: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()

        def branch() -> nn.Module:
            geometry = kernel_size, stride, padding, dilation
            conv = spectral_norm(nn.Conv2d(in_channels, out_channels, *geometry, bias=bias))
            return nn.Sequential(conv, nn.BatchNorm2d(out_channels)) if norm else conv

        self.conv2d, self.mask_conv2d, self.relu = branch(), branch(), relu

    def forward(self, x: Tensor) -> Tensor:
        feature = self.conv2d(x)
        return (F.relu(feature) if self.relu else feature) * torch.sigmoid(self.mask_conv2d(x))


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(dilation),
            Gated(channels, channels, 3, 1, 0, dilation, norm=True, relu=True),
            nn.ReflectionPad2d(1),
            Gated(channels, channels, 3, norm=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class SelfAttention(nn.Module):
    """(B, C, H, W) -> (B, C, H, W)"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        conv = lambda inputs, outputs: spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))  # noqa: E731
        self.theta, self.phi = conv(channels, channels // 8), conv(channels, channels // 8)
        self.g, self.o = conv(channels, channels // 2), conv(channels // 2, channels)
        self.gamma = nn.Parameter(torch.tensor(0.5))  # at 0 a compiler might leave out what follows

    def forward(self, x: Tensor) -> Tensor:
        query = self.theta(x).flatten(2)
        key, value = (F.max_pool2d(conv(x), 2).flatten(2) for conv in (self.phi, self.g))
        attention = F.softmax(torch.bmm(query.transpose(1, 2), key), -1)
        attended = torch.bmm(value, attention.transpose(1, 2)).reshape(len(x), -1, *x.shape[2:])
        return self.gamma * self.o(attended) + x


class SPADE(nn.Module):
    """x: (B, C, H, W), guide: (B, 4, S, S) -> (B, C, H, W)"""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(4, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        normalised = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-5).sqrt()
        shared = self.mlp_shared(F.interpolate(guide, size=x.shape[2:], mode="nearest"))
        return normalised * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)


class SPADEBlock(nn.Module):
    """x: (B, C_in, H, W), guide: (B, 4, S, S) -> (B, C_out, H, W)"""

    def __init__(self, in_channels: int, out_channels: int, hidden: int) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.conv_0 = Gated(in_channels, middle, 3, 1, 1, norm=False, bias=True)
        self.conv_1 = Gated(middle, out_channels, 3, 1, 1, norm=False, bias=True)
        self.norm_0, self.norm_1 = SPADE(in_channels, hidden), SPADE(middle, hidden)
        self.learned_shortcut = in_channels != out_channels
        if self.learned_shortcut:
            self.conv_s, self.norm_s = Gated(in_channels, out_channels, 1, norm=False), SPADE(in_channels, hidden)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        refined = self.conv_0(F.leaky_relu(self.norm_0(x, guide), 0.2))
        refined = self.conv_1(F.leaky_relu(self.norm_1(refined, guide), 0.2))
        return refined + (self.conv_s(self.norm_s(x, guide)) if self.learned_shortcut else x)


class Upsampler(nn.Module):
    """masked: (B, 4, S, S); low: (B, 3, S/8, S/8) -> (B, 3, S, S)"""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        narrow, middle, wide = (max(8, 8 * round(channels * width / 8)) for channels in (64, 128, 256))
        self.fc = Gated(3, wide, 3, 1, 1, norm=True, relu=True)
        self.fc2 = Gated(wide, wide, 3, 1, 1, norm=True, relu=True)
        self.encoder = nn.Sequential(
            nn.ReflectionPad2d(2),
            Gated(4, narrow, 5, norm=True, relu=True),
            Gated(narrow, middle, 3, 2, 1, norm=True, relu=True),
            Gated(middle, wide, 3, 2, 1, norm=True, relu=True),
        )
        self.fuse_conv = Gated(2 * wide, wide, 3, 1, 1, norm=True, relu=True)
        self.res_blocks = nn.Sequential(*(ResidualBlock(wide, dilation) for dilation in DILATIONS))
        self.attn = SelfAttention(wide)
        self.sp0, self.sp1 = SPADEBlock(wide, wide, middle), SPADEBlock(wide, middle, middle)
        self.conv_img = nn.Conv2d(middle, 3, 3, padding=1)

    def forward(self, masked: Tensor, low: Tensor) -> Tensor:
        double = lambda x: F.interpolate(x, scale_factor=2, mode="nearest")  # noqa: E731
        low = self.fc2(double(self.fc(low)))
        x = self.attn(self.res_blocks(self.fuse_conv(torch.cat((low, self.encoder(masked)), 1))))
        x = self.sp1(double(self.sp0(double(x), masked)), masked)
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)))

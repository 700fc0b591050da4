"""Train CTSDG in PyTorch, as published: python benchmarks/published_training.py --data_root PHOTOS --save_path RUN ...

Options are those of train.py, and so are the samples, the losses and the order of a step; docs/training.md says when
this is faster. Besides: --start FILE (official names: .pth of this program or of convert.py --source ours, or .npz),
--resume true, --threads N, --torch_device cuda, --bfloat16, --seconds N to stop after a time. A run's folder holds
last.pth (all that a resumed run needs), log.csv, and official.pth: what the official code would write, with the moving
average of the generator where --ema_decay asks for one, for

    python convert.py --source official --model ctsdg --input RUN/official.pth --output CHECKPOINT \\
        --seamless true --edge_mode clean

with the settings of the run. Weights, data and masks follow --seed, but not bit by bit as those of train.py do.
"""

import argparse
import csv
import math
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "DEFAULT")  # src would limit it, for MindSpore's sake
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.parser import Parser
from benchmarks.published_ctsdg import Generator, PartialConv, PConvBNActiv, RegionAffinity
from model_utils.config import Config
from model_utils.entry import require, run
from src.errors import InputError
from train import OPTION_GROUPS  # noqa: F401  which model_utils.entry.run reads

# On a CPU. The attention's smallest weights are denormal numbers, with which a product takes several times as long.
torch.set_flush_denormal(True)
AHEAD = 6  # batches that are prepared while one is computed
MOST_DETAIL, REACH, ROUNDING = 3.0, 32, 1 / 127.5  # of src/ctsdg/seamless.py
LOSSES = ("hole", "valid", "adversarial", "matching", "intermediate", "discriminator")


class LeanPartialConv(PartialConv):
    """The same without the convolution of the mask: its channels are equal within each group of `sizes`."""

    sizes: tuple[int, ...]

    def forward(self, features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        starts = np.cumsum((0, *self.sizes[:-1])).tolist()
        groups = mask[:, starts] * torch.tensor(self.sizes, dtype=mask.dtype, device=mask.device).view(1, -1, 1, 1)
        window = torch.ones(1, 1, *self.kernel_size, dtype=mask.dtype, device=mask.device)
        count = F.conv2d(groups.sum(1, keepdim=True), window, None, self.stride, self.padding)
        updated = count.clamp(0, 1)
        ratio = self.in_channels * window.numel() / (count + 1e-8) * updated
        output = nn.Conv2d.forward(self, features * mask) * ratio
        return output, updated.expand(-1, self.out_channels, -1, -1)


class LeanAffinity(RegionAffinity):
    """The same as products of matrices: samples together, no convolution with as many kernels as patches.

    But for the bound of 1e-8 below the affinities, which changes no digit and takes a tenth of a step.
    """

    def forward(self, features: Tensor) -> Tensor:
        small = F.interpolate(features, scale_factor=0.5, mode="bilinear", align_corners=True)
        patches = F.unfold(small, 3, padding=1).transpose(1, 2)  # (B, N, 9 C)
        keys = patches / patches.square().sum(2, keepdim=True).sqrt().clamp(min=1e-4)
        affinity = F.softmax(patches @ (10 * keys).transpose(1, 2), 2)  # (B, N, N)
        blocks = F.unfold(features, 4, padding=1, stride=2)  # (B, 16 C, N)
        return F.fold(blocks @ affinity.transpose(1, 2), features.shape[2:], 4, padding=1, stride=2) / 4


def make_lean(generator: Generator) -> None:
    generator.cfa.ral = LeanAffinity()
    for name, stage in generator.named_children():
        if isinstance(stage, PConvBNActiv):
            conv, skip = stage.conv, 0
            if name.startswith("dc_"):
                _, stream, level = name.split("_")
                below = int(level) - 1
                skip = getattr(generator, f"ec_{stream}_{below}").conv.out_channels if below else _inputs(stream)
            conv.__class__ = LeanPartialConv
            assert isinstance(conv, LeanPartialConv)
            conv.sizes = (conv.in_channels - skip, skip) if skip else (conv.in_channels,)


def _inputs(stream: str) -> int:
    return {"texture": 3, "structure": 2}[stream]


class Membrane(nn.Module):
    """src/layers/membrane.py in PyTorch: what --seamless takes off. values: (B, C, H, W); known: (B, 1, H, W)"""

    LEVELS, CYCLES, SWEEPS = 7, 2, 2

    def forward(self, values: Tensor, known: Tensor) -> Tensor:
        hole = 1 - known
        result = self.first_guess(values * known, known)
        for _ in range(self.CYCLES):
            result = result + self.correction(hole * (smooth(result) - result), hole)
        return result

    def first_guess(self, values: Tensor, known: Tensor) -> Tensor:
        levels = [(values, known)]
        for _ in range(self.LEVELS):
            share = F.avg_pool2d(known, 2)
            known = (4 * share).clamp(max=1)
            values = F.avg_pool2d(values, 2) * (known / share.clamp(min=1e-6))
            levels.append((values, known))
        values, known = levels[0]
        sums = values.sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp(min=1e-6)
        result = sums.expand(-1, -1, *levels[-1][0].shape[2:])
        for i in range(self.LEVELS, -1, -1):
            values, known = levels[i]
            if i < self.LEVELS:
                result = double(result)
            hole = 1 - known
            result = values + hole * result
            for _ in range(self.SWEEPS):
                result = torch.addcmul(values, hole, smooth(result))
        return result

    def correction(self, target: Tensor, hole: Tensor) -> Tensor:
        levels = []
        for _ in range(self.LEVELS):
            result = target
            for _ in range(self.SWEEPS - 1):
                result = hole * (smooth(result) + target)
            levels.append((result, target, hole))
            rest = hole * (target - result + smooth(result))
            hole = (4 * F.avg_pool2d(hole, 2) - 3).clamp(min=0)
            target = 4 * hole * F.avg_pool2d(rest, 2)
        result = target
        for _ in range(4 * self.SWEEPS - 1):
            result = hole * (smooth(result) + target)
        for finer, target, hole in reversed(levels):
            result = torch.addcmul(finer, hole, double(result))
            for _ in range(self.SWEEPS):
                result = hole * (smooth(result) + target)
        return result


def smooth(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def detail_bound(image: Tensor, mask: Tensor) -> Tensor:
    """src/ctsdg/seamless.py, DetailBound, in PyTorch: (B, 1, H, W)"""
    surely = -F.max_pool2d(-mask, 3, 1)  # pixels that know all their neighbours
    detail = image[..., 1:-1, 1:-1] - F.avg_pool2d(image, 3, 1)
    detail = (detail.abs().amax(1, keepdim=True) - ROUNDING).clamp(min=0) * surely
    nothing_near = 1 - spread(surely)
    most = spread(detail) + nothing_near * detail.amax((2, 3), keepdim=True)
    return MOST_DETAIL * F.pad(most, (1, 1, 1, 1), mode="replicate")


def spread(x: Tensor) -> Tensor:
    length = 2 * REACH + 1
    return F.max_pool2d(F.max_pool2d(x, (1, length), 1, (0, REACH)), (length, 1), 1, (REACH, 0))


class TrainedGenerator(Generator):
    """With the projections as outputs, and, where `seamless`, the membrane."""

    def __init__(self, width: float, seamless: bool) -> None:
        super().__init__(width)
        self.membrane = Membrane() if seamless else None
        for gamma in (self.bigff.structure_gamma, self.bigff.texture_gamma):
            nn.init.zeros_(gamma)

    def forward(  # type: ignore[override]
        self, image: Tensor, mask: Tensor, edge: Tensor, gray: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """-> output (B, 3, H, W), projected image, projected edge"""
        textures = self.encode("texture", image, mask.expand(-1, 3, -1, -1))
        structures = self.encode("structure", torch.cat((edge, gray), 1), mask.expand(-1, 2, -1, -1))
        texture = self.decode("texture", structures[-1], textures)
        structure = self.decode("structure", textures[-1], structures)
        projected = self.texture_feature_projection(texture), self.structure_feature_projection(structure)
        fused = self.bigff(texture, structure)
        half = self.fusion_layer1(fused)
        half = self.fusion_layer2(torch.cat((half, self.cfa(half)), 1))
        output = self.out_layer(torch.cat((double(half), fused), 1)).float()
        if self.membrane is not None:
            smooth_part = self.membrane(torch.cat((image, output), 1), mask)
            added = output - smooth_part[:, 3:]
            bound = detail_bound(image, mask)
            added = torch.maximum(torch.minimum(added, bound), -bound)
            output = torch.where(mask > 0, output, smooth_part[:, :3] + added)
        return output, *projected


class PatchBranch(nn.Module):
    """(B, C, H, W) -> maps of all five convolutions, the last the prediction before its sigmoid."""

    def __init__(self, in_channels: int, width: float) -> None:
        super().__init__()
        channels = [in_channels, *(max(1, round(c * width)) for c in (64, 128, 256, 512)), 1]
        for i, stride in enumerate((2, 2, 2, 1, 1)):
            conv = spectral_norm(nn.Conv2d(channels[i], channels[i + 1], 4, stride, 1, bias=False))
            self.add_module(f"conv{i + 1}", nn.Sequential(conv, nn.LeakyReLU(0.2) if i < 4 else nn.Identity()))

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for i in range(1, 6):
            x = self.get_submodule(f"conv{i}")(x)
            maps.append(x)
        return maps


class EdgeDetector(nn.Module):
    def __init__(self, width: float) -> None:
        super().__init__()
        c = max(1, round(16 * width))
        conv = lambda inputs: nn.Conv2d(inputs, c, 3, 1, 1)  # noqa: E731
        self.projection = nn.Sequential(conv(3), nn.BatchNorm2d(c), nn.ReLU())
        self.res_layer = nn.Sequential(conv(c), nn.BatchNorm2d(c), nn.ReLU(), conv(c), nn.BatchNorm2d(c))
        self.out_layer = nn.Sequential(nn.Conv2d(c, 1, 1), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        x = self.projection(image)
        return self.out_layer(F.relu(x + self.res_layer(x)))


class Discriminator(nn.Module):
    """image: (B, 3, H, W); gray, edge: (B, 1, H, W) -> maps of both branches, detected edges"""

    def __init__(self, width: float) -> None:
        super().__init__()
        self.texture_branch, self.structure_branch = PatchBranch(3, width), PatchBranch(2, width)
        self.edge_detector = EdgeDetector(width)

    def forward(self, image: Tensor, gray: Tensor, edge: Tensor | None = None) -> tuple[list, Tensor]:
        detected = self.edge_detector(image)
        structure = torch.cat((detected if edge is None else edge, gray), 1)
        maps = list(zip(self.texture_branch(image), self.structure_branch(structure), strict=True))
        return maps, detected


def generator_terms(outputs: tuple, batch: dict[str, Tensor], config: Config) -> dict[str, Tensor]:
    """Unweighted terms that need no discriminator."""
    output, projected_image, projected_edge = outputs
    image, hole = batch["image"], 1 - batch["mask"]
    if config.hole_loss == "psnr":
        squares = ((output - image) * hole).square().sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3))).clamp(min=1)
        hole_loss = torch.log10(squares / 4 + 10 ** (-config.psnr_limit / 10)).mean() * 10
    else:
        hole_loss = ((output - image) * hole).abs().mean()
    valid = ((output - image) * batch["mask"]).abs().mean()
    intermediate = bce(projected_edge, batch["edge"]) + (projected_image.float() - image).abs().mean()
    return {"hole": hole_loss, "valid": valid, "intermediate": intermediate}


def bce(probability: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy(probability.float(), target)  # which bounds its logarithms at -100


def judge(maps: list, real: bool, hinge: bool) -> Tensor:
    """What the discriminator minimises, over the last maps of both branches."""
    last = torch.cat(maps[-1], 1).float()
    if hinge:
        return F.relu(1 - last if real else 1 + last).mean()
    return bce(torch.sigmoid(last), torch.full_like(last, float(real)))


class Training:
    """Networks, optimizers, moving average; one iteration."""

    def __init__(self, args: argparse.Namespace, config: Config) -> None:
        self.args, self.config, self.done = args, config, 0
        self.device = torch.device(args.torch_device)
        torch.manual_seed(config.seed)
        self.generator = TrainedGenerator(config.width, config.seamless)
        self.discriminator = Discriminator(config.width)
        if args.start:
            self.start(Path(args.start))
        if not args.as_published:
            make_lean(self.generator)
        networks = self.generator, self.discriminator
        for network in networks:
            # PyTorch's annotations lack memory_format.
            network.to(self.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = {name: x.detach().clone() for name, x in self.generator.state_dict().items()}
        self.average_updates = 0
        on_gpu = self.device.type == "cuda"
        rates = config.gen_lr_train, config.gen_lr_train * config.dis_lr_multiplier
        self.optimizers = [
            torch.optim.Adam(network.parameters(), rate, fused=on_gpu or None, foreach=None if on_gpu else False)
            for network, rate in zip(networks, rates, strict=True)
        ]

    def start(self, path: Path) -> None:
        if path.suffix == ".npz":
            with np.load(path) as file:
                content = {"generator": {name: torch.from_numpy(file[name]) for name in file.files}}
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
        self.generator.load_state_dict(content["generator"])
        if "discriminator" in content:
            state = {k: v for k, v in content["discriminator"].items() if ".features." not in k}
            self.discriminator.load_state_dict(state)

    def rate(self) -> float:
        """Of the schedule, times the full rate: a warm-up, then a cosine down to --last_rate."""
        part = min(1.0, self.done / max(1, self.config.train_iter))
        last, cosine = self.args.last_rate, 0.5 * (1 + math.cos(math.pi * part))
        return min(1.0, (self.done + 1) / self.args.warm_up) * (last + (1 - last) * cosine)

    def step(self, batch: dict[str, Tensor]) -> dict[str, float]:
        config, hinge = self.config, self.args.hinge
        scale = self.rate()
        for optimizer, rate in zip(self.optimizers, (1, config.dis_lr_multiplier), strict=True):
            optimizer.param_groups[0]["lr"] = config.gen_lr_train * rate * scale
        adversarial = config.adversarial_loss_w > 0
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.bfloat16):
            outputs = self.generator(batch["image"], batch["mask"], batch["edge"], batch["gray"])
            terms = generator_terms(outputs, batch, config)
            total = config.hole_loss_w * terms["hole"] + config.valid_loss_w * terms["valid"]
            total = total + config.intermediate_loss_w * terms["intermediate"]
            image, gray, edge = batch["image"], batch["gray"], batch["edge"]
            # What is judged: the output, as published, or the composite, where known pixels cannot give it away.
            judged = image + (outputs[0] - image) * (1 - batch["mask"]) if hinge else outputs[0]
            if adversarial:
                self.discriminator.requires_grad_(False)
                fake, detected = self.discriminator(judged, gray)
                last = torch.cat(fake[-1], 1).float()
                verdict = -last.mean() if hinge else judge(fake, True, False) + bce(detected, edge)
                terms["adversarial"] = verdict
                total = total + config.adversarial_loss_w * verdict
                if self.args.matching_w:
                    with torch.no_grad():
                        real, _ = self.discriminator(image, gray, edge)
                    terms["matching"] = matching(fake, real)
                    total = total + self.args.matching_w * terms["matching"]
        self.update(self.generator, self.optimizers[0], total)
        if adversarial:
            self.discriminator.requires_grad_(True)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.bfloat16):
                real, real_edge = self.discriminator(image, gray, edge)
                fake, fake_edge = self.discriminator(judged.detach(), gray)
                loss = judge(real, True, hinge) + judge(fake, False, hinge)
                loss = loss + bce(real_edge, edge) + bce(fake_edge, edge)
            terms["discriminator"] = loss
            self.update(self.discriminator, self.optimizers[1], loss)
        self.follow()
        self.done += 1
        return {name: float(value.detach()) for name, value in terms.items()}

    def update(self, network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), self.config.clip_grad_norm or math.inf)
        if torch.isfinite(norm):
            optimizer.step()

    def follow(self) -> None:
        self.average_updates += 1
        n = self.average_updates
        decay = min(self.config.ema_decay, (1 + n) / (10 + n))
        with torch.no_grad():
            for name, x in self.generator.state_dict().items():
                if x.is_floating_point():
                    self.average[name].lerp_(x, 1 - decay)
                else:
                    self.average[name].copy_(x)

    def save(self, folder: Path) -> None:
        state: dict[str, Any] = {
            "done": self.done,
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average,
            "average_updates": self.average_updates,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        discriminator = {}
        for name, x in state["discriminator"].items():
            discriminator[name] = x
            if ".conv1." in name:
                discriminator[name.replace(".conv1.", ".features.")] = x  # registered twice in the official code
        official = {"n_iter": self.done, "generator": self.average, "discriminator": discriminator}
        for name, content in (("last.pth", state), ("official.pth", official)):
            torch.save(content, folder / f"{name}.new")
            os.replace(folder / f"{name}.new", folder / name)

    def resume(self, folder: Path) -> None:
        state = torch.load(folder / "last.pth", map_location=self.device, weights_only=True)
        self.done, self.average_updates = state["done"], state["average_updates"]
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average = state["average"]
        for optimizer, content in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(content)


def matching(fake: list, real: list) -> Tensor:
    """L1 between the features of both, every map but the last (Wang et al., "pix2pixHD", CVPR 2018, Sec. 3.3)."""
    loss = torch.zeros(())
    for pair, other in zip(fake[:-1], real[:-1], strict=True):
        for a, b in zip(pair, other, strict=True):
            loss = loss + (a.float() - b.float()).abs().mean()
    return loss / (2 * len(fake[:-1]))


def batches(samples, start: int, size: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Prepared in a thread, some ahead."""

    def prepare(iteration: int) -> list[np.ndarray]:
        columns = zip(*(samples[iteration * size + i] for i in range(size)), strict=True)
        return [np.stack(column) for column in columns]

    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(prepare, start + i) for i in range(AHEAD)]
        while True:
            arrays = coming.pop(0).result()
            start += 1
            coming.append(pool.submit(prepare, start + AHEAD - 1))
            tensors = (torch.from_numpy(array).to(device, non_blocking=True) for array in arrays)
            yield dict(zip(samples.columns, tensors, strict=True))


def train(args: argparse.Namespace, config: Config) -> None:
    from src.data.samples import training_samples

    require(config, "data_root", "save_path")
    if args.threads:
        torch.set_num_threads(args.threads)
    if config.perceptual_loss_w or config.style_loss_w:
        raise InputError("this program has no VGG: --perceptual_loss_w 0 --style_loss_w 0")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    folder = Path(config.save_path)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "last.pth").exists() and not config.resume and not config.overwrite:
        raise InputError(f"{folder} holds a run; --resume true goes on with it")
    training = Training(args, config)
    if config.resume and (folder / "last.pth").exists():
        training.resume(folder)
    samples = training_samples(config, with_structure=True)
    samples.check_files()
    begin = saved = logged = time.monotonic()
    sums, count, first = dict.fromkeys(LOSSES, 0.0), 0, training.done
    with open(folder / "log.csv", "a", encoding="utf-8", newline="") as file:
        log = csv.writer(file)
        if not first:
            log.writerow(["iteration", *LOSSES, "rate", "seconds_per_iteration"])
        for batch in batches(samples, training.done, config.batch_size, training.device):
            if training.done >= config.train_iter or (args.seconds and time.monotonic() - begin > args.seconds):
                break
            for name, value in training.step(batch).items():
                sums[name] += value
            count += 1
            if training.done % config.log_frequency_step == 0:
                now = time.monotonic()
                rate = config.gen_lr_train * training.rate()
                row = [training.done, *(f"{sums[name] / count:.5g}" for name in LOSSES), f"{rate:.3g}"]
                log.writerow([*row, f"{(now - logged) / count:.4f}"])
                file.flush()
                sums, count, logged = dict.fromkeys(LOSSES, 0.0), 0, now
            if time.monotonic() - saved > args.save_seconds:
                training.save(folder)
                saved = time.monotonic()
    training.save(folder)
    done = training.done - first
    print(f"{folder}: {training.done} iterations, {(time.monotonic() - begin) / max(1, done):.3f} s each")


def parse(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """-> this program's own options, and the words that are options of train.py"""
    parser = Parser(__doc__)
    parser.add_argument("--start", default="", help="weights to start from")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: its own choice")
    parser.add_argument("--torch_device", default="cpu")
    parser.add_argument("--bfloat16", action="store_true", help="autocast")
    parser.add_argument("--as_published", action="store_true", help="masks convolved with as many channels as features")
    parser.add_argument("--seconds", type=float, default=0, help="stop after so many")
    parser.add_argument("--save_seconds", type=float, default=60, help="between two files")
    parser.add_argument("--warm_up", type=int, default=100, help="iterations up to the full rate")
    parser.add_argument("--last_rate", type=float, default=1.0, help="at --train_iter, as a share of the first rate")
    parser.add_argument("--hinge", action="store_true", help="hinge loss on composites in place of the published one")
    parser.add_argument("--matching_w", type=float, default=0.0, help="weight of the discriminator's feature matching")
    return parser.parse_known_args(argv)


def main() -> None:
    args, options = parse()
    run(lambda config: train(args, config), options)


if __name__ == "__main__":
    main()

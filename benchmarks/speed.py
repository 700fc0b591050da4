"""Seconds and memory at full size, as a table: python benchmarks/speed.py [--model ctsdg|dgts] [--repeats 5]

Each row is a process of its own, so that its peak memory is its own. Weights and pictures are random: they cost the
same. A third of each picture is hole, strokes of a brush. Compile: of each graph that takes half a second or
more. First call: loading excluded, compiling included. The rest are medians over the repeats.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from model_utils.config import load_config
from model_utils.device import prepare

SIDE = 256
ROWS = {
    "ctsdg": (("inpaint", 1), ("inpaint", 4), ("train", 2)),
    "dgts": (
        ("generator, known_pixels", 1),
        ("generator, known_pixels", 8),
        ("generator, confidence", 1),
        ("generator, confidence", 8),
        ("upsampler", 1),
        ("inpaint", 1),
        ("train generator", 2),
        ("train upsampler", 1),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ctsdg", choices=ROWS)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mode", default="graph", choices=("graph", "pynative"))
    parser.add_argument("--device_target", default="CPU")
    parser.add_argument("--only", help="one row, by its number from 0, in this process")
    args = parser.parse_args()
    if args.only:
        print(measure(*ROWS[args.model][int(args.only)], args))
        return

    print(f"{args.model}, width {args.width:g}, {SIDE}x{SIDE}, {args.mode} mode, {args.device_target}")
    print("| work | batch | compile, s | first call, s | s per call | s per picture | peak memory, GB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for i in range(len(ROWS[args.model])):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", str(i)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        print(result.stdout.strip().splitlines()[-1], flush=True)


def measure(name: str, batch: int, args: argparse.Namespace) -> str:
    """One row of the table."""
    options = ["--mode", args.mode, "--device_target", args.device_target, "--width", str(args.width)]
    prepare(load_config(options))
    calls = {
        "ctsdg": {"inpaint": ctsdg, "train": train_ctsdg},
        "dgts": {
            "generator, known_pixels": lambda *args: dgts_generator("known_pixels", *args),
            "generator, confidence": lambda *args: dgts_generator("confidence", *args),
            "upsampler": dgts_upsampler,
            "inpaint": dgts,
            "train generator": train_dgts,
            "train upsampler": train_upsampler,
        },
    }
    call = calls[args.model][name](options, random_batch(batch))
    compiled = time_compilation()
    seconds = []
    for _ in range(args.repeats + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    first, typical = seconds[0], statistics.median(seconds[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux counts in KiB
    graphs = " + ".join(f"{graph:.1f}" for graph in compiled if graph >= 0.5)
    return f"| {name} | {batch} | {graphs} | {first:.1f} | {typical:.2f} | {typical / batch:.2f} | {peak:.1f} |"


def time_compilation() -> list[float]:
    """Where the seconds of every later compilation of a graph will be."""
    from mindspore import nn

    seconds, compile_graph = [], nn.Cell.compile

    def timed(*args, **kwargs) -> None:
        start = time.perf_counter()
        compile_graph(*args, **kwargs)
        seconds.append(time.perf_counter() - start)

    nn.Cell.compile = timed
    return seconds


def random_batch(batch: int) -> tuple:
    """image, mask, edge, gray"""
    import numpy as np
    from mindspore import Tensor

    from src.data.masks import draw_mask

    rng = np.random.default_rng(0)
    image, edge, gray = (rng.random((batch, channels, SIDE, SIDE), dtype=np.float32) for channels in (3, 1, 1))
    mask = np.stack([draw_mask(rng, SIDE, 0.32, 0.34) for _ in range(batch)])
    return tuple(Tensor(array) for array in (2 * image - 1, mask, np.float32(edge > 0.9), gray))


def width(options: list[str]) -> float:
    return load_config(options).width


def ctsdg(options: list[str], batch: tuple):
    from src.ctsdg import Generator
    from src.ctsdg.inpainting import Inpainting

    network = Inpainting(Generator(width(options)))
    return lambda: network(*batch).asnumpy()


def dgts_generator(fill_order: str, options: list[str], batch: tuple):
    from src.dgts.generator import Generator

    network = Generator(width(options), fill_order=fill_order).set_train(False)
    return lambda: network(*batch[:2])[0].asnumpy()


def dgts_upsampler(options: list[str], batch: tuple):
    from src.dgts.upsampler.fused import fuse
    from src.dgts.upsampler.network import Upsampler, masked_input

    network, masked = fuse(Upsampler(width(options))), masked_input(*batch[:2])
    return lambda: network(masked, batch[0][:, :, ::8, ::8]).asnumpy()


def dgts(options: list[str], batch: tuple):
    from src.dgts.generator import Generator
    from src.dgts.inpainting import Inpainting
    from src.dgts.upsampler.fused import fuse
    from src.dgts.upsampler.network import Upsampler

    network = Inpainting(Generator(width(options)), fuse(Upsampler(width(options))), SIDE)
    return lambda: network(*batch[:2]).asnumpy()


def train_ctsdg(options: list[str], batch: tuple):
    """One iteration of stage 1 with every loss, VGG16's among them."""
    from src.losses.perceptual import VGG16Features
    from src.training import ctsdg

    ctsdg.load_vgg = lambda *_: VGG16Features()  # its weights do not change what it costs
    return iteration(ctsdg.CTSDGTraining(load_config(options)), batch)


def train_dgts(options: list[str], batch: tuple):
    from src.dgts.loss import VGG_TAPS
    from src.losses.perceptual import VGG19Features
    from src.training import dgts

    dgts.load_vgg = lambda *_: VGG19Features(VGG_TAPS)
    return iteration(
        dgts.DGTSTraining(load_config(["--model", "dgts", "--pretrained_resnet", "none", *options])), batch[:2]
    )


def train_upsampler(options: list[str], batch: tuple):
    from src.dgts.upsampler.loss import VGG_TAPS
    from src.losses.perceptual import VGG19Features
    from src.training import upsampler

    upsampler.load_vgg = lambda *_: VGG19Features(VGG_TAPS)
    return iteration(upsampler.UpsamplerTraining(load_config(["--model", "upsampler", *options])), batch[:2])


def iteration(model, batch: tuple):
    model.start_stage(1)
    return lambda: [float(loss) for loss in model.step(batch, 0)]


if __name__ == "__main__":
    main()

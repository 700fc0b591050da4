"""Seconds and memory of CTSDG at full size, as a table: python benchmarks/speed.py [--width 1.0] [--repeats 5]

Each row is a process of its own, so that its peak memory is its own. Weights and pictures are random: they cost the
same. First call: loading excluded, compiling included. The rest are medians over the repeats.
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
ROWS = (("inpaint", 1), ("inpaint", 4), ("train", 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--mode", default="graph", choices=("graph", "pynative"))
    parser.add_argument("--device_target", default="CPU")
    parser.add_argument("--only", help="one row, in this process: inpaint-4")
    args = parser.parse_args()
    if args.only:
        name, batch = args.only.split("-")
        print(measure(name, int(batch), args))
        return

    print(f"CTSDG, width {args.width:g}, {SIDE}x{SIDE}, {args.mode} mode, {args.device_target}")
    print("| work | batch | first call, s | s per call | s per picture | peak memory, GB |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, batch in ROWS:
        command = [sys.executable, __file__, *sys.argv[1:], "--only", f"{name}-{batch}"]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        print(result.stdout.strip().splitlines()[-1], flush=True)


def measure(name: str, batch: int, args: argparse.Namespace) -> str:
    """One row of the table."""
    options = ["--mode", args.mode, "--device_target", args.device_target, "--width", str(args.width)]
    config = load_config(options)
    prepare(config)
    call = {"inpaint": inpainting, "train": training_iteration}[name](config, random_batch(batch))
    seconds = []
    for _ in range(args.repeats + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    first, typical = seconds[0], statistics.median(seconds[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9  # Linux counts in KiB
    return f"| {name} | {batch} | {first:.1f} | {typical:.2f} | {typical / batch:.2f} | {peak:.1f} |"


def random_batch(batch: int) -> tuple:
    """image, mask (a third of it hole), edge, gray"""
    import numpy as np
    from mindspore import Tensor

    rng = np.random.default_rng(0)
    shapes = [(batch, channels, SIDE, SIDE) for channels in (3, 1, 1, 1)]
    image, mask, edge, gray = (rng.random(shape, dtype=np.float32) for shape in shapes)
    arrays = 2 * image - 1, np.float32(mask > 1 / 3), np.float32(edge > 0.9), gray
    return tuple(Tensor(array) for array in arrays)


def inpainting(config, batch: tuple):
    from src.ctsdg import Generator
    from src.ctsdg.inpainting import Inpainting

    network = Inpainting(Generator(config.width))
    return lambda: network(*batch).asnumpy()


def training_iteration(config, batch: tuple):
    """One iteration of stage 1 with every loss, VGG16's among them."""
    from src.losses.perceptual import VGG16Features
    from src.training import ctsdg

    ctsdg.load_vgg = lambda *_: VGG16Features()  # its weights do not change what it costs
    model = ctsdg.CTSDGTraining(config)
    model.start_stage(1)
    return lambda: [loss.asnumpy() for loss in model.step(batch)]


if __name__ == "__main__":
    main()

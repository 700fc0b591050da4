"""Seconds and memory of a model, as a table: python benchmarks/speed.py [--repeats 5] [--only ROW] [--option value ...]

Options are those of train.py: --model, --width, --image_size, --mode, --device_target, and --batch_size for another one
than a row's. Each row is a process of its own, so that its peak memory is its own. Weights and images are random:
they cost the same. A third of each image is hole, strokes of a brush. Compile: each graph that takes half a second or
more. First call: loading excluded, compiling included. The rest are medians over the repeats.

--compare times something else: what was published, in PyTorch, this project's cell, and its ONNX file in two runtimes,
in turn; with --work train an iteration of CTSDG's training in both. It takes --model ctsdg|dgts, --width, --sizes,
--batches, --output; docs/performance.md says more.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.memory import peak_memory
from model_utils.config import Config, load_config
from model_utils.device import prepare
from model_utils.entry import stop
from src.errors import InputError
from train import OPTION_GROUPS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", help="one row, by its number from 0, in this process")
    parser.add_argument(
        "--compare", action="store_true", help="with the published formulation, see docs/performance.md"
    )
    parser.add_argument("--work", choices=("image", "train"), help="with --compare: what is timed (default: image)")
    parser.add_argument("--sizes", type=numbers, help="with --compare: sides of images, 256,512 (default: 256)")
    parser.add_argument("--batches", type=numbers, help="with --compare: batch sizes, 1,4 (default: 1)")
    parser.add_argument("--output", help="with --compare: folder for compare.md, .json and .png")
    args, options = parser.parse_known_args()
    config = load_config(options, groups=OPTION_GROUPS)
    refuse_ignored(args, config)
    if args.compare:
        from benchmarks.compare import compare

        work, sizes, batches = args.work or "image", args.sizes or [256], args.batches or [1]
        compare(work, config.model, config.width, sizes, batches, args.repeats, args.output or "")
        return
    from benchmarks.rows import ROWS

    rows = ROWS[config.model]
    if args.only:
        print(measure(*rows[int(args.only)], config, args.repeats))
        return

    print(f"{config.model}, width {config.width:g}, {config.image_size} px, {config.mode}, {config.device_target}")
    print("| work | batch | compile, s | first call, s | s per call | s per image | peak memory, GB |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for i in range(len(rows)):
        command = [sys.executable, __file__, *sys.argv[1:], "--only", str(i)]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        print(result.stdout.strip().splitlines()[-1], flush=True)


def refuse_ignored(args: argparse.Namespace, config: Config) -> None:
    """Raises InputError for an option that would change nothing."""
    if args.compare:
        ignored = [name for name in config.chosen(config.as_dict()) if name not in ("model", "width")]
        ignored += ["only"] * (args.only is not None)
        rule = "takes no such option, but --work --model --width --sizes --batches --repeats --output"
    else:
        ignored = [name for name in ("work", "sizes", "batches", "output") if getattr(args, name) is not None]
        rule = "is missing, without which the option changes nothing"
    if ignored:
        raise InputError(f"--{ignored[0]}: --compare {rule}")


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def measure(name: str, batch: int, make, config: Config, repeats: int) -> str:
    """One row of the table."""
    from benchmarks.rows import random_batch

    prepare(config)
    batch = config.batch_size if config.given("batch_size") else batch
    call = make(config, random_batch(batch, config.image_size))
    compiled = time_compilation()
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    first, typical = seconds[0], statistics.median(seconds[1:])
    peak = peak_memory(config.device_target) / 1e9
    graphs = " + ".join(f"{graph:.1f}" for graph in compiled if graph >= 0.5)
    return f"| {name} | {batch} | {graphs} | {first:.1f} | {typical:.3g} | {typical / batch:.3g} | {peak:.1f} |"


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


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        stop(f"error: {error}", 2)

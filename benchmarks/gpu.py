"""What to run when a GPU is there for ten minutes: python benchmarks/gpu.py --output FOLDER [--minutes 10] [--option …]

Times CTSDG's training step with and without each switch, beside the same step in PyTorch; trains a few iterations in
float16 and bfloat16; runs tests there; records a profile. The most telling comes first. Each row is a process of its
own, and FOLDER/gpu.md grows row by row, so that what was done is there when time is up. Options are those of train.py.

On a card that is newer than MindSpore's kernels the driver translates them at the first start, for minutes:
`export CUDA_MODULE_LOADING=LAZY CUDA_CACHE_MAXSIZE=4294967296` keeps the result. PyTorch may be in another environment,
since it brings other CUDA libraries: --torch_python names its interpreter. docs/devices.md says what it does.
"""

import argparse
import csv
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.memory import peak_memory
from benchmarks.parser import Parser
from model_utils.config import Config, load_config, read_schema
from model_utils.entry import stop
from src.errors import InputError
from src.files import make_folder
from train import OPTION_GROUPS

ROOT = Path(__file__).parents[1]
NO_VGG = ("--perceptual_loss_w", "0", "--style_loss_w", "0")  # which benchmarks/published_training.py lacks
SWITCHES = {  # of ours, by row
    "no switch": (),
    "conv_search": ("--conv_search", "true"),
    "matmul_tf32": ("--matmul_tf32", "true"),
    "jit_level O1": ("--jit_level", "O1"),
    "all three": ("--conv_search", "true", "--matmul_tf32", "true", "--jit_level", "O1"),
    "deterministic": ("--deterministic", "true"),
    "float16": ("--amp_level", "O2"),
    "float16, conv_search": ("--amp_level", "O2", "--conv_search", "true"),
    "float16, format_transform false": ("--amp_level", "O2", "--format_transform", "false"),
}
GPU_ALONE = ("conv_search", "matmul_tf32", "format_transform")
TORCH = {"eager, TensorFloat-32": (), "bfloat16, compiled": ("--bfloat16", "--compiled")}


@dataclass(frozen=True)
class Row:
    """A process, and how to read its result: a line for the report."""

    name: str
    command: list[str]
    read: Callable[[str], str]
    environment: dict[str, str] = field(default_factory=dict)
    may_fail: bool = False  # as tests may, whose last line says how many have


def main() -> None:
    args, options = parse()
    if args.time:
        print(json.dumps(measure(args, load_config(options, groups=OPTION_GROUPS))))
        return
    if not args.output:
        raise InputError("benchmarks/gpu.py needs --output (folder for gpu.md and for what the runs write)")
    load_config(options, groups=OPTION_GROUPS)  # a misspelt option stops it here
    rows = all_rows(args, options)
    if args.only:
        unknown = [name for name in args.only.split(";") if name not in [row.name for row in rows]]
        if unknown:
            raise InputError(f"--only {unknown[0]}: there are {'; '.join(row.name for row in rows)}")
        rows = [row for row in rows if row.name in args.only.split(";")]
    if args.dry_run:
        for row in rows:
            variables = [f"{name}={value}" for name, value in row.environment.items()]
            print(f"# {row.name}", shlex.join([*variables, *row.command]), sep="\n")
        return
    make_folder(Path(args.output))
    run_all(rows, Path(args.output), 60 * args.minutes)


def parse() -> tuple[argparse.Namespace, list[str]]:
    """-> this program's options, and the words that are options of train.py"""
    parser = Parser(__doc__)
    parser.add_argument("--output", default="", help="folder for gpu.md and for what the runs write")
    parser.add_argument("--minutes", type=float, default=10, help="after which nothing more is begun, and all ends")
    parser.add_argument("--repeats", type=int, default=20, help="steps that are timed in each row, whose median counts")
    parser.add_argument("--iterations", type=int, default=50, help="of the trainings in float16 and bfloat16")
    parser.add_argument("--only", default="", help="rows, by their names, with ; between them")
    parser.add_argument("--torch_python", default=sys.executable, help="interpreter that has PyTorch")
    parser.add_argument("--dry_run", action="store_true", help="print the commands and do nothing")
    parser.add_argument("--time", choices=["ours", "torch"], help=argparse.SUPPRESS)
    parser.add_argument("--bfloat16", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--compiled", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--as_published", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_known_args()


def all_rows(args: argparse.Namespace, options: list[str]) -> list[Row]:
    given = load_config(options, groups=OPTION_GROUPS)
    target = given.device_target if given.given("device_target") else "GPU"
    options = ["--batch_size", "6", *options, "--device_target", target, "--finetune_iter", "0"]
    switches = {
        name: words
        for name, words in {**SWITCHES, "bfloat16": bfloat16()}.items()
        if (words or name == "no switch") and (target == "GPU" or not any(f"--{only}" in words for only in GPU_ALONE))
    }

    def timed(name: str, python: str, *words: str) -> Row:
        command = [python, __file__, "--repeats", str(args.repeats), "--time", *words, *options]
        return Row(name, command, read_time)

    ours = [timed(f"step, {name}", sys.executable, "ours", *NO_VGG, *words) for name, words in switches.items()]
    theirs = [
        timed(f"step, PyTorch, {name}", args.torch_python, "torch", *NO_VGG, *how)
        for name, how in TORCH.items()
        if target != "Ascend"
    ]
    output = Path(args.output)
    photos = Row("photos", [sys.executable, f"{ROOT}/scripts/make_sample_data.py", str(output / "data")], last_line)
    trained = [
        train(f"{args.iterations} iterations, {name}", output, options, args.iterations, *switches[name])
        for name in ("no switch", "float16", "bfloat16")
        if name in switches
    ]
    tests = ["-m", "pytest", "-q", "-m", "not slow", "tests/layers", "tests/losses", "tests/ctsdg", "tests/dgts"]
    return [
        *ours[:1],
        *theirs[:1],
        *ours[1:2],
        *theirs[1:],
        *ours[2:],
        timed("step, no switch, all losses", sys.executable, "ours"),
        photos,
        *trained,
        train("profile", output, options, 4, "--profile", "1"),
        Row("tests", [sys.executable, *tests], last_line, {"TEST_DEVICE": target}, may_fail=True),
    ]


def bfloat16() -> tuple[str, ...]:
    """Options of a training in bfloat16, whatever their names are; () where there is none."""
    for option in read_schema().values():
        if option.group in OPTION_GROUPS and "bfloat16" in option.rule.split(" | "):
            return ("--amp_level", "O2", f"--{option.name}", "bfloat16")
    return ()


def train(name: str, output: Path, options: list[str], iterations: int, *words: str) -> Row:
    """train.py on the photos."""
    run = output / name.replace(" ", "_").replace(",", "")
    folders = ["--data_root", str(output / "data" / "train"), "--save_path", str(run), "--overwrite"]
    own = ["--train_iter", str(iterations), "--log_frequency_step", "1", *words]
    command = [sys.executable, f"{ROOT}/train.py", *options, *NO_VGG, *folders, *own]
    return Row(name, command, lambda _: read_run(run))


def read_time(output: str) -> str:
    found = json.loads(last_line(output))
    return "{ms:.1f} ms ({fastest:.1f} to {slowest:.1f}), first {first:.0f} s, {peak:.1f} GB".format(**found)


def read_run(run: Path) -> str:
    """Loss of the first and of the last iterations, and how many were skipped."""
    with open(run / "metrics.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    loss = next(name for name in reversed(rows[0]) if name.startswith("generator"))
    few = max(1, len(rows) // 5)
    first, last = (statistics.fmean(float(row[loss]) for row in part) for part in (rows[:few], rows[-few:]))
    ms = 1000 * statistics.median(float(row["seconds_per_iteration"]) for row in rows[len(rows) // 2 :])
    skipped = rows[-1]["skipped_steps"]
    return f"{len(rows)} iterations, {loss} {first:.4g} -> {last:.4g}, {skipped} skipped, {ms:.1f} ms each; {run}"


def last_line(output: str) -> str:
    return output.strip().splitlines()[-1] if output.strip() else ""


def run_all(rows: list[Row], folder: Path, seconds: float) -> None:
    """One after the other until time is up. A row that fails says why, and the next one begins."""
    end = time.monotonic() + seconds
    report, log = folder / "gpu.md", folder / "gpu.log"
    report.write_text("| row | result |\n|---|---|\n", encoding="utf-8")
    log.write_text("", encoding="utf-8")
    for row in rows:
        left = end - time.monotonic()
        result = "no time left" if left < 1 else run(row, left, log)
        print(f"{row.name}: {result}", flush=True)
        with open(report, "a", encoding="utf-8") as file:
            file.write(f"| {row.name} | {result} |\n")


def run(row: Row, seconds: float, log: Path) -> str:
    """-> the line for the report. What the process prints goes to `log` as well."""
    environment = os.environ | row.environment
    try:
        done = subprocess.run(
            row.command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return "not done when time was up"
    except OSError as error:
        return f"failed: {row.command[0]}: {error.strerror}"
    with open(log, "a", encoding="utf-8") as file:
        file.write(f"== {row.name}: {shlex.join(row.command)}\n{done.stdout}{done.stderr}\n")
    if done.returncode and not (row.may_fail and done.stdout):
        return f"failed: {last_line(done.stderr) or last_line(done.stdout)}"
    return row.read(done.stdout)


def measure(args: argparse.Namespace, config: Config) -> dict[str, float]:
    """Milliseconds of a step, seconds of the first one, and GB of memory at most."""
    make = {"ours": our_step, "torch": torch_step}[args.time]
    step, peak = make(args, config)
    seconds = []
    for _ in range(args.repeats + 2):  # the second one, too, may still choose algorithms
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    ms = sorted(1000 * each for each in seconds[2:])
    return {
        "ms": statistics.median(ms),
        "fastest": ms[0],
        "slowest": ms[-1],
        "first": seconds[0],
        "peak": peak() / 1e9,
    }


def our_step(_: argparse.Namespace, config: Config) -> tuple[Callable, Callable]:
    from benchmarks.rows import random_batch, train
    from model_utils.device import prepare
    from src.ctsdg.training import CTSDGTraining

    prepare(config)
    step = train(CTSDGTraining, 4)(config, random_batch(config.batch_size, config.image_size))
    return step, lambda: peak_memory(config.device_target)


def torch_step(args: argparse.Namespace, config: Config) -> tuple[Callable, Callable]:
    """The same losses in PyTorch, on as many images; its step, too, ends with the losses on the host."""
    import numpy as np
    import torch

    from benchmarks import published_training
    from src.data.masks import draw_mask

    device = {"GPU": "cuda", "CPU": "cpu"}[config.device_target]
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    how = ["--torch_device", device]
    how += [f"--{name}" for name in ("bfloat16", "as_published") if getattr(args, name)]

    class Training(published_training.Training):
        def follow(self) -> None:
            """No moving average."""

    training = Training(published_training.parse(how)[0], config)
    if args.compiled:
        training.generator.compile()
        training.discriminator.compile()
    rng, side, count = np.random.default_rng(0), config.image_size, config.batch_size
    image, edge, gray = (rng.random((count, channels, side, side), dtype=np.float32) for channels in (3, 1, 1))
    mask = np.stack([draw_mask(rng, side, 0.32, 0.34) for _ in range(count)])
    arrays = {"image": 2 * image - 1, "mask": mask, "edge": np.float32(edge > 0.9), "gray": gray}
    batch = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}

    def peak() -> int:
        if device == "cuda":
            return torch.cuda.max_memory_allocated()
        return peak_memory("CPU")

    return lambda: training.step(batch), peak


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        stop(f"error: {error}", 2)

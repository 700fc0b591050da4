"""What python benchmarks/speed.py --compare does: the published formulation, this project's cell and exported files.

CTSDG's image, DGTS's upsampler, or an iteration of CTSDG's training. The rows take turns, one call each, so that
whatever else the machine does hits all alike. Each is a process of its own (compare_row.py), stopped while it is not
its turn. docs/performance.md says what the rows are.
"""

import contextlib
import importlib.util
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.compare_row import ROWS
from src import ISA_VARIABLE, MINDSPORE_ISA
from src.errors import InputError
from src.files import make_folder

TIMED = {
    ("image", "ctsdg"): "CTSDG's image",
    ("image", "dgts"): "DGTS's upsampler",
    ("train", "ctsdg"): "an iteration of CTSDG's training, without VGG",
}
FIRST, PEAK = "PyTorch, as published", "float32 matrix product"  # ratios are to the first row, shares of the peak
NEEDED = {"torch": "requirements-convert.txt"} | dict.fromkeys(
    ("onnx", "onnxruntime", "openvino"), "requirements-onnx.txt"
)
HEAD = """| row | s | times published | peak memory, GB | GFLOP | GFLOP/s | of a matrix product's |
|---|---:|---:|---:|---:|---:|---:|"""


def compare(
    work: str, model: str, width: float, sizes: list[int], batches: list[int], repeats: int, output: str
) -> None:
    """Print a table for each size and batch; write compare.md, compare.json and compare.png to the folder `output`."""
    check(work, model, sizes, batches, repeats)
    for ending in (signal.SIGTERM, signal.SIGHUP):  # not without ending the rows, which may be stopped
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    folder = Path(output)
    if output:
        make_folder(folder)
    machine, found = cpu_name(), []
    print(f"{TIMED[work, model]}, width {width:g}; {machine}", flush=True)
    text = f"{TIMED[work, model]}, width {width:g}, medians of {repeats} calls in turn. CPU: {machine}.\n"
    for size in sizes:
        for batch in batches:
            rows = measure(work, model, width, size, batch, repeats)
            table = f"\n{size} px, batch {batch}\n\n{as_table(rows)}\n"
            print(table, flush=True)
            text += table
            found.append({"size": size, "batch": batch, "rows": rows})
            if output:  # each time, so that a run that is cut short leaves what it has
                facts = {
                    "work": work,
                    "model": model,
                    "width": width,
                    "cpu": machine,
                    "repeats": repeats,
                    "found": found,
                }
                (folder / "compare.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
                (folder / "compare.md").write_text(text, encoding="utf-8")
                draw(found, folder / "compare.png")


def check(work: str, model: str, sizes: list[int], batches: list[int], repeats: int) -> None:
    if (work, model) not in TIMED:
        there = ", ".join(" ".join(each) for each in TIMED)
        raise InputError(f"--compare --work {work} --model {model}: there is only {there}")
    if any(size < 128 or size % 128 for size in sizes) or min(*batches, repeats, 1) < 1:
        raise InputError("--sizes takes multiples of 128, --batches and --repeats numbers from 1 on")
    missing = [package for package in NEEDED if importlib.util.find_spec(package) is None]
    if missing:
        files = " ".join(f"-r {file}" for file in dict.fromkeys(NEEDED[package] for package in missing))
        raise InputError(f"--compare needs {' and '.join(missing)}, not installed here: pip install {files}")


class Row:
    """A process that makes one call whenever it is asked to."""

    def __init__(self, *words: object) -> None:
        # The limit that src sets is MindSpore's alone. (A value the user chose stays.)
        environment = {key: value for key, value in os.environ.items() if (key, value) != (ISA_VARIABLE, MINDSPORE_ISA)}
        command = [sys.executable, str(Path(__file__).with_name("compare_row.py")), *map(str, words)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            # A session of its own: the system hangs up on a whole group when it finds stopped processes in it.
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.error, self.peak = "", 0.0
        self.seconds: list[float] = []
        self.facts = self.hear()
        self.process.send_signal(signal.SIGSTOP)

    def hear(self) -> dict:
        line = self.stdout.readline()
        if not line:
            return self.fail(f"the process ended with {self.process.wait()}")
        said = json.loads(line)
        return self.fail(said["error"]) if "error" in said else said

    def fail(self, why: str) -> dict:
        self.error = why
        return {}

    def call(self) -> None:
        if self.error:
            return
        self.process.send_signal(signal.SIGCONT)
        with contextlib.suppress(BrokenPipeError):  # if it has ended, hear() says how
            print(file=self.stdin, flush=True)
        said = self.hear()
        self.process.send_signal(signal.SIGSTOP)  # threads that wait for work without sleep would slow the others down
        if said:
            self.seconds.append(said["seconds"])
            self.peak = said["peak"]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()


def measure(work: str, model: str, width: float, size: int, batch: int, repeats: int) -> list[dict]:
    """Every row's numbers by name; one that failed has an `error` instead."""
    with tempfile.TemporaryDirectory() as folder:
        rows: dict[str, Row] = {}
        try:
            gflop = None
            if work == "image":
                exported = rows["export"] = Row(work, "export", model, folder, width, size, batch)
                if exported.error:
                    raise InputError(f"exporting {model} for {size} px, batch {batch}: {exported.error}")
                gflop = exported.facts["gflop"]
                rows.pop("export").end()
            for name in ROWS[work]:
                rows[name] = Row(work, name, model, folder, width, size, batch)
            for _ in range(repeats):
                for row in rows.values():
                    row.call()
        finally:
            for row in rows.values():
                row.end()
    return [numbers(name, row, rows, gflop) for name, row in rows.items()]


def numbers(name: str, row: Row, rows: dict[str, Row], exported_gflop: float | None) -> dict:
    """What the table says of one row. What runs the exported network's graph needs what that needs."""
    if row.error:
        return {"row": name, "error": row.error}
    seconds, gflop = statistics.median(row.seconds), row.facts.get("gflop", exported_gflop)
    published, peak = rows[FIRST], rows[PEAK]
    speed = gflop and gflop / seconds
    return {
        "row": name,
        "seconds": seconds,
        "all_seconds": row.seconds,
        "ratio": None if published.error or row is peak else seconds / statistics.median(published.seconds),
        "peak_memory_gb": row.peak,
        "gflop": gflop,
        "gflop_per_second": speed,
        "share": speed and not peak.error and speed * statistics.median(peak.seconds) / peak.facts["gflop"],
    }


def as_table(rows: list[dict]) -> str:
    lines, notes = [HEAD], []
    for row in rows:
        if "error" in row:
            notes.append(f"\nLeft out: {row['row']} ({row['error']})")
            continue
        cells = [row["row"], f"{row['seconds']:.3g}", row["ratio"] and f"{row['ratio']:.2f}"]
        cells += [f"{row['peak_memory_gb']:.1f}"]
        cells += [row[name] and f"{row[name]:.3g}" for name in ("gflop", "gflop_per_second")]
        cells += [row["share"] and f"{row['share']:.0%}"]
        lines.append("| " + " | ".join(cell or "" for cell in cells) + " |")
    return "\n".join(lines + notes)


def draw(found: list[dict], path: Path) -> None:
    """Bars of seconds, a panel for each size and batch; a light line spans a row's fastest and slowest call."""
    from PIL import Image, ImageDraw

    from src.drawing.curves import INK, PAPER, RAW, SMOOTH

    left, length, step, right = 190, 420, 26, 70  # pixels: names, bars, height of a bar, numbers
    panels = []
    for panel in found:
        rows = [row for row in panel["rows"] if "error" not in row and row["row"] != PEAK]
        image = Image.new("RGB", (left + length + right, step * (len(rows) + 2)), PAPER)
        pen = ImageDraw.Draw(image)
        pen.text((left, step / 2), f"{panel['size']} px, batch {panel['batch']}: seconds per call", INK, anchor="lm")
        scale = length / max((max(row["all_seconds"]) for row in rows), default=1)
        for i, row in enumerate(rows):
            y, fast, slow = step * (i + 1.5), min(row["all_seconds"]) * scale, max(row["all_seconds"]) * scale
            pen.text((left - 8, y), row["row"], INK, anchor="rm")
            pen.rectangle([left, y - 8, left + row["seconds"] * scale, y + 8], fill=SMOOTH)
            pen.line([(left + fast, y), (left + slow, y)], RAW, 3)
            pen.text((left + slow + 8, y), f"{row['seconds']:.3g}", INK, anchor="lm")
        panels.append(image)
    sheet = Image.new("RGB", (left + length + right, sum(image.height for image in panels)), PAPER)
    top = 0
    for image in panels:
        sheet.paste(image, (0, top))
        top += image.height
    sheet.save(path)


def cpu_name() -> str:
    """The processor, how many cores of it there are, and which wide instructions it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    facts = {name.strip(): value.strip() for name, value in pairs}
    flags = set(facts.get("flags", "").split())
    kinds = {"AVX2": "avx2", "AVX-512": "avx512f", "bfloat16": "avx512_bf16", "AMX": "amx_bf16"}
    wide = [kind for kind, flag in kinds.items() if flag in flags]
    return f"{facts.get('model name', platform.machine())}, {os.cpu_count()} cores, {', '.join(wide)}"

"""Train and score the study of docs/study.md: bash scripts/study.sh FACES MASKS OUT [NAME ...]

FACES holds img_align_celeba/ and list_eval_partition.txt, MASKS test masks that are white where the hole is. OUT gets a
folder for each run: NAME/run as train.py writes it, NAME/scores0, scores1, … as eval.py does; last, the table
OUT/study.md of all that was scored, and OUT/study.png with CTSDG's loss in holes over the iterations. Without a NAME,
the short runs are done, one after the other.

A run that was interrupted goes on where it was. One with scores is not done again. SIGTERM to train.py ends a run after
its iteration, and it is scored as far as it came: long runs are given the time there is. To go on with such a run,
remove its scores.
"""

import argparse
import contextlib
import csv
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.parser import Parser
from model_utils.entry import stop
from src.errors import InputError

ROOT = Path(__file__).parents[1]
BUCKETS = ("0-20%", "20-40%", "40-60%")
METRICS = {"psnr": 2, "ssim": 4, "mae": 4}  # with their digits
BASELINES = ("telea", "ns")
TEST_FACES = 300
LAST = "checkpoints/last"

Options = dict[str, Any]

FACE = {"center_crop": 89}  # pixels: the width of faces of half of CelebA's size
TRAINING = {"image_size": 128, "batch_size": 8, "perceptual_loss_w": 0, "finetune_iter": 0}
TRAINING |= {"save_checkpoint_steps": 250, "keep_checkpoint_max": 2}
SHORT = {"width": 0.125, "train_iter": 2250}  # each of 9,000 faces twice
LONG = {"width": 0.25, "train_iter": 100000}  # more than there is time for
CTSDG = {"style_loss_w": 0, "edge_mode": "clean", "ema_decay": 0.999}
OURS = {"seamless": True, "hole_loss": "psnr", "hole_loss_w": 0.1, "valid_loss_w": 1, "intermediate_loss_w": 0.2}


@dataclass(frozen=True)
class Run:
    """One training, and the ways to score its network.

    part: what benchmarks/ablation.py leaves out
    scored: options of eval.py for each row of the table, by what the row adds to the run's own words; `network` is the
    file of the checkpoint
    """

    words: str
    options: Options
    part: str = "none"
    scored: Mapping[str, Options] = field(default_factory=lambda: {"": {}})
    short: bool = True


AVERAGE: dict[str, Options] = {"": {}, ", moving average": {"network": "generator_ema"}}
ORDERS: dict[str, Options] = {
    "64 patches one by one": {},
    "by confidence": {"fill_order": "confidence"},
    "row by row": {"fill_order": "raster"},
    "16 patches one by one": {"sequential_steps": 16},
    "all patches at once": {"sequential_steps": 1},
}
RUNS = {
    "base": Run("CTSDG", CTSDG | SHORT),
    "published_edges": Run("edges and gray as published", CTSDG | SHORT | {"edge_mode": "published"}),
    "no_bigff": Run("without Bi-GFF", CTSDG | SHORT, "bigff"),
    "no_cfa": Run("without CFA", CTSDG | SHORT, "cfa"),
    "one_stream": Run("one stream", CTSDG | SHORT, "stream"),
    "ours": Run("`--seamless true --hole_loss psnr`", CTSDG | SHORT | OURS, scored=AVERAGE),
    "long": Run("CTSDG, long, stage 1", CTSDG | LONG | OURS, scored=AVERAGE, short=False),
    "finetuned": Run(
        "CTSDG, long, stage 2",
        CTSDG | LONG | OURS | {"train_iter": 0, "finetune_iter": 2000, "init_checkpoint": "long"},
        scored=AVERAGE,
        short=False,
    ),
    "upsampler": Run("", {"model": "upsampler", "vgg_loss_w": 0} | LONG, scored={}, short=False),
    "dgts": Run(
        "DGTS",
        # The published rates are for a ResNet-50 that was trained before, and for far more iterations.
        {"model": "dgts", "style_loss_w": 0, "pretrained_resnet": "none", "gen_lr_train": 5e-4, "backbone_lr": 5e-4}
        | LONG,
        scored={f", {words}": {"upsampler_path": "upsampler", **options} for words, options in ORDERS.items()},
        short=False,
    ),
}
FILES = ("init_checkpoint", "upsampler_path")  # options that name another run


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("faces", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("out", type=Path)
    short = [name for name, run in RUNS.items() if run.short]
    parser.add_argument("names", nargs="*", default=short, metavar="NAME", help=f"any of {', '.join(RUNS)}")
    parser.add_argument("--options", default="", help="further options of train.py, for every run")
    args = parser.parse_args()
    if set(args.names) - set(RUNS):
        parser.error(f"there is no run {min(set(args.names) - set(RUNS))}; choose from {', '.join(RUNS)}")
    try:
        link_masks(args.masks, args.out / "masks")
    except InputError as error:
        stop(f"error: {error}", 2)
    for name in args.names:
        perform(name, args)
    table = study_table(args.out)
    (args.out / "study.md").write_text(table, encoding="utf-8")
    draw_study(args.out, args.out / "study.png")
    print(table)


def link_masks(masks: Path, folder: Path) -> None:
    """As many of the masks as there are test faces, evenly from their list, which goes from small holes to large."""
    from src.data.images import list_images

    paths = list_images(masks)
    if len(paths) < TEST_FACES:
        raise InputError(f"{masks} holds {len(paths)} masks; the study takes {TEST_FACES}")
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(TEST_FACES):
        path = paths[i * len(paths) // TEST_FACES]
        with contextlib.suppress(FileExistsError):  # of another study beside this one
            (folder / path.name).symlink_to(path.resolve())


def perform(name: str, args: argparse.Namespace) -> None:
    """What is missing of a run: training, or the rest of it, and scores."""
    run, folder = RUNS[name], args.out / name
    data = {"data_root": args.faces / "img_align_celeba", "anno_path": args.faces / "list_eval_partition.txt", **FACE}
    wanted = [folder / f"scores{i}" for i in range(len(run.scored))] or [folder / "trained"]
    if all(path.exists() for path in wanted):
        return
    print(f"== {name}", flush=True)
    resume = ["--resume"] if (folder / "run" / LAST).exists() else []
    note_revision(folder / "revisions")
    options = TRAINING | run.options | {"save_path": folder / "run"}
    call(run.part, "train.py", data | options, args, *resume, *args.options.split())
    newest = folder / "run" / "checkpoints" / (folder / "run" / LAST).read_text().strip()
    for path, options in zip(wanted, run.scored.values(), strict=False):
        if not path.exists():
            options = dict(options)
            checkpoint = newest / f"{options.pop('network', 'generator')}.ckpt"
            files = {"checkpoint_path": checkpoint, "eval_masks_root": args.out / "masks", "output_path": path}
            call(run.part, "eval.py", data | files | {"baselines": ",".join(BASELINES)} | options, args)
    if not run.scored:
        wanted[0].touch()


def note_revision(path: Path) -> None:
    """A line for each revision of the code that a run is trained with."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    revision = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    before = noted_revisions(path)
    if before[-1:] != [revision]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*before, revision]) + "\n", encoding="utf-8")


def noted_revisions(path: Path) -> list[str]:
    """None for a run of before they were noted."""
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def call(part: str, entry_point: str, options: Options, args: argparse.Namespace, *more: str) -> None:
    """An entry point in a process of its own; where it fails, so does the study, with its exit code."""
    options = options | {name: args.out / options[name] / "run" / LAST for name in FILES if name in options}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(ROOT / "benchmarks" / "ablation.py"), part, entry_point, *words, *more]
    code = subprocess.run(command, check=False).returncode
    if code:
        sys.exit(code)


def study_table(out: Path) -> str:
    """A row for each way in which each network was scored, and for the classical methods."""
    buckets = " | ".join(BUCKETS)
    lines = [
        f"| | Name | Revision | Iterations | Hours | {buckets} |",
        f"|---|---|---|---:|---:|{'---|' * len(BUCKETS)}",
    ]
    rows: dict[str | tuple[str, int], str] = {}
    for name, run in RUNS.items():
        for i, words in enumerate(run.scored):
            path = out / name / f"scores{i}" / "metrics.json"
            if path.exists():
                metrics = json.loads(path.read_text(encoding="utf-8"))
                for baseline, summary in metrics["baselines"].items():
                    rows.setdefault(baseline, table_row(summary, baseline, "", "", "", ""))
                iterations = metrics["protocol"]["checkpoint"]["iteration"]
                hours = f"{trained_hours(out / name / 'run' / 'metrics.csv'):.1f}"
                revisions = " ".join(noted_revisions(out / name / "revisions"))
                rows[name, i] = table_row(metrics, run.words + words, name, revisions, f"{iterations:,}", hours)
    lines += [*rows.values(), "", "PSNR, SSIM and mean absolute error by hole ratio, over whole images.", ""]
    return "\n".join(lines)


def draw_study(out: Path, image: Path) -> None:
    """Curves of CTSDG's loss in holes: decibels where that is the loss, elsewhere L1 as a share of that of one run.

    All runs of a length see the same images and holes in the same order: shares have less noise than L1 itself.
    """
    import numpy as np
    from PIL import Image

    from src.drawing.curves import draw_panel, panel_size, read_losses

    l1, decibels = {}, {}
    for name, run in RUNS.items():
        path = out / name / "run" / "metrics.csv"
        losses = read_losses(path) if path.exists() else {}
        if "loss_hole" in losses and "model" not in run.options:
            steps, values = losses["loss_hole"]
            if run.options.get("hole_loss") == "psnr":
                decibels[name] = steps, -values
            else:
                l1[name] = steps, values
    panels = [("PSNR in holes, dB", decibels)] if decibels else []
    if l1:
        one, (at, reference) = next(iter(l1.items()))
        shares = {name: (steps, values / np.interp(steps, at, reference)) for name, (steps, values) in l1.items()}
        panels.insert(0, (f"L1 in holes, as a share of that of {one}", shares))
    if not panels:
        return
    width, height = panel_size()
    sheet = Image.new("RGB", (len(panels) * width, height))
    for i, (title, curves) in enumerate(panels):
        sheet.paste(draw_panel(title, curves), (i * width, 0))
    sheet.save(image)


def trained_hours(path: Path) -> float:
    """From a metrics.csv, whose rows are means over the iterations since the row before."""
    seconds, done = 0.0, 0
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            seconds += (int(row["iteration"]) - done) * float(row["seconds_per_iteration"])
            done = int(row["iteration"])
    return seconds / 3600


def table_row(summary: Mapping, *first: str) -> str:
    cells = [
        " / ".join(cell(summary["buckets"][bucket][name], METRICS[name]) for name in METRICS) for bucket in BUCKETS
    ]
    return f"| {' | '.join([*first, *cells])} |"


def cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()

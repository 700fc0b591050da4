"""How well holes in photos are filled, at the photos' own size: python benchmarks/quality.py FOLDER [--checkpoints ...]

Every photo below FOLDER gets a mask of each width class: 10 to 20 % of it, in strokes of a brush. A fixed seed and the
photo's name decide the mask, so the same photos give the same table. Checkpoints, as PATH or NAME=PATH, are folders,
.ckpt, .mindir or .onnx files. Classical methods fill beside them: Telea, Navier–Stokes, biharmonic and harmonic
functions, and frequency selective reconstruction where opencv-contrib-python-headless is installed.

--removals CASES takes holes that are given instead of strokes: CASES/cases.csv names in its columns `case` and `photo`
which photo of FOLDER has a hole CASES/masks/CASE.png, white where it is. Each case is a row.

Prints means over photos: PSNR, mean absolute error and sharpness over the pixels of the hole, PSNR and SSIM of the
whole photo (protocol `zoo` of eval.py), and the median time. Sharpness is the mean step between neighbouring pixels in
the hole, as a share of the truth's. Below the table, how far each checkpoint is from the best classical method. The
options of infer.py that concern the network (--runtime, --upsampler_path, ...) are taken too, and --eval_batch_size of
eval.py. `biharmonic` needs 2 GB for a photo of 3.5 megapixels.
"""

import argparse
import csv
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.parser import Parser
from model_utils.config import Config, read_schema, refuse_unused
from model_utils.entry import DEVICE_GROUPS, NETWORK_GROUPS, listed, run
from src.errors import InputError
from src.progress import Progress

OPTION_GROUPS = (
    *DEVICE_GROUPS,
    *NETWORK_GROUPS,
    "Overwriting",
    "Second checkpoint",
    "ONNX files",
)
WIDTHS = {"thin": (6, 14), "medium": (14, 44), "wide": (44, 100)}  # pixels
HOLE = (0.1, 0.2)  # of the photo
SEED = 0
REMOVALS = "removals"  # what all cases together are called
LONGEST, JPEG_QUALITY = 1024, 92  # of the images on a sheet
HEAD = """\
| Holes | Method | PSNR in holes | MAE in holes | Sharpness | PSNR | SSIM | s per photo | Photos |
|---|---|---:|---:|---:|---:|---:|---:|---:|"""

Hole = Callable[[tuple[int, int]], np.ndarray]  # of a photo's height and width: bool (H, W), True = hole
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]  # uint8 (H, W, 3) and bool (H, W), True = hole -> uint8 (H, W, 3)


class Group(NamedTuple):
    """Holes of one kind: a row of the table for each method."""

    name: str
    label: str
    holes: Mapping[str, tuple[Path, Hole]]  # by the photo's name


@dataclass(frozen=True)
class Score:
    """What a method made of one hole: a row of --output."""

    photo: str
    width: str  # class of strokes, or case
    method: str
    hole_ratio: float
    hole_psnr: float  # decibels, over the pixels of the hole
    hole_mae: float  # of the range 1, over the pixels of the hole
    sharpness: float  # inside the hole, as a share of the truth's
    psnr: float  # of the whole photo, as SSIM
    ssim: float
    seconds: float


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("folder", help="photos, at any depth")
    parser.add_argument("--checkpoints", nargs="+", default=[], metavar="[NAME=]PATH")
    parser.add_argument("--methods", default="all", help="classical ones with commas between, all, or none")
    parser.add_argument("--widths", default=None, help=f"classes of strokes, with commas between: {','.join(WIDTHS)}")
    parser.add_argument("--removals", default="", metavar="CASES", help="a folder with cases.csv and masks/")
    parser.add_argument("--output", default="", help="a .csv file for the scores of every photo")
    parser.add_argument(
        "--pictures",
        default="",
        help="a new folder for sheets with input, fillings and truth, numbered from the best to the worst by PSNR in "
        "the hole, first checkpoint against best classical method",
    )
    batch_size = read_schema()["eval_batch_size"]
    parser.add_argument(f"--{batch_size.name}", type=batch_size.parse, default=batch_size.default)
    args, options = parser.parse_known_args()
    run(lambda config: compare(args, config), options)


def compare(args: argparse.Namespace, config: Config) -> None:
    from src.data.images import check_headers, list_images
    from src.evaluation.baselines import BASELINES
    from src.files import make_folder, refuse_existing, staged

    known = tuple(BASELINES)
    classical = [] if args.methods == "none" else list(known)
    if args.methods not in ("none", "all"):
        classical = listed("methods", args.methods, known)
    strokes = args.widths if args.widths is not None else "" if args.removals else ",".join(WIDTHS)
    widths = listed("widths", strokes, WIDTHS)
    if not ((widths or args.removals) and (args.checkpoints or classical)):
        raise InputError("nothing to compare: give --widths or --removals, and --checkpoints, --methods or both")
    if args.pictures and not (args.checkpoints and classical):
        raise InputError(
            "--pictures sorts by a checkpoint's lead over classical methods: give --checkpoints, --methods"
        )
    output, folder = Path(args.output), Path(args.pictures)
    if args.output:
        refuse_existing([output], config.overwrite)
        make_folder(output.parent)
    if args.pictures:
        make_folder(folder)
        if any(folder.iterdir()):
            raise InputError(f"--pictures {folder} is not empty; give a new folder")
    paths = list_images(args.folder)
    photos = {path.name if path == Path(args.folder) else str(path.relative_to(args.folder)): path for path in paths}
    groups = stroke_groups(photos, widths) + (removal_groups(photos, Path(args.removals)) if args.removals else [])
    check_headers(sorted({path for group in groups for path, _ in group.holes.values()}))
    networks = load_networks(args.checkpoints, config, args.eval_batch_size)
    methods = networks | {name: baseline(name) for name in classical}

    print(HEAD, flush=True)
    scores, found_by_name = [], {}
    with ExitStack() as stack:
        sheets = stack.enter_context(staged(folder)) if args.pictures else None
        progress = stack.enter_context(Progress(sum(len(group.holes) for group in groups), "Filling"))
        for group in groups:
            found = found_by_name[group.name] = measure(group, methods, sheets, progress)
            for method in methods:
                print(table_row(found[method], group.label), flush=True)
                scores += found[method]
            if sheets:
                number(sheets, found, next(iter(networks)), classical)
    if args.removals:
        cases = [found_by_name.pop(group.name) for group in groups if group.name not in WIDTHS]
        found = {method: [each for case in cases for each in case[method]] for method in methods}
        found_by_name[REMOVALS] = found
        for method in methods:
            print(table_row(found[method], f"{REMOVALS}, mean"), flush=True)
    leads = [lead(name, found_by_name[name], network, classical) for name in found_by_name for network in networks]
    print("\n".join(["", *leads]) if classical else "")
    if args.output:
        write_csv(output, scores)


def stroke_groups(photos: Mapping[str, Path], widths: list[str]) -> list[Group]:
    groups = []
    for width in widths:
        low, high = WIDTHS[width]
        holes = {name: (path, partial(draw_hole, name, width=width)) for name, path in photos.items()}
        groups.append(Group(width, f"{width}, {low} to {high} px", holes))
    return groups


def removal_groups(photos: Mapping[str, Path], cases: Path) -> list[Group]:
    """A group for each row of cases.csv. Raises InputError that names what is wrong."""
    from src.data.masks import read_mask

    table = cases / "cases.csv"
    if not table.is_file():
        raise InputError(f"--removals {cases}: {table} does not exist; it names each case and its photo")
    with open(table, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    groups = []
    for row in rows:
        if not row.get("case") or not row.get("photo"):
            raise InputError(f"{table} needs columns case and photo, with a value in each row")
        case, photo = row["case"], row["photo"]
        if photo not in photos:
            raise InputError(f"{table}: {photo}, the photo of {case}, is not in the folder of photos")
        hole = read_mask(cases / "masks" / f"{case}.png")
        groups.append(Group(case, case, {photo: (photos[photo], partial(given_hole, hole, case))}))
    if not groups:
        raise InputError(f"{table} names no case")
    return groups


def given_hole(hole: np.ndarray, case: str, shape: tuple[int, int]) -> np.ndarray:
    if hole.shape != shape:
        raise InputError(f"the mask of {case} is {hole.shape[1]}x{hole.shape[0]}, its photo {shape[1]}x{shape[0]}")
    return hole


def load_networks(checkpoints: list[str], config: Config, batch_size: int) -> dict[str, Fill]:
    """By the name given, or its model's."""
    from model_utils.device import prepare
    from src.evaluation.baselines import BASELINES
    from src.inference.inpainter import Inpainter
    from src.inference.open_network import open_network

    paths = [text.rpartition("=") for text in checkpoints]
    if any(Path(path).suffix != ".onnx" for _, _, path in paths):
        prepare(config)
    networks: dict[str, Fill] = {}
    for name, _, path in paths:
        how = config.chosen(("runtime", "precision")) if Path(path).suffix == ".onnx" else {}
        inpainter = Inpainter(open_network(path, config.chosen(config.as_dict()), batch_size, **how))
        refuse_unused(config, inpainter.info.model)
        name = name or inpainter.info.model
        if name in networks or name in BASELINES:
            raise InputError(f"--checkpoints: two methods are called {name}; write NAME={path}")
        networks[name] = inpainter
    return networks


def baseline(name: str) -> Fill:
    from src.evaluation.baselines import inpaint_baseline

    return lambda image, hole: inpaint_baseline(name, image, ~hole)


def measure(
    group: Group, methods: Mapping[str, Fill], sheets: Path | None, progress: Progress
) -> dict[str, list[Score]]:
    """Scores by method, in the order of the photos. sheets: folder for a sheet of each, under the photo's number."""
    from src.data.images import read_rgb

    found: dict[str, list[Score]] = {method: [] for method in methods}
    for i, (name, (path, hole_of)) in enumerate(group.holes.items()):
        truth = np.asarray(read_rgb(path))
        height, width = truth.shape[:2]
        hole = hole_of((height, width))
        filled = {}
        for method, fill in methods.items():
            start = time.perf_counter()
            filled[method] = fill(truth, hole)
            seconds = time.perf_counter() - start
            scores = score(filled[method], truth, hole)
            found[method].append(Score(name, group.name, method, float(hole.mean()), *scores, seconds))
        if sheets:
            notes = [f"{method}, {found[method][i].hole_psnr:.2f} dB in holes" for method in methods]
            sheet(truth, hole, filled, notes).save(sheets / f"{group.name}_{i}.jpg", quality=JPEG_QUALITY)
        progress.update()
    return found


def draw_hole(name: str, shape: tuple[int, int], width: str) -> np.ndarray:
    """The mask of a photo: bool (H, W), True = hole."""
    from src.data.masks import draw_strokes

    rng = np.random.default_rng([SEED, list(WIDTHS).index(width), zlib.crc32(name.encode())])
    return draw_strokes(rng, shape, *HOLE, WIDTHS[width])


def score(filled: np.ndarray, truth: np.ndarray, hole: np.ndarray) -> tuple[float, float, float, float, float]:
    """PSNR, MAE and sharpness inside the hole, PSNR and SSIM of the whole."""
    from src.evaluation.image_quality import mae, psnr, sharpness, ssim

    filled, truth = filled / 255, truth / 255
    inside = filled[hole][:, None], truth[hole][:, None]  # (pixels of the hole, 1, 3): a narrow image
    return psnr(*inside), mae(*inside), sharpness(filled, truth, hole), psnr(filled, truth), ssim(filled, truth)


def table_row(scores: list[Score], label: str) -> str:
    names = ("hole_psnr", "hole_mae", "sharpness", "psnr", "ssim")
    hole_psnr, hole_mae, sharp, psnr, ssim = (np.mean([getattr(each, name) for each in scores]) for name in names)
    seconds = statistics.median(each.seconds for each in scores)  # a first call may compile
    return (
        f"| {label} | {scores[0].method} | {hole_psnr:.2f} | {hole_mae:.4f} | {sharp:.2f} | {psnr:.2f} | {ssim:.4f} "
        f"| {seconds:.2f} | {len(scores)} |"
    )


def lead(name: str, found: Mapping[str, list[Score]], network: str, classical: list[str]) -> str:
    """By how much a checkpoint is better than the classical method that is best, which may differ between metrics."""
    words = []
    for metric, text in (("hole_psnr", "{:+.2f} dB in holes"), ("ssim", "SSIM {:+.4f}")):
        means = {method: np.mean([getattr(each, metric) for each in scores]) for method, scores in found.items()}
        best = max(classical, key=lambda method: means[method])
        words.append(f"{text.format(means[network] - means[best])} against {best}")
    ahead = sum(difference > 0 for difference in leads_by_photo(found, network, classical))
    scores = found[network]
    return f"{network}, {name}: {', '.join(words)}; ahead of all of them in {ahead} of {len(scores)} photos"


def leads_by_photo(found: Mapping[str, list[Score]], network: str, classical: list[str]) -> list[float]:
    """Decibels in the hole of each photo, against the classical method that is best there."""
    best = np.max([[each.hole_psnr for each in found[method]] for method in classical], axis=0)
    return [each.hole_psnr - other for each, other in zip(found[network], best, strict=True)]


def sheet(truth: np.ndarray, hole: np.ndarray, filled: Mapping[str, np.ndarray], notes: list[str]) -> Image.Image:
    """Input with white holes, every filling, and truth, in two rows, with a note for each filling."""
    from src.drawing.sheet import Row, draw_sheet

    images = [np.where(hole[..., None], np.uint8(255), truth), *filled.values(), truth]
    images += [np.full_like(truth, 255)] * (len(images) % 2)
    notes = ["input", *notes, "truth", ""]
    scale = min(1, LONGEST / max(hole.shape))
    size = [round(scale * side) for side in reversed(hole.shape)]
    images = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX)) for image in images]
    half = len(images) // 2
    return draw_sheet([""] * half, [Row(images[k : k + half], notes=notes[k : k + half]) for k in (0, half)])


def number(folder: Path, found: Mapping[str, list[Score]], network: str, classical: list[str]) -> None:
    """Give the sheets of one width their names: place, lead in decibels, photo."""
    leads, scores = leads_by_photo(found, network, classical), found[network]
    for place, i in enumerate(sorted(range(len(leads)), key=lambda i: -leads[i]), start=1):
        photo = scores[i].photo.replace("/", "_")
        new = folder / f"{scores[i].width}_{place:0{len(str(len(leads)))}}_{leads[i]:+.2f}dB_{photo}.jpg"
        (folder / f"{scores[i].width}_{i}.jpg").rename(new)


def write_csv(path: Path, scores: list[Score]) -> None:
    from src.files import staged

    with staged(path.parent) as folder, open(folder / path.name, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Score)])
        writer.writeheader()
        writer.writerows(asdict(score) for score in scores)


if __name__ == "__main__":
    main()

"""README, docs and cards: their links lead somewhere, and what they quote exists."""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from model_utils.config import ENTRY_POINTS, read_schema
from tests.conftest import ROOT
from tests.onnx_files import require_packages

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "weights/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"  # tells of options that are gone, too
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*)")
CODE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Options of other programs, and of our own beside those in default_config.yaml.
OTHERS = {"help", "config_path"}
OTHER_PROGRAMS = ("pip", "apt", "curl", "ruff", "pytest", "atc", "converter_lite")
PACKAGE = ROOT / "src" / "export" / "package_files"  # what export.py --package writes into a folder


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """Of headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def commands(page: Path) -> list[list[str]]:
    """The commands of its bash blocks, word by word, comments and variables in front left out."""
    found = []
    for block in CODE.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                found.append(words)
    return found


def own_options(file: Path) -> set[str]:
    """The options that a script or a benchmark names in its own text."""
    return set(OPTION.findall(file.read_text(encoding="utf-8")))


def taken_options(file: Path) -> set[str]:
    """The options of default_config.yaml that an entry point takes, or what passes its options on to one."""
    entry_point = next((name for name in ENTRY_POINTS if file.stem == name or f"_{name}_" in file.stem), None)
    groups = importlib.import_module(entry_point).OPTION_GROUPS if entry_point else None
    return {name for name, option in read_schema().items() if groups is None or option.group in groups}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("source", sorted((ROOT / "docs" / "figures").glob("*.dot")), ids=name)
def test_boxes_of_figures_lead_to_files(source):
    links = re.findall(r'URL="([^"]+)"', source.read_text(encoding="utf-8"))
    assert links and all((source.parent / link).exists() for link in links)
    drawn = source.with_suffix(".svg").read_text(encoding="utf-8")
    assert all(f'xlink:href="{link}"' in drawn for link in links)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_are_of_files_and_options_that_exist(page):
    for words in commands(page):
        program, *arguments = words
        if program not in ("python", "bash") or arguments[0].startswith("-"):
            continue
        file = PACKAGE / "run.py" if arguments[0].endswith("/run.py") else ROOT / arguments[0]
        assert file.is_file(), " ".join(words)
        known = taken_options(file) | OTHERS | (set() if file.stem in ENTRY_POINTS else own_options(file))
        assert set(OPTION.findall(" ".join(arguments))) <= known, " ".join(words)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_in_the_text_exist(page):
    scripts = [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/*"), PACKAGE / "run.py"]
    known = set(read_schema()) | OTHERS | set().union(*map(own_options, scripts))
    quoted = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    ours = [text for text in quoted if not text.startswith(OTHER_PROGRAMS)]
    assert set(OPTION.findall(" ".join(ours))) <= known


def figures(page: Path) -> dict[tuple[str, str], list[float]]:
    """The numbers in a page's tables, by the row's first cell and the column's heading."""
    found, heads = {}, None
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else None
        if cells is None or heads is None:
            heads = cells
            continue
        for head, cell in zip(heads[1:], cells[1:], strict=False):
            if re.fullmatch(r"[-\d.,%/() ]*\d[-\d.,%/() ]*", cell):
                key = cells[0].lower(), head.replace(" %", "%").lower()
                found[key] = [float(number) for number in re.findall(r"-?\d*\.?\d+", cell.replace(",", ""))]
    return found


def test_no_figure_stands_in_two_values():
    """The same row and column on several pages: the same numbers, or the first of them."""
    known, repeated = {}, 0
    for page in PAGES:
        for key, numbers in figures(page).items():
            if key in known:
                other, there = known[key]
                shared = min(len(numbers), len(there))
                assert numbers[:shared] == there[:shared], f"{key}: {name(other)} and {name(page)}"
                repeated += 1
            else:
                known[key] = page, numbers
    assert repeated >= 20  # README, cards and results.md repeat what other pages have


LIMITS = {"README.md": 700, "docs/performance.md": 1500, "docs/training.md": 1500, "docs/study.md": 1500}


@pytest.mark.parametrize(("page", "limit"), LIMITS.items())
def test_the_long_pages_stay_short(page, limit):
    assert len((ROOT / page).read_text(encoding="utf-8").split()) <= limit


def test_there_are_commands_to_check():
    assert sum(len(commands(page)) for page in PAGES) > 40


# What cannot be run here: weights that others trained, a page to be visited (tests/demo does), minutes of timing.
LEFT_OUT = re.compile(
    r"\.pth\b|vgg\w*\.ckpt|generator_500000\.ckpt|metric_networks|runs/dgts|runs/upsampler|dgts\.mindir|…|demo\.py|"
    r"speed\.py|\.ci/run|127\.0\.0\.1"
)
SHORT = {"train.py": ["--train_iter", "1", "--save_path", "short"]}  # options that win over those of the page


@pytest.fixture
def reader(checkpoint: Path, tmp_path: Path) -> Path:
    """A folder like the project's, with the files that pages take for granted."""
    for entry in ROOT.iterdir():
        if entry.suffix in (".py", ".yaml") or entry.name in ("benchmarks", "model_utils", "scripts", "src", "weights"):
            (tmp_path / entry.name).symlink_to(entry)
    image, hole = data.astronaut()[:200, 100:300], np.zeros((200, 200), np.uint8)
    hole[90:120, 60:110] = 255
    Image.fromarray(image).save(tmp_path / "photo.jpg")
    Image.fromarray(hole).save(tmp_path / "mask.png")
    for folder in ("photos", "PHOTOS", "IMAGES", "FOLDER", "img_align_celeba"):
        (tmp_path / folder).mkdir()
        for i in range(2):
            Image.fromarray(image).save(tmp_path / folder / f"{i:06d}.jpg")
    for folder in ("masks", "MASKS", "testing_mask_dataset"):
        (tmp_path / folder).mkdir()
        for i in range(2):
            Image.fromarray(hole).save(tmp_path / folder / f"{i:06d}.png")
    (tmp_path / "CASES" / "masks").mkdir(parents=True)
    (tmp_path / "CASES" / "cases.csv").write_text("case,photo\nstamp,000000.jpg\n")
    Image.fromarray(hole).save(tmp_path / "CASES" / "masks" / "stamp.png")
    (tmp_path / "list_eval_partition.txt").write_text("000000.jpg 0\n000001.jpg 2\n")
    for run in ("RUN", "runs/celeba"):
        shutil.copytree(checkpoint.parent, tmp_path / run / "checkpoints")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name)
def test_what_a_page_says_can_be_run(page, reader):
    """Its commands in order, in one folder, but for LEFT_OUT; shell scripts say what they would run."""
    if ".onnx" in page.read_text(encoding="utf-8"):
        require_packages()
    environment = os.environ | {"DRY_RUN": "1", "PYTHON": sys.executable}
    for program, *arguments in commands(page):
        if program not in ("python", "bash") or LEFT_OUT.search(" ".join(arguments)):
            continue
        words = [sys.executable if program == "python" else program, *arguments, *SHORT.get(arguments[0], [])]
        done = subprocess.run(words, cwd=reader, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"
    given = "import numpy as np\nimage, mask = np.zeros((200, 200, 3), np.uint8), np.ones((200, 200), bool)\n"
    for code in PYTHON.findall(page.read_text(encoding="utf-8")):
        if not LEFT_OUT.search(code):
            done = subprocess.run([sys.executable, "-c", given + code], cwd=reader, capture_output=True, check=False)
            assert done.returncode == 0, done.stderr.decode()


def test_the_requirements_of_onnx_files_are_all_that_running_one_needs():
    needed, listed = (
        {line.partition("  #")[0].strip() for line in (ROOT / name).read_text().splitlines() if line[:1] not in "#"}
        for name in ("requirements.txt", "requirements-onnx.txt")
    )
    assert {line for line in needed if not line.startswith("mindspore")} <= listed

"""README, docs and cards: their links lead somewhere, and what they quote exists."""

import re
import shlex
from pathlib import Path

import pytest

from model_utils.config import read_schema
from tests.conftest import ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "weights/*/README.md")
    for path in ROOT.glob(pattern)
    if path.name != "CHANGELOG.md"  # tells of options that are gone, too
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9_-]*)")
CODE = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)
# Options of other programs, and of our own beside those in default_config.yaml.
OTHERS = {"help", "config_path"}
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


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_are_of_files_and_options_that_exist(page):
    for words in commands(page):
        program, *arguments = words
        if program not in ("python", "bash") or arguments[0].startswith("-"):
            continue
        file = PACKAGE / "run.py" if arguments[0].endswith("/run.py") else ROOT / arguments[0]
        assert file.is_file(), " ".join(words)
        known = set(read_schema()) | OTHERS | own_options(file)
        assert set(OPTION.findall(" ".join(arguments))) <= known, " ".join(words)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_options_in_the_text_exist(page):
    scripts = [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("scripts/*"), PACKAGE / "run.py"]
    known = set(read_schema()) | OTHERS | set().union(*map(own_options, scripts))
    quoted = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
    ours = [text for text in quoted if not text.startswith(("pip", "apt", "curl", "ruff", "pytest"))]
    assert set(OPTION.findall(" ".join(ours))) <= known


def test_there_are_commands_to_check():
    assert sum(len(commands(page)) for page in PAGES) > 40

"""A folder that fills holes without this project: an exported network, and the part of src/ that uses it.

The folder holds `inpainting/`, a Python package of the modules that src/inference needs, under that name; the model and
its .json; run.py; requirements.txt; README.md. Modules are found by following imports, so nothing is listed here twice.
"""

import ast
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEMPLATES = Path(__file__).parent / "package_files"
NAME = "inpainting"
STARTS = ("src.inference.inpainter", "src.inference.user_files")
# What only checkpoints need, and what only the other kind of file needs, stays out.
ABSENT = {".onnx": {"src.inference.load", "src.inference.mindspore_runtime"}, ".mindir": {"src.inference.load"}}
PACKAGES = {
    ".onnx": ("requirements.txt", "requirements-onnx.txt"),
    ".mindir": ("requirements.txt", "requirements-mindspore.txt"),
}
NOT_NEEDED = {".onnx": ("onnx", "pyyaml", "ml_dtypes"), ".mindir": ("pyyaml",)}


def write_package(folder: Path, model: Path) -> None:
    """Write everything but the model, which lies in `folder` with its .json already."""
    for module in modules(model.suffix):
        source = source_of(module)
        target = folder / NAME / source.relative_to(ROOT / "src")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(renamed(source.read_text(encoding="utf-8")), encoding="utf-8")
    start = folder / NAME / "__init__.py"
    with open(start, "a", encoding="utf-8") as file:
        file.write(f"\nfrom {NAME}.inference.inpainter import Inpainter  # noqa: E402, F401\n")
    shutil.copy(TEMPLATES / "run.py", folder)
    facts = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    words = {"MODEL": model.name, "NETWORK": facts["model"], "SIZE": facts["image_size"], "BATCH": facts["batch_size"]}
    text = (TEMPLATES / f"README{model.suffix}.md").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements(model.suffix), encoding="utf-8")


def modules(suffix: str) -> list[str]:
    """Modules of src/ that filling files needs with a model of this kind, and the packages they lie in."""
    found, waiting = {"src"}, list(STARTS) + ["src.inference.mindspore_runtime"] * (suffix == ".mindir")
    while waiting:
        module = waiting.pop()
        if module in found or module in ABSENT[suffix]:
            continue
        found.add(module)
        waiting.append(module.rpartition(".")[0])
        for node in ast.walk(ast.parse(source_of(module).read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("src."):
                waiting.append(node.module)
    return sorted(found)


def source_of(module: str) -> Path:
    """The file of a module; of a package its __init__.py."""
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def renamed(text: str) -> str:
    """Source code that imports from the package instead of src."""
    return text.replace("from src.", f"from {NAME}.").replace("from src import", f"from {NAME} import")


def requirements(suffix: str) -> str:
    """Lines of the project's own requirements."""
    lines = []
    for name in PACKAGES[suffix]:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            requirement = line.partition("#")[0].strip()
            package = requirement.partition(">")[0].partition("<")[0]
            if requirement and package not in NOT_NEEDED[suffix] and requirement not in lines:
                lines.append(requirement)
    return "\n".join(lines) + "\n"

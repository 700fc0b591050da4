"""A folder that fills holes without this project: an exported network, and the part of src/ that uses it.

The folder holds `inpainting/`, a Python package of the modules that src/inference needs, the same files under that
name; the model and its .json; run.py; requirements.txt; README.md. Modules are found by following imports, so nothing
is listed here twice.
"""

import ast
import json
import shutil
from pathlib import Path

ROOT, SOURCE = Path(__file__).parents[2], Path(__file__).parents[1]
TEMPLATES = Path(__file__).parent / "package_files"
NAME = "inpainting"
STARTS = ("command", "inference.inpainter")
# What only checkpoints need, and what only the other kind of file needs, stays out.
ABSENT = {".onnx": {"inference.load", "inference.mindspore_runtime"}, ".mindir": {"inference.load"}}
PACKAGES = {
    ".onnx": ("requirements.txt", "requirements-onnx.txt"),
    ".mindir": ("requirements.txt", "requirements-mindspore.txt"),
}
NOT_NEEDED = {".onnx": ("onnx", "pyyaml", "ml_dtypes"), ".mindir": ("pyyaml",)}


def write_package(folder: Path, model: Path) -> None:
    """Write everything but the model, which lies in `folder` with its .json already."""
    for module in modules(model.suffix):
        source = source_of(module)
        target = folder / NAME / source.relative_to(SOURCE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    shutil.copy(TEMPLATES / "run.py", folder)
    facts = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    words = {"MODEL": model.name, "NETWORK": facts["model"], "SIZE": facts["image_size"], "BATCH": facts["batch_size"]}
    text = (TEMPLATES / f"README{model.suffix}.md").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", str(value))
    (folder / "README.md").write_text(text, encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements(model.suffix), encoding="utf-8")


def modules(suffix: str) -> list[str]:
    """Modules of src/ that filling files needs with a model of this kind, and the packages they lie in; "" is src."""
    found, waiting = set(), [*STARTS] + ["inference.mindspore_runtime"] * (suffix == ".mindir")
    while waiting:
        module = waiting.pop()
        if module in found or module in ABSENT[suffix]:
            continue
        found.add(module)
        if module:
            waiting.append(module.rpartition(".")[0])
        source = source_of(module)
        package = source.parent.relative_to(SOURCE).parts
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                parts = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
                origin = ".".join(filter(None, parts))
                names = [".".join(filter(None, (origin, alias.name))) for alias in node.names]
                waiting += [origin, *(name for name in names if source_of(name).is_file())]
    return sorted(found)


def source_of(module: str) -> Path:
    """The file of a module; of a package its __init__.py."""
    path = SOURCE.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


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

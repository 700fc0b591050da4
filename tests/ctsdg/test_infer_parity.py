"""infer.py at full width, as a user runs it: with converted weights it gives the published images."""

from pathlib import Path

import pytest

from tests.command_line import call
from tests.onnx_files import RUNTIMES, from_mindir, require_packages
from tests.parity.images import assert_completed
from tests.parity.official import DATA

pytestmark = pytest.mark.slow


def assert_published(checkpoint: Path, name: str, output: Path, **options: object) -> None:
    call("infer.py", checkpoint_path=checkpoint, image=DATA / "images", mask=DATA / "masks", output=output, **options)
    for i in ("00", "01"):
        original, mask = (DATA / folder / f"{i}.png" for folder in ("images", "masks"))
        assert_completed(output / f"{i}.png", DATA / f"{name}_{i}.png", original, mask, levels=2)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize(("weights", "name"), [("published", "completed"), ("modelzoo", "completed_modelzoo")])
def test_converted_weights_give_the_published_images(weights, name, mode, request, tmp_path):
    assert_published(request.getfixturevalue(weights), name, tmp_path / "out", mode=mode)


@pytest.fixture(scope="module")
def exported(published, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "ctsdg.mindir"
    call("export.py", checkpoint_path=published, output_path=path)
    return path


@pytest.fixture(scope="module")
def onnx_file(exported, tmp_path_factory) -> Path:
    require_packages()
    return from_mindir(exported, tmp_path_factory.mktemp("onnx"))


def test_so_does_the_exported_network(exported, tmp_path):
    assert_published(exported, "completed", tmp_path / "out")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_so_does_the_onnx_file(runtime, onnx_file, tmp_path):
    assert_published(onnx_file, "completed", tmp_path / "out", runtime=runtime)

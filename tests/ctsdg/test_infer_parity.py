"""infer.py at full width, as a user runs it: with converted weights it gives the published pictures."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.parity.official import DATA

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def call(entry_point: str, **options: object) -> None:
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    subprocess.run([sys.executable, ROOT / entry_point, *words], check=True)


def infer(checkpoint: Path, output: Path, **options: object) -> list[np.ndarray]:
    call("infer.py", checkpoint_path=checkpoint, image=DATA / "images", mask=DATA / "masks", output=output, **options)
    return [np.asarray(Image.open(output / name)).astype(int) for name in ("00.png", "01.png")]


def assert_published(pictures: list[np.ndarray], name: str) -> None:
    for i, picture in enumerate(pictures):
        expected = np.asarray(Image.open(DATA / f"{name}_{i:02d}.png")).astype(int)
        assert np.abs(picture - expected).max() <= 2
        original = np.asarray(Image.open(DATA / "images" / f"{i:02d}.png"))
        hole = np.asarray(Image.open(DATA / "masks" / f"{i:02d}.png").convert("L")) >= 128
        np.testing.assert_array_equal(picture[~hole], original[~hole])


@pytest.mark.parametrize("mode", ["graph", "pynative"])
@pytest.mark.parametrize(("weights", "name"), [("published", "completed"), ("modelzoo", "completed_modelzoo")])
def test_converted_weights_give_the_published_pictures(weights, name, mode, request, tmp_path):
    assert_published(infer(request.getfixturevalue(weights), tmp_path / "out", mode=mode), name)


def test_so_does_the_exported_network(published, tmp_path):
    path = tmp_path / "ctsdg.mindir"
    call("export.py", checkpoint_path=published, output_path=path)
    assert_published(infer(path, tmp_path / "out"), "completed")

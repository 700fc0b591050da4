"""The whole of DGTS at full width, as a user runs it, gives the published images; and what an exported file gives."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.inference.batches import Network
from src.inference.mindspore_runtime import load_mindir
from tests.command_line import ROOT, call
from tests.dgts.conftest import DATA
from tests.onnx_files import RUNTIMES, from_mindir, require_packages
from tests.parity.images import assert_completed

CASES = (0, 1, 2)  # image i mod 2 with mask i
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """A folder images/ and a folder masks/ with the images of the three cases."""
    folder = tmp_path_factory.mktemp("cases")
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for i in CASES:
        shutil.copy(DATA / "images" / f"{i % 2:02d}.png", folder / "images" / f"{i}.png")
        shutil.copy(DATA / "masks" / f"{i:02d}.png", folder / "masks" / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def exported(published, tmp_path_factory) -> Path:
    """dgts.mindir, with its two parts beside it."""
    path = tmp_path_factory.mktemp("exported") / "dgts.mindir"
    call("export.py", checkpoint_path=published, output_path=path, export_parts=True)
    return path


def assert_published(checkpoint: Path, images: Path, output: Path, **options: object) -> None:
    call(
        "infer.py",
        model="dgts",
        checkpoint_path=checkpoint,
        image=images / "images",
        mask=images / "masks",
        output=output,
        **options,
    )
    for i in CASES:
        original, mask = (images / folder / f"{i}.png" for folder in ("images", "masks"))
        assert_completed(output / f"{i}.png", DATA / f"completed_{i:02d}.png", original, mask, levels=3)


@pytest.mark.parametrize("mode", ["graph", "pynative"])
def test_converted_weights_give_the_published_images(published, images, mode, tmp_path):
    assert_published(published, images, tmp_path / "out", mode=mode)


def test_so_does_the_exported_file(exported, images, tmp_path):
    assert_published(exported, images, tmp_path / "out")


def test_the_exported_generator_fills_in_the_recorded_order(exported):
    assert_recorded(load_mindir(exported.with_name("dgts_generator.mindir")))


def assert_recorded(generator: Network) -> None:
    recorded, expected = np.load(DATA / "generator.npz"), np.load(DATA / "end_to_end.npz")
    for i in CASES:
        low, order = generator(recorded["image"][i % 2][None], recorded["mask"][i][None])
        steps = expected[f"case{i}.order"]
        np.testing.assert_array_equal(order[0, : len(steps)], steps)
        np.testing.assert_allclose(low, expected[f"case{i}.low32"], rtol=0, atol=1e-3)


@pytest.fixture(scope="module")
def onnx_files(exported, tmp_path_factory) -> Path:
    """The same as ONNX: dgts.onnx, with the generator beside it."""
    require_packages()
    folder = tmp_path_factory.mktemp("onnx")
    from_mindir(exported.with_name("dgts_generator.mindir"), folder)
    return from_mindir(exported, folder)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_so_does_the_onnx_file(runtime, onnx_files, images, tmp_path):
    assert_published(onnx_files, images, tmp_path / "out", runtime=runtime)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_onnx_generator_fills_in_the_recorded_order(runtime, onnx_files):
    from src.inference.onnx_runtimes import load_onnx

    assert_recorded(load_onnx(onnx_files.with_name("dgts_generator.onnx"), runtime))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_one_thread_and_two_give_the_same(published, tmp_path):
    for threads in (1, 2):
        words = [str(published), str(threads), str(tmp_path / f"{threads}.npz")]
        subprocess.run([sys.executable, "-m", "tests.dgts.complete", *words], cwd=ROOT, check=True)
    one, two = (np.load(tmp_path / f"{threads}.npz") for threads in (1, 2))
    for fill_order in ("known_pixels", "confidence"):
        np.testing.assert_array_equal(one[f"{fill_order}.order"], two[f"{fill_order}.order"])
        completed = f"{fill_order}.completed"
        np.testing.assert_allclose(one[completed], two[completed], rtol=0, atol=1e-4)  # values up to 6

"""DGTS with its upsampler through the project's commands: small networks, random weights."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

import eval as eval_py
import infer as infer_py
from model_utils.entry import run
from src.checkpoint import save_network
from src.dgts.generator import Generator
from src.dgts.model import DGTS
from src.dgts.upsampler.network import Upsampler, masked_input
from src.errors import InputError
from src.export.trial import example_inputs
from src.inference.inpainter import Inpainter
from src.inference.load import load_inpainting
from src.models import get_model
from tests.command_line import ROOT, words
from tests.onnx_files import RUNTIMES, from_mindir, require_packages

INFO = get_model("dgts").info(
    "generator", width=0.02, image_size=128, matching_lambda=0.3, sequential_steps=16, iteration=7
)
PARTS = ("generator", "upsampler")
UPSAMPLER = get_model("upsampler").info("upsampler", width=0.02, image_size=128)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dgts") / "checkpoints" / "0000007"
    folder.mkdir(parents=True)
    save_network(folder / "generator.ckpt", Generator(0.02, 128, 0.3, sequential_steps=16), INFO)
    save_network(folder / "upsampler.ckpt", Upsampler(0.02), UPSAMPLER)
    return folder


@pytest.fixture
def files(checkpoint, tmp_path) -> Path:
    """A copy of the checkpoint to spoil."""
    return Path(shutil.copytree(checkpoint, tmp_path / "files"))


def refusal(path: Path, chosen: dict | None = None, **options) -> str:
    with pytest.raises(InputError) as error:
        Inpainter(path, chosen=chosen, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_examples_hold_all_kinds_of_masks():
    holes = 1 - example_inputs(INFO, 6)["mask"].mean(axis=(1, 2, 3))
    for found, (low, high) in zip(holes, (*DGTS.example_holes, DGTS.example_holes[0]), strict=True):
        assert low <= found <= high


def test_a_checkpoint_completes_images_whatever_the_hole(checkpoint):
    arrays = example_inputs(INFO, 5)
    inpainter = Inpainter(checkpoint, batch_size=5)
    assert (inpainter.info, inpainter.inputs, inpainter.edge_mode) == (INFO, ("image", "mask"), None)
    composites = inpainter.complete(**arrays)
    known = arrays["mask"].repeat(3, 1) == 1
    np.testing.assert_array_equal(composites[known], arrays["image"][known])
    assert np.isfinite(composites).all()


def test_how_to_run_may_be_chosen_and_what_was_learnt_not(checkpoint):
    arrays = example_inputs(INFO, 1)
    chosen = {"fill_order": "raster", "sequential_steps": 2, "matching_lambda": 0.3, "model": "dgts"}
    inpainter = Inpainter(checkpoint, chosen=chosen)
    assert (inpainter.info.fill_order, inpainter.info.sequential_steps) == ("raster", 2)
    _, order = load_inpainting(checkpoint, chosen)[0].low_resolution(*(Tensor(array) for array in arrays.values()))
    order = order.asnumpy()[0]
    assert (order[:2] >= 0).all()
    assert order[0] < order[1]
    assert (order[2:] == -1).all()
    assert "has matching_lambda 0.3, not 0.1" in refusal(checkpoint, {"matching_lambda": 0.1})
    assert "has width 0.02, not 1.0" in refusal(checkpoint, {"width": 1.0})


def test_the_upsampler_is_beside_the_generator_or_named(files, tmp_path):
    shutil.move(files / "upsampler.ckpt", tmp_path / "upsampler.ckpt")
    line = refusal(files)
    assert line.startswith(f"{files}/generator.ckpt makes small images, and there is no upsampler.ckpt beside it")
    for path in (tmp_path, tmp_path / "upsampler.ckpt"):
        Inpainter(files, chosen={"upsampler_path": str(path)})
    assert "upsampler.ckpt does not exist" in refusal(files, {"upsampler_path": str(files)})


def test_files_that_do_not_fit(files):
    upsampler, generator = files / "upsampler.ckpt", files / "generator.ckpt"
    assert "holds upsampler's upsampler, which fills no holes; give a generator.ckpt" in refusal(upsampler)
    assert "holds dgts generator, not upsampler upsampler" in refusal(files, {"upsampler_path": str(generator)})
    content = upsampler.read_bytes()
    upsampler.write_bytes(content[:-50])
    assert "upsampler.ckpt is damaged" in refusal(files)
    save_network(upsampler, {"a": np.zeros(3, np.float32)}, UPSAMPLER)
    assert f"{upsampler} does not fit" in refusal(files)
    save_network(upsampler, Upsampler(0.02), get_model("upsampler").info("upsampler", width=0.02, image_size=256))
    assert "has image_size 256, while" in refusal(files)
    upsampler.write_bytes(content)
    save_network(generator, {"a": np.zeros(3, np.float32)}, INFO)
    assert f"{generator} does not fit" in refusal(files)
    generator.write_bytes(b"")
    assert "generator.ckpt is empty" in refusal(files)


@pytest.fixture
def images(tmp_path) -> dict[str, Path]:
    """An image with its mask, in folders."""
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (128, 128, 3), np.uint8)).save(tmp_path / "images" / "a.png")
    mask = np.zeros((128, 128), np.uint8)
    mask[20:70, 30:80] = 255
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    return {name: tmp_path / name for name in ("images", "masks")}


def test_eval_and_infer(checkpoint, images, tmp_path, capsys):
    shared = {"checkpoint_path": checkpoint, "mode": "pynative"}
    images, masks = images.values()
    run(
        eval_py.main,
        words(shared | {"data_root": images, "eval_masks_root": masks, "output_path": tmp_path / "table"}),
    )
    protocol = json.loads((tmp_path / "table" / "metrics.json").read_text())["protocol"]
    assert protocol["checkpoint"] == {"path": str(checkpoint), **INFO.facts()}
    shared |= {"image": images, "mask": masks}
    run(infer_py.main, words(shared | {"output": tmp_path / "out"}))
    files = (images, tmp_path / "out", masks)
    image, filled, mask = (np.asarray(Image.open(folder / "a.png")) for folder in files)
    np.testing.assert_array_equal(filled[mask == 0], image[mask == 0])
    assert (filled != image).any()

    for option, value in (("sigma", 3), ("edge_mode", "clean")):
        with pytest.raises(SystemExit) as stop:
            run(infer_py.main, words(shared | {"output": tmp_path / "b", option: value}))
        assert stop.value.code == 2
        assert "dgts does not use it, only ctsdg does; leave it out" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.fixture(scope="module")
def mindir(checkpoint, tmp_path_factory) -> Path:
    """Exported with its parts, for two images at once; see the fixture of CTSDG."""
    path = tmp_path_factory.mktemp("exported") / "small.mindir"
    options = {"checkpoint_path": checkpoint, "output_path": path, "export_batch_size": 2, "export_parts": "true"}
    command = [sys.executable, ROOT / "export.py", *words(options)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    differences = [float(line.rsplit(" ", 1)[1]) for line in done.stdout.splitlines() if line.startswith("largest")]
    assert len(differences) == 3
    assert max(differences) <= 1e-4
    return path


@pytest.mark.slow
def test_the_exported_file_computes_what_the_checkpoint_computes(mindir, checkpoint):
    arrays = example_inputs(INFO, 5)
    exported, inpainter = Inpainter(mindir), Inpainter(checkpoint, batch_size=2)
    assert (exported.info, exported.batch_size) == (INFO, 2)
    np.testing.assert_allclose(exported.complete(**arrays), inpainter.complete(**arrays), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_an_exported_file_has_decided_how_it_runs(mindir):
    assert "has fill_order known_pixels, not raster" in refusal(mindir, {"fill_order": "raster"})
    assert "has sequential_steps 16, not 3" in refusal(mindir, {"sequential_steps": 3})
    assert "is complete in itself; leave --upsampler_path out" in refusal(mindir, {"upsampler_path": "x"})


@pytest.mark.slow
def test_parts_say_what_they_take_and_fill_no_holes_alone(mindir):
    shapes = {
        "_generator": (
            {"image": [2, 3, 128, 128], "mask": [2, 1, 128, 128]},
            {"low": [2, 3, 16, 16], "order": [2, 16]},
        ),
        "_upsampler": ({"masked": [2, 4, 128, 128], "low": [2, 3, 16, 16]}, {"output": [2, 3, 128, 128]}),
    }
    for suffix, expected in shapes.items():
        file = mindir.with_name(f"small{suffix}.mindir")
        facts = json.loads(file.with_suffix(".json").read_text())
        found = [{entry["name"]: entry["shape"] for entry in facts[key]} for key in ("inputs", "outputs")]
        assert found == list(expected)
        assert "alone, which fills no holes" in refusal(file)


@pytest.fixture(scope="module")
def onnx_files(mindir, tmp_path_factory) -> Path:
    """The whole as an ONNX file, its parts beside it."""
    require_packages()
    folder = tmp_path_factory.mktemp("onnx")
    for part in PARTS:
        from_mindir(mindir.with_name(f"small_{part}.mindir"), folder)
    return from_mindir(mindir, folder)


@pytest.mark.slow
def test_every_primitive_has_an_onnx_row(mindir):
    require_packages()
    from src.export.mindir_to_onnx import missing_rows
    from src.export.read_mindir import read_mindir

    for suffix in ("", *(f"_{part}" for part in PARTS)):
        assert list(missing_rows(read_mindir(mindir.with_name(f"small{suffix}.mindir")))) == []


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_onnx_file_computes_what_the_checkpoint_computes(runtime, onnx_files, checkpoint):
    arrays = example_inputs(INFO, 5)
    exported, inpainter = Inpainter(onnx_files, runtime=runtime), Inpainter(checkpoint, batch_size=2)
    assert (exported.info, exported.batch_size) == (INFO, 2)
    np.testing.assert_allclose(exported.complete(**arrays), inpainter.complete(**arrays), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_parts_as_onnx_files(runtime, onnx_files, checkpoint):
    from src.inference.onnx_runtimes import load_onnx

    image, mask = (array[:2] for array in example_inputs(INFO, 2).values())
    cell, _ = load_inpainting(checkpoint, {})
    expected = cell.low_resolution(Tensor(image), Tensor(mask))
    generator, upsampler = (load_onnx(onnx_files.with_name(f"small_{part}.onnx"), runtime) for part in PARTS)
    low, order = generator(image, mask)
    np.testing.assert_array_equal(order, expected[1].asnumpy())
    np.testing.assert_allclose(low, expected[0].asnumpy(), rtol=0, atol=1e-4)
    masked = masked_input(Tensor(image), Tensor(mask))
    (output,) = upsampler(masked.asnumpy(), low)
    np.testing.assert_allclose(output, cell.upsampler(masked, Tensor(low)).asnumpy(), rtol=0, atol=1e-4)


@pytest.mark.slow
def test_the_order_by_confidence_in_an_onnx_file(checkpoint, tmp_path):
    """Four loops one after the other, of which many images run some for no round."""
    require_packages()
    path = tmp_path / "small.mindir"
    options = {"checkpoint_path": checkpoint, "output_path": path, "fill_order": "confidence"}
    subprocess.run([sys.executable, ROOT / "export.py", *words(options)], check=True)
    arrays = example_inputs(INFO, 5)
    expected = Inpainter(checkpoint, chosen={"fill_order": "confidence"}).complete(**arrays)
    for runtime in RUNTIMES:
        found = Inpainter(from_mindir(path, tmp_path), runtime=runtime).complete(**arrays)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)

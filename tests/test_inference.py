import shutil
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from skimage import data

from src.data.edges import edge_and_gray
from src.data.images import normalise
from src.errors import InputError
from src.export.trial import example_inputs
from src.inference.inpainter import Inpainter
from src.inference.windows import shrink, window
from src.models import get_model

INFO = get_model("ctsdg").info("generator", image_size=128, edge_mode="clean", sigma=1.5)


class WhitePaint:
    """A network that fills every hole with white, and keeps what it was given."""

    def __init__(self):
        self.batches = []

    def __call__(self, image, mask, edge, gray):
        self.batches.append([tensor.asnumpy() for tensor in (image, mask, edge, gray)])
        image, mask = self.batches[-1][:2]
        return Tensor(image * mask + (1 - mask))


def strokes(height: int, width: int) -> np.ndarray:
    """A hole of a tenth or so: a bar down the middle, a thin line across, and a speck in the corner."""
    hole = np.zeros((height, width), bool)
    hole[:, width * 9 // 20 : width * 11 // 20 + 1] = True
    hole[height // 2] = True
    hole[-1, -1] = True
    return hole


@pytest.mark.parametrize(
    ("height", "width"), [(128, 128), (97, 300), (300, 97), (33, 20), (400, 9), (3, 60), (512, 512)]
)
def test_holes_are_filled_and_nothing_else_changes(height, width):
    picture = np.random.default_rng(0).integers(0, 100, (height, width, 3), np.uint8)
    hole = strokes(height, width)
    filled = Inpainter(WhitePaint(), INFO).fill(picture, hole)
    assert (filled.shape, filled.dtype) == (picture.shape, np.uint8)
    np.testing.assert_array_equal(filled[~hole], picture[~hole])
    wide = slice(width * 9 // 20, width * 11 // 20 + 1)
    assert filled[:, wide].mean() > 200  # from below 100


def test_what_fills_a_hole_too_small_for_the_network_is_what_surrounds_it():
    picture = np.full((1280, 1280, 3), 80, np.uint8)
    hole = np.zeros((1280, 1280), bool)
    hole[700, 431] = hole[10, 100:104] = hole[1279, 1279] = True
    picture[hole] = 255  # as users paint what is to go
    filled = Inpainter(WhitePaint(), INFO).fill(picture, hole)
    np.testing.assert_array_equal(filled, 80)


def test_a_picture_without_a_hole_is_returned_as_it_is():
    network = WhitePaint()
    picture = data.astronaut()[:200, :150]
    np.testing.assert_array_equal(Inpainter(network, INFO).fill(picture, np.zeros((200, 150), bool)), picture)
    assert not network.batches


def test_a_picture_of_the_networks_size_reaches_it_as_in_evaluation():
    network, picture, hole = WhitePaint(), data.astronaut()[:128, 100:228], strokes(128, 128)
    Inpainter(network, INFO).fill(picture, hole)
    edge, gray = edge_and_gray(picture, "clean", 1.5)
    for found, expected in zip(network.batches[0], (normalise(picture), ~hole[None], edge, gray), strict=True):
        np.testing.assert_array_equal(found[0], expected)
        assert found.dtype == np.float32


def test_the_files_edge_mode_and_sigma_decide_what_the_network_sees():
    picture, seen = data.astronaut()[:128, 100:228], {}
    for edge_mode, sigma in (("clean", 2.0), ("published", 2.0), ("clean", 4.0)):
        network = WhitePaint()
        info = get_model("ctsdg").info("generator", image_size=128, edge_mode=edge_mode, sigma=sigma)
        Inpainter(network, info).fill(picture, strokes(128, 128))
        seen[edge_mode, sigma] = network.batches[0][2]
        np.testing.assert_array_equal(network.batches[0][2][0], edge_and_gray(picture, edge_mode, sigma)[0])
    assert len({array.tobytes() for array in seen.values()}) == 3


def test_the_window_is_a_square_around_the_hole():
    hole = np.zeros((100, 400), bool)
    hole[40:60, 250:290] = True
    assert window(hole) == (slice(0, 100), slice(220, 320))
    assert window(hole.T) == (slice(220, 320), slice(0, 100))
    hole[:, 399] = True  # reaches the border, 149 pixels from the rest
    assert window(hole) == (slice(None), slice(None))
    hole[:, :390] = False
    assert window(hole) == (slice(0, 100), slice(300, 400))
    hole[:, 340:] = True  # a square of mostly hole shows the network too little
    assert window(hole) == (slice(None), slice(None))


def test_the_window_of_a_square_picture_is_all_of_it():
    hole = np.zeros((50, 50), bool)
    hole[3, 4] = True
    assert window(hole) == (slice(0, 50), slice(0, 50))


def test_shrinking_keeps_the_holes_content_out_of_known_pixels():
    picture, hole = np.full((90, 90, 3), 50, np.uint8), strokes(90, 90)
    picture[hole] = 255
    image, known = shrink(picture, hole, 30)
    assert np.abs(image[known].astype(int) - 50).max() <= 1
    assert 0.05 < 1 - known.mean() < 0.2


def test_batches_of_any_size_run_in_one_shape():
    network, arrays = WhitePaint(), example_inputs(INFO, 5)
    composites = Inpainter(network, INFO, batch_size=2).complete(**arrays)
    assert [len(batch[0]) for batch in network.batches] == [2, 2, 2]
    known = arrays["mask"].repeat(3, 1) == 1
    np.testing.assert_array_equal(composites, np.where(known, arrays["image"], 1))


def test_a_checkpoint_completes_pictures(checkpoint):
    arrays = example_inputs(INFO, 2)
    composites = Inpainter.load(checkpoint).complete(**arrays)
    known = arrays["mask"].repeat(3, 1) == 1
    np.testing.assert_array_equal(composites[known], arrays["image"][known])
    assert composites[~known].std() > 0.1


def test_a_checkpoint_is_found_by_folder_file_and_last(checkpoint):
    for path in (checkpoint, str(checkpoint), checkpoint / "generator.ckpt", checkpoint.parent / "last"):
        info = Inpainter.load(path).info
        assert (info.iteration, info.width, info.edge_mode) == (12, 0.02, "clean")


def test_both_modes_and_the_exported_file_agree(mode, checkpoint, mindir):
    arrays = example_inputs(INFO, 3)
    inpainter, exported = Inpainter.load(checkpoint, batch_size=2), Inpainter.load(mindir)
    assert (exported.info, exported.batch_size) == (inpainter.info, 2)
    np.testing.assert_allclose(exported.complete(**arrays), inpainter.complete(**arrays), rtol=0, atol=1e-4)


def refusal(path: Path, chosen: dict | None = None) -> str:
    with pytest.raises(InputError) as error:
        Inpainter.load(path, chosen)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "dgts"),
        ("width", 1.0),
        ("image_size", 256),
        ("align_corners", True),
        ("edge_mode", "published"),
        ("sigma", 2.0),
    ],
)
def test_a_setting_that_contradicts_the_file_is_refused(name, value, checkpoint, mindir):
    for path in (checkpoint / "generator.ckpt", mindir):
        line = refusal(path, {name: value})
        assert line.startswith(f"{path} has {name} ")
        assert f"not {value}" in line
    assert Inpainter.load(checkpoint, {"width": 0.02, "sigma": 1.5}).info.width == 0.02


def test_a_network_that_fills_no_holes_is_refused(checkpoint):
    assert "ctsdg's discriminator, which fills no holes" in refusal(checkpoint / "discriminator.ckpt")


def test_an_exported_file_needs_its_own_json(mindir, tmp_path):
    for file in (mindir, mindir.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    copy, sidecar = tmp_path / mindir.name, tmp_path / "small.json"
    assert Inpainter.load(copy).batch_size == 2

    text = sidecar.read_text()
    sidecar.write_text(text.replace('"sigma": 1.5', '"sigma": "wide"'))
    assert "sigma is 'wide'" in refusal(copy)
    for damaged in ("", "[]", "{}", text[:100], text.replace('"batch_size": 2', '"batch_size": 0')):
        sidecar.write_text(damaged)
        assert refusal(copy) == f"{sidecar} is damaged; export small.mindir again"
    sidecar.write_text(text)

    content = copy.read_bytes()
    copy.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "is damaged, or not the file that small.json was written for" in refusal(copy)
    sidecar.unlink()
    assert "has no small.json beside it" in refusal(copy)
    assert "does not exist" in refusal(tmp_path / "other.mindir")

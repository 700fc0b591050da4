import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image
from skimage import data

from src.data.edges import edge_and_gray
from src.data.images import normalise
from src.data.pyramid import depth, fill_radius
from src.errors import InputError
from src.export.trial import example_inputs
from src.inference.filling import count_windows, fill_by_scales
from src.inference.inpainter import Inpainter
from src.inference.load import runnable
from src.inference.windows import Box, cover, regions
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
    image = np.random.default_rng(0).integers(0, 100, (height, width, 3), np.uint8)
    hole = strokes(height, width)
    filled = Inpainter(runnable(WhitePaint(), INFO))(image, hole)
    assert (filled.shape, filled.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(filled[~hole], image[~hole])
    wide = slice(width * 9 // 20, width * 11 // 20 + 1)
    assert filled[:, wide].mean() > 200  # from below 100


def test_16_bits_and_soft_edges():
    image = np.random.default_rng(0).integers(0, 30000, (128, 128, 3), np.uint16)
    weight = strokes(128, 128).astype(np.float32)
    weight[60] *= 0.25
    filled = Inpainter(runnable(WhitePaint(), INFO))(image, weight)
    assert filled.dtype == np.uint16
    np.testing.assert_array_equal(filled[weight == 0], image[weight == 0])
    np.testing.assert_array_equal(filled[weight == 1], 65535)
    soft = (weight > 0) & (weight < 1)
    np.testing.assert_allclose(filled[soft], 0.75 * image[soft] + 0.25 * 65535, atol=0.51)


def test_an_image_without_a_hole_is_returned_as_it_is():
    network = WhitePaint()
    image = data.astronaut()[:200, :150]
    np.testing.assert_array_equal(Inpainter(runnable(network, INFO))(image, np.zeros((200, 150), bool)), image)
    assert not network.batches


def test_an_image_of_the_networks_size_reaches_it_as_in_evaluation():
    network, image, hole = WhitePaint(), data.astronaut()[:128, 100:228], strokes(128, 128)
    Inpainter(runnable(network, INFO))(image, hole)
    edge, gray = edge_and_gray(image, "clean", 1.5, ~hole)
    for found, expected in zip(network.batches[0], (normalise(image), ~hole[None], edge, gray), strict=True):
        np.testing.assert_array_equal(found[0], expected)
        assert found.dtype == np.float32


def test_the_files_edge_mode_and_sigma_decide_what_the_network_sees():
    image, seen = data.astronaut()[:128, 100:228], {}
    for edge_mode, sigma in (("clean", 2.0), ("published", 2.0), ("clean", 4.0)):
        network = WhitePaint()
        info = get_model("ctsdg").info("generator", image_size=128, edge_mode=edge_mode, sigma=sigma)
        Inpainter(runnable(network, info))(image, strokes(128, 128))
        seen[edge_mode, sigma] = network.batches[0][2]
        edge, _ = edge_and_gray(image, edge_mode, sigma, ~strokes(128, 128))
        np.testing.assert_array_equal(network.batches[0][2][0], edge)
    assert len({array.tobytes() for array in seen.values()}) == 3


@pytest.mark.parametrize(("height", "width", "bar"), [(128, 128, 20), (200, 300, 20), (700, 600, 300)])
def test_what_a_hole_holds_does_not_matter(height, width, bar):
    """Someone may have painted it white, or blurred what was there. The last of the sizes is filled from coarse."""
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    hole = strokes(height, width)
    hole[height // 8 : -height // 8, width // 2 - bar // 2 : width // 2 + bar // 2] = True
    images[1][~hole] = images[0][~hole]
    networks = [WhitePaint(), WhitePaint()]
    filled = [Inpainter(runnable(networks[i], INFO))(images[i], hole) for i in range(2)]
    np.testing.assert_array_equal(*filled)
    assert networks[0].batches
    for one, other in zip(networks[0].batches, networks[1].batches, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a * one[1], b * other[1])


def test_regions_show_what_windows_need_and_do_not_meet():
    hole = np.zeros((1000, 2000), bool)
    hole[500:520, 700:720] = hole[500:510, 760:770] = True  # near: their windows meet
    hole[400:600, 1500:1700] = True  # 100 deep, three halvings: half a window of 128 is 512 pixels
    assert regions(hole[:, :1000], 128) == [Box(436, 636, 584, 834)]
    assert sorted(regions(hole, 128)) == [Box(0, 988, 1000, 2000), Box(436, 636, 584, 834)]
    hole[500, 1000] = True
    assert sorted(regions(hole, 128)) == [Box(0, 936, 1000, 2000), Box(436, 636, 584, 834)]


def test_every_pixel_is_in_the_middle_of_a_window():
    target = strokes(300, 500)
    windows = cover(target, 128, 80)
    assert all((w.bottom - w.top, w.right - w.left) == (128, 128) for w in windows)
    covered = np.zeros_like(target)
    for window in windows:
        # At the borders of the image windows move inwards, and their middle reaches the border.
        middle = [
            slice(start + (24 if start else 0), end - (24 if end < length else 0))
            for start, end, length in zip(window[:2], window[2:], target.shape, strict=True)
        ]
        covered[tuple(middle)] = True
    assert covered[target].all()
    assert len(windows) < 20


def test_a_wires_windows_follow_its_length():
    lengths = {}
    for side in (800, 1600):
        wire = np.zeros((side, side), bool)
        for i in range(14):
            np.fill_diagonal(wire[:, i:], True)
        lengths[side] = len(cover(wire, 128, 80))
    assert lengths[800] <= 12 and 1.8 < lengths[1600] / lengths[800] < 2.2


def test_a_window_is_in_the_middle_of_a_small_hole():
    target = np.zeros((500, 1000), bool)
    target[300:320, 700:732] = True
    assert cover(target, 64, 40) == [Box(278, 684, 342, 748)]
    target = np.zeros((500, 1000), bool)
    target[490:, :9] = True
    assert cover(target, 64, 40) == [Box(436, 0, 500, 64)]


class Recorder:
    """Fills windows with one colour, and keeps them."""

    def __init__(self, colour: float) -> None:
        self.colour, self.samples = colour, []

    def run(self, image: np.ndarray, hole: np.ndarray, side: int, seamless: bool = False) -> np.ndarray:
        filling = fill_by_scales(image, hole, side, seamless)
        try:
            samples = next(filling)
            while True:
                self.samples += samples
                outputs = [np.where(s.known[..., None], s.image, self.colour).astype(np.float32) for s in samples]
                samples = filling.send(outputs)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("shape", [(128, 128), (50, 64), (3, 70), (97, 128)])
def test_an_image_that_fits_into_a_window_is_seen_whole_once(shape):
    network, image = Recorder(9), np.random.default_rng(0).integers(0, 255, (*shape, 3), np.uint8)
    hole = strokes(*shape)
    filled = network.run(image, hole, 128)
    assert len(network.samples) == 1
    np.testing.assert_array_equal(filled, np.where(hole[..., None], 9, image))


def test_a_hole_within_the_radius_needs_one_scale():
    network, image = Recorder(9), np.full((400, 600, 3), 50, np.uint8)
    hole = np.zeros((400, 600), bool)
    hole[180 : 180 + 2 * fill_radius(128), 60:540] = True
    network.run(image, hole, 128)
    # A hole of this width is never known, and as wide in every window that shows it.
    assert {int((~s.known).any(1).sum()) for s in network.samples} == {2 * fill_radius(128)}


def test_what_is_deeper_than_the_radius_counts_as_known_from_the_coarser_filling():
    network, image = Recorder(200), np.full((600, 600, 3), 50, np.uint8)
    hole = np.zeros((600, 600), bool)
    hole[200:400, 200:400] = True
    filled = network.run(image, hole, 128)
    radius = fill_radius(128)
    for sample in network.samples:
        assert depth(~sample.known).max() <= radius
    inside = [s.image[s.known] for s in network.samples[-1:]]
    assert {50, 200} <= set(np.unique(inside))  # around the hole, and deep in it
    assert (filled[hole] == 200).all()
    assert (filled[~hole] == 50).all()


@pytest.mark.parametrize(("width", "middle"), [(200, 200), (400, 50)])
def test_a_seamless_filling_passes_into_a_smooth_one_where_even_the_coarsest_scale_is_deep(width, middle):
    """100 pixels deep, the hole is within the radius at an eighth of the size; 200 pixels deep, it is not."""
    image, hole = np.full((600, 600, 3), 50, np.uint8), np.zeros((600, 600), bool)
    hole[100 : 100 + width, 100 : 100 + width] = True
    filled = Recorder(200).run(image, hole, 128, seamless=True)
    assert set(filled[100 + width // 2, 100 + width // 2]) == {middle}
    assert (filled[hole & (depth(hole) < 10)] == 200).all()
    assert (filled[~hole] == 50).all()


def test_a_small_hole_in_a_large_photo_is_filled_as_in_the_crop_around_it(checkpoint):
    photo = np.tile(data.astronaut(), (3, 4, 1))
    hole = np.zeros(photo.shape[:2], bool)
    hole[700:760, 900:940] = True
    inpainter = Inpainter(checkpoint)
    crop = np.s_[730 - 128 : 730 + 128, 920 - 128 : 920 + 128]
    np.testing.assert_array_equal(inpainter(photo, hole)[crop], inpainter(photo[crop], hole[crop]))


@pytest.mark.parametrize("shape", [(50, 64), (300, 200), (601, 777)])
def test_the_windows_of_a_hole_are_known_beforehand(shape):
    network, hole = Recorder(9), strokes(*shape)
    hole[shape[0] // 4 : shape[0] // 2, : shape[1] // 3] = True
    network.run(np.zeros((*shape, 3), np.uint8), hole, 64)
    assert count_windows(hole, 64) == len(network.samples)


class Drifting(Recorder):
    """Each window gets a colour of its own, whatever is around."""

    def __init__(self) -> None:
        super().__init__(0)
        self.rng = np.random.default_rng(0)

    def run(self, image: np.ndarray, hole: np.ndarray, side: int) -> np.ndarray:
        filling = fill_by_scales(image, hole, side)
        with pytest.raises(StopIteration) as stop:
            outputs = None
            while True:
                samples = filling.send(outputs)
                outputs = [np.full((side, side, 3), self.rng.uniform(0, 255), np.float32) for _ in samples]
        return stop.value.value


def test_no_step_across_the_rim_of_a_window_or_band_is_larger_than_within(monkeypatch):
    rims = np.zeros((600, 700), bool)  # pixels whose right or lower neighbour is on the other side of one

    def recorded(target, side, core):
        windows = cover(target, side, core)
        if target.shape == rims.shape:  # the finest scale: nothing smooths what it does
            for window in windows:
                inside = np.zeros(rims.shape, bool)
                inside[window.part] = True
                _mark_rim(rims, inside)
        return windows

    monkeypatch.setattr("src.inference.filling.cover", recorded)
    hole = np.zeros(rims.shape, bool)
    hole[100:500, 100:600] = True
    filled = Drifting().run(np.full((*hole.shape, 3), 128, np.uint16) * 257, hole, 128)
    for share in (0.5, 1):  # where the fading into the coarser filling begins, and where it ends
        _mark_rim(rims, depth(hole) <= share * fill_radius(128))
    steps = np.zeros(hole.shape)
    for axis in (0, 1):
        both = hole & np.roll(hole, -1, axis)
        difference = np.abs(filled.astype(float) - np.roll(filled, -1, axis)).max(2) / 257
        steps = np.maximum(steps, np.where(both, difference, 0))
    assert steps[hole & ~rims].max() > 1  # the windows do differ
    assert steps[hole & rims].max() <= steps[hole & ~rims].max()


def _mark_rim(rims: np.ndarray, inside: np.ndarray) -> None:
    for axis in (0, 1):
        rims |= inside != np.roll(inside, -1, axis)


class Flat:
    """A network that fills a hole with the mean of what it sees as known, in float."""

    def __call__(self, image, mask, edge, gray):
        image, mask = image.asnumpy(), mask.asnumpy()
        mean = (image * mask).sum((1, 2, 3), keepdims=True) / (3 * mask.sum((1, 2, 3), keepdims=True))
        return Tensor((image * mask + mean * (1 - mask)).astype(np.float32))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_coarse_filling_is_refined_without_seams(dtype):
    image = np.full((1300, 1100, 3), np.iinfo(dtype).max // 3, dtype)
    hole = np.zeros((1300, 1100), bool)
    hole[200:1000, 150:900] = True
    image[hole] = 0
    filled = Inpainter(runnable(Flat(), INFO))(image, hole)
    assert np.abs(filled.astype(int) - np.iinfo(dtype).max // 3).max() <= np.iinfo(dtype).max // 255


def test_every_channel_layout_keeps_what_is_known():
    inpainter, rng = Inpainter(runnable(WhitePaint(), INFO)), np.random.default_rng(0)
    hole = strokes(90, 70)
    for shape in ((90, 70), (90, 70, 1), (90, 70, 2), (90, 70, 3), (90, 70, 4)):
        for dtype in (np.uint8, np.uint16):
            image = rng.integers(0, np.iinfo(dtype).max // 2, shape, dtype)
            filled = inpainter(image, hole)
            assert (filled.shape, filled.dtype) == (image.shape, dtype)
            np.testing.assert_array_equal(filled[~hole], image[~hole])
            planes, before = filled.reshape(90, 70, -1)[hole], image.reshape(90, 70, -1)[hole]
            colours = planes.shape[1] - (planes.shape[1] in (2, 4))
            assert (planes[:, :colours] == np.iinfo(dtype).max).all()
            np.testing.assert_array_equal(planes[:, colours:], before[:, colours:])
    for wrong in (image.astype(float), image[..., None], image[None]):
        with pytest.raises(ValueError, match="image"):
            inpainter(wrong, hole)
    with pytest.raises(ValueError, match="mask"):
        inpainter(image, hole[1:])


def white_paint() -> Inpainter:
    return Inpainter(runnable(WhitePaint(), INFO))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32, np.float64])
def test_zeros_and_ones_of_any_type_are_a_mask(kind):
    image, hole = np.full((40, 30, 3), 9, np.uint8), strokes(40, 30)
    np.testing.assert_array_equal(white_paint()(image, hole.astype(kind)), np.where(hole[..., None], 255, image))


@pytest.mark.parametrize(
    ("image", "mask", "line"),
    [
        (np.zeros((9, 8, 3), np.float32), np.zeros((9, 8), bool), r"image: float32 \(9, 8, 3\) is no uint8 or uint16"),
        (np.zeros((3, 9, 8), np.uint8), np.zeros((9, 8), bool), r"image: uint8 \(3, 9, 8\) is no"),
        (np.zeros((0, 8, 3), np.uint8), np.zeros((0, 8), bool), r"image: \(0, 8, 3\) has no pixels"),
        (np.zeros(9, np.uint8), np.zeros(9, bool), r"image: \(9,\) has no pixels in rows and columns"),
        (np.zeros((9, 8), np.uint8), np.zeros((8, 9), bool), r"mask: \(8, 9\) is not the size of the image, \(9, 8\)"),
        (np.zeros((9, 8), np.uint8), np.zeros((9, 8, 1), bool), r"mask: bool \(9, 8, 1\) is no bool, uint8 or float"),
        (np.zeros((9, 8), np.uint8), np.zeros((9, 8), int), r"mask: int64 \(9, 8\) is no bool, uint8 or float"),
        (np.zeros((9, 8), np.uint8), np.full((9, 8), 255.0), r"mask: floats from 255 to 255 are not all within"),
        (np.zeros((9, 8), np.uint8), np.full((9, 8), np.nan), r"mask: floats from nan to nan are not all within"),
        (
            Image.new("CMYK", (8, 9)),
            np.zeros((9, 8), bool),
            r'image: mode CMYK is none of .*; image.convert\("RGB"\) is',
        ),
        (Image.new("P", (8, 9)), np.zeros((9, 8), bool), r"image: mode P is none of L, LA, RGB, RGBA, I;16"),
        (Image.new("L", (8, 9)), Image.new("RGB", (8, 9)), r'mask: mode RGB is none of 1, L; mask.convert\("L"\) is'),
    ],
)
def test_a_call_and_fill_all_refuse_the_same(image, mask, line):
    for fill in (white_paint(), lambda image, mask: list(white_paint().fill_all([(image, mask)]))):
        with pytest.raises(ValueError, match=line):
            fill(image, mask)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pillows_images_are_taken_and_given_back_with_their_profile(mode):
    hole = strokes(40, 30)
    image = Image.fromarray(data.astronaut()[:40, :30]).convert(mode.replace("I;16", "L"))
    image = Image.fromarray(np.asarray(image).astype(np.uint16) * 99) if mode == "I;16" else image
    image.info["icc_profile"] = b"a profile"
    expected = white_paint()(np.asarray(image), hole)
    for mask in (Image.fromarray(hole), Image.fromarray(hole.astype(np.uint8) * 255)):
        filled = white_paint()(image, mask)
        assert (filled.mode, filled.info["icc_profile"]) == (mode, b"a profile")
        np.testing.assert_array_equal(np.asarray(filled), expected)


def test_fill_all_takes_what_a_call_takes():
    image, hole = np.full((40, 30, 2), 9, np.uint8), strokes(40, 30)
    (filled,) = white_paint().fill_all([(image, hole.astype(np.uint8) * 255)])
    np.testing.assert_array_equal(filled, white_paint()(image, hole))


def test_gray_in_a_mask_blends():
    image, mask = np.full((64, 64, 3), 100, np.uint8), np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    mask[20:40, 40:44] = 51
    filled = Inpainter(runnable(WhitePaint(), INFO))(image, mask)
    assert (filled[20:40, 20:40] == 255).all()
    assert (filled[20:40, 40:44] == 131).all()  # 100 + (255 - 100) / 5


def test_windows_of_several_images_share_batches(mode):
    network, rng = WhitePaint(), np.random.default_rng(0)
    pairs = [(rng.integers(0, 99, (70, 60 + i, 3), np.uint8), strokes(70, 60 + i)) for i in range(5)]
    filled = list(Inpainter(runnable(network, INFO, batch_size=2)).fill_all(pairs))
    assert [len(batch[0]) for batch in network.batches] == [2, 2, 2 if mode == "graph" else 1]
    for result, (image, hole) in zip(filled, pairs, strict=True):
        np.testing.assert_array_equal(result, Inpainter(runnable(WhitePaint(), INFO))(image, hole))


def test_an_output_that_is_not_finite_is_an_input_error_in_inference_and_evaluation():
    inpainter = Inpainter(runnable(lambda image, mask, edge, gray: Tensor(image.asnumpy() * np.nan), INFO))
    with pytest.raises(InputError, match="ctsdg's output is not finite"):
        inpainter(np.zeros((20, 20, 3), np.uint8), np.eye(20, dtype=bool))
    with pytest.raises(InputError, match="ctsdg's output is not finite"):
        inpainter.complete(**example_inputs(INFO, 1))


def test_two_threads_use_one_inpainter(checkpoint):
    inpainter, image, results = Inpainter(checkpoint), data.astronaut()[:160, :160], {}
    holes = [np.roll(strokes(160, 160), 20 * i, axis=1) for i in range(4)]
    expected = [inpainter(image, hole) for hole in holes]

    def work(thread: int) -> None:
        results[thread] = [inpainter(image, hole) for hole in holes[thread::2]]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for thread in range(2):
        np.testing.assert_array_equal(results[thread], expected[thread::2])


def test_batches_run_in_one_shape_where_cells_are_compiled(mode):
    network, arrays = WhitePaint(), example_inputs(INFO, 5)
    composites = Inpainter(runnable(network, INFO, batch_size=2)).complete(**arrays)
    assert [len(batch[0]) for batch in network.batches] == [2, 2, 2 if mode == "graph" else 1]
    known = arrays["mask"].repeat(3, 1) == 1
    np.testing.assert_array_equal(composites, np.where(known, arrays["image"], 1))


def test_a_checkpoint_completes_images(checkpoint):
    arrays = example_inputs(INFO, 2)
    composites = Inpainter(checkpoint).complete(**arrays)
    known = arrays["mask"].repeat(3, 1) == 1
    np.testing.assert_array_equal(composites[known], arrays["image"][known])
    assert composites[~known].std() > 0.1


def test_a_checkpoint_is_found_by_folder_file_and_last(checkpoint):
    for path in (checkpoint, str(checkpoint), checkpoint / "generator.ckpt", checkpoint.parent / "last"):
        info = Inpainter(path).info
        assert (info.iteration, info.width, info.edge_mode) == (12, 0.02, "clean")


def test_both_modes_and_the_exported_file_agree(mode, checkpoint, mindir):
    arrays = example_inputs(INFO, 3)
    inpainter, exported = Inpainter(checkpoint, batch_size=2), Inpainter(mindir)
    assert (exported.info, exported.batch_size) == (inpainter.info, 2)
    np.testing.assert_allclose(exported.complete(**arrays), inpainter.complete(**arrays), rtol=0, atol=1e-4)


def refusal(path: Path, chosen: dict | None = None) -> str:
    with pytest.raises(InputError) as error:
        Inpainter(path, chosen=chosen)
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
    assert Inpainter(checkpoint, chosen={"width": 0.02, "sigma": 1.5}).info.width == 0.02


def test_a_network_that_fills_no_holes_is_refused(checkpoint):
    assert "ctsdg's discriminator, which fills no holes" in refusal(checkpoint / "discriminator.ckpt")


def test_an_exported_file_needs_its_own_json(mindir, tmp_path):
    for file in (mindir, mindir.with_suffix(".json")):
        shutil.copy(file, tmp_path)
    copy, sidecar = tmp_path / mindir.name, tmp_path / "small.json"
    assert Inpainter(copy).batch_size == 2

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

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from src.data.masks import (
    _known_pixel,
    check_masks,
    draw_mask,
    draw_strokes,
    load_mask,
    read_mask,
    read_mask_gray,
    read_weights,
    resize_mask,
)
from src.errors import InputError

PARITY = Path(__file__).parents[1] / "fixtures" / "preprocessing"
LEFT_HALF = np.repeat([[255, 255, 0, 0]], 4, axis=0).astype(np.uint8)  # white on the left


def save(pixels, path, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_masks_equal_the_published_preprocessing():
    known = load_mask(PARITY / "masks" / "00000.png", 256)
    assert known.dtype == np.float32
    np.testing.assert_array_equal(known, np.load(PARITY / "expected.npz")["resize.mask"])


def test_polarity_says_which_colour_is_the_hole(tmp_path):
    path = save(LEFT_HALF, tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(path, "white_hole"), LEFT_HALF > 0)
    np.testing.assert_array_equal(read_mask(path, "black_hole"), LEFT_HALF == 0)
    np.testing.assert_array_equal(load_mask(path, 4, "white_hole")[0], LEFT_HALF == 0)
    with pytest.raises(InputError, match="white_hole, black_hole"):
        read_mask(path, "grey_hole")


def test_white_starts_at_128(tmp_path):
    path = save(np.array([[0, 127, 128, 255]], np.uint8), tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask(path), [[False, False, True, True]])


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "LA"])
def test_masks_may_have_any_channel_layout(tmp_path, mode):
    Image.fromarray(LEFT_HALF).convert(mode).save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask_gray(tmp_path / "m.png"), LEFT_HALF)


@pytest.mark.parametrize("colour", [0, 255])
def test_a_mask_drawn_in_alpha_is_white_where_opaque(tmp_path, colour):
    rgba = np.full((4, 4, 4), colour, np.uint8)
    rgba[..., 3] = LEFT_HALF
    np.testing.assert_array_equal(read_mask_gray(save(rgba, tmp_path / "m.png")), LEFT_HALF)


def test_resized_masks_stay_black_and_white():
    hole = np.zeros((5, 7), bool)
    hole[:, 3:] = True
    known = resize_mask(hole, 16)
    assert known.shape == (1, 16, 16)
    assert set(np.unique(known)) == {0, 1}


def warnings_of(caplog, paths, polarity="white_hole", **options):
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="inpainting"):
        check_masks(paths, polarity, **options)
    return [record.getMessage() for record in caplog.records]


def test_a_set_that_is_mostly_hole_gets_a_warning_that_names_the_option(tmp_path, caplog):
    inverted = np.full((10, 10), 255, np.uint8)
    inverted[:2] = 0
    path = save(inverted, tmp_path / "m.png")
    (message,) = warnings_of(caplog, [path])
    assert "80.0% hole" in message
    assert "use --mask_polarity black_hole" in message
    assert warnings_of(caplog, [path], "black_hole") == []

    inverted[2] = 0
    assert warnings_of(caplog, [save(inverted, path)]) == []  # 70 % is not over 70 %


def test_gray_masks_get_a_warning(tmp_path, caplog):
    gray = np.zeros((10, 20), np.uint8)
    gray[:5] = 255
    gray[9, :2] = 64, 191  # 1 %
    path = save(gray, tmp_path / "m.png")
    assert warnings_of(caplog, [path]) == []
    gray[9, 2] = 127
    (message,) = warnings_of(caplog, [save(gray, path)])
    assert "1 of 1 masks" in message
    assert "m.png" in message


def test_masks_saved_as_zero_and_one_get_a_warning(tmp_path, caplog):
    (message,) = warnings_of(caplog, [save(LEFT_HALF // 255, tmp_path / "m.png")])
    assert "no holes" in message


def test_only_a_sample_of_the_masks_is_decoded_but_every_header_read(tmp_path, caplog):
    paths = [save(LEFT_HALF, tmp_path / f"{i}.png") for i in range(5)]
    save(np.full((4, 4), 100, np.uint8), paths[1])
    assert warnings_of(caplog, paths, sample_size=3) == []  # looks at 0, 2 and 4
    paths[3].write_text("not an image")
    with pytest.raises(InputError, match=r"3\.png \(not an image file\)"):
        check_masks(paths, sample_size=3)


@pytest.mark.parametrize(("image_size", "hole_min", "hole_max"), [(256, 0.01, 0.6), (64, 0.2, 0.2), (32, 0.9, 1.0)])
def test_drawn_masks_keep_to_the_hole_range(image_size, hole_min, hole_max):
    for seed in range(20):
        known = draw_mask(np.random.default_rng(seed), image_size, hole_min, hole_max)
        assert known.shape == (1, image_size, image_size)
        assert known.dtype == np.float32
        assert set(np.unique(known)) <= {0, 1}
        one_pixel = 1 / image_size**2
        assert hole_min <= 1 - known.mean(dtype=float) < hole_max + one_pixel


def test_the_same_generator_draws_the_same_mask():
    first, again, other = (draw_mask(np.random.default_rng(seed), 64, 0.1, 0.5) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_drawn_holes_are_strokes_not_specks():
    hole = 1 - draw_mask(np.random.default_rng(0), 256, 0.3, 0.3)[0]
    opened = cv2.morphologyEx(hole, cv2.MORPH_OPEN, np.ones((5, 5)))
    assert opened.sum() > 0.95 * hole.sum()


def test_strokes_may_be_as_wide_as_one_says():
    for width in (6, 24):
        found = []  # twice the largest distance to the rim: more than the width only where strokes meet
        for seed in range(9):
            hole = draw_strokes(np.random.default_rng(seed), (200, 400), 0.02, 0.02, (width, width))
            assert (hole.shape, hole.sum()) == ((200, 400), 1600)
            found.append(2 * cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5).max())
        assert width - 2 <= np.median(found) <= width + 4


def test_an_impossible_hole_range_is_an_input_error():
    with pytest.raises(InputError, match=r"hole_min 0\.5 and hole_max 0\.1"):
        draw_mask(np.random.default_rng(0), 8, 0.5, 0.1)


def test_single_masks_that_are_empty_or_inverted_are_named_among_good_ones(tmp_path, caplog):
    good = [save(LEFT_HALF, tmp_path / f"{i}.png") for i in range(8)]
    empty = save(np.zeros((4, 4), np.uint8), tmp_path / "empty.png")
    inverted = save(np.full((4, 4), 255, np.uint8), tmp_path / "inverted.png")
    assert warnings_of(caplog, good) == []
    full, none = warnings_of(caplog, [*good, empty, inverted])
    assert full.startswith(f"1 of 10 masks looked at, such as {inverted}, are over 70% hole")
    assert none.startswith(f"1 of 10 masks looked at, such as {empty}, have no hole")


def test_a_mask_of_several_pages_says_so(tmp_path, caplog):
    page = Image.fromarray(LEFT_HALF)
    for name in ("m.tif", "m.gif"):
        page.save(tmp_path / name, save_all=True, append_images=[Image.new("L", page.size)])
        (message,) = warnings_of(caplog, [tmp_path / name])
        assert message.endswith(f"such as {tmp_path}/{name}, hold several images, of which the first is taken.")
        np.testing.assert_array_equal(read_mask(tmp_path / name), LEFT_HALF > 0)


def test_an_image_in_the_place_of_a_mask_is_refused(tmp_path):
    photo = np.asarray(Image.fromarray(data.astronaut()).resize((64, 64)))
    hole = np.zeros((64, 64), bool)
    hole[20:40, 20:40] = True
    gray = np.repeat(photo.mean(2, keepdims=True), 3, axis=2).astype(np.uint8)
    red = np.where(hole[..., None], np.uint8([255, 0, 0]), gray)
    on_white = np.where(hole[..., None], np.uint8([255, 0, 0]), np.uint8(255))
    erased = [np.dstack([image, np.where(hole, 0, 255).astype(np.uint8)]) for image in (photo, gray)]
    for image in (photo, red, on_white, *erased):
        path = save(image, tmp_path / "m.png")
        for read in (read_mask, read_weights):
            with pytest.raises(InputError, match=r"m\.png is no mask but an image, or painted in colours; a mask"):
                read(path)
    with pytest.raises(InputError, match=r"m\.png is no mask"):
        check_masks([path])


def test_colours_that_are_as_good_as_black_and_white_are_a_mask(tmp_path):
    yellow = np.where(LEFT_HALF[..., None] > 0, np.uint8([255, 255, 0]), np.uint8(0))
    np.testing.assert_array_equal(read_mask(save(yellow, tmp_path / "m.png")), LEFT_HALF > 0)


def test_a_mask_is_turned_with_its_image_where_only_the_stored_size_is_its_own(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (8, 4)).save(tmp_path / "p.jpg", exif=exif)  # viewers show 4 x 8
    hole = np.zeros((4, 8), bool)
    hole[0] = True  # the upper row: viewers show it on the right
    shown = np.rot90(hole, -1)
    for stored in (hole, shown):
        path = save(stored, tmp_path / "m.png")
        known = load_mask(path, 8, image=tmp_path / "p.jpg")[0]
        np.testing.assert_array_equal(known == 0, np.repeat(shown, 2, axis=1))


def test_known_pixels_are_counted_row_by_row():
    hole = (np.random.default_rng(0).random((13, 7)) < 0.6).astype(np.uint8)
    hole[:3] = 1
    places = [_known_pixel(hole, k) for k in range(int((hole == 0).sum()))]
    assert places == [tuple(place) for place in np.argwhere(hole == 0)]

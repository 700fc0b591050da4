import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from src.errors import InputError
from src.inference.user_files import ORIENTATION, Job, check_jobs, fill_file, list_jobs

SIZE = (40, 60)
HOLE = np.zeros(SIZE, bool)
HOLE[10:20, 15:30] = True
ORANGE = (200, 100, 50)
RNG = np.random.default_rng(0)
RGB = Image.fromarray(RNG.integers(0, 256, (*SIZE, 3), np.uint8))
ALPHA = Image.fromarray(RNG.integers(1, 256, SIZE, np.uint8))


def with_alpha(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putalpha(ALPHA)
    return picture


def touch(*paths: Path) -> None:
    """Pictures that only their names matter of."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def paint(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    assert (picture.shape, picture.dtype) == ((*SIZE, 3), np.uint8)
    filled = picture.copy()
    filled[hole] = ORANGE
    return filled


def fill(path: Path) -> Image.Image:
    """Do the whole job of infer.py on one file, with paint as the network."""
    mask, output = path.parent / "mask.png", path.parent / "filled" / "out.png"
    Image.fromarray(HOLE).save(mask)
    output.parent.mkdir()
    job = Job(path, mask, output)
    check_jobs([job], "white_hole")
    fill_file(job, paint, "white_hole")
    assert [file.name for file in output.parent.iterdir()] == ["out.png"]
    return Image.open(output)


LAYOUTS = {  # name of the file: picture, options of saving, mode of the result
    "rgb.png": (RGB, {}, "RGB"),
    "rgb.bmp": (RGB, {}, "RGB"),
    "rgb.jpg": (RGB, {}, "RGB"),
    "rgb.tif": (RGB, {}, "RGB"),
    "rgba.png": (with_alpha(RGB), {}, "RGBA"),
    "rgba.webp": (with_alpha(RGB), {"lossless": True}, "RGBA"),
    "gray.png": (RGB.convert("L"), {}, "L"),
    "gray.jpg": (RGB.convert("L"), {}, "L"),
    "gray_alpha.png": (with_alpha(RGB.convert("L")), {}, "LA"),
    "black_and_white.png": (RGB.convert("1"), {}, "L"),
    "palette.png": (RGB.quantize(16), {}, "RGB"),
    "palette_alpha.png": (RGB.quantize(16), {"transparency": 3}, "RGBA"),
    "transparent_colour.png": (RGB, {"transparency": RGB.getpixel((0, 0))}, "RGBA"),
    "transparent_gray.png": (RGB.convert("L"), {"transparency": 7}, "LA"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_filled_in_its_own_and_known_pixels_stay(name, tmp_path):
    picture, options, mode = LAYOUTS[name]
    picture.save(tmp_path / name, **options)
    result = fill(tmp_path / name)
    assert result.mode == mode
    before, after = np.asarray(Image.open(tmp_path / name).convert("RGBA")), np.asarray(result.convert("RGBA"))
    np.testing.assert_array_equal(after[~HOLE], before[~HOLE])
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    orange = ORANGE if "RGB" in mode else [Image.new("RGB", (1, 1), ORANGE).convert("L").getpixel((0, 0))] * 3
    assert (after[HOLE][:, :3] == orange).all()


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("gray16.png", RNG.integers(0, 65536, SIZE, np.uint16)),
        ("rgb16.png", RNG.integers(0, 65536, (*SIZE, 3), np.uint16)),
        ("rgba16.png", RNG.integers(0, 65536, (*SIZE, 4), np.uint16)),
        ("rgb16.tif", RNG.integers(0, 65536, (*SIZE, 3), np.uint16)),
        ("float.tif", RNG.random(SIZE, np.float32)),
    ],
)
def test_more_than_8_bits_are_refused_rather_than_cut(name, pixels, tmp_path):
    cv2.imwrite(str(tmp_path / name), pixels)
    with pytest.raises(InputError, match="more than 8 bits per channel"):
        fill(tmp_path / name)


def test_colours_that_are_not_rgb_are_refused(tmp_path):
    RGB.convert("CMYK").save(tmp_path / "print.jpg")
    with pytest.raises(InputError, match=r"print.jpg is in colour mode CMYK, .* save it as RGB first"):
        fill(tmp_path / "print.jpg")


def test_orientation_and_profile_stay_and_the_rest_of_the_tags_does_not(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = 6, "a camera"
    RGB.save(tmp_path / "photo.jpg", exif=exif, icc_profile=b"profile")
    result = fill(tmp_path / "photo.jpg")
    assert dict(result.getexif()) == {ORIENTATION: 6}
    assert result.info["icc_profile"] == b"profile"
    assert result.size == RGB.size


def test_a_hole_that_its_alpha_hides_is_pointed_out(tmp_path, caplog):
    picture = RGB.copy()
    picture.putalpha(Image.fromarray(np.where(HOLE, 0, 255).astype(np.uint8)))
    picture.save(tmp_path / "erased.png")
    with caplog.at_level(logging.WARNING):
        fill(tmp_path / "erased.png")
    assert "erased.png is transparent in its whole hole" in caplog.text


def test_folders_are_matched_by_name_at_any_depth(tmp_path):
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "deep" / "b.c.png")
    touch(tmp_path / "masks" / "a.png", tmp_path / "masks" / "deep" / "b.c.bmp", tmp_path / "masks" / "unused.png")
    touch(tmp_path / "one.png")
    folder = str(tmp_path / "in")

    jobs = list_jobs(folder, str(tmp_path / "masks"), str(tmp_path / "out"))
    below = [tuple(str(path.relative_to(tmp_path)) for path in (job.image, job.mask, job.output)) for job in jobs]
    assert below == [
        ("in/a.jpg", "masks/a.png", "out/a.png"),
        ("in/deep/b.c.png", "masks/deep/b.c.bmp", "out/deep/b.c.png"),
    ]

    assert {job.mask.name for job in list_jobs(folder, str(tmp_path / "one.png"), str(tmp_path / "out"))} == {"one.png"}


def test_one_picture_goes_to_a_file_or_into_a_folder(tmp_path):
    touch(tmp_path / "a.jpg", tmp_path / "masks" / "a.png")
    image = str(tmp_path / "a.jpg")
    for mask in (tmp_path / "masks" / "a.png", tmp_path / "masks"):
        expected = Job(tmp_path / "a.jpg", tmp_path / "masks" / "a.png", tmp_path / "x.png")
        assert list_jobs(image, str(mask), str(tmp_path / "x.png")) == [expected]
    assert list_jobs(image, str(tmp_path / "masks"), str(tmp_path))[0].output == tmp_path / "a.png"


def test_what_is_missing_or_ambiguous_is_refused(tmp_path):
    images, masks, output = (str(tmp_path / name) for name in ("in", "masks", "out"))
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "b.jpg", tmp_path / "masks" / "a.png")
    with pytest.raises(InputError, match=r"masks has no mask for .*b.jpg \(1 of 2 pictures lack one\)"):
        list_jobs(images, masks, output)
    touch(tmp_path / "in" / "a.png")
    with pytest.raises(InputError, match=r"a.jpg and .*a.png have the same name"):
        list_jobs(images, masks, output)
    for name in ("x.jpg", "x", "x.webp"):
        with pytest.raises(InputError, match=r"only PNG keeps known pixels exact; give a name in \.png, or a folder"):
            list_jobs(f"{images}/a.jpg", masks, str(tmp_path / name))


def test_an_input_is_never_written(tmp_path):
    RGB.save(tmp_path / "a.png")
    Image.fromarray(HOLE).save(tmp_path / "mask.png")
    (tmp_path / "link.png").symlink_to("mask.png")
    for output in ("a.png", "mask.png", "link.png"):
        with pytest.raises(InputError, match="is an input; give another --output"):
            check_jobs([Job(tmp_path / "a.png", tmp_path / "mask.png", tmp_path / output)], "white_hole")


def test_a_mask_of_another_size_names_both(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    RGB.save(tmp_path / "photo.jpg", exif=exif)
    Image.fromarray(HOLE.T).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"photo.jpg is 60x40, its mask .*mask.png 40x60; .* as stored, before"):
        check_jobs([Job(tmp_path / "photo.jpg", tmp_path / "mask.png", tmp_path / "x.png")], "white_hole")

import base64
import io
import logging
import os
import re
import struct
import subprocess
import sys
import unicodedata
from functools import partial
from itertools import starmap
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

import infer as infer_py
import src.inference.jobs as jobs_py
from model_utils.entry import run
from src.errors import InputError
from src.inference.image_files import read_header
from src.inference.jobs import Job, find_faults, list_jobs, refuse_inputs, warn_of_oddities
from src.inference.report import Report
from src.inference.user_files import Settings, fill_files, fill_user_files
from tests.command_line import ROOT, words
from tests.defaults import with_defaults

SIZE = (40, 60)
HOLE = np.zeros(SIZE, bool)
HOLE[10:20, 15:30] = True
ORANGE = (200, 100, 50)
ORIENTATION = 274
RNG = np.random.default_rng(0)
RGB = Image.fromarray(RNG.integers(0, 256, (*SIZE, 3), np.uint8))
ALPHA = Image.fromarray(RNG.integers(1, 256, SIZE, np.uint8))


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(ALPHA)
    return image


def touch(*paths: Path) -> None:
    """Images that only their names matter of."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def paint(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Orange, blended by the weights of the hole."""
    assert image.shape == (*hole.shape, 3)
    orange = np.array(ORANGE) * (257 if image.dtype == np.uint16 else 1)
    return np.rint(image + hole[..., None] * (orange - image.astype(float))).astype(image.dtype)


paint_all = partial(starmap, paint)


def check(job: Job) -> None:
    for why in find_faults([job]).values():
        raise InputError(why)


def fill(path: Path, output: str = "out.png", mask: np.ndarray = HOLE, **settings: object) -> Image.Image:
    """Do the whole job of infer.py on one file, with paint as the network."""
    mask_path, output = path.parent / "mask.png", path.parent / "filled" / output
    Image.fromarray(mask).save(mask_path)
    output.parent.mkdir(exist_ok=True)
    job = Job(path, mask_path, output)
    check(job)
    assert fill_files([job], paint_all, with_defaults(Settings, **settings), many=False) == {}
    assert not list(output.parent.glob(".*"))
    return Image.open(output)


def camera(path: Path, orientation: int = 6, **options: object) -> Path:
    """A photo with the tags of a phone."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010F] = orientation, "a camera"
    RGB.save(path, exif=exif, icc_profile=b"\0" * 16 + b"RGB " + bytes(108), **options)
    return path


LAYOUTS = {  # name of the file: image, options of saving, mode of the result
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
    image, options, mode = LAYOUTS[name]
    image.save(tmp_path / name, **options)
    result = fill(tmp_path / name)
    assert result.mode == mode
    before, after = np.asarray(Image.open(tmp_path / name).convert("RGBA")), np.asarray(result.convert("RGBA"))
    np.testing.assert_array_equal(after[~HOLE], before[~HOLE])
    np.testing.assert_array_equal(after[..., 3], before[..., 3])
    orange = ORANGE if "RGB" in mode else [Image.new("RGB", (1, 1), ORANGE).convert("L").getpixel((0, 0))] * 3
    assert (after[HOLE][:, :3] == orange).all()


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.tiff"])
def test_16_bits_stay_16_bits_even_in_another_format(name, tmp_path):
    pixels = RNG.integers(0, 65536, (*SIZE, 3), np.uint16)
    cv2.imwrite(str(tmp_path / "rgb16.png"), pixels)
    fill(tmp_path / "rgb16.png", name)
    after = cv2.imread(str(tmp_path / "filled" / name), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(after[~HOLE], pixels[~HOLE])
    assert (after[HOLE] == np.array(ORANGE[::-1]) * 257).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("float.tif", {"data": RNG.random(SIZE, np.float32)}),
        ("signed.tif", {"data": RNG.integers(0, 99, SIZE, np.int16)}),
        ("long.tif", {"data": RNG.integers(0, 99, SIZE, np.int32)}),
        ("white_is_0.tif", {"data": RNG.integers(0, 99, SIZE, np.uint16), "photometric": "miniswhite"}),
        ("planes.tif", {"data": RNG.integers(0, 99, (3, *SIZE), np.uint16), "planarconfig": "separate"}),
        ("ink.tif", {"data": RNG.integers(0, 99, (*SIZE, 4), np.uint16), "photometric": "separated"}),
        ("fifth_channel.tif", {"data": RNG.integers(0, 99, (*SIZE, 5), np.uint8), "photometric": "separated"}),
    ],
)
def test_pixels_that_could_not_be_written_back_are_refused(name, options, tmp_path):
    tifffile.imwrite(tmp_path / name, **({"photometric": "rgb"} if name == "planes.tif" else {}) | options)
    with pytest.raises(InputError, match=rf"{name} has .* which would be lost; save it as RGB"):
        read_header(tmp_path / name)


def test_one_image_of_several_is_refused(tmp_path):
    RGB.save(tmp_path / "pages.tif", save_all=True, append_images=[RGB])
    with pytest.raises(InputError, match=r"pages\.tif holds 2 images, all but one of which would be lost"):
        read_header(tmp_path / "pages.tif")


@pytest.mark.parametrize(("gamma", "fits"), [(45455, True), (100000, False)])
def test_a_gamma_that_viewers_do_not_assume_is_refused(gamma, fits, tmp_path):
    chunks = PngInfo()
    chunks.add(b"gAMA", gamma.to_bytes(4, "big"))
    RGB.save(tmp_path / "a.png", pnginfo=chunks)
    if fits:
        assert read_header(tmp_path / "a.png").mode == "RGB"
    else:
        with pytest.raises(InputError, match=r"a\.png has a gamma of its own \(1\), which would be lost"):
            read_header(tmp_path / "a.png")


def test_an_image_too_large_for_pillow_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    RGB.save(tmp_path / "huge.png")
    with pytest.raises(
        InputError, match=r"huge\.png cannot be read as an image: more than 2,000 pixels; make it small"
    ):
        check(Job(tmp_path / "huge.png", tmp_path / "huge.png", tmp_path / "x.png"))


@pytest.mark.parametrize(
    ("source", "options", "output", "line"),
    [
        (with_alpha(RGB), {}, "x.jpg", "JPEG cannot hold RGB with alpha; choose PNG or WebP or TIFF"),
        (with_alpha(RGB), {}, "x.bmp", "BMP cannot hold RGB with alpha; choose PNG or WebP or TIFF"),
        (Image.fromarray(np.zeros(SIZE, np.uint16)), {}, "x.jpg", "JPEG cannot hold 16-bit gray; choose PNG or TIFF"),
        (RGB.convert("CMYK"), {}, "x.png", "PNG cannot hold CMYK; choose JPEG or TIFF"),
        (RGB, {"icc_profile": bytes(128)}, "x.bmp", "BMP cannot hold a colour profile; choose PNG or JPEG or WebP or"),
        (
            RGB.convert("L"),
            {"icc_profile": bytes(16) + b"GRAY"},
            "x.webp",
            "WebP cannot hold a profile of gray; choose",
        ),
        (RGB.resize((16400, 1)), {}, "x.webp", "a side of WebP has at most 16383 pixels; choose PNG or TIFF"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_those_that_can(source, options, output, line, tmp_path):
    path = tmp_path / ("in.tif" if source.mode == "CMYK" else "in.png")
    source.save(path, **options)
    with pytest.raises(InputError) as error:
        fill(path, output, np.zeros(source.size[::-1], bool))
    assert f"{output}: {line}" in str(error.value)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.webp", "x.tif"])
def test_orientation_and_profile_stay_and_the_rest_of_the_tags_does_not(name, tmp_path):
    result = fill(camera(tmp_path / "photo.jpg"), name)
    tags = dict(result.getexif())
    assert tags[ORIENTATION] == 6
    assert 0x010F not in tags
    assert result.info["icc_profile"][16:20] == b"RGB "
    assert sorted(result.size) == sorted(RGB.size)  # newer Pillows give the sides of a TIFF as shown


def test_a_phones_photo_takes_a_mask_as_shown_and_as_stored(tmp_path):
    photo = camera(tmp_path / "photo.png")
    images = [np.asarray(fill(photo, mask=mask)) for mask in (HOLE, np.rot90(HOLE, -1))]
    np.testing.assert_array_equal(*images)
    assert (images[0][HOLE] == ORANGE).all()
    np.testing.assert_array_equal(images[0][~HOLE], np.asarray(RGB)[~HOLE])


def test_a_mask_whose_size_says_nothing_is_as_shown(tmp_path):
    photo = camera(tmp_path / "photo.png", orientation=3)
    assert (np.asarray(fill(photo, mask=np.rot90(HOLE, 2)))[HOLE] == ORANGE).all()


def test_a_mask_with_a_tag_of_its_own_is_turned_by_it(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 3
    Image.fromarray(HOLE).save(tmp_path / "tagged.png", exif=exif)
    job = Job(camera(tmp_path / "photo.png", orientation=3), tmp_path / "tagged.png", tmp_path / "x.png")
    check(job)
    fill_files([job], paint_all, with_defaults(Settings), many=False)
    assert (np.asarray(Image.open(job.output))[HOLE] == ORANGE).all()


def test_soft_masks_blend(tmp_path):
    RGB.save(tmp_path / "a.png")
    mask = np.zeros(SIZE, np.uint8)
    mask[5], mask[6], mask[7] = 51, 127, 255
    before = np.asarray(RGB).astype(float)
    soft, hard = (np.asarray(fill(tmp_path / "a.png", mask=mask, mask_edge=edge)) for edge in ("soft", "hard"))
    for row, weight in ((5, 0.2), (6, 127 / 255), (7, 1.0)):
        assert np.abs(soft[row] - (before[row] + weight * (ORANGE - before[row]))).max() <= 0.51
    np.testing.assert_array_equal(np.delete(soft, (5, 6, 7), axis=0), np.delete(before, (5, 6, 7), axis=0))
    np.testing.assert_array_equal(np.delete(hard, 7, axis=0), np.delete(before, 7, axis=0))
    inverse = fill(tmp_path / "a.png", mask=255 - mask, mask_edge="soft", mask_polarity="black_hole")
    np.testing.assert_array_equal(np.asarray(inverse), soft)


def test_cmyk_stays_cmyk(tmp_path):
    ink = Image.frombytes("CMYK", RGB.size, RNG.integers(0, 256, (*SIZE, 4), np.uint8).tobytes())
    ink.save(tmp_path / "print.tif")
    tiff, jpeg = fill(tmp_path / "print.tif", "out.tif"), fill(tmp_path / "print.tif", "out.jpg")
    assert (tiff.mode, jpeg.mode) == ("CMYK", "CMYK")
    np.testing.assert_array_equal(np.asarray(tiff)[~HOLE], np.asarray(ink)[~HOLE])
    for result in (tiff, jpeg):
        inner = np.asarray(result.convert("RGB"))[12:18, 20:25].astype(int)
        assert np.abs(inner - ORANGE).max() <= (0 if result is tiff else 20)


def test_quality_decides_how_large_jpeg_and_webp_are(tmp_path):
    RGB.save(tmp_path / "a.png")

    def size(name: str, quality: int) -> int:
        fill(tmp_path / "a.png", name, quality=quality)
        return (tmp_path / "filled" / name).stat().st_size

    for name in ("x.jpg", "x.webp"):
        assert size(name, 10) < size(name, 90) < size(name, 0)
    after = np.asarray(fill(tmp_path / "a.png", "x.webp"))
    np.testing.assert_array_equal(after[~HOLE], np.asarray(RGB)[~HOLE])


def test_losses_are_said_once(tmp_path, caplog):
    Image.fromarray(HOLE).save(tmp_path / "m.png")
    jobs = [Job(tmp_path / "a.png", tmp_path / "m.png", tmp_path / name) for name in ("a.jpg", "b.jpeg", "c.webp")]

    def warnings(jobs: list[Job], quality: int = 0) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING, logger="inpainting"):
            warn_of_oddities(jobs, "white_hole", "hard", quality)
        return [record.getMessage() for record in caplog.records]

    (line,) = warnings(jobs)
    assert line.startswith("a.jpg and 1 more are written with losses, so known pixels cannot stay exact")
    assert warnings(jobs[2:]) == []
    assert "c.webp is written with losses" in warnings(jobs[2:], quality=90)[0]


def test_a_hole_that_its_alpha_hides_is_pointed_out(tmp_path, caplog):
    image = RGB.copy()
    image.putalpha(Image.fromarray(np.where(HOLE, 0, 255).astype(np.uint8)))
    image.save(tmp_path / "erased.png")
    with caplog.at_level(logging.WARNING):
        fill(tmp_path / "erased.png")
    assert "erased.png is transparent in its whole hole" in caplog.text


def test_folders_are_matched_by_name_at_any_depth(tmp_path):
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "deep" / "b.c.png", tmp_path / "in" / "lone.tiff")
    touch(tmp_path / "masks" / "a.png", tmp_path / "masks" / "deep" / "b.c.bmp", tmp_path / "masks" / "unused.png")
    touch(tmp_path / "one.png", tmp_path / "in" / "out" / "a.jpg")
    folder = str(tmp_path / "in")

    def below(jobs: list[Job]) -> list[tuple]:
        paths = [(job.image, job.mask, job.output) for job in jobs]
        return [tuple(path and path.relative_to(tmp_path).as_posix() for path in row) for row in paths]

    # in/out/a.jpg is what an earlier run wrote.
    assert below(list_jobs(folder, str(tmp_path / "masks"), f"{folder}/out")) == [
        ("in/a.jpg", "masks/a.png", "in/out/a.jpg"),
        ("in/deep/b.c.png", "masks/deep/b.c.bmp", "in/out/deep/b.c.png"),
        ("in/lone.tiff", None, "in/out/lone.tiff"),
    ]
    jobs = list_jobs(folder, str(tmp_path / "one.png"), f"{folder}/out", "tiff")
    assert [job.output.name for job in jobs] == ["a.tif", "b.c.tif", "lone.tiff"]
    assert {job.mask.name for job in jobs} == {"one.png"}


def test_one_image_goes_to_a_file_or_into_a_folder(tmp_path):
    touch(tmp_path / "a.jpg", tmp_path / "masks" / "a.png")
    image = str(tmp_path / "a.jpg")
    for mask in (tmp_path / "masks" / "a.png", tmp_path / "masks"):
        expected = Job(tmp_path / "a.jpg", tmp_path / "masks" / "a.png", tmp_path / "x.webp")
        assert list_jobs(image, str(mask), str(tmp_path / "x.webp")) == [expected]
    assert list_jobs(image, str(tmp_path / "masks"), str(tmp_path))[0].output == tmp_path / "a.jpg"
    assert list_jobs(image, str(tmp_path / "masks"), str(tmp_path), "png")[0].output == tmp_path / "a.png"


def test_names_that_say_too_little_or_too_much_are_refused(tmp_path):
    images, masks, output = (str(tmp_path / name) for name in ("in", "masks", "out"))
    touch(tmp_path / "in" / "a.jpg", tmp_path / "in" / "a.png", tmp_path / "masks" / "a.png")
    assert len(list_jobs(images, masks, output)) == 2
    with pytest.raises(InputError, match=r"a.jpg and .*a.png would both be written to .*out/a.png; rename one"):
        list_jobs(images, masks, output, "png")
    touch(tmp_path / "masks" / "a.bmp")
    with pytest.raises(InputError, match=r"a.bmp and .*a.png have the same name"):
        list_jobs(images, masks, output)
    for name in ("x.gif", "x", "x.pdf"):
        with pytest.raises(InputError, match=rf"{name}: images are written as \.png .*; give a name that ends in one"):
            list_jobs(f"{images}/a.jpg", f"{masks}/a.png", str(tmp_path / name))
    with pytest.raises(InputError, match=r"x\.png is not a name for --output_format jpg; leave one out"):
        list_jobs(f"{images}/a.jpg", f"{masks}/a.png", str(tmp_path / "x.png"), "jpg")
    with pytest.raises(InputError, match=r"--quality 80: no output is JPEG or WebP"):
        list_jobs(f"{images}/a.jpg", f"{masks}/a.png", str(tmp_path / "x.png"), "", 80)


def test_an_input_is_never_written(tmp_path):
    touch(tmp_path / "a.png", tmp_path / "mask.png")
    (tmp_path / "link.png").symlink_to("mask.png")
    jobs = [Job(tmp_path / "a.png", tmp_path / "mask.png", tmp_path / "b.png")]
    refuse_inputs([tmp_path / "b.png"], jobs)
    for output in ("a.png", "mask.png", "link.png"):
        with pytest.raises(InputError, match="is an input; give another --output"):
            refuse_inputs([tmp_path / output], jobs)


def test_a_mask_of_another_size_names_both(tmp_path):
    Image.fromarray(HOLE[1:]).save(tmp_path / "mask.png")
    job = Job(camera(tmp_path / "photo.jpg"), tmp_path / "mask.png", tmp_path / "x.png")
    (line,) = find_faults([job]).values()
    assert f"photo.jpg is 40x60 or 60x40, its mask {tmp_path}/mask.png 60x39; give a mask of the" in line


def test_one_mask_for_a_folder_is_looked_at_once(tmp_path, monkeypatch):
    Image.fromarray(HOLE).save(tmp_path / "mask.png")
    RGB.save(tmp_path / "a.png")
    looked_at = []
    monkeypatch.setattr(jobs_py, "fault", lambda path: looked_at.append(path.name) or "")
    jobs = [Job(tmp_path / "a.png", tmp_path / "mask.png", tmp_path / f"{i}.png") for i in range(5)]
    assert find_faults(jobs) == {}
    assert sorted(looked_at) == ["a.png"] * 5 + ["mask.png"]


def test_damage_behind_an_intact_header_stops_one_image_alone(tmp_path, capsys):
    Image.fromarray(HOLE).save(tmp_path / "mask.png")
    jobs = [Job(tmp_path / name, tmp_path / "mask.png", tmp_path / f"out_{name}") for name in ("a.tif", "b.tif")]
    for job in jobs:
        RGB.save(job.image)
    jobs[0].image.write_bytes(jobs[0].image.read_bytes()[:-1000])
    assert find_faults(jobs) == {}
    failures = fill_files(jobs, paint_all, with_defaults(Settings))
    assert list(failures) == jobs[:1]
    assert f"error: {jobs[0].image} cannot be read as an image: " in capsys.readouterr().err
    assert jobs[1].output.is_file()
    with pytest.raises(InputError, match=r"a\.tif cannot be read as an image"):
        fill_files(jobs[:1], paint_all, with_defaults(Settings), many=False)


def test_images_read_ahead_do_not_change_places_around_a_broken_one(tmp_path):
    Image.fromarray(HOLE).save(tmp_path / "mask.png")
    jobs = [Job(tmp_path / f"{i}.tif", tmp_path / "mask.png", tmp_path / f"out_{i}.tif") for i in range(4)]
    for i, job in enumerate(jobs):
        Image.new("RGB", RGB.size, (i, i, i)).save(job.image)
    jobs[1].image.write_bytes(jobs[1].image.read_bytes()[:-1000])
    assert list(fill_files(jobs, lambda pairs: paint_all(list(pairs)), with_defaults(Settings))) == jobs[1:2]
    for i in (0, 2, 3):
        pixels = np.asarray(Image.open(jobs[i].output))
        assert (pixels[~HOLE] == i).all()
        assert (pixels[HOLE] == ORANGE).all()


def test_the_report_is_one_page_that_shows_every_image(tmp_path):
    Image.fromarray(HOLE).save(tmp_path / "mask.png")
    RGB.save(tmp_path / "a <b>.png")
    with_alpha(RGB).save(tmp_path / "c.png")
    jobs = [Job(tmp_path / name, tmp_path / "mask.png", tmp_path / f"out_{name}") for name in ("a <b>.png", "c.png")]
    report = Report()
    fill_files(jobs, paint_all, with_defaults(Settings), report)
    report.write(tmp_path / "report.html", {Job(tmp_path / "d&e.png", None, tmp_path / "x.png"): "d&e.png has no mask"})
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg;base64,') == page.count("src=") == 6
    for text in ("2 of 3 images filled", "a &lt;b&gt;.png", "60x40 pixels, 6.2% filled", "d&amp;e.png has no mask"):
        assert text in page
    assert "<script" not in page
    assert "http" not in page


def test_the_report_shows_a_small_hole_at_full_scale(tmp_path):
    hole = np.zeros((900, 1200), np.uint8)
    hole[500:520, 700:730] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    Image.new("RGB", (1200, 900), "white").save(tmp_path / "a.png")
    report = Report()
    fill_files(
        [Job(tmp_path / "a.png", tmp_path / "mask.png", tmp_path / "b.png")], paint_all, with_defaults(Settings), report
    )
    found = re.findall(r'base64,([^"]+)"', report.html({}))
    before, mask, after = (Image.open(io.BytesIO(base64.b64decode(text))) for text in found)
    assert before.size == after.size == (256, 256)
    assert mask.size == (512, 384)  # the whole
    filled = np.abs(np.asarray(after, int) - ORANGE).max(axis=2) < 40
    assert filled.sum() == pytest.approx(20 * 30, rel=0.1)
    assert (np.asarray(before) > 250).all()
    assert np.argwhere(filled).mean(axis=0) == pytest.approx([128, 128], abs=2)


BROKEN = {  # number of the image: what its line says
    "00.png": "truncated",
    "01.jpg": "not an image file",
    "02.webp": "its mask",
    "03.tif": "no mask",
    "08.tif": "holds 2 images",
}


def folder_with_five_broken(root: Path, count: int) -> dict[str, Path]:
    """The options of a run over `count` small images, BROKEN among them."""
    images, masks = root / "in", root / "masks"
    for folder in (images, masks):
        folder.mkdir()
    for number in range(count):
        RGB.save(images / f"{number:02}{('.png', '.jpg', '.webp', '.tif', '.bmp')[number % 5]}")
        Image.fromarray(HOLE).save(masks / f"{number:02}.png")
    (images / "00.png").write_bytes((images / "00.png").read_bytes()[:1000])
    (images / "01.jpg").write_text("no image")
    Image.fromarray(HOLE.T).save(masks / "02.png")
    (masks / "03.png").unlink()
    RGB.save(images / "08.tif", save_all=True, append_images=[RGB])
    return {"image": images, "mask": masks, "output": root / "out", "report": root / "report.html"}


def infer(options: dict) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "infer.py", *words(options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("count", [12, pytest.param(100, marks=pytest.mark.slow)])
def test_broken_files_of_a_folder_are_named_and_the_others_done(count, tmp_path, checkpoint):
    options = folder_with_five_broken(tmp_path, count) | {"checkpoint_path": checkpoint, "mode": "pynative"}
    done = infer(options)
    *lines, last = done.stderr.splitlines()
    assert done.returncode == 1
    listed = ", ".join(str(tmp_path / "in" / name) for name in BROKEN)
    assert last == f"{count - 5} of {count} images filled; 5 could not be: {listed}"
    errors = [line for line in lines if line.startswith("error: ")]
    for line, (name, fact) in zip(errors, BROKEN.items(), strict=True):
        assert name in line
        assert fact in line
    assert not any(line.startswith(" ") for line in lines)  # no traceback
    names = {path.name for path in (tmp_path / "in").iterdir()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names - BROKEN.keys()
    assert options["report"].read_text(encoding="utf-8").count("<img") == 3 * (count - 5)


def test_a_second_run_may_skip_what_is_there(tmp_path, checkpoint, capsys):
    options = folder_with_five_broken(tmp_path, 10) | {"checkpoint_path": checkpoint, "mode": "pynative"}
    del options["report"]
    sound = [path for path in (tmp_path / "in").iterdir() if path.name not in BROKEN]
    (tmp_path / "out").mkdir()
    for path in sound:
        (tmp_path / "out" / path.name).write_text("done")

    def again(**more: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            run(infer_py.main, words(options | {"skip_existing": "true"} | more))
        return (stop.value.code, *capsys.readouterr())

    code, out, err = again()  # none of what is left can be filled
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "nor can the other 4 images be filled" in err
    assert again(overwrite="true")[2].startswith("error: --skip_existing keeps what --overwrite replaces")

    (tmp_path / "out" / sound[0].name).unlink()
    code, out, err = again()
    assert code == 1
    assert err.splitlines()[-1].startswith("1 of 6 images filled; 5 could not be: ")
    assert "(4 were there already)" in out
    assert [path for path in sound if (tmp_path / "out" / path.name).read_bytes() != b"done"] == sound[:1]

    for name in BROKEN:
        (tmp_path / "in" / name).unlink()
    run(infer_py.main, words(options | {"skip_existing": "true"}))
    assert capsys.readouterr().out == f"nothing to fill (5 were there already): {tmp_path}/out\n"


def fill_folder(images: Path, mask: Path, output: Path, **settings: object) -> int:
    """What infer.py does with a folder, with paint as the network -> exit code."""
    settings = with_defaults(Settings, **settings)
    return fill_user_files(str(images), str(mask), str(output), settings, lambda count: paint_all)


def test_a_folder_is_filled_whatever_its_suffixes_or_says_why_not(tmp_path, capsys):
    images, mask = tmp_path / "in", tmp_path / "mask.gif"
    images.mkdir()
    Image.fromarray(HOLE).save(mask)
    for name, kind in (("a.png", "PNG"), ("b.jfif", "JPEG"), ("c.gif", "GIF"), ("notes.txt", None)):
        RGB.save(images / name, kind) if kind else (images / name).write_text("notes")
    (images / "e.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    if features.check("avif"):
        RGB.save(images / "f.avif")
    count = len(list(images.iterdir())) - 1

    assert fill_folder(images, mask, tmp_path / "out") == 1
    *lines, last = capsys.readouterr().err.splitlines()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png", "b.jfif"}
    assert last.startswith(f"2 of {count} images filled; {count - 2} could not be: {images}/c.gif, {images}/e.HEIC")
    assert any("c.gif: images are written as .png" in line and "--output_format" in line for line in lines)
    assert any("e.HEIC cannot be read as an image: HEIC, which" in line for line in lines)
    assert any("f.avif is AVIF, of whose depth" in line for line in lines) or not features.check("avif")

    assert fill_folder(images, mask, tmp_path / "pngs", output_format="png") == 1
    assert {path.name for path in (tmp_path / "pngs").iterdir()} == {"a.png", "b.png", "c.png"}


def test_every_image_whose_mask_has_no_hole_is_named_at_the_end(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    for i in range(5):
        RGB.save(tmp_path / "in" / f"{i}.png")
        Image.fromarray(HOLE & (i not in (1, 3))).save(tmp_path / "masks" / f"{i}.png")
    assert fill_folder(tmp_path / "in", tmp_path / "masks", tmp_path / "out") == 0
    line = f"2 of 5 masks have no hole, so nothing was filled: {tmp_path}/in/1.png, {tmp_path}/in/3.png"
    assert caplog.messages[-1] == line


def test_masks_of_a_folder_may_be_gif_and_match_however_accents_are_spelt(tmp_path):
    images, masks = tmp_path / "in", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    RGB.save(images / f"{unicodedata.normalize('NFC', 'café')}.png")
    Image.fromarray(HOLE).save(masks / f"{unicodedata.normalize('NFD', 'café')}.gif")
    assert fill_folder(images, masks, tmp_path / "out") == 0


def png_with(chunk: bytes, content: bytes, path: Path) -> Path:
    chunks = PngInfo()
    chunks.add(chunk, content)
    RGB.save(path, pnginfo=chunks)
    return path


SRGB_WHITE_AND_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


@pytest.mark.parametrize(
    ("chunk", "content", "line"),
    [
        (
            b"cICP",
            bytes([9, 16, 0, 1]),
            r"a\.png has a colour space of its own \(cICP \(9, 16, 0, 1\)\), which would be",
        ),
        (b"cICP", bytes([1, 13, 0, 1]), None),  # sRGB
        (b"cHRM", struct.pack(">8I", *P3), r"a\.png has primaries of its own \(cHRM\), which would be lost; give it"),
        (b"cHRM", struct.pack(">8I", *SRGB_WHITE_AND_PRIMARIES), None),
    ],
)
def test_colours_that_viewers_do_not_assume_are_refused(chunk, content, line, tmp_path):
    path = png_with(chunk, content, tmp_path / "a.png")
    if line is None:
        assert read_header(path).mode == "RGB"
        return
    with pytest.raises(InputError, match=line):
        read_header(path)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_names_that_the_terminal_cannot_show_end_no_run(encoding, tmp_path, checkpoint):
    images, odd = tmp_path / "in", os.fsdecode(b"caf\xe9 \xe6\xbc\xa2.png")
    images.mkdir()
    RGB.save(images / odd)
    (images / os.fsdecode(b"\xff.png")).write_text("no image")
    Image.fromarray(HOLE).save(tmp_path / "mask.png")
    options = {"image": images, "mask": tmp_path / "mask.png", "output": tmp_path / os.fsdecode(b"out \xe9")}
    options |= {"report": tmp_path / "report.html", "checkpoint_path": checkpoint, "mode": "pynative"}
    done = subprocess.run(
        [sys.executable, ROOT / "infer.py", *words(options)],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": encoding},
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert b"Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].startswith(b"filled 1 of 2 images")
    assert (options["output"] / odd).is_file()
    assert "caf\\udce9" in options["report"].read_text(encoding="utf-8")

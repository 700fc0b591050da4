import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from src.data.images import (
    check_headers,
    list_images,
    list_split,
    load_image,
    luminance,
    normalise,
    prepare_image,
    read_rgb,
    to_uint8,
)
from src.data.masks import read_mask, read_weights
from src.errors import InputError
from src.inference.image_files import read_header, read_image

# What the published preprocessing makes of one image and one mask (github.com/Xiefan-Guo/CTSDG, def0274).
PARITY = Path(__file__).parents[1] / "fixtures" / "preprocessing"
EVERY_VALUE = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)


@pytest.fixture
def photo():
    return Image.fromarray(data.astronaut()).resize((48, 40))


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


@pytest.mark.parametrize(("case", "center_crop"), [("resize", 0), ("center_crop_178", 178)])
def test_images_equal_the_published_preprocessing(case, center_crop):
    image = load_image(PARITY / "images" / "000001.png", 256, center_crop)
    expected = np.load(PARITY / "expected.npz")[f"{case}.image_uint8"]
    np.testing.assert_array_equal(image.transpose(2, 0, 1), expected)


def test_normalise_is_torch_float32_arithmetic():
    torch = pytest.importorskip("torch")
    expected = (torch.from_numpy(EVERY_VALUE).permute(2, 0, 1).float().div(255) - 0.5) / 0.5
    normalised = normalise(EVERY_VALUE)
    assert normalised.dtype == np.float32
    np.testing.assert_array_equal(normalised, expected.numpy())


def test_to_uint8_inverts_normalise_and_clips():
    np.testing.assert_array_equal(to_uint8(normalise(EVERY_VALUE)), EVERY_VALUE)
    np.testing.assert_array_equal(to_uint8(np.array([-3.0, 3.0]).reshape(1, 1, 2)), [[[0], [255]]])


def test_luminance_is_pillows_gray_and_keeps_grays_of_any_depth():
    colours = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    np.testing.assert_array_equal(luminance(colours), Image.fromarray(colours).convert("L"))
    grays = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(luminance(np.stack([grays] * 3, axis=-1)), grays)


def test_list_images_is_sorted_at_any_depth_without_hidden_files(tmp_path, photo):
    for name in ("b.JPG", "a/z.png", "a.webp", ".hidden.png", ".thumbs/c.png", "a/b/c.Tiff", "._a.jpg"):
        save(photo, tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == ["a.webp", "a/b/c.Tiff", "a/z.png", "b.JPG"]
    assert list_images(tmp_path / "b.JPG") == [tmp_path / "b.JPG"]


def test_list_images_explains_a_missing_or_empty_folder(tmp_path):
    with pytest.raises(InputError, match=r"nowhere does not exist"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no images \(\.jpg"):
        list_images(tmp_path)


def test_list_split_follows_the_partition_file(tmp_path, photo):
    for name in ("img_align_celeba/2.jpg", "img_align_celeba/1.jpg", "3.jpg"):
        save(photo, tmp_path / name)
    partition = tmp_path / "list_eval_partition.txt"
    partition.write_text("2.jpg 0\n3.jpg 0\n\n1.jpg 2\n")
    assert [path.name for path in list_split(tmp_path, partition, "train")] == ["2.jpg", "3.jpg"]
    assert list_split(tmp_path, partition, "test") == [tmp_path / "img_align_celeba" / "1.jpg"]
    assert list_split(tmp_path, "", "test") == list_images(tmp_path)
    with pytest.raises(InputError, match="names no val images"):
        list_split(tmp_path, partition, "val")


@pytest.mark.parametrize("entry", ["2.jpg", "2.jpg 7", "2.jpg,0"])
def test_list_split_names_a_malformed_line(tmp_path, entry):
    partition = tmp_path / "partition.txt"
    partition.write_text(f"1.jpg 2\n{entry}\n")
    with pytest.raises(InputError, match=r"partition\.txt, line 2: expected 'name 0\|1\|2'"):
        list_split(tmp_path, partition, "train")


def test_list_split_names_a_missing_file(tmp_path):
    partition = tmp_path / "partition.txt"
    partition.write_text("1.jpg 2\n2.jpg 0\n")
    with pytest.raises(InputError, match=r"line 2: 2\.jpg is not under"):
        list_split(tmp_path, partition, "train")
    with pytest.raises(InputError, match=r"absent\.txt cannot be read"):
        list_split(tmp_path, tmp_path / "absent.txt", "train")


def test_check_headers_names_broken_files(tmp_path, photo):
    whole = [save(photo, tmp_path / name) for name in ("1.jpg", "1.png")]
    check_headers(whole)

    text, empty = tmp_path / "text.png", tmp_path / "empty.png"
    text.write_text("not an image")
    empty.write_bytes(b"")
    cut = [tmp_path / "cut.jpg", tmp_path / "cut.png"]
    for path, source in zip(cut, whole, strict=True):
        path.write_bytes(source.read_bytes()[:-200])

    for path in (text, empty, *cut):
        with pytest.raises(InputError, match=rf"1 of 3 .*{path.name}") as error:
            check_headers([*whole, path])
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"4 of 4 .*text\.png.*empty\.png.*cut\.jpg.*, \.\.\.$"):
        check_headers([text, empty, *cut])


def test_check_headers_accepts_bytes_behind_the_end(tmp_path, photo):
    for name in ("1.jpg", "1.png"):
        path = save(photo, tmp_path / name)
        path.write_bytes(path.read_bytes() + b"\0" * 500)
        check_headers([path])


def test_check_headers_finds_images_smaller_than_the_crop(tmp_path, photo):
    path = save(photo, tmp_path / "1.png")
    check_headers([path], center_crop=40)
    with pytest.raises(InputError, match=r"1\.png \(48x40 pixels, smaller than center_crop 41\)"):
        check_headers([path], center_crop=41)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "RGB"])
def test_read_rgb_takes_any_layout(tmp_path, photo, mode):
    image = photo.convert(mode)
    path = save(image, tmp_path / ("x.tif" if mode == "CMYK" else "x.png"))
    rgb = read_rgb(path)
    assert rgb.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(rgb), np.asarray(image.convert("RGB")))


def test_read_rgb_drops_alpha_and_keeps_the_colour_below(tmp_path, photo):
    rgba = photo.convert("RGBA")
    rgba.putalpha(0)
    np.testing.assert_array_equal(np.asarray(read_rgb(save(rgba, tmp_path / "x.png"))), np.asarray(photo))


def test_read_rgb_scales_sixteen_bits(tmp_path):
    gray = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    rgb = np.asarray(read_rgb(save(Image.fromarray(gray), tmp_path / "x.png")))
    np.testing.assert_array_equal(rgb, EVERY_VALUE)


def test_unreadable_images_name_themselves(tmp_path, photo):
    path = save(photo, tmp_path / "x.jpg")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"x\.jpg cannot be read as an image: image file is truncated"):
        read_rgb(path)
    floats = save(Image.fromarray(np.zeros((4, 4), np.float32)), tmp_path / "x.tif")
    with pytest.raises(InputError, match=r"x\.tif .* floating point"):
        read_rgb(floats)
    with pytest.raises(InputError, match=r"absent\.png .* No such file"):
        read_rgb(tmp_path / "absent.png")


def test_the_crop_must_fit_into_the_image(tmp_path, photo):
    assert prepare_image(photo, 8, center_crop=40).shape == (8, 8, 3)
    with pytest.raises(InputError, match=r"x\.png: center_crop 41 does not fit into an image of 48x40"):
        load_image(save(photo, tmp_path / "x.png"), 8, center_crop=41)


def test_a_png_with_a_wrong_checksum_is_damaged_wherever_it_is_read(tmp_path, photo):
    path = damaged(save(photo, tmp_path / "x.png"))
    for read in (read_rgb, lambda path: load_image(path, 8), read_mask, read_weights, read_header, read_image):
        with pytest.raises(InputError, match=r"x\.png cannot be read as an image: broken PNG .*checksum in b'IDAT'"):
            read(path)


def test_looking_at_headers_reads_no_pixels(tmp_path, photo):
    check_headers([damaged(save(photo, tmp_path / "x.png"))])


def damaged(png: Path) -> Path:
    """One bit of the pixels' checksum is another; the pixels can still be decoded."""
    content = bytearray(png.read_bytes())
    content[content.index(b"IEND") - 5] ^= 1
    png.write_bytes(content)
    Image.open(png).load()
    return png


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


def test_what_is_an_image_by_its_content_is_listed_whatever_its_suffix(tmp_path, photo):
    photo.save(tmp_path / "a.jfif", "JPEG")
    photo.save(tmp_path / "b.gif")
    photo.save(tmp_path / "c", "WEBP")
    (tmp_path / "d.HEIC").write_bytes(HEIC)
    for name in ("notes.txt", "BMW.md"):
        (tmp_path / name).write_text("BMW")
    os.mkfifo(tmp_path / "pipe")
    assert [path.name for path in list_images(tmp_path)] == ["a.jfif", "b.gif", "c", "d.HEIC"]


def test_a_kind_that_cannot_be_read_says_its_name(tmp_path):
    (tmp_path / "a.jpg").write_bytes(HEIC)
    with pytest.raises(InputError, match=r"a\.jpg .*: HEIC, which Pillow does not read here; save it as PNG or JPEG"):
        read_rgb(tmp_path / "a.jpg")
    with pytest.raises(InputError, match=r"a\.jpg \(HEIC, which Pillow does not read here"):
        check_headers([tmp_path / "a.jpg"])
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    with pytest.raises(InputError, match=r"b\.png cannot be read as an image: damaged, though it begins as PNG"):
        read_rgb(tmp_path / "b.png")


def test_folders_that_hold_themselves_by_a_link_are_walked_once(tmp_path, photo):
    save(photo, tmp_path / "in" / "a.png")
    save(photo, tmp_path / "in" / "deep" / "b.png")
    save(photo, tmp_path / "other" / "c.png")
    (tmp_path / "in" / "deep" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "in")
    names = [path.relative_to(tmp_path / "in").as_posix() for path in list_images(tmp_path / "in")]
    assert names == ["a.png", "deep/b.png", "linked/c.png"]


def test_a_partition_file_may_begin_with_a_byte_order_mark(tmp_path, photo):
    save(photo, tmp_path / "p0.png")
    (tmp_path / "parts.txt").write_text("p0.png 0\n", encoding="utf-8-sig")
    assert list_split(tmp_path, tmp_path / "parts.txt", "train") == [tmp_path / "p0.png"]


@pytest.mark.parametrize(("stored", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_in_a_partition_file_match_however_accents_are_spelt(stored, written, tmp_path, photo):
    path = save(photo, tmp_path / f"{unicodedata.normalize(stored, 'é')}.png")
    (tmp_path / "parts.txt").write_text(f"{unicodedata.normalize(written, 'é')}.png 0\n", encoding="utf-8")
    assert list_split(tmp_path, tmp_path / "parts.txt", "train") == [path]


@pytest.mark.parametrize("name", ["x.jpg", "x.png", "x.tif", "x.webp"])
def test_images_are_read_as_viewers_show_them_with_a_warning(name, tmp_path, photo, caplog):
    exif = Image.Exif()
    exif[274] = 6
    options = {"lossless": True} if name == "x.webp" else {}
    photo.save(tmp_path / name, exif=exif, **options)
    with Image.open(tmp_path / name) as image:
        image.load()
        shown = image.size if image.format == "TIFF" else image.size[::-1]
    assert read_rgb(tmp_path / name).size == shown == (40, 48)
    check_headers([tmp_path / name, save(photo, tmp_path / "plain.png")])
    assert f"1 of 2 images, such as {tmp_path}/{name}, are turned as viewers show them" in caplog.text


def test_a_tag_that_is_nonsense_turns_nothing(tmp_path, photo, caplog):
    photo.save(tmp_path / "x.jpg", exif=b"Exif\0\0nonsense")
    check_headers([tmp_path / "x.jpg"])
    assert read_rgb(tmp_path / "x.jpg").size == photo.size
    assert not caplog.text

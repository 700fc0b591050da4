"""The page in a real browser: open, paint, fill, compare, download; and nothing leaves the machine."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from src.inference.filling import count_windows

pytest.importorskip("playwright", reason="pip install -r requirements-demo-tests.txt")

WIDE, NARROW = (1400, 900), (390, 844)
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
NARROW_LATER = pytest.mark.parametrize(
    "size", [WIDE, pytest.param(NARROW, marks=pytest.mark.slow)], ids=["wide", "narrow"]
)
SECONDS = 150_000  # milliseconds that the page may take, on however busy a machine


class Visitor:
    """One window on the page."""

    def __init__(self, browser, url: str, size: tuple[int, int] = WIDE) -> None:
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.context.set_default_timeout(SECONDS)
        self.page = self.context.new_page()
        self.requests, self.failed = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("response", lambda response: response.status >= 400 and self.failed.append(response.url))
        self.page.goto(url)
        self.page.wait_for_selector("#examples img")

    def open(self, *paths: Path) -> None:
        with self.page.expect_response(lambda response: "/file=" in response.url):  # what the editor shows
            self.page.set_input_files("#open input[type=file]", paths)
        self.page.wait_for_selector("#editor canvas")

    def open_mask(self, path: Path) -> None:
        self.page.click("text=Upload a mask")
        with self.page.expect_response(lambda response: "/upload?" in response.url):
            self.page.set_input_files("#mask input[type=file]", path)
        self.page.wait_for_selector(f"#mask >> text={path.stem}")

    def choose_example(self, number: int = 0) -> None:
        self.page.locator("#examples button").nth(number).click()
        zoom = self.page.locator("#editor .zoom-number span")
        self.until(lambda: zoom.count() and zoom.inner_text() != "100%")  # an empty editor's
        self.page.wait_for_timeout(2000)  # for its strokes

    def paint(self, down: int = 0) -> None:
        """A stroke over the middle of the editor, or so far below; again, while it is not ready for the first one."""

        def stroke() -> bool:
            box = self.canvas().bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + down
            self.page.mouse.move(x - 40, y)
            self.page.mouse.down()
            self.page.mouse.move(x + 40, y, steps=6)
            self.page.mouse.up()
            self.page.wait_for_timeout(500)
            return self.can_undo()

        self.page.locator("#editor").scroll_into_view_if_needed()
        self.until(stroke)

    def canvas(self):
        return self.page.locator("#editor canvas").first

    def painted(self) -> list[int]:
        """Heights of the strokes down the middle of a gray image in the editor, in pixels of the screen."""
        screen = np.asarray(Image.open(io.BytesIO(self.canvas().screenshot())).convert("RGB")).astype(int)
        return heights(screen[..., 0] - screen[..., 1] > 60)

    def can_undo(self) -> bool:
        return self.page.locator("#editor [aria-label=Undo]").is_enabled()

    def until(self, done: Callable[[], bool]) -> None:
        for _ in range(SECONDS // 1000):
            if done():
                return
            self.page.wait_for_timeout(500)
        pytest.fail("the page did not answer")

    def fill(self) -> None:
        self.page.click("#fill")

    def result(self) -> tuple[str, Image.Image]:
        """Name and content of what is downloaded, once it is there."""
        self.page.wait_for_selector("#seconds strong")
        with self.page.expect_download() as download:
            self.page.click("#download")
        return download.value.suggested_filename, Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))

    def fill_painted(self, path: Path) -> tuple[str, Image.Image]:
        """Open a file, paint a stroke over its middle and fill it -> as result."""
        self.open(path)
        self.paint()
        self.fill()
        return self.result()

    def said(self) -> str:
        """What the page says went wrong."""
        toast = self.page.wait_for_selector("[data-testid=toast-body]")
        return " ".join(toast.inner_text().split())


@pytest.fixture
def visit(browser, server) -> Iterator:
    visitors = []

    def come(size: tuple[int, int] = WIDE) -> Visitor:
        visitors.append(Visitor(browser, server.url, size))
        return visitors[-1]

    yield come
    for visitor in visitors:
        hosts = {urlsplit(url).netloc for url in visitor.requests if not url.startswith(("blob:", "data:"))}
        visitor.context.close()
        assert hosts == {urlsplit(server.url).netloc}
        assert not visitor.failed


def plain(path: Path, width: int, height: int) -> np.ndarray:
    pixels = np.full((height, width, 3), 100, np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def noise(path: Path, width: int, height: int, **options: object) -> np.ndarray:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def test_a_painted_image_is_filled_and_downloaded_with_its_known_pixels(visit, tmp_path):
    pixels = noise(tmp_path / "my photo.tif", 300, 200)
    visitor = visit()
    name, filled = visitor.fill_painted(tmp_path / "my photo.tif")
    assert (name, filled.format, filled.size) == ("my photo_filled.tif", "TIFF", (300, 200))
    changed = (np.asarray(filled) != pixels).any(axis=2)
    assert 100 < changed.sum() < 10_000
    rows, columns = np.nonzero(changed)
    assert changed[100, 150]
    for places, middle in ((rows, 100), (columns, 150)):  # the stroke, and nothing elsewhere
        assert middle - 60 < places.min() < middle < places.max() < middle + 60
    assert visitor.page.locator("#result img").count() == 2


def test_an_example_is_filled_with_two_clicks_in_either_window(visit):
    for size in (WIDE, NARROW):
        visitor = visit(size)
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        visitor.choose_example()
        visitor.fill()
        name, filled = visitor.result()
        assert (name, filled.size) == ("chelsea_filled.png", (384, 300))
        assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_uploaded_mask_takes_the_place_of_painting(visit, tmp_path):
    pixels = noise(tmp_path / "a.png", 90, 60)
    hole = np.zeros((60, 90), bool)
    hole[20:30, 30:50] = True
    Image.fromarray(hole).save(tmp_path / "mask.png")
    visitor = visit()
    visitor.open(tmp_path / "a.png")
    visitor.open_mask(tmp_path / "mask.png")
    visitor.fill()
    _, filled = visitor.result()
    np.testing.assert_array_equal((np.asarray(filled) != pixels).any(axis=2), hole)


def changes(filled: Image.Image, pixels: np.ndarray) -> np.ndarray:
    """Where a filled image differs: bool (H, W)."""
    return (np.asarray(filled) != pixels).any(axis=2)


def heights(changed: np.ndarray) -> list[int]:
    """Of the strokes that are crossed on the way down the middle of an image, in pixels."""
    edges = np.flatnonzero(np.diff(changed[:, changed.shape[1] // 2].astype(int), prepend=0, append=0))
    return np.diff(edges)[::2].tolist()


@SIZES
def test_the_brush_is_as_wide_as_its_slider_says(visit, tmp_path, size):
    pixels = plain(tmp_path / "a.png", 1600, 1066)
    visitor = visit(size)
    visitor.open(tmp_path / "a.png")
    width = visitor.page.locator("#brush input[type=number]")
    assert 55 <= float(width.input_value()) <= 65
    visitor.paint()
    width.fill("10")
    width.press("Enter")

    def paint_narrow() -> bool:
        """Again, while the editor has not heard of it."""
        visitor.paint(down=40)
        wide, *narrow = visitor.painted()
        if narrow[0] < wide / 2:
            return True
        visitor.page.click("#editor [aria-label=Undo]")
        return False

    visitor.until(paint_narrow)
    visitor.fill()
    _, filled = visitor.result()
    np.testing.assert_allclose(heights(changes(filled, pixels)), [59, 10], atol=2)


@SIZES
def test_no_tool_covers_the_image(visit, tmp_path, size):
    plain(tmp_path / "a.png", 600, 400)
    visitor = visit(size)
    visitor.open(tmp_path / "a.png")
    canvas = visitor.canvas().bounding_box()
    for name in ("#editor .toolbar-wrap", "#editor .icon-button-wrapper"):
        tools = visitor.page.locator(name).bounding_box()
        assert tools["y"] + tools["height"] <= canvas["y"]
        assert 0 <= tools["x"] <= size[0] - tools["width"]


@NARROW_LATER
def test_ctrl_z_takes_the_last_stroke_back_and_never_the_image(visit, tmp_path, size):
    pixels = plain(tmp_path / "a.png", 600, 400)
    visitor = visit(size)
    visitor.open(tmp_path / "a.png")
    visitor.paint()
    visitor.paint(down=40)
    visitor.page.keyboard.press("Control+z")
    visitor.page.wait_for_timeout(500)
    visitor.fill()
    _, filled = visitor.result()
    assert len(heights(changes(filled, pixels))) == 1
    for _ in range(3):
        visitor.page.keyboard.press("Control+z")
    visitor.until(lambda: not visitor.can_undo())
    visitor.fill()
    assert "Nothing is painted" in visitor.said()
    visitor.page.keyboard.press("Control+Shift+z")
    visitor.until(visitor.can_undo)


@NARROW_LATER
def test_the_result_is_zoomed_and_gone_on_from(visit, tmp_path, size):
    pixels = plain(tmp_path / "a.png", 1500, 1000)
    visitor = visit(size)
    visitor.fill_painted(tmp_path / "a.png")
    image = visitor.page.locator("#result img").first
    image.scroll_into_view_if_needed()
    before = image.bounding_box()
    visitor.page.mouse.move(before["x"] + before["width"] / 4, before["y"] + before["height"] / 4)
    visitor.page.mouse.wheel(0, -100)
    visitor.until(lambda: image.bounding_box()["width"] > before["width"])
    assert image.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [1500, 1000]
    visitor.page.click("#result [aria-label=Fullscreen]")
    visitor.until(lambda: visitor.page.locator("#result").bounding_box()["width"] > size[0] - 20)
    visitor.page.keyboard.press("Escape")

    visitor.page.click("#onward")
    visitor.page.wait_for_selector("#note strong:text-is('a_filled.png')")
    visitor.page.wait_for_selector("#editor canvas")
    visitor.until(lambda: not visitor.can_undo())
    visitor.paint(down=40)
    visitor.fill()
    name, filled = visitor.result()
    assert name == "a_filled.png"
    assert len(heights(changes(filled, pixels))) == 2


@NARROW_LATER
def test_files_are_opened_one_after_the_other_and_a_mask_serves_its_own(visit, tmp_path, size):
    for name in ("a", "b"):
        pixels = plain(tmp_path / f"{name}.png", 600, 400)
    (tmp_path / "text.png").write_text("no image")
    hole = np.zeros((400, 600), np.uint8)
    hole[20:60, 20:60] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    visitor = visit(size)
    visitor.open(tmp_path / "a.png", tmp_path / "text.png", tmp_path / "b.png")
    visitor.open_mask(tmp_path / "mask.png")
    visitor.paint()
    visitor.fill()
    name, filled = visitor.result()
    changed = changes(filled, pixels)
    assert name == "a_filled.png"
    assert changed[hole > 0].all() and changed[200, 300]  # the mask and what was painted

    visitor.page.click("#next >> text=2 left")
    assert "text.png is left out" in visitor.said()
    visitor.page.wait_for_selector("#note strong:text-is('b.png')")
    visitor.page.wait_for_selector("#next", state="hidden")
    visitor.until(lambda: not visitor.can_undo())
    visitor.paint()
    visitor.fill()
    name, filled = visitor.result()
    changed = changes(filled, pixels)
    assert name == "b_filled.png"
    assert changed[200, 300] and not changed[hole > 0].any()


@SIZES
def test_progress_counts_windows(visit, tmp_path, size):
    plain(tmp_path / "a.png", 1500, 1000)
    hole = np.zeros((1000, 1500), bool)
    hole[:, ::50] = True
    Image.fromarray(hole).save(tmp_path / "mask.png")
    visitor = visit(size)
    visitor.open(tmp_path / "a.png")
    visitor.open_mask(tmp_path / "mask.png")
    visitor.page.evaluate(
        """() => {
          const result = document.querySelector("#result");
          window.seen = new Set();
          new MutationObserver(() => window.seen.add(result.innerText.match(/(\\d+)\\/(\\d+) windows/)?.[0]))
            .observe(result, { subtree: true, childList: true, characterData: true });
        }"""
    )
    visitor.fill()
    visitor.page.wait_for_selector("#seconds strong")
    seen = [text.split()[0].split("/") for text in visitor.page.evaluate("[...window.seen]") if text]
    done, totals = ([int(part) for part in parts] for parts in zip(*seen, strict=True))
    assert set(totals) == {count_windows(hole, 128)}
    assert len(done) > 2 and done == sorted(done)


def test_an_image_of_one_pixel(visit, tmp_path):
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    name, filled = visit().fill_painted(tmp_path / "one.png")
    assert (name, filled.size) == ("one_filled.png", (1, 1))
    assert filled.getpixel((0, 0)) != (255, 0, 0)


@pytest.mark.slow
def test_an_image_of_24_million_pixels(visit, tmp_path):
    pixels = np.zeros((4000, 6000, 3), np.uint8)
    pixels[::8] = np.arange(18000).reshape(6000, 3) % 251
    Image.fromarray(pixels).save(tmp_path / "large.png", compress_level=1)
    name, filled = visit().fill_painted(tmp_path / "large.png")
    assert (name, filled.size) == ("large_filled.png", (6000, 4000))
    changed = (np.asarray(filled) != pixels).any(axis=2)
    assert 0.0001 < changed.mean() < 0.05


def test_a_text_file_and_a_fill_without_an_image_are_answered_in_words(visit, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    visitor = visit()
    visitor.fill()
    assert "Open an image first, or choose an example." in visitor.said()
    visitor = visit()
    visitor.page.set_input_files("#open input[type=file]", tmp_path / "text.png")
    assert "The image is no PNG, JPEG, WebP, TIFF or BMP file; save it as one of them." in visitor.said()
    visitor.choose_example()  # and goes on


def test_two_visitors_at_once_get_their_own_images(visit, tmp_path):
    visitors, images = [visit(), visit()], []
    for i, visitor in enumerate(visitors):
        images.append(noise(tmp_path / f"{i}.png", 100 + 20 * i, 80))
        visitor.open(tmp_path / f"{i}.png")
        visitor.paint()
    for visitor in visitors:
        visitor.fill()
    for i, visitor in enumerate(visitors):
        name, filled = visitor.result()
        assert (name, filled.size) == (f"{i}_filled.png", (100 + 20 * i, 80))
        assert (np.asarray(filled) == images[i]).all(axis=2).mean() > 0.1


def test_a_pasted_image_is_opened(visit):
    visitor = visit()
    visitor.page.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 40, height: 30 });
          canvas.getContext("2d").fillRect(0, 0, 20, 20);
          const blob = await new Promise((resolve) => canvas.toBlob(resolve));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([blob], "pasted.png", { type: "image/png" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        }"""
    )
    visitor.page.wait_for_selector("#note strong:text-is('pasted.png')")


def test_stop_ends_an_image_and_the_next_one_is_filled(visit, tmp_path):
    Image.new("RGB", (6000, 4000)).save(tmp_path / "large.png", compress_level=1)
    Image.new("L", (6000, 4000), 255).save(tmp_path / "mask.png", compress_level=1)
    visitor = visit()
    visitor.open(tmp_path / "large.png")
    visitor.open_mask(tmp_path / "mask.png")
    visitor.fill()
    visitor.page.wait_for_selector("#result >> text=windows")
    visitor.page.click("#stop")
    visitor.page.wait_for_selector("#result >> text=windows", state="hidden")
    other = visit()
    other.choose_example()
    other.fill()
    assert other.result()[0] == "chelsea_filled.png"

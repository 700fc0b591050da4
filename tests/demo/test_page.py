"""The page in a real browser: open, paint, fill, compare, download; and nothing leaves the machine."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="pip install -r requirements-demo-tests.txt")

WIDE, NARROW = (1440, 900), (390, 844)
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

    def open(self, path: Path) -> None:
        with self.page.expect_response(lambda response: "/file=" in response.url):  # what the editor shows
            self.page.set_input_files("#open input[type=file]", path)
        self.page.wait_for_selector("#editor canvas")

    def choose_example(self, number: int = 0) -> None:
        self.page.locator("#examples button").nth(number).click()
        zoom = self.page.locator("#editor .zoom-number span")
        self.until(lambda: zoom.count() and zoom.inner_text() != "100%")  # an empty editor's
        self.page.wait_for_timeout(2000)  # for its strokes

    def paint(self) -> None:
        """A stroke over the middle of the editor; again, while it is not ready for the first one."""

        def stroke() -> bool:
            box = self.page.locator("#editor canvas").first.bounding_box()
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            self.page.mouse.move(x - 40, y)
            self.page.mouse.down()
            self.page.mouse.move(x + 40, y + 20, steps=6)
            self.page.mouse.up()
            self.page.wait_for_timeout(500)
            return self.page.locator("#editor [aria-label=Undo]").is_enabled()

        self.until(stroke)

    def until(self, done: Callable[[], bool]) -> None:
        for _ in range(SECONDS // 1000):
            if done():
                return
            self.page.wait_for_timeout(500)
        pytest.fail("the editor did not answer")

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
    visitor.page.click("text=Upload a mask")
    with visitor.page.expect_response(lambda response: "/upload?" in response.url):
        visitor.page.set_input_files("#mask input[type=file]", tmp_path / "mask.png")
    visitor.page.wait_for_selector("#mask >> text=mask")
    visitor.fill()
    _, filled = visitor.result()
    np.testing.assert_array_equal((np.asarray(filled) != pixels).any(axis=2), hole)


def test_an_image_of_one_pixel(visit, tmp_path):
    Image.new("RGB", (1, 1), "red").save(tmp_path / "one.png")
    name, filled = visit().fill_painted(tmp_path / "one.png")
    assert (name, filled.size) == ("one_filled.png", (1, 1))
    assert filled.getpixel((0, 0)) != (255, 0, 0)


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
    visitor.page.click("text=Upload a mask")
    visitor.page.set_input_files("#mask input[type=file]", tmp_path / "mask.png")
    visitor.page.wait_for_selector("#mask >> text=mask")
    visitor.fill()
    visitor.page.wait_for_selector("#result >> text=processing")
    visitor.page.click("#stop")
    visitor.page.wait_for_selector("#result >> text=processing", state="hidden")
    other = visit()
    other.choose_example()
    other.fill()
    assert other.result()[0] == "chelsea_filled.png"

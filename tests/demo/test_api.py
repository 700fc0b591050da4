"""POST /api/fill of a running server: images in, filled images out, and nothing else gets through."""

import io
import json
import signal
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.demo.conftest import Server, one_line

httpx = pytest.importorskip("httpx", reason="pip install -r requirements-demo-tests.txt")
SIZE = 200, 150


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(width: int = SIZE[0], height: int = SIZE[1]) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


def hole(width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    hole = np.zeros((height, width), bool)
    hole[height // 3 : height // 2, width // 4 : width // 2] = True
    return hole


def mask(width: int = SIZE[0], height: int = SIZE[1]) -> bytes:
    return encoded(Image.fromarray(hole(width, height)), "PNG")


def post(server: Server, image: bytes, mask: bytes | None = None, name: str = "photo.png", **fields: str):
    files = {"picture": (name, image)} | ({} if mask is None else {"mask": ("mask.png", mask)})
    return httpx.post(f"{server.url}/api/fill", files=files, data=fields, timeout=120)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WebP", "JPEG"])
def test_an_image_comes_back_filled_in_its_own_format(server, kind):
    options = {"lossless": True} if kind == "WebP" else {}
    answer = post(server, encoded(photo(), kind, **options), mask(), name="Grüße von uns.Foto")
    assert answer.status_code == 200
    assert float(answer.headers["x-seconds"]) > 0
    assert "Gr%C3%BC%C3%9Fe%20von%20uns_filled." in answer.headers["content-disposition"]
    filled = Image.open(io.BytesIO(answer.content))
    assert (filled.format, filled.size) == (kind.upper(), SIZE)
    if kind != "JPEG":
        before, after = np.asarray(photo()), np.asarray(filled)
        np.testing.assert_array_equal(after[~hole()], before[~hole()])
        assert (after[hole()] != before[hole()]).mean() > 0.9


def test_fifty_calls_from_four_clients_leave_no_memory_behind(server):
    image, holes = encoded(photo(450, 300), "PNG"), mask(450, 300)
    calls = ThreadPoolExecutor(4)

    def memory_after(count: int) -> int:
        answers = list(calls.map(lambda _: post(server, image, holes), range(count)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.content for answer in answers}) == 1
        return server.memory()

    before = memory_after(8)  # what is loaded on first use is loaded
    assert memory_after(50) < 1.1 * before


def png(width: int, height: int, *chunks: tuple[bytes, bytes], data: bytes = b"\0") -> bytes:
    """A PNG file with a header of that size, whatever it holds."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    parts = [header, *chunks, (b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    body = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


PNG, JPEG, TIFF = (encoded(photo(), kind) for kind in ("PNG", "JPEG", "TIFF"))
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
ROTATED = encoded(photo(), "TIFF", compression="tiff_lzw")
HOSTILE = {  # what it is: image, mask, name
    "a bomb of pixels": (png(50_000, 50_000, data=bytes(10**6)), mask(), "a.png"),
    "a bomb within Pillow's limit": (png(12_000, 12_000, data=bytes(10**6)), mask(), "a.png"),
    "a bomb of text": (png(*SIZE, (b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8)))), mask(), "a.png"),
    "a bomb of a profile": (png(*SIZE, (b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8)))), mask(), "a.png"),
    "a bomb as mask": (PNG, png(50_000, 50_000), "a.png"),
    "65,000 pixels wide": (
        encoded(Image.new("L", (65_000, 2)), "PNG"),
        encoded(Image.new("L", (65_000, 2)), "PNG"),
        "a.png",
    ),
    "half a PNG": (PNG[: len(PNG) // 2], mask(), "a.png"),
    "half a JPEG": (JPEG[: len(JPEG) // 2], mask(), "a.jpg"),
    "half a TIFF": (TIFF[: len(TIFF) // 2], mask(), "a.tif"),
    "half a mask": (PNG, mask()[:60], "a.png"),
    "a header alone": (PNG[:8], mask(), "a.png"),
    "nothing": (b"", mask(), "a.png"),
    "a text": (b"not an image\n" * 99, mask(), "a.png"),
    "an SVG": (SVG, mask(), "a.svg"),
    "an SVG by another name": (SVG, mask(), "a.png"),
    "a script of PostScript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file",
        mask(),
        "a.eps",
    ),
    "a program": (b"\x7fELF" + bytes(999), mask(), "a.png"),
    "an archive": (b"PK\3\4" + bytes(999), mask(), "a.png"),
    "a TIFF whose entries lead out of it": (
        b"II*\0" + struct.pack("<IHHHII", 8, 1, 256, 4, 9, 2**32 - 1),
        mask(),
        "a.tif",
    ),
    "a TIFF whose tags go in a circle": (b"II*\0" + struct.pack("<IHI", 8, 0, 8), mask(), "a.tif"),
    "EXIF nonsense": (JPEG[:2] + b"\xff\xe1\xff\xffExif\0\0II*\0" + b"\xff" * 300, mask(), "a.jpg"),
    "a path as name": (PNG, mask(), "../../etc/passwd"),
    "a path of Windows as name": (PNG, mask(), "..\\..\\windows\\win.ini"),
    "a mask of another size": (PNG, mask(150, 200), "a.png"),
    "no mask": (PNG, None, "a.png"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_hostile_or_broken_is_refused_in_one_line(server, kind):
    answer = post(server, *HOSTILE[kind])
    assert answer.status_code == 400
    assert one_line(answer.text), answer.text
    assert str(server.folder) not in answer.text
    assert server.process.poll() is None


def test_exif_nonsense_in_a_sound_image_does_no_harm(server):
    exif = Image.Exif()
    exif[274] = 4711
    answer = post(server, encoded(photo(), "PNG", exif=exif.tobytes() + b"\xff" * 99), mask())
    assert answer.status_code == 200


@pytest.fixture(scope="module")
def limited(packages, toy_checkpoint, tmp_path_factory) -> Iterator[Server]:
    """Another server, which takes no more than a megabyte, of no more than 24 million pixels."""
    limits = {"max_upload_mb": 1, "max_pixels": 24_000_000, "max_waiting": 1}
    server = Server(tmp_path_factory.mktemp("limited") / "tmp", checkpoint_path=toy_checkpoint, **limits)
    yield server
    server.process.kill()


def test_what_is_too_large_is_refused(limited):
    answer = post(limited, encoded(Image.new("L", (6001, 4000)), "PNG"), mask())
    assert (answer.status_code, one_line(answer.text)) == (400, True)
    assert "the picture has 6001x4000 pixels; at most 24 million are taken" in answer.text
    too_large = 413, "error: more than 1 MB were sent, which is the limit\n"
    answer = post(limited, bytes(2 * 10**6), mask())
    assert (answer.status_code, answer.text) == too_large

    def pieces() -> Iterator[bytes]:  # whose length is not announced
        yield b'--a\r\ncontent-disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        for _ in range(11):
            yield bytes(10**5)

    headers = {"content-type": "multipart/form-data; boundary=a"}
    answer = httpx.post(f"{limited.url}/api/fill", content=pieces(), headers=headers)
    assert (answer.status_code, answer.text) == too_large


def test_it_ends_while_it_fills_without_a_traceback(limited):
    large = encoded(Image.new("RGB", (6000, 4000)), "PNG"), encoded(Image.new("L", (6000, 4000), 255), "PNG")
    answers = []
    calls = [threading.Thread(target=lambda: answers.append(post(limited, *large))) for _ in range(4)]
    for call in calls:
        call.start()
    while len(answers) < 2:  # one is filled, one waits, two are too many
        time.sleep(0.1)
    assert {answer.text for answer in answers} == {"error: 1 images are waiting; try again later\n"}
    code, errors = limited.stop(signal.SIGTERM)
    for call in calls:
        call.join()
    assert (code, errors) == (130, "interrupted\n")
    assert [(answer.status_code, answer.text) for answer in answers[2:]] == [(503, "error: the server ends\n")] * 2
    assert not list(limited.folder.iterdir())


@pytest.mark.parametrize("path", ["/api/fill", "/gradio_api/upload", "/gradio_api/queue/join"])
def test_who_leaves_while_sending_leaves_no_traceback(server, path):
    before = server.errors.read_text()
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port)) as client:
        client.sendall(
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n"
            "content-type: multipart/form-data; boundary=a\r\n\r\n--a\r\n".encode()
        )
        time.sleep(0.3)  # the application waits for the rest
    assert post(server, PNG, mask()).status_code == 200
    assert server.errors.read_text() == before


def test_no_path_from_a_client_reaches_the_file_system(server, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("its content")
    for path in (
        f"/gradio_api/file={secret}",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/assets/../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/version.txt",
        "/gradio_api/info",
        "/gradio_api/runs",
        "/monitoring",
        "/docs",
        "/redoc",
    ):
        answer = httpx.get(f"{server.url}{path}")
        assert answer.status_code in (403, 404), path
        assert "its content" not in answer.text
    for path in (str(secret), "/etc/passwd", "https://example.org/a.png", 7):
        event = {
            "data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, None],
            "fn_index": 0,
            "session_hash": "a",
        }
        answer = httpx.post(f"{server.url}/gradio_api/queue/join", json=event)
        assert (answer.status_code, answer.text) == (400, "error: only uploaded files can be filled\n")
    for content in ("[" * 10**5, "no JSON", json.dumps({"data": "a" * 10**6})):
        assert httpx.post(f"{server.url}/gradio_api/queue/join", content=content).status_code in (400, 413)


def test_the_api_is_described_and_says_whether_it_is_ready(server):
    health = httpx.get(f"{server.url}/health")
    assert (health.status_code, health.json()) == (200, {"ready": True, "images": 0})
    described = httpx.get(f"{server.url}/openapi.json").json()
    assert set(described["paths"]) == {"/health", "/api/fill"}
    call = described["paths"]["/api/fill"]["post"]
    fields = described["components"]["schemas"]["Fields"]
    assert list(call["requestBody"]["content"]) == ["multipart/form-data"]
    assert (list(fields["properties"]), fields["required"]) == (
        ["picture", "mask", "weights", "runtime"],
        ["picture", "mask"],
    )
    assert set(call["responses"]) == {"200", "400", "413", "503", "default"}
    assert "text/plain" in call["responses"]["400"]["content"]


def test_unknown_weights_and_fields_are_named(server, toy_checkpoint):
    answer = post(server, PNG, mask(), weights="toy", runtime="onnxruntime")
    there = f"there are weights={toy_checkpoint.name} runtime=mindspore"
    assert answer.text == f"error: there are no such weights with such a runtime; {there}\n"
    assert "there is no field 'masks'" in post(server, PNG, masks="a").text
    assert post(server, PNG, mask(), weights=toy_checkpoint.name, runtime="mindspore").status_code == 200

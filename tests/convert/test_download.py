"""convert.py --input https://…: a real server on this machine, with what servers and networks do to a download."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import convert
from model_utils.entry import run
from src.checkpoint import read_network
from src.convert import download
from src.convert.download import fetch
from src.errors import InputError
from tests.command_line import words

CONTENT = np.random.default_rng(0).bytes(2_500_000)


class Server(ThreadingHTTPServer):
    """Serves `content` at every path; its other attributes say how."""

    content, tag, date = CONTENT, '"one"', None
    parts = True  # does it know Range?
    breaks_after = None  # bytes of an answer, after which the connection ends
    length = True  # does it say how long the answer is?
    chunked = False
    status, kind, moved_to = 200, "application/octet-stream", None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, str]] = []  # headers of the requests

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/some/weights.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, begin = self.server, 0
        server.asked.append(dict(self.headers))
        self.protocol_version = "HTTP/1.1" if server.chunked else "HTTP/1.0"
        if server.status != 200:
            self.send_response(server.status)
            if server.moved_to:
                self.send_header("Location", server.moved_to)
            self.end_headers()
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and server.parts and self.headers.get("If-Range") in (server.tag, server.date):
            begin = int(wanted[1])
        if begin >= len(server.content) > 0:
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            size = len(server.content)
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        body = server.content[begin:]
        for name, value in (("ETag", server.tag), ("Last-Modified", server.date), ("Content-Type", server.kind)):
            if value:
                self.send_header(name, value)
        if server.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif server.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        sent = body if server.breaks_after is None else body[: server.breaks_after]
        if server.chunked:
            self.wfile.write(b"%x\r\n" % len(body) + sent + (b"\r\n0\r\n\r\n" if sent == body else b""))
        else:
            self.wfile.write(sent)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def refusal(address: str) -> str:
    with pytest.raises(InputError) as error:
        fetch(address)
    line = str(error.value)
    assert "\n" not in line
    return line


def kept(tmp_path: Path) -> list[str]:
    """What the cache holds, without the hash of the address."""
    return sorted(path.name.split("-", 1)[1] for path in (tmp_path / "cache" / "inpainting").iterdir())


def test_a_file_is_downloaded_once(server, tmp_path, capsys):
    path = fetch(server.address)
    assert path.read_bytes() == CONTENT
    assert path.parent == tmp_path / "cache" / "inpainting"
    assert kept(tmp_path) == ["weights.pth"]
    assert "Downloading weights.pth, MB 2/2" in capsys.readouterr().err
    assert fetch(server.address) == path
    assert len(server.asked) == 1
    assert fetch(server.address.replace("some", "other")) != path  # the same name elsewhere is another file


@pytest.mark.parametrize("version", [{"tag": '"one"'}, {"tag": None, "date": "Sun, 29 Nov 2026 12:00:00 GMT"}])
def test_a_download_that_broke_off_goes_on(server, version, tmp_path, capsys):
    vars(server).update(version, breaks_after=1_000_000)
    line = f"{server.address}: the connection broke after 1,000,000 of 2,500,000 bytes; the same command goes on"
    assert refusal(server.address).startswith(line)
    assert kept(tmp_path) == ["weights.pth.part", "weights.pth.version"]
    server.breaks_after = 500_000
    assert "after 1,500,000 of 2,500,000 bytes" in refusal(server.address)
    server.breaks_after = None
    assert fetch(server.address).read_bytes() == CONTENT
    assert [asked.get("Range") for asked in server.asked] == [None, "bytes=1000000-", "bytes=1500000-"]
    assert f"{server.address}: going on after 1,500,000 of 2,500,000 bytes\n" in capsys.readouterr().out
    assert kept(tmp_path) == ["weights.pth"]


@pytest.mark.parametrize("change", [{"content": CONTENT[::-1], "tag": '"two"'}, {"parts": False}])
def test_a_file_that_changed_or_a_server_without_parts_starts_over(server, change, capsys):
    server.breaks_after = 1_000_000
    refusal(server.address)
    vars(server).update(change, breaks_after=None)
    assert fetch(server.address).read_bytes() == server.content
    assert capsys.readouterr().out.count("has changed, or its server sends no parts; starting over\n") == 1


def test_a_file_that_became_shorter_starts_over(server, capsys):
    server.breaks_after = 1_000_000
    refusal(server.address)
    vars(server).update(content=CONTENT[:999_999], breaks_after=None)  # under the same ETag: the server answers 416
    assert fetch(server.address).read_bytes() == CONTENT[:999_999]


def test_parts_that_nothing_tells_apart_are_not_joined(server, capsys):
    vars(server).update(tag='W/"weak"', breaks_after=1_000_000)
    refusal(server.address)
    vars(server).update(content=CONTENT[::-1], breaks_after=None)
    assert fetch(server.address).read_bytes() == CONTENT[::-1]
    assert "no telling whether the 1,000,000 bytes that are here are of the same file; " in capsys.readouterr().out


def test_a_length_that_is_not_known(server):
    server.chunked = True
    assert fetch(server.address).read_bytes() == CONTENT
    server.breaks_after = 1_000_000
    assert "the connection broke after " in refusal(f"{server.address}?again")
    vars(server).update(chunked=False, length=False)
    assert "does not say how long the file is" in refusal(f"{server.address}?and_again")


def test_a_failure_keeps_what_is_there(server, tmp_path):
    server.breaks_after = 1_000_000
    refusal(server.address)
    vars(server).update(status=404)
    assert refusal(server.address) == f"{server.address}: the server answers 404 Not Found; check the address"
    server.status = 503
    assert "the server answers 503 Service Unavailable" in refusal(server.address)
    vars(server).update(status=200, breaks_after=None)
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == "bytes=1000000-"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\n <!DOCTYPE html><html><title>Google Drive - Virus scan warning</title>", "application/octet-stream"),
        (b"<p>Sign in", "text/html; charset=utf-8"),
    ],
)
def test_a_page_is_not_taken_for_a_file(server, content, kind, tmp_path):
    server.breaks_after = 1_000_000
    refusal(server.address)
    vars(server).update(content=content, kind=kind, tag='"page"', breaks_after=None)
    assert refusal(server.address).startswith(
        f"{server.address} is a page (HTML), not a file, as links of Google Drive"
    )
    vars(server).update(content=CONTENT, kind="application/octet-stream", tag='"one"')
    assert fetch(server.address).read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == "bytes=1000000-"


def test_addresses_that_are_not_read(server, tmp_path):
    for address in ("http://example.com/a.pth", "ftp://localhost/a", "file:///etc/passwd", "https://", "https://[x/a"):
        assert refusal(address) == f"{address}: only https:// addresses are downloaded; give one, or a file"
    vars(server).update(status=302, moved_to="http://example.com/a.pth")
    assert refusal(server.address).startswith("http://example.com/a.pth: only https:// addresses")
    server.moved_to = f"{server.address}?twice"
    assert "the server answers 302" in refusal(server.address)  # in circles
    assert "cannot be read" in refusal("https://localhost:port/a")
    assert "cannot be read" in refusal(f"{server.address}/ü")


def test_no_network(server, monkeypatch):
    assert "cannot be reached (" in refusal(server.address.replace("http", "https"))  # which this server does not speak
    assert "cannot be reached (Connection refused)" in refusal("http://127.0.0.1:1/a.pth")
    assert "cannot be reached (Name or service not known)" in refusal("https://nowhere.invalid/a.pth").replace(
        "Temporary failure in name resolution", "Name or service not known"
    )
    monkeypatch.setattr(download, "TIMEOUT", 0.2)
    server.shutdown()  # connections are taken and not answered
    assert "cannot be read (timed out)" in refusal(server.address)
    threading.Thread(target=server.serve_forever).start()


def test_two_processes_do_not_write_one_file(server):
    server.breaks_after = 1_000_000
    refusal(server.address)
    (part,) = (Path(download._place(server.address)).parent).glob("*.part")
    with open(part, "ab") as file:
        download.fcntl.flock(file, download.fcntl.LOCK_EX)
        assert "is being downloaded by another process" in refusal(server.address)


def test_convert_takes_an_address(server, tmp_path, capsys):
    torch = pytest.importorskip("torch")
    from src.convert.names import PYTORCH, pair_names, parameter_shapes
    from src.convert.vgg import VGG16_TABLE
    from src.losses.perceptual import VGG16Features
    from tests.parity.rule_weights import rule_state

    shapes = parameter_shapes(VGG16Features())
    state = rule_state({theirs: shapes[ours] for ours, theirs in pair_names(VGG16_TABLE, PYTORCH, shapes)})
    path = tmp_path / "vgg16.pth"
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, path)
    options = {"source": "torchvision", "model": "vgg16", "input": server.address, "output": tmp_path / "vgg16.ckpt"}
    vars(server).update(content=path.read_bytes(), breaks_after=100_000)
    with pytest.raises(SystemExit) as stop:
        run(convert.main, words(options))
    error = capsys.readouterr().err
    assert (stop.value.code, error.count("\n"), error.startswith("error: ")) == (2, 1, True)
    assert not (tmp_path / "vgg16.ckpt").exists()
    server.breaks_after = None
    run(convert.main, words(options))
    assert len(read_network(tmp_path / "vgg16.ckpt").arrays) == len(state)
    assert not list(tmp_path.glob(".unfinished-*"))

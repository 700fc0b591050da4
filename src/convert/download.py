"""Files at https:// addresses: kept in a folder of the user's, and gone on with where a download broke off."""

import fcntl
import hashlib
import os
import re
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from ..errors import InputError
from ..files import make_folder
from ..progress import Progress

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")  # what plain http:// is taken from
TIMEOUT = 30.0  # seconds without a byte
CHUNK, MEGABYTE = 2**16, 10**6
PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head)", re.IGNORECASE)
RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


def is_address(text: str) -> bool:
    return "://" in text


def fetch(address: str) -> Path:
    """The file at an address, downloaded if that was not done before. Raises InputError in one line."""
    _check(address)
    path = _place(address)
    if path.is_file():
        print(f"{address} was downloaded before: {path}")
        return path
    make_folder(path.parent)
    part = path.with_name(f"{path.name}.part")
    with open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{address} is being downloaded by another process; wait for it") from None
        _download(address, file, part.with_suffix(".version"))
        file.flush()  # a full disk says so before the name does that the file is whole
        os.replace(part, path)
    part.with_suffix(".version").unlink(missing_ok=True)
    return path


def _check(address: str) -> None:
    """Raises InputError if the address is not to be read."""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in THIS_MACHINE)):
        raise InputError(f"{address}: only https:// addresses are downloaded; give one, or a file")


def _place(address: str) -> Path:
    """Where the file of an address is kept: two of one name do not meet."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = re.sub(r"[^\w.-]+", "_", unquote(urlsplit(address).path.rpartition("/")[2]), flags=re.ASCII)[-100:]
    return Path(cache, "inpainting", f"{hashlib.sha256(os.fsencode(address)).hexdigest()[:12]}-{name or 'file'}")


def _download(address: str, file: BinaryIO, version: Path) -> None:
    """Write the whole file, or what is missing of it behind what is there.

    version: holds what the server said of the file that is there in part: its ETag or its date. A server that has
    another file now, or does not send parts, sends all of it instead.
    """
    have, known = file.tell(), version.read_text(encoding="utf-8") if version.is_file() else ""
    if have and not known:
        print(f"{address}: no telling whether the {have:,} bytes that are here are of the same file; starting over")
    wanted = {"Range": f"bytes={have}-", "If-Range": known} if have and known else {}
    with _open(address, wanted) as answer:
        whole = answer.status != 206
        if whole:
            length, first = _begin(address, answer)
            if wanted:
                print(f"{address} has changed, or its server sends no parts; starting over")
            file.truncate(0)
            version.write_text(_version(answer), encoding="utf-8")
            file.write(first)
        else:
            found = RANGE.fullmatch(answer.headers.get("Content-Range", ""))
            if not found or int(found[1]) != have:
                raise InputError(f"{address}: the server sends another part than asked for; remove {file.name}")
            length = int(found[2])
            print(f"{address}: going on after {have:,} of {length:,} bytes")
        _copy(address, answer, file, length)


def _begin(address: str, answer: HTTPResponse) -> tuple[int | None, bytes]:
    """The length of the file, if the server says it, and its first bytes. Raises InputError for a page."""
    if answer.length is None and not answer.chunked:
        raise InputError(f"{address}: the server does not say how long the file is; download it with a browser")
    first = _read(address, answer)
    if answer.headers.get_content_type() == "text/html" or PAGE.match(first):
        raise InputError(
            f"{address} is a page (HTML), not a file, as links of Google Drive and Dropbox are; download the file "
            "with a browser and give its path (of Dropbox, an address with dl=1 at its end is the file)"
        )
    length = answer.headers.get("Content-Length")
    return (None if answer.chunked or length is None else int(length)), first


def _copy(address: str, answer: HTTPResponse, file: BinaryIO, length: int | None) -> None:
    """Append what comes to the file, whose length is then the one given."""
    name = urlsplit(address).path.rpartition("/")[2]
    with Progress((length or 0) // MEGABYTE, f"Downloading {name}, MB", file.tell() // MEGABYTE) as progress:
        while chunk := _read(address, answer, f" after {file.tell():,} bytes"):
            file.write(chunk)
            more = file.tell() // MEGABYTE - progress.done
            if length is not None and more:
                progress.update(more)
    if length is not None and file.tell() != length:
        raise InputError(_broken(address, f" after {file.tell():,} of {length:,} bytes"))


def _open(address: str, headers: dict[str, str]) -> HTTPResponse:
    """Raises InputError if there is no answer, or no file in it."""
    request = Request(address, headers={"User-Agent": "inpainting", **headers})
    try:
        return build_opener(_Redirects).open(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == 416 and headers:  # there is less than is here already: another file
            return _open(address, {})
        reason = " ".join(str(error.reason).split())
        raise InputError(f"{address}: the server answers {error.code} {reason}; check the address") from None
    except URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise InputError(f"{address} cannot be reached ({reason}); check the address and the network") from None
    except (OSError, HTTPException, UnicodeError) as error:
        raise InputError(f"{address} cannot be read ({error or type(error).__name__}); check the address") from None


class _Redirects(HTTPRedirectHandler):
    """Addresses that a server sends us on to are checked as the first one."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _read(address: str, answer: HTTPResponse, where: str = "") -> bytes:
    try:
        return answer.read1(CHUNK)
    except (OSError, HTTPException):
        raise InputError(_broken(address, where)) from None


def _broken(address: str, where: str) -> str:
    return f"{address}: the connection broke{where}; the same command goes on from there if the server lets it"


def _version(answer: HTTPResponse) -> str:
    """What tells a file from a later one of its name, if the server says it: a strong ETag, or its date."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")

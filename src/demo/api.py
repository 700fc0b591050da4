"""The demo without its page: POST /api/fill, an image and a mask in, the filled image out."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from fastapi import FastAPI
from starlette.background import BackgroundTask
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ..errors import InputError
from .filler import Busy, Choice, Filler, Stopped, Task, accept, accept_image
from .guard import refusal

FIELDS = ("picture", "mask", "weights", "runtime")
STATUS = {InputError: 400, Busy: 503, Stopped: 503}


def build_api(filler: Filler, folder: Path) -> FastAPI:
    """folder: files lie there while they are worked on."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # its own pages load scripts from elsewhere

    @app.post("/api/fill")
    async def fill(request: Request) -> Response:
        own = Path(tempfile.mkdtemp(dir=folder))
        try:
            async with request.form(max_files=2, max_fields=2) as form:
                task, stem = await asyncio.to_thread(read_form, form, own, filler)
            future = asyncio.wrap_future(filler.submit(task))
            try:
                while not (await asyncio.wait({future}, timeout=0.5))[0]:
                    filler.check()
                    if await request.is_disconnected():
                        task.stopped.set()
                filled = future.result()
            finally:
                future.cancel()  # one that is not done yet: nobody will ask what became of it
        except BaseException:
            shutil.rmtree(own)
            raise
        name = f"{stem}_filled{filled.path.suffix}"
        plain = name.encode("ascii", "replace").decode().replace("?", "_")  # for curl, which reads no other
        headers = {
            "content-disposition": f"attachment; filename=\"{plain}\"; filename*=utf-8''{quote(name)}",
            "x-seconds": f"{filled.seconds:.2f}",
        }
        return FileResponse(filled.path, headers=headers, background=BackgroundTask(shutil.rmtree, own))

    for kind, status in STATUS.items():
        app.add_exception_handler(kind, lambda _, error, status=status: refusal(str(error), status))
    app.add_exception_handler(HTTPException, lambda _, error: refusal(error.detail, error.status_code))
    return app


def read_form(form: Mapping[str, UploadFile | str], folder: Path, filler: Filler) -> tuple[Task, str]:
    """The task of a request, its files under names of ours in `folder`, and the stem of its image's name."""
    unknown = sorted(set(form) - set(FIELDS))
    if unknown:
        raise InputError(f"there is no field {unknown[0]!r}; the fields are {', '.join(FIELDS)}")
    names = {}
    for name in ("picture", "mask"):
        upload = form.get(name)
        if not isinstance(upload, UploadFile):
            raise InputError(f"{name} is missing; send it as a file, with curl -F {name}=@file.png")
        names[name] = upload.filename or ""
        if re.search(r"[/\\\0]", names[name]) or names[name] in (".", ".."):
            raise InputError(f"the name of the {name} is a path; send the file's name alone")
        with open(folder / name, "wb") as file:
            shutil.copyfileobj(upload.file, file)
    choice = choose(filler.choices, form.get("weights"), form.get("runtime"))
    image = accept_image(folder / "picture", filler.limits)
    return Task(image, accept(folder / "mask", filler.limits), choice), stem_of(names["picture"])


def choose(choices: Sequence[Choice], weights: object, runtime: object) -> Choice:
    """The first choice of those weights and that runtime; None: any. Raises InputError."""
    for choice in choices:
        if weights in (None, choice[0]) and runtime in (None, choice[1]):
            return choice
    listed = ", ".join(f"weights={choice[0]} runtime={choice[1]}" for choice in choices)
    raise InputError(f"there are no such weights with such a runtime; there are {listed}")


def stem_of(name: str) -> str:
    """A client's file name -> a harmless one, without suffix."""
    return re.sub(r"[^\w\- ]+", "_", PurePosixPath(name).stem).strip(" _")[:80] or "picture"

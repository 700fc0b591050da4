"""The demo without its page: POST /api/fill, an image and a mask in, the filled image out; /health, /openapi.json."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import FastAPI, Form, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse

from ..errors import InputError
from .filler import Busy, Choice, Filler, Stopped, Task, accept, accept_image
from .guard import refusal

STATUS = {InputError: 400, Busy: 503, Stopped: 503}
ERROR = {"description": "One line that begins with error:", "content": {"text/plain": {}}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The filled image, in the format of the picture", "content": {"image/*": {}}},
    400: ERROR | {"description": "The files are not as they should be"},
    413: ERROR | {"description": "More was sent than is taken"},
    503: ERROR | {"description": "Too many wait, or the server ends"},
    "default": ERROR,
}


class Fields(BaseModel):
    """mask: of the picture's size; weights, runtime: by the names that the page shows, the first ones if left out"""

    model_config = ConfigDict(extra="forbid")
    picture: UploadFile
    mask: UploadFile
    weights: str | None = None
    runtime: str | None = None


def build_api(filler: Filler, folder: Path) -> FastAPI:
    """folder: files lie there while they are worked on."""
    # The pages that FastAPI has for its description load scripts from elsewhere.
    app = FastAPI(title="Image inpainting", version="1", docs_url=None, redoc_url=None)

    @app.get("/health", responses={503: {"description": "The networks are being loaded, or the server ends"}})
    async def health() -> JSONResponse:
        """Whether images can be filled, and how many are being filled or wait."""
        ready = bool(filler.networks) and not filler.stopped.is_set()
        return JSONResponse({"ready": ready, "images": len(filler.tasks)}, 200 if ready else 503)

    @app.post("/api/fill", response_class=FileResponse, responses=RESPONSES)
    async def fill(fields: Annotated[Fields, Form(media_type="multipart/form-data")], request: Request) -> FileResponse:
        """Fill the holes of a picture. The header x-seconds has the time it took."""
        own = Path(tempfile.mkdtemp(dir=folder))
        try:
            task, stem = await asyncio.to_thread(read_fields, fields, own, filler)
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
    app.add_exception_handler(RequestValidationError, lambda _, error: refusal(fault(error.errors()), 400))
    app.add_exception_handler(HTTPException, lambda _, error: refusal(error.detail, error.status_code))
    return app


def fault(errors: Sequence[Mapping[str, Any]]) -> str:
    """What pydantic says of the fields, in our words: of one that there is not, or else of the first."""
    error = min(errors, key=lambda error: error["type"] != "extra_forbidden")
    name = str(error["loc"][-1])
    if error["type"] == "extra_forbidden":
        return f"there is no field {name!r}; the fields are {', '.join(Fields.model_fields)}"
    if name in ("picture", "mask"):
        return f"{name} is missing; send it as a file, with curl -F {name}=@file.png"
    return f"{name}: {error['msg']}"


def read_fields(fields: Fields, folder: Path, filler: Filler) -> tuple[Task, str]:
    """The task of a request, its files under names of ours in `folder`, and the stem of its picture's name."""
    for name, upload in (("picture", fields.picture), ("mask", fields.mask)):
        if re.search(r"[/\\\0]", upload.filename or "") or upload.filename in (".", ".."):
            raise InputError(f"the name of the {name} is a path; send the file's name alone")
        with open(folder / name, "wb") as file:
            shutil.copyfileobj(upload.file, file)
    choice = choose(filler.choices, fields.weights, fields.runtime)
    image = accept_image(folder / "picture", filler.limits)
    return Task(image, choice, accept(folder / "mask", filler.limits)), stem_of(fields.picture.filename or "")


def choose(choices: Sequence[Choice], weights: str | None, runtime: str | None) -> Choice:
    """The first choice of those weights and that runtime; None: any. Raises InputError."""
    for choice in choices:
        if weights in (None, choice[0]) and runtime in (None, choice[1]):
            return choice
    listed = ", ".join(f"weights={choice[0]} runtime={choice[1]}" for choice in choices)
    raise InputError(f"there are no such weights with such a runtime; there are {listed}")


def stem_of(name: str) -> str:
    """A client's file name -> a harmless one, without suffix."""
    return re.sub(r"[^\w\- ]+", "_", PurePosixPath(name).stem).strip(" _")[:80] or "picture"

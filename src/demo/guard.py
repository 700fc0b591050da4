"""What stands before the page and the API: a limit on request bodies, and a list of what may be asked."""

import json
import re
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# What the page asks of Gradio. Its other routes run no page, and some read files or fetch addresses that clients name.
ROUTES = re.compile(
    r"/|/(assets|static)/.*|/(config|theme\.css|favicon\.ico|manifest\.json)|/api/fill|/health|/openapi\.json|"
    r"/gradio_api/"
    r"(upload|upload_progress|queue/join|queue/data|cancel|reset|startup-events|heartbeat/\w+|file=/.*)"
)
EVENTS = "/gradio_api/queue/join"
MAX_EVENT = 10**6  # bytes; an event carries names of uploaded files, not their content


class Guard:
    """Wraps an ASGI application.

    max_bytes: of a request's body
    folder: where Gradio keeps uploaded files, the only ones that an event may name
    """

    def __init__(self, app: ASGIApp, max_bytes: int, folder: str) -> None:
        self.app, self.max_bytes, self.folder = app, max_bytes, folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        try:
            if not ROUTES.fullmatch(scope["path"]):
                raise HTTPException(404, "there is no such page")
            limit = MAX_EVENT if scope["path"] == EVENTS else self.max_bytes
            length = dict(scope["headers"]).get(b"content-length", b"0")
            receive = limited(receive, limit, int(length) if length.isdigit() else 0)
            if scope["path"] == EVENTS:
                receive = await self._checked(receive)
        except HTTPException as error:
            await refusal(error.detail, error.status_code)(scope, receive, send)
            return
        with suppress(ClientDisconnect):  # who leaves while sending asks for no answer
            await self.app(scope, receive, send)

    async def _checked(self, receive: Receive) -> Receive:
        """Gradio would download a file whose path is an address, from wherever it is."""
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            paths = list(paths_in(json.loads(body)))
        except (ValueError, RecursionError):
            raise HTTPException(400, "this is no event of the page") from None
        if not all(isinstance(path, str) and path.startswith(f"{self.folder}/") for path in paths):
            raise HTTPException(400, "only uploaded files can be filled")
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def again() -> Message:
            return next(messages, None) or await receive()

        return again


def paths_in(value: object) -> list[object]:
    """Every "path" of Gradio's file objects in a JSON value."""
    if isinstance(value, dict):
        inner = [path for item in value.values() for path in paths_in(item)]
        return inner + ([value["path"]] if "path" in value else [])
    return [path for item in value for path in paths_in(item)] if isinstance(value, list) else []


def limited(receive: Receive, limit: int, announced: int) -> Receive:
    """`receive`, which raises HTTPException 413 where a body is longer. announced: its length, as the client says."""
    too_large = HTTPException(413, f"more than {limit / 1e6:g} MB were sent, which is the limit")
    if announced > limit:
        raise too_large
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise too_large
        return message

    return receive_limited


def refusal(text: str, status: int) -> PlainTextResponse:
    """One line, as the command line would say it."""
    return PlainTextResponse(f"error: {' '.join(text.split())}\n", status)

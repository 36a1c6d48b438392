"""Malformed API calls: each gets a sentence as its answer, and never reaches Gradio."""

import json
import re

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CALL = re.compile(r"/gradio_api/(?:call|run|api)/(?:v2/)?([^/]+)/?")
EVENT = re.compile(r"/gradio_api/call/(?:v2/)?[^/]+/[^/]+/?")
MAX_BYTES = 5_000_000


class Calls:
    """ASGI middleware; ``names`` maps each API call to what it takes."""

    def __init__(self, app: ASGIApp, names: dict[str, str]) -> None:
        self.app, self.names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a malformed call, and pass on everything else."""
        path = scope.get("path", "")
        if scope["type"] == "http" and scope["method"] == "GET" and EVENT.fullmatch(path):
            return await self._stream(scope, receive, send)
        match = CALL.fullmatch(path)
        if scope["type"] != "http" or scope["method"] != "POST" or not match:
            return await self.app(scope, receive, send)
        refused = self._check_name(match[1])
        if not refused:
            body, refused = await self._read(Request(scope, receive), match[1])
        if refused:
            status, sentence = refused
            return await JSONResponse({"error": sentence}, status)(scope, receive, send)
        unread = [{"type": "http.request", "body": body}]

        async def again() -> Message:
            return unread.pop() if unread else await receive()

        return await self.app(scope, again, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the answer to a call; for an unknown event Gradio would abort the response."""
        try:
            await self.app(scope, receive, send)
        except RuntimeError as error:
            if "response already started" not in str(error):
                raise
            sentence = {"error": "There is no such event, or its answer was read already."}
            event = f"event: error\ndata: {json.dumps(sentence)}\n\n".encode()
            await send({"type": "http.response.body", "body": event})

    def _check_name(self, name: str) -> tuple[int, str] | None:
        if name in self.names:
            return None
        return 404, f"There is no call {name[:40]}: the calls are {' and '.join(self.names)}."

    async def _read(self, request: Request, name: str) -> tuple[bytes, tuple[int, str] | None]:
        """Return the body of a call, and a status and a sentence when it is refused."""
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                return body, (413, f"The call is larger than {MAX_BYTES // 1_000_000} MB.")
        try:
            data = json.loads(body)["data"]
        except (ValueError, TypeError, KeyError, RecursionError):
            data = None
        if not isinstance(data, list) or len(data) != 1:
            return body, (400, f'Send {{"data": [{self.names[name]}]}} as JSON.')
        return body, None

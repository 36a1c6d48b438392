"""What a shared link to an app shows: a title, two lines and a picture."""

import os
import re
from pathlib import Path
from typing import Any

from markupsafe import escape
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PICTURE = Path(__file__).with_name("share.png")
OTHERS = re.compile(rb"<meta\s[^>]*(?:property=\"og:|name=\"twitter:)[^>]*/>")


class Sharing:
    """ASGI middleware that replaces Gradio's metadata in the page with the app's own."""

    def __init__(self, app: ASGIApp, title: str, description: str) -> None:
        self.app, self.title, self.description = app, title, description

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve /share.png, change the page, and pass on everything else."""
        if scope["type"] == "http" and scope["path"] == "/share.png" and PICTURE.exists():
            await FileResponse(PICTURE)(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == "/":
            await self.app(scope, receive, _Page(send, self._metadata(Headers(scope=scope))).send)
        else:
            await self.app(scope, receive, send)

    def _metadata(self, headers: Headers) -> bytes:
        host = os.environ.get("SPACE_HOST")
        url = f"https://{host}" if host else f"http://{headers.get('host', '')}"
        values = {
            "og:type": "website",
            "og:url": f"{url}/",
            "og:title": self.title,
            "og:description": self.description,
        }
        if PICTURE.exists():
            values["og:image"] = f"{url}/share.png"
        tags = "".join(
            f'<meta property="{name}" content="{escape(value)}" />'
            for name, value in values.items()
        )
        tags += '<meta name="twitter:card" content="summary_large_image" />'
        tags += f'<meta name="description" content="{escape(self.description)}" />'
        return tags.encode()


class _Page:
    """The response with the page, kept until its body is complete."""

    def __init__(self, send: Send, tags: bytes) -> None:
        self._send, self._tags, self._body = send, tags, b""
        self._start: Any = None

    async def send(self, message: Message) -> None:
        """Take a message of the response; after the last one, send the changed page."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if message.get("more_body"):
            return
        headers = MutableHeaders(raw=self._start["headers"])
        if headers.get("content-type", "").startswith("text/html"):
            page = OTHERS.sub(b"", self._body)
            self._body = page.replace(b"<head>", b"<head>" + self._tags, 1)
            headers["content-length"] = str(len(self._body))
        await self._send(self._start)
        await self._send({"type": "http.response.body", "body": self._body})

"""The server process: HTTPS for the REST API and the pages, Arrow Flight over TLS for reads.

Both listen on 127.0.0.1 only, on free ports, with one self-signed certificate made at the start.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from . import project_name
from .app import App
from .flight import HOST, FlightServer, certificate
from .state import Folder, FolderError
from .web import IDLE_SECONDS, application

HANDSHAKE_SECONDS = 10
MAX_CONNECTIONS = 500
HEADERS = [("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]


class _Connection(H11Protocol):
    """One connection; there may be MAX_CONNECTIONS, and one that sends nothing is closed."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.abort()
            return
        later = self.loop.call_later(IDLE_SECONDS, self.timeout_keep_alive_handler)
        self.timeout_keep_alive_task = later


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that closes connections without a TLS handshake soon. When the process has no
    file left, asyncio itself waits for a second before it accepts again."""

    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        options["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
        return await super().create_server(*args, **options)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if "out of system resource" in context.get("message", ""):
            return  # asyncio would log a traceback every second
        super().call_exception_handler(context)


def _tls_context(cert: bytes, key: bytes) -> ssl.SSLContext:
    """Return the server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads certificates from files
        pem = Path(folder) / "server.pem"
        pem.touch(mode=0o600)
        pem.write_bytes(cert + key)
        context.load_cert_chain(pem)
    return context


class StartError(RuntimeError):
    """The data folder or the port cannot be used."""


@dataclass(frozen=True)
class Running:
    """A server in this process."""

    app: App
    info: dict[str, Any]  # what `client_env` takes
    url: str

    def end(self) -> NoReturn:
        """End this process, with all metadata in its one file."""
        self.app.folder.close()
        os._exit(0)  # a Flight server takes two seconds to end in order; nothing here needs that


def root_path(given: str | None) -> Path:
    """Return the data folder: the given one, $HOPSWORKS_LOCAL_ROOT or ./.hopsworks."""
    return Path(given or os.environ.get("HOPSWORKS_LOCAL_ROOT") or ".hopsworks").resolve()


def run(
    root: Path,
    project: str | None = None,
    port: int = 0,
    quota: int | None = None,
    *,
    any_key: bool = False,
    any_project: bool = False,
    key_place: Callable[[int], str] | None = None,
) -> Running:
    """Start both listeners in threads of this process. ValueError: the project's name is illegal."""
    project = project_name(project)
    logging.getLogger().setLevel(logging.WARNING)
    os.umask(0o077)  # the data folder and what is in it are the owner's alone
    try:
        app = App(Folder(root, project), project, quota, any_key=any_key, any_project=any_project)
        cert, key = certificate()
        app.pem = {"caChain": cert.decode(), "clientCert": cert.decode(), "clientKey": key.decode()}
        flight = FlightServer(app, cert, key)
        # The client appends ":5005" to this domain; after "/?x=" that is not a port any more.
        app.flight_domain = f"{HOST}:{flight.port}/?x="
        port = _serve(app, port, _tls_context(cert, key))
    except (FolderError, OSError) as e:
        raise StartError(str(e)) from e
    app.url = f"https://{HOST}:{port}"
    if key_place:
        app.key_place = key_place(port)
    info = {"host": HOST, "port": port, "project": project, "api_key": app.api_key}
    return Running(app, info, app.url)


def _allow_files(number: int) -> None:
    """Raise this process's limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _serve(app: App, port: int, context: ssl.SSLContext) -> int:
    """Serve in a thread of this process; return the port, which is a free one for 0."""
    # With the protocol named, asyncio sets TCP_NODELAY; without, each answer waits for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    _allow_files(4 * MAX_CONNECTIONS)
    config = uvicorn.Config(
        application(app),
        http=_Connection,
        loop=f"{__name__}:_Loop",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # a malformed request is not worth a line
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=HEADERS,
        timeout_keep_alive=IDLE_SECONDS,
        ssl_context_factory=lambda config, default: context,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.005)
    port = listener.getsockname()[1]
    return int(port)

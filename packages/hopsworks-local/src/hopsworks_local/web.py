"""The REST API and the pages as one Starlette application."""

from __future__ import annotations

import asyncio
import errno
import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import (  # noqa: F401  (each registers its routes)
    feature_logging,
    files,
    jobs,
    login,
    pages,
    protocol,
    provenance,
    registry,
    serving,
    tags,
    training_datasets,
    training_files,
    transformations,
    user_secrets,
    validation,
    views,
)
from .app import App
from .login import feature_store
from .protocol import ApiError, Handler, Reply, Request, http_error, without_nulls
from .tables import NoData

API = ["hopsworks-api", "api"]
IDLE_SECONDS = 120

# What an address without a handler is for, by the first word that is in the address.
_UNSUPPORTED = (
    ("preparedstatement", "init_serving and get_feature_vector"),
    ("keywords", "keywords"),
    ("alerts", "alerts"),
    ("featuremonitoring", "feature monitoring"),
    ("ingestion", "ingestion jobs"),
    ("storageconnectors", "storage connectors and data sources"),
    ("elastic", "search"),
    ("jobs", "jobs that run code on a cluster (create_job)"),
    ("kafka", "Kafka (get_kafka_api)"),
    ("inference", "deployments (predict)"),
    ("git", "git repositories (get_git_api)"),
    ("python", "Python environments (get_environment_api)"),
    ("users", "users and members"),
    ("huggingface", "hf_download"),
    ("models", "changing a saved model"),
)


class _Id(Convertor[int]):
    """A number in a path that fits into SQLite's integers."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("id", _Id())


# -- requests and answers --------------------------------------------------------------------------


def api_response(answer: Any) -> Response:
    """Return the answer of a handler as JSON, without null fields, as the backend does."""
    if isinstance(answer, Response):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(200, answer)
    if reply.doc is None or reply.status == 204:
        return Response(status_code=reply.status)
    text = json.dumps(without_nulls(reply.doc))
    return Response(text, reply.status, media_type="application/json")


def error_response(e: ApiError) -> Response:
    """Return an error in the backend's form."""
    doc = {"type": "restApiJsonResponse", "errorCode": e.code, "errorMsg": e.message}
    response = api_response(Reply(e.status, {**doc, "usrMsg": e.message}))
    if e.status == 401:
        response.headers["WWW-Authenticate"] = "ApiKey"
    return response


def _endpoint(app: App, handler: Handler) -> Callable[[HttpRequest], Awaitable[Response]]:
    """Return a handler as an endpoint, which checks the project and feature store of the path."""

    async def endpoint(http: HttpRequest) -> Response:
        values = dict(http.path_params)
        query: dict[str, list[str]] = {}
        for name, value in http.query_params.multi_items():
            query.setdefault(name, []).append(value)
        request = Request(app, query)
        if values.pop("_project", app.project_id) != app.project_id:
            raise ApiError(150004, "There is no such project.")
        if (store := values.pop("_store", None)) is not None:
            feature_store(request, store)
        if http.headers.get("Content-Type", "").startswith("multipart/form-data"):
            request.form = await http.form(max_files=1, max_fields=20)
        else:
            request.body = await http.body()
        try:
            return api_response(await run_in_threadpool(handler, request, **values))
        finally:
            await http.close()  # the temporary file of an upload

    return endpoint


def application(app: App) -> Starlette:
    """Return the application: the REST API below /hopsworks-api/api, and the pages elsewhere."""
    routes: list[BaseRoute] = [
        Route(f"/{pattern}".replace(":int}", ":id}"), _endpoint(app, handler), methods=[method])
        for method, pattern, handler in protocol.ROUTES
    ]
    inner = Router(routes, redirect_slashes=False)
    below = [
        Mount("/project/{_project:id}/featurestores/{_store}", inner),
        Mount("/project/{_project:id}", inner),
        Mount("/", inner),
    ]

    async def refused(http: HttpRequest, error: Exception) -> Response:
        e = _api_error(app, http, error)
        return error_response(e) if _is_api(http.url.path) else pages.error_page(e)

    kinds: list[type[Exception]] = [ApiError, NoData, HTTPException, ClientDisconnect, Exception]
    kinds += [sqlite3.DatabaseError, OSError]
    return Starlette(
        routes=[Mount("/" + "/".join(API), routes=below), *pages.routes(app)],
        exception_handlers=dict.fromkeys(kinds, refused),
        middleware=[Middleware(Gate, app_state=app)],
    )


def _is_api(path: str) -> bool:
    return [s for s in path.split("/") if s][:2] == API


def _api_error(app: App, http: HttpRequest, error: Exception) -> ApiError:
    """Return an exception as an error for the user."""
    match error:
        case ApiError():
            return error
        case NoData():
            return ApiError(270009, str(error))
        case HTTPException():
            return _http_error(http, error)
        case ClientDisconnect() | TimeoutError():
            return http_error(400, "The request ended before its body was complete.")
        case sqlite3.OperationalError():  # a full disk, a file that cannot be written
            full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            return ApiError(120005, f"The data folder failed: {error}", 507 if full else None)
        case sqlite3.IntegrityError():  # a tag of what another request deleted at this moment
            return ApiError(120005, "The entity was deleted meanwhile.", 409)
        case sqlite3.DatabaseError():
            file = app.folder.database
            return ApiError(120005, f"The metadata file {file} is damaged: {error}")
        case OSError():
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            message = f"The data folder failed: {error.strerror or error}"
            return ApiError(120000, message, 507 if full else None)
    return ApiError(120000, "hopsworks_local failed; see its output.")


def _http_error(http: HttpRequest, error: HTTPException) -> ApiError:
    """Return the error for what Starlette refuses: an unknown address or method, a malformed form."""
    segments = [s for s in http.url.path.split("/") if s]
    if error.status_code in (404, 405) and segments[:2] == API:
        rest = segments[4:] if segments[2:3] == ["project"] else segments[2:]
        named = [call for word, call in _UNSUPPORTED if word in rest]
        what = f"{http.method} /{'/'.join(rest)}"
        return protocol.unsupported(f"{named[0]} ({what})" if named else what)
    return http_error(error.status_code, str(error.detail))


class Gate:
    """Refuse a request without the key, or with too large a body, before its body is read."""

    def __init__(self, app: ASGIApp, app_state: App):
        self.app, self.state = app, app_state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        segments = [s for s in scope["path"].split("/") if s]
        is_open = segments[:2] != API or segments[2:] == ["variables", "versions"]
        try:
            if not is_open:
                self.state.check_key(headers.get("Authorization"))
            bound = self._bound(is_open, headers)
            if int(headers.get("Content-Length", "0")[:18]) > bound:
                raise _too_large(bound)
        except ApiError as e:
            response = error_response(e) if segments[:2] == API else pages.error_page(e)
            response.headers["Connection"] = (
                "close"  # the unread body must not be taken for the next request
            )
            await response(scope, receive, send)
            return
        await self.app(scope, _bounded(receive, bound), send)

    def _bound(self, is_open: bool, headers: Headers) -> int:
        if is_open:
            return protocol.MAX_OPEN_BYTES
        multipart = headers.get("Content-Type", "").startswith("multipart/form-data")
        return protocol.MAX_UPLOAD_BYTES if multipart else protocol.MAX_JSON_BYTES


def _too_large(bound: int) -> ApiError:
    return http_error(413, f"A request body may have {bound} bytes.")


def _bounded(receive: Receive, bound: int) -> Receive:
    """Refuse a body that is larger than announced, or that does not arrive."""
    size, complete = 0, False

    async def bounded() -> Message:
        nonlocal size, complete
        if complete:  # only the end of the connection can follow
            return await receive()
        message = await asyncio.wait_for(receive(), IDLE_SECONDS)
        size += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if size > bound:
            raise _too_large(bound)
        return message

    return bounded

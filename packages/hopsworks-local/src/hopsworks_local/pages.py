"""The pages behind the addresses that the client prints: plain HTML, no script, read only.

The link that `serve` prints, or the API key typed once, sets a cookie that only this server knows.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from hmac import compare_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from . import execution, files, groups, jobs, tables, user_secrets, views, wire
from .app import App
from .protocol import ApiError, Request, http_error
from .query import from_doc
from .state import Entity

if TYPE_CHECKING:
    from jinja2 import Environment

PICTURES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem;
       color: #1c2430; background: #fff }
a { color: #0b5cad } h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
div { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #dde3ea;
         white-space: nowrap } th { font-weight: 600 }
img { max-width: 100% } input, button { font: inherit; padding: .4rem; max-width: 100% }
.note { color: #5a6675 }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)


class Link(NamedTuple):
    """A cell of a table that leads somewhere."""

    address: str
    text: str


def time_of(milliseconds: int) -> datetime:
    """Return the time of milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def shown(value: Any) -> str:
    """Return a value as text for people: rounded, without microseconds, empty for null."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3g}" if 0 < abs(value) < 0.001 else f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader  # not before a page is looked at

    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = shown
    environment.tests["link"] = lambda value: isinstance(value, Link)
    environment.globals["style"] = _STYLE
    return environment


def _page(template: str, status: int = 200, **values: Any) -> Response:
    text = _templates().get_template(template).render(values)
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return Response(text, status, headers, media_type="text/html")


def error_page(e: ApiError) -> Response:
    """Return an error as a page; without a key, the form that asks for it."""
    return _page("login.html" if e.status == 401 else "error.html", e.status, error=e)


# -- logging in ------------------------------------------------------------------------------------


def _cookie(http: HttpRequest) -> str:
    """Return the name of the cookie, one for each port: browsers share cookies between ports."""
    return f"session-{http.url.port}"


def _welcome(http: HttpRequest, session: str) -> Response:
    response = RedirectResponse("/", 303)
    # Lax, not Strict: the client's printed addresses are opened from a notebook, another site. The
    # pages change nothing.
    response.set_cookie(_cookie(http), session, httponly=True, secure=True, samesite="lax")
    return response


def _keyed(app: App, view: Callable[..., Response]) -> Callable[[HttpRequest], Awaitable[Response]]:
    """Return an endpoint that shows a page to a browser with the cookie."""

    async def endpoint(http: HttpRequest) -> Response:
        if http.cookies.get(_cookie(http)) not in app.sessions:
            raise ApiError(200003, f"These pages need the API key. {app.where()}")
        if http.path_params.get("_project", app.project_id) != app.project_id:
            raise http_error(404, "There is no such project.")
        values = {k: v for k, v in http.path_params.items() if not k.startswith("_")}
        try:
            return await run_in_threadpool(view, Request(app), **values)
        except FileNotFoundError:  # removed while the page was made
            raise http_error(404, "There is no such file or folder any more.") from None

    return endpoint


def routes(app: App) -> list[BaseRoute]:
    """Return the routes outside of the API."""

    async def post_key(http: HttpRequest) -> Response:
        key = (await http.form(max_fields=5)).get("key", "")
        return _welcome(http, app.check_page_key(str(key)))

    async def follow_link(http: HttpRequest) -> Response:
        if not compare_digest(http.query_params.get("token", "").encode(), app.page_token.encode()):
            raise ApiError(200003, f"This link is of another server. {app.where()}")
        return _welcome(http, app.open_session())

    pages: dict[str, Callable[..., Response]] = {
        "/": _overview,
        "/p/{_project:id}": _overview,
        "/p/{_project:id}/fs/{_store:id}/fg/{id:id}": _group,
        "/p/{_project:id}/fs/{_store:id}/fv/{name}/version/{version:id}": _view,
        "/p/{_project:id}/models/{name}/{version:id}": _model,
        "/p/{_project:id}/files": _files,
        "/p/{_project:id}/files/{path:path}": _files,
        "/p/{_project:id}/jobs/named/{name}/executions": _job,
        "/account/secrets": _secrets,
        "/{path:path}": _nothing,
    }
    return [
        Route("/login", post_key, methods=["POST"]),
        Route("/login", follow_link),
        *(Route(path, _keyed(app, view)) for path, view in pages.items()),
    ]


def _nothing(request: Request, path: str) -> Response:
    raise http_error(404, "There is no such page.")


# -- the pages -------------------------------------------------------------------------------------


def _link(app: App, entity: Entity) -> Link:
    home = f"/p/{app.project_id}"
    tails = {
        "featuregroup": f"/fs/{groups.STORE_ID}/fg/{entity.id}",
        "featureview": f"/fs/{groups.STORE_ID}/fv/{entity.name}/version/{entity.version}",
        "model": f"/models/{entity.name}/{entity.version}",
    }
    return Link(quote(home + tails[entity.kind]), f"{entity.name} {entity.version}")


def _overview(request: Request) -> Response:
    app = request.app
    parts = {"featuregroup": "Feature groups", "featureview": "Feature views", "model": "Models"}
    tables = [
        (
            title,
            [
                (_link(app, e), time_of(e.created), e.doc["description"])
                for e in app.folder.all(kind)
            ],
        )
        for kind, title in parts.items()
    ]
    return _page("overview.html", app=app, tables=tables)


def _group(request: Request, id: int) -> Response:
    app, group = request.app, groups.group_by_id(request, id)
    problem, total = "", 0
    names: list[str] = []
    rows: list[Any] = []
    commits: list[dict[str, Any]] = []
    try:
        total, names, rows = execution.first_rows(app, group, 10)
        commits = tables.history(app, group)
    except tables.NoData as e:
        problem = str(e)
    numbers = ("rowsInserted", "rowsUpdated", "rowsDeleted")
    return _page(
        "group.html",
        group=group,
        problem=problem,
        total=total,
        names=names,
        rows=rows,
        commits=[(time_of(c["commitTime"]), *(c[n] for n in numbers)) for c in commits],
        readers=[[_link(app, v)] for v in groups.views_of(app, group.id)],
    )


def _view(request: Request, name: str, version: int) -> Response:
    app, view = request.app, views.view_of(request, name, version)
    return _page(
        "view.html",
        view=view,
        features=[
            (f["name"], f["type"], ", ".join(r.words for key, r in views.ROLES.items() if f[key]))
            for f in views.view_dto(request, view)["features"]
        ],
        sources=[[_link(app, g)] for g in wire.sources(request, from_doc(view.doc["query"]))],
        datasets=[
            (d.version, time_of(d.created))
            for d in app.folder.all("trainingdataset", owner=view.id)
        ],
    )


def _model(request: Request, name: str, version: int) -> Response:
    app = request.app
    model = app.folder.get("model", name, version)
    if not model:
        raise ApiError(360000, f"There is no model {name!r} version {version}.")
    place = app.folder.files / "Models" / name / str(version)
    places = sorted(p for p in place.rglob("*") if p.is_file() and not p.is_symlink())
    return _page(
        "model.html",
        model=model,
        files=[(_file_link(app, p, place), p.stat().st_size) for p in places],
        pictures=[_file_link(app, p, place) for p in places if p.suffix.lower() in PICTURES],
        versions=[[_link(app, m)] for m in app.folder.versions("model", name)],
    )


def _job(request: Request, name: str) -> Response:
    """Redirect to the group of a job."""
    return RedirectResponse(_link(request.app, jobs.group_of(request.app, name)).address)


def _secrets(request: Request) -> Response:
    """List the names; no page has a value."""
    secrets = [(s.name, time_of(s.created)) for s in request.app.folder.all(user_secrets.KIND)]
    return _page("list.html", title="Secrets", head=["name", "created (UTC)"], rows=secrets)


def _file_link(app: App, place: Path, base: Path) -> Link:
    address = f"/p/{app.project_id}/files/{place.relative_to(app.folder.files).as_posix()}"
    return Link(quote(address), place.relative_to(base).as_posix() + "/" * place.is_dir())


def _files(request: Request, path: str = "") -> Response:
    """Return a folder as a list, a picture as itself, any other file as a download."""
    place = files.existing(request, path)
    if place.is_dir():
        rows: Iterable[Any] = [
            (_file_link(request.app, p, place), None if p.is_dir() else stat.st_size)
            for p, stat in sorted(files.listing(place))
        ]
        return _page("list.html", title=path or "Files", head=["name", "bytes"], rows=rows)
    response: Response = files.download(request, path)
    kind = PICTURES.get(place.suffix.lower())
    response.headers["Content-Type"] = kind or "application/octet-stream"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if not kind:
        response.headers["Content-Disposition"] = "attachment"
    return response

"""The pages behind the addresses that the client prints: plain HTML, no script, read only.

The first page asks for the API key once; a cookie that only this server knows does the rest.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterable
from html import escape
from typing import Any
from urllib.parse import parse_qs, quote

from . import files, groups, queries, views
from .protocol import ApiError, Reply, Request, http_error
from .state import Entity

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


class Markup(str):
    """Text that is HTML already; every other text is escaped."""


def _html(value: Any) -> str:
    return value if isinstance(value, Markup) else escape("" if value is None else str(value))


def _link(address: str, text: str) -> Markup:
    return Markup(f'<a href="{escape(quote(address))}">{escape(text)}</a>')


def _table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Markup:
    lines = ["".join(f"<td>{_html(v)}</td>" for v in row) for row in rows]
    if not lines:
        return Markup('<p class="note">none yet</p>')
    top = "".join(f"<th>{escape(h)}</th>" for h in head)
    return Markup(f"<div><table><tr>{top}</tr><tr>{'</tr><tr>'.join(lines)}</tr></table></div>")


def _page(title: str, *parts: Any, status: int = 200) -> Reply:
    body = "\n".join(_html(p) if isinstance(p, Markup) else f"<p>{_html(p)}</p>" for p in parts)
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>'
        f"{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<style>{_STYLE}</style></head><body><p><a href="/">hopsworks_local</a></p>'
        f"<h1>{escape(title)}</h1>\n{body}</body></html>"
    )
    policy = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return Reply(
        status, body=text.encode(), content_type="text/html; charset=utf-8", headers=policy
    )


def _heading(text: str) -> Markup:
    return Markup(f"<h2>{escape(text)}</h2>")


_LOGIN = Markup(
    '<form method="post" action="/login"><p><label>API key '
    '<input type="password" name="key" size="40" autocomplete="off" required autofocus></label> '
    "<button>Open</button></p></form>"
)
_WHERE = (
    "It is HOPSWORKS_API_KEY in the environment of the program, or in the file that serve named."
)


def dispatch(request: Request, cookie: str) -> Reply:
    """Every address outside of the API."""
    try:
        return _dispatch(request, cookie)
    except ApiError as e:
        return _page(f"{e.status}", e.message, status=e.status)
    except FileNotFoundError:  # removed while the page was made
        return _page("404", "There is no such file or folder any more.", status=404)


def _dispatch(request: Request, cookie: str) -> Reply:
    app, segments = request.app, request.segments
    if segments == ["login"] and request.method == "POST":
        key = parse_qs(request.body.decode("latin-1")).get("key", [""])[0]
        app.check_key(f"ApiKey {key}")
        token = secrets.token_urlsafe(32)
        app.sessions.add(token)
        reply = _page("Welcome", _link("/", "Go on"), status=303)
        attributes = "HttpOnly; Secure; SameSite=Strict; Path=/"
        reply.headers |= {"Location": "/", "Set-Cookie": f"session={token}; {attributes}"}
        return reply
    if request.method not in ("GET", "HEAD"):
        raise http_error(405, "These pages can only be read.")
    found = re.search(r"(?:^|;\s*)session=([\w-]{43})(?:;|$)", cookie)
    if not found or found[1] not in app.sessions:
        return _page("Which key?", _WHERE, _LOGIN, status=401)
    if segments in ([], ["p", str(app.project_id)]):
        return _overview(request)
    match segments[2:] if segments[:2] == ["p", str(app.project_id)] else []:
        case ["fs", _, "fg", id] if re.fullmatch(r"[0-9]{1,18}", id):
            return _group(request, groups.group_by_id(request, int(id)))
        case ["fs", _, "fv", name, "version", version] if re.fullmatch(r"[0-9]{1,18}", version):
            return _view(request, views.view_of(request, name, int(version)))
        case ["models", name, version] if re.fullmatch(r"[0-9]{1,18}", version):
            return _model(request, name, int(version))
        case ["files", *parts]:
            return _files(request, "/".join(parts))
    raise http_error(404, "There is no such page.")


def _address(app: Any, entity: Entity) -> Markup:
    home = f"/p/{app.project_id}"
    tails = {
        "featuregroup": f"/fs/{groups.STORE_ID}/fg/{entity.id}",
        "featureview": f"/fs/{groups.STORE_ID}/fv/{entity.name}/version/{entity.version}",
        "model": f"/models/{entity.name}/{entity.version}",
    }
    return _link(home + tails[entity.kind], f"{entity.name} {entity.version}")


def _overview(request: Request) -> Reply:
    app = request.app
    parts: list[Any] = []
    for kind, title in (
        ("featuregroup", "Feature groups"),
        ("featureview", "Feature views"),
        ("model", "Models"),
    ):
        found = app.folder.all(kind)
        rows = [(_address(app, e), groups.iso(e.created), e.doc["description"]) for e in found]
        parts += [_heading(title), _table(("name, version", "created", "description"), rows)]
    files_link = _link(f"/p/{app.project_id}/files", "Files")
    return _page(
        f"Project {app.project}", *parts, _heading("Files"), Markup(f"<p>{files_link}</p>")
    )


def _rows(request: Request, sql: str, group: Entity) -> tuple[list[str], list[Any]]:
    schema, batches = queries.run(request.app, queries.Plan(sql, [group], [None]))
    rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    return schema.names, rows


def _group(request: Request, group: Entity) -> Reply:
    app = request.app
    try:
        total = _rows(request, "SELECT count(*) AS n FROM g0", group)[1][0][0]
        data = _table(*_rows(request, "SELECT * FROM g0 LIMIT 10", group))
        commits = groups.history(app, group)
    except groups.NoData as e:
        total, data, commits = "no", Markup(f"<p>{escape(str(e))}</p>"), []
    numbers = ("rowsInserted", "rowsUpdated", "rowsDeleted")
    features = [
        (f["name"], f["type"], "key" if f["primary"] else "", f["description"])
        for f in group.doc["features"]
    ]
    readers = [_address(app, v) for v in groups.views_of(app, group.id)]
    return _page(
        f"Feature group {group.name}, version {group.version}",
        group.doc["description"],
        f"{total} rows, event time: {group.doc['eventTime'] or 'none'}",
        _heading("Features"),
        _table(("name", "type", "", "description"), features),
        _heading("First rows"),
        data,
        _heading("Commits"),
        _table(
            ("time", "inserted", "updated", "deleted"),
            [(groups.iso(c["commitTime"]), *(c[n] for n in numbers)) for c in commits],
        ),
        _heading("Read by the feature views"),
        _table(("",), [[r] for r in readers]),
    )


def _view(request: Request, view: Entity) -> Reply:
    doc = views.view_dto(request, view)
    roles = {"label": "label", "trainingHelperColumn": "training helper"}
    roles["inferenceHelperColumn"] = "inference helper"
    features = [
        (f["name"], f["type"], ", ".join(text for key, text in roles.items() if f[key]))
        for f in doc["features"]
    ]
    sources = [_address(request.app, g) for g in queries.sources(request, view.doc["query"])]
    datasets = request.app.folder.all("trainingdataset", owner=view.id)
    return _page(
        f"Feature view {view.name}, version {view.version}",
        view.doc["description"],
        _heading("Features"),
        _table(("name", "type", "role"), features),
        _heading("Feature groups"),
        _table(("",), [[s] for s in sources]),
        _heading("Training datasets"),
        _table(("version", "created"), [(d.version, groups.iso(d.created)) for d in datasets]),
    )


def _model(request: Request, name: str, version: int) -> Reply:
    app = request.app
    model = app.folder.get("model", name, version)
    if not model:
        raise ApiError(360000, f"There is no model {name!r} version {version}.")
    place = app.folder.files / "Models" / name / str(version)
    found = sorted(p for p in place.rglob("*") if p.is_file() and not p.is_symlink())
    others = [_address(app, m) for m in app.folder.versions("model", name)]
    pictures = "".join(
        f'<p><img src="{escape(_file_address(app, p))}" alt="{escape(p.name)}"></p>'
        for p in found
        if p.suffix.lower() in PICTURES
    )
    return _page(
        f"Model {name}, version {version}",
        model.doc["description"],
        _heading("Metrics"),
        _table(("name", "value"), (model.doc["metrics"] or {}).items()),
        _heading("Files"),
        _table(("name", "bytes"), [(_file_link(app, p, place), p.stat().st_size) for p in found]),
        Markup(pictures),
        _heading("Versions"),
        _table(("",), [[o] for o in others]),
    )


def _file_address(app: Any, place: Any) -> str:
    return quote(f"/p/{app.project_id}/files/{place.relative_to(app.folder.files).as_posix()}")


def _file_link(app: Any, place: Any, base: Any) -> Markup:
    text = escape(place.relative_to(base).as_posix() + ("/" if place.is_dir() else ""))
    return Markup(f'<a href="{escape(_file_address(app, place))}">{text}</a>')


def _files(request: Request, path: str) -> Reply:
    """A folder as a list; a picture as itself; any other file as a download."""
    place = files.existing(request, path)
    if place.is_dir():
        rows = [
            (_file_link(request.app, p, place), "" if p.is_dir() else stat.st_size)
            for p, stat in sorted(files.listing(place))
        ]
        return _page(path or "Files", _table(("name", "bytes"), rows))
    reply = files.download(request, path)
    kind = PICTURES.get(place.suffix.lower())
    reply.content_type = kind or "application/octet-stream"
    reply.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if not kind:
        reply.headers["Content-Disposition"] = "attachment"
    return reply

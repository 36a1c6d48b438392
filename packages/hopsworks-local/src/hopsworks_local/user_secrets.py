"""The secrets API. A value is in the data folder's database, which only its owner can read, and in the
answer to a request for that secret: in no list, on no page, in no message."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .groups import iso
from .protocol import ApiError, Reply, Request, illegal, route, take
from .state import Entity, Exists

if TYPE_CHECKING:
    from .app import App

KIND = "secret"
MAX_NAME, MAX_VALUE = 200, 9000


def _dto(app: App, secret: Entity, value: str | None = None) -> dict[str, Any]:
    return {
        "name": secret.name,
        "secret": value,
        "addedOn": iso(secret.created),
        "visibility": secret.doc["visibility"],
        "scope": app.project_id if secret.doc["visibility"] == "PROJECT" else None,
        "owner": app.user["username"],
    }


def _secret(app: App, name: str) -> Entity:
    secret = app.folder.get(KIND, name, 1)
    if not secret:
        raise ApiError(160048, f"There is no secret {name!r}.")
    return secret


@route("GET", "users/secrets")
def list_secrets(request: Request) -> Any:
    """`get_secrets()`: the names."""
    items = [_dto(request.app, s) for s in request.app.folder.all(KIND)]
    return {"count": len(items), "items": items}


@route("GET", "users/secrets/shared")
def shared_secret(request: Request) -> Any:
    """`get_secret(name, owner)`: there is one user, who owns all."""
    if request.arg("owner") not in (request.app.user["username"], request.app.user["email"]):
        raise ApiError(160048, f"There is no secret {request.arg('name')!r} of that owner.")
    return get_secret(request, request.arg("name") or "")


@route("GET", "users/secrets/{name}")
def get_secret(request: Request, name: str) -> Any:
    """`get_secret(name)`, `get(name)`."""
    secret = _secret(request.app, name)
    return {"count": 1, "items": [_dto(request.app, secret, secret.doc["value"])]}


@route("POST", "users/secrets")
def create_secret(request: Request) -> Reply:
    """`create_secret`."""
    doc = request.json()
    name, value = take(doc, "name", str), take(doc, "secret", str)
    visibility = take(doc, "visibility", str, "PRIVATE")
    if not re.fullmatch(rf"[-\w.]{{1,{MAX_NAME}}}", name, re.ASCII) or name == "shared":
        raise illegal(f"Illegal secret name {name!r}: letters, digits, _, - and . only.")
    if not 0 < len(value) <= MAX_VALUE:
        raise illegal(f"The value of a secret has 1 to {MAX_VALUE} characters.")
    if visibility not in ("PRIVATE", "PROJECT"):
        raise illegal(f"Unknown visibility {visibility!r}.")
    try:
        request.app.folder.add(KIND, name, 1, {"value": value, "visibility": visibility})
    except Exists:
        raise ApiError(160049, f"The secret {name!r} exists.", 409) from None
    return Reply(201, list_secrets(request))


@route("DELETE", "users/secrets/{name}")
def delete_secret(request: Request, name: str) -> Reply:
    """`Secret.delete`."""
    request.app.folder.remove(_secret(request.app, name).id)
    return Reply(204)

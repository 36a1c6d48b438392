"""Transformation functions: their source is kept, and the client runs it."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from .groups import STORE_ID, check_version
from .protocol import ApiError, Reply, Request, route, take
from .state import Entity, Exists

if TYPE_CHECKING:
    from .app import App

_PLACE = "transformationfunctions"


@cache
def _built_in() -> dict[str, Any]:
    """Return the functions that every feature store has: those of the installed client."""
    from hopsworks_common import util
    from hsfs import builtin_transformations
    from hsfs.hopsworks_udf import HopsworksUdf

    return {
        name: json.loads(json.dumps(udf, cls=util.Encoder))
        for name, udf in vars(builtin_transformations).items()
        if isinstance(udf, HopsworksUdf)
    }


def _dto(function: Entity) -> dict[str, Any]:
    ids = {"id": function.id, "version": function.version, "featurestoreId": STORE_ID}
    return {**ids, **function.doc}


def _add_built_in(app: App, name: str | None) -> None:
    """Register the built-in functions, or the one that is asked for."""
    functions = _built_in()  # takes seconds the first time: not while the folder is locked
    with app.folder.transaction():
        for built_in, udf in functions.items():
            if name in (None, built_in) and not app.folder.get("transformation", built_in, 1):
                app.folder.add("transformation", built_in, 1, {"hopsworksUdf": udf})


@route("POST", _PLACE)
def create(request: Request) -> Reply:
    """`TransformationFunction.save()`."""
    doc = request.json()
    udf = take(doc, "hopsworksUdf", dict)
    name, version = take(udf, "name", str), check_version(take(doc, "version", int, None), 270058)
    take(udf, "sourceCode", str)
    try:
        function = request.app.folder.add("transformation", name, version, {"hopsworksUdf": udf})
    except Exists:
        message = f"The transformation function {name!r} version {version} already exists."
        raise ApiError(270161, message) from None
    return Reply(201, _dto(function))


@route("GET", _PLACE)
def find(request: Request) -> Any:
    """`get_transformation_function(name, version)` and `get_transformation_functions()`."""
    app, name, version = request.app, request.arg("name"), request.number("version")
    if name is None or not app.folder.versions("transformation", name):
        _add_built_in(app, name)
    functions = (
        app.folder.versions("transformation", name) if name else app.folder.all("transformation")
    )
    if name:  # the client asks for version 1 by default, a cluster answers the newest without one
        functions = [f for f in functions if version in (None, f.version)][-1:]
        if not functions:
            raise ApiError(270160, f"There is no transformation function {name!r}.", 404)
    return {"count": len(functions), "items": [_dto(function) for function in functions]}


@route("DELETE", _PLACE + "/{id:int}")
def delete(request: Request, id: int) -> Reply:
    """`TransformationFunction.delete()`."""
    function = request.app.folder.by_id("transformation", id)
    if not function:
        raise ApiError(270160, f"There is no transformation function {id}.", 404)
    request.app.folder.remove(id)
    return Reply(204)

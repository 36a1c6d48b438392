"""The model registry: metadata here, the files of a model under Models/{name}/{version}."""

from __future__ import annotations

import contextlib
import math
import os
import re
from typing import TYPE_CHECKING, Any

from . import tag_schemas
from .protocol import (
    ApiError,
    Reply,
    Request,
    http_error,
    illegal,
    parse_json,
    route,
    take,
    unsupported,
)
from .state import Entity, Exists

if TYPE_CHECKING:
    from .app import App

MODELS = "modelregistries/{registry:int}/models"
_LIMITS = {"description": 1000, "framework": 128, "program": 1000}
_FRAMEWORKS = ("PYTHON", "SKLEARN", "TENSORFLOW", "TORCH", "LLM")


def check_registry(request: Request, registry: int) -> None:
    """Raise 404 for another registry than the project's, or without the folder Models."""
    if registry != request.app.project_id:
        raise ApiError(360006, f"There is no model registry {registry}.")
    if not (request.app.folder.files / "Models").is_dir():
        raise ApiError(360008, "The project has no Models dataset.")


def model_by_id(request: Request, id: str) -> Entity:
    """Return the model version of that id, or raise 404."""
    model = None
    if re.fullmatch(r"[0-9]{1,18}", id):
        model = request.app.folder.by_id("model", int(id))
    if not model:
        raise ApiError(360000, f"There is no model with id {id!r}.")
    return model


def model_dto(app: App, model: Entity) -> dict[str, Any]:
    """Return a model version as a GET answers it."""
    doc = model.doc
    return {
        "type": "modelDTO",
        "id": model.id,
        "name": model.name,
        "version": model.version,
        "created": model.created,
        "creator": f"{app.user['firstname']} {app.user['lastname']}",
        "userFullName": f"{app.user['firstname']} {app.user['lastname']}",
        "projectName": app.project,
        "modelRegistryId": app.project_id,
        **{k: doc[k] for k in ("description", "framework", "program", "metrics")},
        "trainingDatasetVersion": doc["trainingDatasetVersion"] or 0,
        **_resources(app, model),
    }


def _resources(app: App, model: Entity) -> dict[str, str]:
    """Return the paths of schema and input example, which the client uploads with the model's files."""
    folder = f"Models/{model.name}/{model.version}"
    names = {"modelSchema": "model_schema.json", "inputExample": "input_example.json"}
    return {
        key: f"/Projects/{app.project}/{folder}/{file}"
        for key, file in names.items()
        if (app.folder.files / folder / file).is_file()
    }


@route("GET", "modelregistries")
def registries(request: Request) -> Any:
    """`get_model_registry(project)`: there is only the project's own."""
    app = request.app
    return {"count": 1, "items": [{"id": app.project_id, "name": app.project}]}


@route("PUT", MODELS + "/{key}")
def put(request: Request, registry: int, key: str) -> Reply:
    """`Model.save`, last call: the files are there already."""
    check_registry(request, registry)
    app, doc = request.app, request.json()
    name, version = take(doc, "name", str), take(doc, "version", int)
    if not re.fullmatch(r"[a-zA-Z0-9_]{1,255}", name) or version < 1 or key != f"{name}_{version}":
        raise illegal(f"Illegal model {key!r}: a-z, A-Z, 0-9 and _, then a version from 1.")
    texts = {k: take(doc, k, str, None) for k in _LIMITS}
    for field, limit in _LIMITS.items():
        if len(texts[field] or "") > limit:
            raise illegal(f"The {field} has more than {limit} characters.")
    if texts["framework"] not in (None, *_FRAMEWORKS):
        raise illegal(f"Unknown framework {texts['framework']!r}.")
    metrics = {k: _number(k, v) for k, v in take(doc, "metrics", dict, {}).items()}
    if not (app.folder.files / "Models" / name / str(version)).is_dir():
        raise illegal(f"The folder Models/{name}/{version} does not exist.")
    stored = {
        **texts,
        "metrics": metrics or None,
        "trainingDatasetVersion": take(doc, "trainingDatasetVersion", int, None),
        "dataset": _read_dataset(app, doc),
    }
    try:
        with app.folder.transaction():
            model = app.folder.add("model", name, version, stored)
            tag_schemas.attach(app.folder, model, doc)
    except Exists:
        raise ApiError(360011, f"The model {name!r} version {version} already exists.") from None
    return Reply(201, model_dto(app, model))


def _number(metric: str, value: Any) -> float:
    """Return a metric as the double that the backend keeps; a number may come as text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise illegal(f"The metric {metric!r} must be a number, not {value!r}.")
    return number


def _read_dataset(app: App, doc: dict[str, Any]) -> int | None:
    """Return the id of a model's training dataset, if it is named and exists. An id, not a name: a view
    that is deleted and made again has the old name, but the model was not trained from it."""
    sent = doc.get("featureView")
    if isinstance(sent, str):
        sent = parse_json(sent)
    if not sent:
        return None
    view = app.folder.get("featureview", take(sent, "name", str), take(sent, "version", int))
    number = take(doc, "trainingDatasetVersion", int, None)
    dataset = view and number and app.folder.get("trainingdataset", view.name, number, view.id)
    return dataset.id if dataset else None


@route("GET", MODELS + "/{key}")
def get(request: Request, registry: int, key: str) -> Any:
    """`ModelRegistry.get_model(name, version)`; the key is `{name}_{version}`."""
    check_registry(request, registry)
    parts = re.fullmatch(r"(.+)_([0-9]{1,9})", key)
    model = parts and request.app.folder.get("model", parts[1], int(parts[2]))
    if not model:
        raise ApiError(360000, f"There is no model {key!r}.")
    return model_dto(request.app, model)


@route("GET", MODELS)
def list_models(request: Request, registry: int) -> Any:
    """`get_models(name)` and `get_best_model(name, metric, direction)`.

    Models without the metric come last in both directions, and `count` ignores the limit.
    """
    check_registry(request, registry)
    folder = request.app.folder
    models = folder.all("model")
    for text in request.query.get("filter_by", []):
        kind, _, value = text.partition(":")
        if kind.lower() != "name_eq":
            raise unsupported(f"Listing models with the filter {kind!r}")
        models = [m for m in models if m.name == value]
    if (sort := request.arg("sort_by")) is not None:
        metric, _, direction = sort.rpartition(":")
        if direction.lower() not in ("asc", "desc"):
            raise http_error(404, f"Unknown sort order {direction!r}.")
        models = _sorted(models, metric, direction.lower() == "desc")
    offset, limit = request.number("offset", 0) or 0, request.number("limit", 0) or 0
    page = models[max(offset, 0) :][: limit if limit > 0 else None]
    items = [model_dto(request.app, m) for m in page]
    return {"count": len(models), "items": items or None}


def _sorted(models: list[Entity], metric: str, descending: bool) -> list[Entity]:
    if metric == "name":
        return sorted(models, key=lambda m: m.name, reverse=descending)
    having = [m for m in models if metric in (m.doc["metrics"] or {})]
    having.sort(key=lambda m: m.doc["metrics"][metric], reverse=descending)
    return having + [m for m in models if m not in having]


@route("DELETE", MODELS + "/{id}")
def delete(request: Request, registry: int, id: str) -> Reply:
    """`Model.delete`: first the entry, then the files, so no entry is ever without its files."""
    check_registry(request, registry)
    folder = request.app.folder
    with folder.transaction():  # of two at once only one finds it, and takes the files
        model = model_by_id(request, id)
        folder.remove(model.id)
    home = folder.files / "Models" / model.name
    with folder.aside() as gone, contextlib.suppress(FileNotFoundError):
        os.rename(home / str(model.version), gone)
    with contextlib.suppress(OSError):  # it has other versions, or is gone
        home.rmdir()
    return Reply(204)

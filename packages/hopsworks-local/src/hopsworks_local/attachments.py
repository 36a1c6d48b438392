"""Tags and statistics: what is attached to feature groups, views, training datasets, models."""

from __future__ import annotations

import json
import operator
import re
import time
from typing import Any

from . import queries
from .groups import finished_job, group_by_id, history
from .protocol import ApiError, Reply, Request, route, take, unsupported
from .registry import model_by_id
from .state import Entity
from .views import dataset_of, view_of

_TYPES = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
    "null": type(None),
}
_WORDS = ("type", "properties", "required", "title", "description", "$schema", "$id")
_PLACES = (
    "featuregroups/{id:int}",
    "featureview/{name}/version/{version:int}",
    "featureview/{name}/version/{version:int}/trainingdatasets/version/{number:int}",
    "modelregistries/{registry:int}/models/{model}",
)


def _entity(request: Request, found: dict[str, Any]) -> Entity:
    if "id" in found:
        return group_by_id(request, found["id"])
    if "model" in found:
        return model_by_id(request, found["model"])
    view = view_of(request, found["name"], found["version"])
    return dataset_of(request, view, found["number"]) if "number" in found else view


def _schema(request: Request, name: str) -> dict[str, Any]:
    """The schema of a tag, from `tag_schemas.json` of the data folder; on a cluster an
    administrator makes it. Without one a tag cannot be set."""
    path = request.app.folder.path / "tag_schemas.json"
    try:
        schemas = json.loads(path.read_text())
    except FileNotFoundError:
        schemas = {}
    except ValueError as e:
        raise ApiError(370005, f"The file tag_schemas.json is damaged: {e}") from None
    if not isinstance(schemas, dict) or name not in schemas:
        raise ApiError(370000, f"There is no tag schema {name!r}; add it to tag_schemas.json.")
    _check_schema(schemas[name])
    return schemas[name]


def _kinds(schema: dict[str, Any]) -> list[Any]:
    kinds = schema.get("type", list(_TYPES))
    return kinds if isinstance(kinds, list) else [kinds]


def _check_schema(schema: Any) -> None:
    """Refuse what `_fits` does not look at: passed over, it would let every value pass."""
    if not isinstance(schema, dict):
        raise unsupported(f"The tag schema {schema!r}")
    unknown = [word for word in schema if word not in _WORDS]
    unknown += [kind for kind in _kinds(schema) if kind not in list(_TYPES)]
    if unknown:
        raise unsupported(f"A tag schema with {unknown[0]!r}")
    take(schema, "required", list, [])
    for part in take(schema, "properties", dict, {}).values():
        _check_schema(part)


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of the schema's `type`, with its `properties` and `required`."""
    kinds = {k for k, kind in _TYPES.items() if isinstance(value, kind)}
    if isinstance(value, bool):  # to Python a whole number, too
        kinds = {"boolean"}
    if not kinds & set(_kinds(schema)):
        return False
    if not isinstance(value, dict):
        return True
    if any(key not in list(value) for key in take(schema, "required", list, [])):
        return False
    properties = take(schema, "properties", dict, {})
    return all(_fits(v, properties.get(k, {})) for k, v in value.items())


def _list_tags(request: Request, **found: Any) -> Any:
    """`get_tags()` and `get_tag(name)`."""
    entity, name = _entity(request, found), found.get("tag")
    tags = request.app.folder.items(entity.id, "tag")
    if name is not None:
        if name not in tags:
            raise ApiError(370002, f"There is no tag {name!r}.")
        tags = {name: tags[name]}
    items = [{"name": k, "value": json.dumps(v)} for k, v in tags.items()]
    return {"count": len(items), "items": items}


def _set_tag(request: Request, tag: str, **found: Any) -> Reply:
    """`add_tag` and `Model.set_tag`."""
    entity, value = _entity(request, found), request.json()
    if not _fits(value, _schema(request, tag)):
        raise ApiError(370005, f"The value of the tag {tag!r} does not fit its schema.")
    request.app.folder.set_item(entity.id, "tag", tag, value)
    return Reply(201, {"count": 1, "items": [{"name": tag, "value": json.dumps(value)}]})


def _delete_tag(request: Request, tag: str, **found: Any) -> Reply:
    """`delete_tag`."""
    entity = _entity(request, found)
    if tag not in request.app.folder.items(entity.id, "tag"):
        raise ApiError(370002, f"There is no tag {tag!r}.")
    request.app.folder.drop_item(entity.id, "tag", tag)
    return Reply(204)


for _place in _PLACES:
    route("GET", _place + "/tags")(_list_tags)
    route("GET", _place + "/tags/{tag}")(_list_tags)
    route("PUT", _place + "/tags/{tag}")(_set_tag)
    route("DELETE", _place + "/tags/{tag}")(_delete_tag)


# -- statistics ------------------------------------------------------------------------------------

_COMPARE = {"eq": operator.eq, "ltoeq": operator.le, "gtoeq": operator.ge}
_WINDOW = {
    "computation_time": "computationTime",
    "window_end_commit_time": "windowEndCommitTime",
    "window_start_commit_time": "windowStartCommitTime",
}


@route("POST", _PLACES[2] + "/statistics")
def save_statistics(request: Request, **found: Any) -> Any:
    """The client computes the statistics of training data itself and only keeps them here."""
    entity, doc = _entity(request, found), request.json()
    key = "before" if take(doc, "beforeTransformation", bool, False) else "after"
    take(doc, "computationTime", int)
    for field in _WINDOW.values():
        take(doc, field, int, None)
    for described in take(doc, "featureDescriptiveStatistics", list, []):
        take(described, "featureName", str)
    request.app.folder.set_item(entity.id, "statistics", key, doc)
    return {"count": 1, "items": [doc]}


@route("POST", _PLACES[0] + "/statistics/compute")
def compute_statistics(request: Request, id: int) -> Any:
    """`FeatureGroup.compute_statistics()`: of the newest commit, with one SQL query."""
    group, app = group_by_id(request, id), request.app
    if any(group.doc["statisticsConfig"][k] for k in ("histograms", "correlations")):
        raise unsupported("compute_statistics with histograms or correlations")
    commits = history(app, group)
    computed = queries.describe(app, group)
    doc = {
        "computationTime": time.time_ns() // 1_000_000,
        "rowPercentage": 1.0,
        "beforeTransformation": False,
        "windowEndCommitTime": commits[0]["commitID"] if commits else None,
        "featureDescriptiveStatistics": computed,
    }
    app.folder.set_item(id, "statistics", str(doc["computationTime"]), doc)
    return finished_job(request, group)


def _get_statistics(request: Request, **found: Any) -> Any:
    """`get_statistics`, `get_training_dataset_statistics`: the newest that fit come first."""
    stored = list(request.app.folder.items(_entity(request, found).id, "statistics").values())
    for text in request.query.get("filter_by", []):
        name, _, value = text.lower().partition(":")
        if name == "before_transformation_eq":
            stored = [
                s for s in stored if s.get("beforeTransformation", False) == (value == "true")
            ]
        elif name != "row_percentage_eq":
            field, _, comparison = name.rpartition("_")
            known = field in _WINDOW and comparison in _COMPARE
            if not known or not re.fullmatch(r"[0-9]{1,18}", value):
                raise unsupported(f"Statistics with the filter {text!r}")
            bound, fits = int(value), _COMPARE[comparison]
            stored = [s for s in stored if fits(s.get(_WINDOW[field]) or 0, bound)]
    if not stored:
        raise ApiError(270228, "There are no statistics.")
    stored.sort(key=lambda s: s["computationTime"], reverse=True)
    if names := request.query.get("feature_names"):
        stored = [_of_features(s, names) for s in stored]
    return {"count": len(stored), "items": stored[: request.number("limit") or None]}


def _of_features(doc: dict[str, Any], names: list[str]) -> dict[str, Any]:
    described = doc.get("featureDescriptiveStatistics") or []
    kept = [d for d in described if d["featureName"] in names]
    return {**doc, "featureDescriptiveStatistics": kept}


for _place in (_PLACES[0], _PLACES[2]):
    route("GET", _place + "/statistics")(_get_statistics)

"""What can have tags or statistics, and the statistics."""

from __future__ import annotations

import operator
import re
import time
from typing import Any

from .describe import describe
from .groups import group_by_id
from .jobs import finished_job
from .protocol import ApiError, Request, route, take, unsupported
from .registry import model_by_id
from .state import Entity
from .tables import history
from .views import dataset_of, view_of

PLACES = (
    "featuregroups/{id:int}",
    "featureview/{name}/version/{version:int}",
    "featureview/{name}/version/{version:int}/trainingdatasets/version/{number:int}",
    "modelregistries/{registry:int}/models/{model}",
)


def entity_of(request: Request, path: dict[str, Any]) -> Entity:
    """Return what the values of a path name."""
    if "id" in path:
        return group_by_id(request, path["id"])
    if "model" in path:
        return model_by_id(request, path["model"])
    view = view_of(request, path["name"], path["version"])
    return dataset_of(request, view, path["number"]) if "number" in path else view


_COMPARE = {"eq": operator.eq, "ltoeq": operator.le, "gtoeq": operator.ge}
_WINDOW = {
    "computation_time": "computationTime",
    "window_end_commit_time": "windowEndCommitTime",
    "window_start_commit_time": "windowStartCommitTime",
}


@route("POST", PLACES[2] + "/statistics")
def save_statistics(request: Request, **path: Any) -> Any:
    """Store the statistics of training data, which the client computes itself."""
    entity, doc = entity_of(request, path), request.json()
    key = "before" if take(doc, "beforeTransformation", bool, False) else "after"
    take(doc, "computationTime", int)
    for field in _WINDOW.values():
        take(doc, field, int, None)
    for described in take(doc, "featureDescriptiveStatistics", list, []):
        take(described, "featureName", str)
    request.app.folder.set_item(entity.id, "statistics", key, doc)
    return {"count": 1, "items": [doc]}


@route("POST", PLACES[0] + "/statistics/compute")
def compute_statistics(request: Request, id: int) -> Any:
    """`compute_statistics()`: of the newest commit."""
    group, app = group_by_id(request, id), request.app
    commits = history(app, group)
    computed = describe(app, group)
    doc = {
        "computationTime": time.time_ns() // 1_000_000,
        "rowPercentage": 1.0,
        "beforeTransformation": False,
        "windowEndCommitTime": commits[0]["commitID"] if commits else None,
        "featureDescriptiveStatistics": computed,
    }
    app.folder.set_item(id, "statistics", str(doc["computationTime"]), doc)
    return finished_job(app, group)


def _get_statistics(request: Request, **path: Any) -> Any:
    """`get_statistics`, `get_training_dataset_statistics`: the newest that fit come first."""
    entity = entity_of(request, path)
    stored = list(request.app.folder.items(entity.id, "statistics").values())
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
            if name == "window_end_commit_time_eq" and entity.kind == "featuregroup":
                bound = _latest_commit(request, entity, bound)
            stored = [s for s in stored if fits(s.get(_WINDOW[field]) or 0, bound)]
    if not stored:
        raise ApiError(270228, "There are no statistics.")
    stored.sort(key=lambda s: s["computationTime"], reverse=True)
    if names := request.query.get("feature_names"):
        stored = [_of_features(s, names) for s in stored]
    return {"count": len(stored), "items": stored[: request.number("limit") or None]}


def _latest_commit(request: Request, group: Entity, moment: int) -> int:
    """Return the time of the latest commit up to a moment, which the backend compares with."""
    times = [c["commitTime"] for c in history(request.app, group) if c["commitTime"] <= moment]
    return max(times, default=moment)


def _of_features(doc: dict[str, Any], names: list[str]) -> dict[str, Any]:
    described = doc.get("featureDescriptiveStatistics") or []
    kept = [d for d in described if d["featureName"] in names]
    return {**doc, "featureDescriptiveStatistics": kept}


for _place in (PLACES[0], PLACES[2]):
    route("GET", _place + "/statistics")(_get_statistics)

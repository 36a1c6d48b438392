"""Feature logging: what a program logs for a feature view, in a feature group of its own.

The client inserts the logged rows, and reads them, as those of any group. They are offline at once:
nothing waits for a job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import wire
from .execution import feature
from .groups import add_group, full, read_features, read_group
from .protocol import ApiError, Reply, Request, route, take, unsupported
from .query import from_doc
from .state import Entity
from .tables import create_table, drop_table
from .views import VIEW, features_dto, log_of, serving_keys, view_of

if TYPE_CHECKING:
    from .app import App

LOG = VIEW + "/log"
_PREDICTED = "predicted_"
_METADATA = {  # what the client adds to each row
    "log_id": "string",
    "log_time": "timestamp",
    "td_version": "int",
    "model_name": "string",
    "model_version": "string",
    "request_id": "string",
    "request_parameters": "string",
}


def open_log(request: Request, view: Entity, extra: list[Any]) -> Entity:
    """Make the feature group of a view's log; return the view as it is now."""
    app, columns = request.app, read_features({"features": extra})
    kinds = dict(_METADATA)
    for name, kind in [*_columns(request, view), *((c["name"], c["type"]) for c in columns)]:
        kinds.setdefault(name, kind)
    doc = {
        "description": f"What was logged for feature view {view.name} version {view.version}.",
        "features": [{"name": n, "type": k, "primary": n == "log_id"} for n, k in kinds.items()],
        "eventTime": "log_time",
    }
    with app.folder.transaction():
        group = add_group(app, f"{view.name}_{view.version}_log", None, read_group(doc))
        create_table(app, group)  # the first insert would give no type to a column without values
        log = {"group": group.id, "extra": columns}
        app.folder.update(view.id, {**view.doc, "log": log})
        return view_of(request, view.name, view.version)


def _columns(request: Request, view: Entity) -> list[tuple[str, str]]:
    """Return the columns that a view gives to its log, with their types: its features, its keys and
    event time, its predicted labels, and what its transformation functions return."""
    app, query = request.app, from_doc(view.doc["query"])
    groups = wire.sources(request, query)
    features = features_dto(app, groups, query, view.doc["roles"])
    labels = {f["name"] for f in features if f["label"]}
    columns = [
        (_PREDICTED + f["name"] if f["label"] else f["name"], f["type"])
        for f in features
        if not f["trainingHelperColumn"]
    ]
    for function in view.doc["transformations"]:
        udf = function["hopsworksUdf"]
        prefix = _PREDICTED if labels & {*take(udf, "transformationFeatures", list, [])} else ""
        names, kinds = (take(udf, key, list, []) for key in ("outputColumnNames", "outputTypes"))
        columns += [(f"{prefix}{n}", str(k)) for n, k in zip(names, kinds, strict=False)]
    keys = [(k["joinIndex"], k["featureName"]) for k in serving_keys(app, groups, query)]
    if event_time := groups[0].doc["eventTime"]:
        keys.append((0, event_time))
    return columns + [(n, feature(groups[source], n)["type"]) for source, n in keys]


def _log(request: Request, name: str, version: int) -> tuple[Entity, Entity]:
    """Return a view and the group of its log, or raise 404/270248."""
    view = view_of(request, name, version)
    group = log_of(request.app, view)
    if group is None:
        raise ApiError(270248, f"Logging is not enabled for feature view {name!r} {version}.")
    return view, group


def _refuse_job(transport: str | None) -> None:
    if transport == "job":
        raise unsupported("feature logging by a job (transport='job')")


def _log_dto(app: App, view: Entity, group: Entity) -> dict[str, Any]:
    # Without the transport the client takes this group, which is not a stream, for a job's.
    log = {"id": group.id, "untransformedLogFg": full(app, group), "transport": "realtime"}
    return {**log, "extraLoggingColumns": view.doc["log"]["extra"]}


@route("PUT", LOG)
def enable(request: Request, name: str, version: int) -> Any:
    """`enable_logging()`, and the first `log()`; again, it changes nothing."""
    app, doc = request.app, request.json()
    _refuse_job(take(doc, "transport", str, None))
    with app.folder.transaction():
        view = view_of(request, name, version)
        if log_of(app, view) is None:
            open_log(request, view, take(doc, "extraLoggingColumns", list, []))
    return _log_dto(app, *_log(request, name, version))


@route("GET", LOG)
def get(request: Request, name: str, version: int) -> Any:
    """`FeatureView.feature_logging`: what `log()`, `read_log()` and `get_log_timeline()` ask for."""
    return _log_dto(request.app, *_log(request, name, version))


@route("DELETE", LOG)
@route("DELETE", LOG + "/{part}")
def delete(request: Request, name: str, version: int, part: str = "") -> Reply:
    """`delete_log()`: the rows go, and logging stays enabled."""
    _refuse_job(request.arg("transport"))
    app, (_, group) = request.app, _log(request, name, version)
    drop_table(app, group)
    create_table(app, group)
    return Reply(204)


@route("POST", LOG + "/pause")
@route("POST", LOG + "/resume")
def pause(request: Request, name: str, version: int) -> Reply:
    """`pause_logging()` and `resume_logging()`, which are about a job."""
    view, _ = _log(request, name, version)
    request.app.warn(f"The log of feature view {view.name} needs no job: there is none to pause.")
    return Reply(204)

"""Feature views: their queries, the roles of their features, and the queries of batch data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from . import tag_schemas, wire
from .execution import feature as feature_of
from .groups import (
    STORE_ID,
    check_description,
    check_name,
    check_version,
    full,
    iso,
    read_functions,
    short,
)
from .protocol import ApiError, Reply, Request, route, take
from .query import Query, Selected, both, from_doc, node_from_doc, to_doc
from .state import Entity, Exists
from .tables import drop_table

if TYPE_CHECKING:
    from .app import App

VIEW = "featureview/{name}/version/{version:int}"
DATASETS = VIEW + "/trainingdatasets"


class Role(NamedTuple):
    """A role of a view's features."""

    code: int  # of the error for a feature that is not in the view's query
    flag: str  # of a read that wants these features
    words: str


ROLES = {
    "label": Role(270142, "with_label", "label"),
    "inferenceHelperColumn": Role(270142, "inference_helper_columns", "inference helper"),
    "trainingHelperColumn": Role(270225, "training_helper_columns", "training helper"),
}


def view_of(request: Request, name: str, version: int) -> Entity:
    """Return the feature view of that name and version, or raise 404."""
    view = request.app.folder.get("featureview", name, version)
    if not view:
        raise ApiError(270181, f"There is no feature view {name!r} version {version}.")
    return view


@route("POST", "featureview")
def create(request: Request) -> Reply:
    """`create_feature_view(name, query, labels, training_helper_columns, ...)`."""
    from .feature_logging import open_log

    app, doc = request.app, request.json()
    name = check_name(take(doc, "name", str))
    version = check_version(take(doc, "version", int, None), 270058)
    if take(doc, "query", dict, None) is None:
        raise ApiError(270180, "A feature view needs a query.")
    with app.folder.transaction():
        query = wire.parse(request, doc["query"])
        if not all(part.features for part in query.parts()):
            raise ApiError(270180, "Every group of a feature view's query needs features.")
        stored = {
            "description": check_description(take(doc, "description", str, "")),
            "maxFeatureAge": take(doc, "maxFeatureAgeSecs", int, None),
            "query": to_doc(query),
            "roles": _read_roles(request, query, take(doc, "features", list, [])),
            "transformations": _read_transformations(request, query, doc),
        }
        try:
            view = app.folder.add("featureview", name, version, stored)
        except Exists:
            raise ApiError(
                270179, f"The feature view {name!r} version {version} already exists."
            ) from None
        tag_schemas.attach(app.folder, view, doc)
        extra = take(doc, "extraLogColumns", list, [])
        if take(doc, "loggingEnabled", bool, False) or extra:
            view = open_log(request, view, extra)
    return Reply(201, view_dto(request, view))


def log_of(app: App, view: Entity) -> Entity | None:
    """Return the feature group of a view's log, or None when logging is not enabled."""
    log = view.doc.get("log")
    return app.folder.by_id("featuregroup", log["group"]) if log else None


def _read_roles(request: Request, query: Query, features: list[Any]) -> dict[str, list[list[Any]]]:
    """Return the columns that are labels and helpers, as [source, feature]. A column matches by name,
    and by group when the client names one."""
    roles: dict[str, list[list[Any]]] = {name: [] for name in ROLES}
    groups = wire.sources(request, query)
    columns = wire.output(request.app, groups, query)
    for feature in features:
        name = take(feature, "name", str)
        owner = take(take(feature, "featuregroup", dict, {}), "id", int, None)
        for key, role in ROLES.items():
            if not take(feature, key, bool, False):
                continue
            matches = [
                [c.source, c.feature]
                for c in columns
                if name in (c.feature, c.name) and owner in (None, groups[c.source].id)
            ]
            if not matches:
                raise ApiError(role.code, f"The column {name!r} is not in the view's query.")
            roles[key] += matches
    return roles


def _read_transformations(
    request: Request, query: Query, doc: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return the transformation functions of a new view, whose features must be in its query, or
    come from another function."""
    functions = read_functions(doc)
    names = [c.name for c in wire.output(request.app, wire.sources(request, query), query)]
    for function in functions:
        names += take(function["hopsworksUdf"], "outputColumnNames", list, [])
    for function in functions:
        for feature in take(function["hopsworksUdf"], "transformationFeatures", list, []):
            if feature not in names:
                raise ApiError(
                    270164, f"The transformed feature {feature!r} is not in the view's query."
                )
    return functions


def view_dto(request: Request, view: Entity) -> dict[str, Any]:
    """Return a whole feature view; raise 404/270009 when a group that it reads was deleted."""
    app, doc = request.app, view.doc
    query = from_doc(doc["query"])
    groups = wire.sources(request, query)
    return {
        "type": "featureViewDTO",
        "id": view.id,
        "name": view.name,
        "version": view.version,
        "description": doc["description"],
        "featurestoreId": STORE_ID,
        "featurestoreName": app.project,
        "created": iso(view.created),
        "creator": app.user,
        "loggingEnabled": log_of(app, view) is not None,
        "maxFeatureAgeSecs": doc.get("maxFeatureAge"),
        "query": wire.to_wire(request, query),
        "features": features_dto(app, groups, query, doc["roles"]),
        "servingKeys": serving_keys(app, groups, query),
        "transformationFunctions": [
            {**f, "featurestoreId": STORE_ID} for f in doc["transformations"]
        ],
        "onDemandTransformationFunctions": [f for _, f in _on_demand_functions(groups, query)],
    }


def features_dto(
    app: App, groups: wire.Groups, query: Query, roles: dict[str, list[Any]]
) -> list[dict[str, Any]]:
    """Return the columns of a view with their roles and on-demand functions."""
    functions = {
        (source, name): function
        for source, function in _on_demand_functions(groups, query)
        for name in _names(function, "outputColumnNames")
    }
    return [
        {
            "index": index,
            "name": column.name,
            "featureGroupFeatureName": column.feature,
            "type": feature_of(groups[column.source], column.feature)["type"],
            "featuregroup": short(app, groups[column.source]),
            "transformationFunction": functions.get((column.source, column.feature)),
            **{key: [column.source, column.feature] in roles[key] for key in ROLES},
        }
        for index, column in enumerate(wire.output(app, groups, query))
    ]


def _names(function: dict[str, Any], key: str) -> set[str]:
    return {name for name in take(function["hopsworksUdf"], key, list, []) if isinstance(name, str)}


def _on_demand_functions(groups: wire.Groups, query: Query) -> list[tuple[int, dict[str, Any]]]:
    """Return the functions that compute a view's on-demand features, directly or for another of
    them, with the source of each. The client adds the prefix of a join to their features."""
    functions = []
    for source, (group, part) in enumerate(zip(groups, query.parts(), strict=True)):
        own, needed = group.doc.get("transformations", []), {f.name for f in part.features}
        for _ in own:  # one step of the longest possible chain
            for function in own:
                if needed & _names(function, "outputColumnNames"):
                    needed |= _names(function, "transformationFeatures")
        prefix = query.joins[source - 1].prefix if source else None
        for function in own:
            if needed & _names(function, "outputColumnNames"):
                udf = {**function["hopsworksUdf"], "featureNamePrefix": prefix}
                functions.append(
                    (source, {**function, "featurestoreId": STORE_ID, "hopsworksUdf": udf})
                )
    return functions


def serving_keys(app: App, groups: wire.Groups, query: Query) -> list[dict[str, Any]]:
    """Return the primary keys of every group; a key joined to a left primary key is not required."""
    keys, taken = [], set()
    left_keys = {f["name"] for f in groups[0].doc["features"] if f["primary"]}
    for i, group in enumerate(groups):
        join = query.joins[i - 1] if i else None
        joined = {right: left for left, right in join.on} if join else {}
        for feature in (f["name"] for f in group.doc["features"] if f["primary"]):
            prefix = (join and join.prefix) or ""
            if prefix + feature in taken:
                prefix = f"{i}_{prefix}"
            taken.add(prefix + feature)
            keys.append(
                {
                    "featureName": feature,
                    "joinIndex": i,
                    "featureGroup": full(app, group),
                    "prefix": prefix or None,
                    "required": joined.get(feature) not in left_keys,
                    "joinOn": joined.get(feature),
                }
            )
    return keys


@route("GET", "featureview")
def list_views(request: Request) -> Any:
    """`FeatureStore.get_feature_views()`."""
    items = [view_dto(request, v) for v in request.app.folder.all("featureview")]
    return {"count": len(items), "items": items}


@route("GET", "featureview/{name}")
def get_by_name(request: Request, name: str) -> Any:
    """`get_feature_views(name)`: every version."""
    views = request.app.folder.versions("featureview", name)
    if not views:
        raise ApiError(270181, f"There is no feature view {name!r}.")
    return {"count": len(views), "items": [view_dto(request, v) for v in views]}


@route("GET", VIEW)
def get(request: Request, name: str, version: int) -> Any:
    """`get_feature_view(name, version)`."""
    return view_dto(request, view_of(request, name, version))


@route("PUT", VIEW)
def update(request: Request, name: str, version: int) -> Any:
    """`FeatureView.update()`: only the description can change."""
    folder, text = request.app.folder, take(request.json(), "description", str, None)
    with folder.transaction():
        view = view_of(request, name, version)
        if text is not None:
            folder.update(view.id, {**view.doc, "description": check_description(text)})
    return view_dto(request, view_of(request, name, version))


def remove(app: App, view: Entity) -> Callable[[], None]:
    """Remove a view with its log and its training datasets. Return what removes their rows and files,
    which is for after the commit: a kill before it leaves everything."""
    from . import training_files

    with app.folder.transaction():
        datasets, log = app.folder.all("trainingdataset", owner=view.id), log_of(app, view)
        app.folder.remove(view.id)
        if log is not None:
            app.folder.remove(log.id)

    def remove_files() -> None:
        for dataset in datasets:
            training_files.remove(app, view, dataset)
        if log is not None:
            drop_table(app, log)

    return remove_files


@route("DELETE", "featureview/{name}")
def delete_all(request: Request, name: str) -> Any:
    """`FeatureView.delete_all`: every version, with its training datasets."""
    views = request.app.folder.versions("featureview", name)
    if not views:
        raise ApiError(270181, f"There is no feature view {name!r}.")
    for view in views:
        remove(request.app, view)()


@route("DELETE", VIEW)
def delete(request: Request, name: str, version: int) -> Any:
    """`FeatureView.delete()`, also when a group of the view is deleted."""
    remove(request.app, view_of(request, name, version))()


def dataset_of(request: Request, view: Entity, version: int) -> Entity:
    """Return the training dataset of that version, or raise 404."""
    dataset = request.app.folder.get("trainingdataset", view.name, version, owner=view.id)
    if not dataset:
        raise ApiError(270012, f"{view.name!r} has no training dataset version {version}.")
    return dataset


# -- batch data ------------------------------------------------------------------------------------

_BATCH = VIEW + "/query/batch"


@route("GET", _BATCH)
def batch_query(request: Request, name: str, version: int) -> Any:
    """`get_batch_data`, `training_data` and the splits: the view's query, with the asked columns and rows."""
    return _batch_query(request, view_of(request, name, version), None)


@route("POST", _BATCH)
def batch_query_filtered(request: Request, name: str, version: int) -> Any:
    """`get_batch_data` and the like with `extra_filter`."""
    return _batch_query(request, view_of(request, name, version), request.json())


def _batch_query(request: Request, view: Entity, extra: Any) -> dict[str, Any]:
    query, roles = from_doc(view.doc["query"]), view.doc["roles"]
    groups = wire.sources(request, query)
    left_out = [
        tuple(column)
        for key, role in ROLES.items()
        if not request.flag(role.flag)
        for column in roles[key]
    ]

    def selected(i: int, part: Query) -> Query:
        names = [f.name for f in part.features]
        features = [f for f in part.features if (i, f.name) not in left_out]
        added = []
        if request.flag("with_primary_keys"):
            added += [f["name"] for f in groups[i].doc["features"] if f["primary"]]
        if request.flag("with_event_time") and groups[i].doc["eventTime"]:
            added.append(groups[i].doc["eventTime"])
        features += [Selected(n, qualified=True) for n in dict.fromkeys(added) if n not in names]
        return replace(part, features=tuple(features))

    condition = query.filter
    for window in wire.time_window(
        groups[0], request.number("start_time"), request.number("end_time")
    ):
        condition = both(condition, window)
    if (td_version := request.number("td_version")) is not None:
        dataset = dataset_of(request, view, td_version)
        condition = both(condition, node_from_doc(dataset.doc["filter"]))
    if extra is not None:
        condition = both(condition, wire.parse_filter(groups, extra))
    joins = tuple(
        replace(join, query=selected(i, join.query)) for i, join in enumerate(query.joins, 1)
    )
    return wire.to_wire(request, replace(selected(0, query), filter=condition, joins=joins))

"""Feature views and their training datasets (in memory: the client splits and transforms)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from . import wire
from .execution import feature as feature_of
from .groups import (
    STATISTICS_DEFAULT,
    STORE_ID,
    check_description,
    check_name,
    check_version,
    full,
    iso,
    read_functions,
    short,
)
from .protocol import ApiError, Reply, Request, route, take, unsupported
from .query import Query, Selected, both, from_doc, node_from_doc, node_to_doc, to_doc
from .state import Entity, Exists

if TYPE_CHECKING:
    from .app import App

FORMATS = (
    "csv",
    "tfrecords",
    "tfrecord",
    "parquet",
    "tsv",
    "hdf5",
    "npy",
    "orc",
    "avro",
    "image",
    "petastorm",
)
# What a feature of a view can be -> the error code when it is not in the view's query.
_ROLES = {"label": 270142, "inferenceHelperColumn": 270142, "trainingHelperColumn": 270225}


def view_of(request: Request, name: str, version: int) -> Entity:
    """The feature view of that name and version, or 404."""
    found = request.app.folder.get("featureview", name, version)
    if not found:
        raise ApiError(270181, f"There is no feature view {name!r} version {version}.")
    return found


@route("POST", "featureview")
def create(request: Request) -> Reply:
    """`create_feature_view(name, query, labels, training_helper_columns, ...)`."""
    app, doc = request.app, request.json()
    name = check_name(take(doc, "name", str))
    version = check_version(take(doc, "version", int, None), 270058)
    if take(doc, "loggingEnabled", bool, False) or doc.get("extraLogColumns"):
        raise unsupported("create_feature_view(logging_enabled=True)")
    if doc.get("maxFeatureAgeSecs"):
        raise unsupported("create_feature_view(max_feature_age=...)")
    if take(doc, "query", dict, None) is None:
        raise ApiError(270180, "A feature view needs a query.")
    with app.folder.transaction():
        query = wire.parse(request, doc["query"])
        if not all(part.features for part in query.parts()):
            raise ApiError(270180, "Every group of a feature view's query needs features.")
        stored = {
            "description": check_description(take(doc, "description", str, "")),
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
    return Reply(201, view_dto(request, view))


def _read_roles(request: Request, query: Query, features: list[Any]) -> dict[str, list[list[Any]]]:
    """Which columns, as [source, feature], are labels and helpers; matched by name, and by group
    when the client names one."""
    roles: dict[str, list[list[Any]]] = {role: [] for role in _ROLES}
    groups = wire.sources(request, query)
    columns = wire.output(request.app, groups, query)
    for feature in features:
        name = take(feature, "name", str)
        owner = take(take(feature, "featuregroup", dict, {}), "id", int, None)
        for role, code in _ROLES.items():
            if not take(feature, role, bool, False):
                continue
            matches = [
                [c.source, c.feature]
                for c in columns
                if name in (c.feature, c.name) and owner in (None, groups[c.source].id)
            ]
            if not matches:
                raise ApiError(code, f"The column {name!r} is not in the view's query.")
            roles[role] += matches
    return roles


def _read_transformations(
    request: Request, query: Query, doc: dict[str, Any]
) -> list[dict[str, Any]]:
    """The model-dependent transformation functions; each feature that they take must be there."""
    functions = read_functions(doc)
    names = [c.name for c in wire.output(request.app, wire.sources(request, query), query)]
    for function in functions:
        for feature in take(function["hopsworksUdf"], "transformationFeatures", list, []):
            if feature not in names:
                raise ApiError(
                    270164, f"The transformed feature {feature!r} is not in the view's query."
                )
    return functions


def view_dto(request: Request, view: Entity) -> dict[str, Any]:
    """A whole feature view; 404/270009 when a group that it reads was deleted."""
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
        "loggingEnabled": False,
        "query": wire.to_wire(request, query),
        "features": _features(app, groups, query, doc["roles"]),
        "servingKeys": _serving_keys(app, groups, query),
        "transformationFunctions": [
            {**f, "featurestoreId": STORE_ID} for f in doc["transformations"]
        ],
    }


def _features(
    app: App, groups: wire.Groups, query: Query, roles: dict[str, list[Any]]
) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "name": column.name,
            "featureGroupFeatureName": column.feature,
            "type": feature_of(groups[column.source], column.feature)["type"],
            "featuregroup": short(app, groups[column.source]),
            **{role: [column.source, column.feature] in roles[role] for role in _ROLES},
        }
        for index, column in enumerate(wire.output(app, groups, query))
    ]


def _serving_keys(app: App, groups: wire.Groups, query: Query) -> list[dict[str, Any]]:
    """The primary keys of every group; a key joined to a left primary key need not be given."""
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
    found = request.app.folder.versions("featureview", name)
    if not found:
        raise ApiError(270181, f"There is no feature view {name!r}.")
    return {"count": len(found), "items": [view_dto(request, v) for v in found]}


@route("GET", "featureview/{name}/version/{version:int}")
def get(request: Request, name: str, version: int) -> Any:
    """`get_feature_view(name, version)`."""
    return view_dto(request, view_of(request, name, version))


@route("PUT", "featureview/{name}/version/{version:int}")
def update(request: Request, name: str, version: int) -> Any:
    """`FeatureView.update()`: only the description can change."""
    view = view_of(request, name, version)
    text = take(request.json(), "description", str, None)
    if text is not None:
        request.app.folder.update(view.id, {**view.doc, "description": check_description(text)})
    return view_dto(request, view_of(request, name, version))


@route("DELETE", "featureview/{name}")
def delete_all(request: Request, name: str) -> Any:
    """`FeatureView.delete_all`: every version, with its training datasets."""
    found = request.app.folder.versions("featureview", name)
    if not found:
        raise ApiError(270181, f"There is no feature view {name!r}.")
    with request.app.folder.transaction():
        for view in found:
            request.app.folder.remove(view.id)


@route("DELETE", "featureview/{name}/version/{version:int}")
def delete(request: Request, name: str, version: int) -> Any:
    """`FeatureView.delete()`; works too when a group of the view is gone."""
    request.app.folder.remove(view_of(request, name, version).id)


# -- batch data ------------------------------------------------------------------------------------

_BATCH = "featureview/{name}/version/{version:int}/query/batch"


@route("GET", _BATCH)
def batch_query(request: Request, name: str, version: int) -> Any:
    """`get_batch_data`, `training_data` and the splits: the view's query, cut to what is asked."""
    return _batch_query(request, view_of(request, name, version), None)


@route("POST", _BATCH)
def batch_query_filtered(request: Request, name: str, version: int) -> Any:
    """The same with `extra_filter`."""
    return _batch_query(request, view_of(request, name, version), request.json())


def _batch_query(request: Request, view: Entity, extra: Any) -> dict[str, Any]:
    query, roles = from_doc(view.doc["query"]), view.doc["roles"]
    groups = wire.sources(request, query)
    left_out = [
        tuple(column)
        for role, flag in (
            ("label", "with_label"),
            ("inferenceHelperColumn", "inference_helper_columns"),
            ("trainingHelperColumn", "training_helper_columns"),
        )
        if not request.flag(flag)
        for column in roles[role]
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


# -- training datasets -----------------------------------------------------------------------------

_DATASETS = "featureview/{name}/version/{version:int}/trainingdatasets"


def dataset_of(request: Request, view: Entity, version: int) -> Entity:
    """The training dataset of that version, or 404."""
    found = request.app.folder.get("trainingdataset", view.name, version, owner=view.id)
    if not found:
        raise ApiError(270012, f"{view.name!r} has no training dataset version {version}.")
    return found


def dataset_dto(request: Request, view: Entity, dataset: Entity) -> dict[str, Any]:
    """A training dataset as a GET answers it."""
    query = from_doc(view.doc["query"])
    groups = wire.sources(request, query)
    return {
        "type": "trainingDatasetDTO",
        "id": dataset.id,
        "name": f"{view.name}_{view.version}",
        "version": dataset.version,
        "featurestoreId": STORE_ID,
        "featurestoreName": request.app.project,
        "created": iso(dataset.created),
        "creator": request.app.user,
        "features": _features(request.app, groups, query, view.doc["roles"]),
        "dataSource": {},
        **dataset.doc["sent"],
    }


@route("POST", _DATASETS)
def create_dataset(request: Request, name: str, version: int) -> Reply:
    """Every `training_data`, `train_test_split` and the like registers one."""
    app, doc = request.app, request.json()
    if take(doc, "trainingDatasetType", str, "") != "IN_MEMORY_TRAINING_DATASET":
        raise unsupported("Training data in files (create_training_data, create_train_test_split)")
    if take(doc, "spineAnchored", bool, False) or take(doc, "lookback", dict, None):
        raise unsupported("Training data with spine_df or lookback")
    if take(doc, "dataFormat", str, "tsv") not in FORMATS:
        raise ApiError(270057, f"Unknown data format {doc['dataFormat']!r}.")
    wanted = check_version(take(doc, "version", int, None), 270058)
    with app.folder.transaction():
        view = view_of(request, name, version)
        groups = wire.sources(request, from_doc(view.doc["query"]))
        splits = [_read_split(s) for s in take(doc, "splits", list, [])]
        _check_splits(splits, groups[0])
        start, end = take(doc, "eventStartTime", int, None), take(doc, "eventEndTime", int, None)
        list(wire.time_window(groups[0], start, end))  # refuses what could not be read later
        extra = take(doc, "extraFilter", dict, None)
        sent = {
            "description": check_description(take(doc, "description", str, "")),
            "dataFormat": take(doc, "dataFormat", str, "tsv"),
            "coalesce": take(doc, "coalesce", bool, False),
            "trainingDatasetType": "IN_MEMORY_TRAINING_DATASET",
            "splits": splits,
            "seed": take(doc, "seed", int, None),
            "trainSplit": take(doc, "trainSplit", str, None),
            "eventStartTime": start,
            "eventEndTime": end,
            "statisticsConfig": {**STATISTICS_DEFAULT, **take(doc, "statisticsConfig", dict, {})},
            "extraFilter": extra,
        }
        condition = wire.parse_filter(groups, extra) if extra else None
        stored = {"sent": sent, "filter": node_to_doc(condition)}
        limit, now = app.training_dataset_quota, app.folder.count("trainingdataset")
        if limit is not None and now >= limit:
            raise ApiError(
                270186,
                f"Training dataset quota reached. Current: {now} Max: {limit}. Delete training "
                "datasets that are no longer needed.",
            )
        try:
            dataset = app.folder.add("trainingdataset", name, wanted, stored, owner=view.id)
        except Exists:
            raise ApiError(
                270016, f"{name!r} already has a training dataset version {wanted}."
            ) from None
    answer = dataset_dto(request, view, dataset)
    return Reply(201, answer)


def _read_split(split: Any) -> dict[str, Any]:
    kind = take(split, "splitType", str, "RANDOM_SPLIT")
    found = {
        "name": check_name(take(split, "name", str, ""), 270098, "split name"),
        "splitType": kind,
        "percentage": take(split, "percentage", (int, float), None),
        "startTime": take(split, "startTime", int, None),
        "endTime": take(split, "endTime", int, None),
    }
    if kind == "RANDOM_SPLIT" and not (found["percentage"] or 0) > 0:
        raise ApiError(270099, f"The split {found['name']!r} needs a percentage above 0.")
    return found


def _check_splits(splits: list[dict[str, Any]], left: Entity) -> None:
    names = [s["name"] for s in splits]
    if len(set(names)) < len(names):
        raise ApiError(270106, "Two splits have the same name.")
    timed = [s for s in splits if s["splitType"] != "RANDOM_SPLIT"]
    if timed and left.doc["eventTime"] is None:
        raise ApiError(270172, f"The feature group {left.name!r} has no event time.")
    for split in timed:
        start, end = split["startTime"], split["endTime"]
        if start is None or end is None or end < start:
            raise ApiError(
                270206, f"The time split {split['name']!r} needs a start and a later end."
            )
    order = [s for n in ("train", "validation", "test") for s in timed if s["name"] == n]
    for earlier, later in pairwise(order):
        if later["startTime"] < earlier["endTime"] or later["startTime"] == order[0]["startTime"]:
            raise ApiError(
                270206, f"The split {later['name']!r} starts before {earlier['name']!r} ends."
            )


@route("GET", _DATASETS)
def list_datasets(request: Request, name: str, version: int) -> Any:
    """`FeatureView.get_training_datasets()`."""
    view = view_of(request, name, version)
    found = request.app.folder.all("trainingdataset", owner=view.id)
    return {"count": len(found), "items": [dataset_dto(request, view, d) for d in found]}


@route("DELETE", _DATASETS)
def delete_datasets(request: Request, name: str, version: int) -> Any:
    """`delete_all_training_datasets()`."""
    with request.app.folder.transaction():
        view = view_of(request, name, version)
        for dataset in request.app.folder.all("trainingdataset", owner=view.id):
            request.app.folder.remove(dataset.id)


@route("GET", _DATASETS + "/version/{number:int}")
def get_dataset(request: Request, name: str, version: int, number: int) -> Any:
    """`get_training_data(version)` and the like."""
    view = view_of(request, name, version)
    return dataset_dto(request, view, dataset_of(request, view, number))


@route("DELETE", _DATASETS + "/version/{number:int}")
def delete_dataset(request: Request, name: str, version: int, number: int) -> Any:
    """`delete_training_dataset(version)`."""
    view = view_of(request, name, version)
    request.app.folder.remove(dataset_of(request, view, number).id)


@route("DELETE", _DATASETS + "/data")
@route("DELETE", _DATASETS + "/version/{number:int}/data")
def purge(request: Request, name: str, version: int, number: int | None = None) -> Any:
    """`purge_training_data`: an in-memory training dataset has no data to delete."""
    view = view_of(request, name, version)
    if number is not None:
        dataset_of(request, view, number)
    raise ApiError(270204, "An in-memory training dataset has no data to delete.")

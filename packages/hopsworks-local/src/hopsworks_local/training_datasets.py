"""Training datasets of feature views: in memory, where the client splits and transforms, and in files."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from . import tag_schemas, training_files, views, wire
from .execution import feature
from .groups import STATISTICS_DEFAULT, STORE_ID, check_description, check_name, check_version, iso
from .protocol import ApiError, Reply, Request, route, take, unsupported
from .query import from_doc, node_to_doc
from .state import Entity, Exists
from .training_files import HOPSFS
from .views import DATASETS, dataset_of, view_of

FORMATS = (
    *("csv", "tfrecords", "tfrecord", "parquet", "tsv", "hdf5"),
    *("npy", "orc", "avro", "image", "petastorm"),
)


def dataset_dto(request: Request, view: Entity, dataset: Entity) -> dict[str, Any]:
    """Return a training dataset as a GET answers it."""
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
        "features": views.features_dto(request.app, groups, query, view.doc["roles"]),
        **training_files.place(request.app, view, dataset),
        **dataset.doc["sent"],
    }


@route("POST", DATASETS)
def create_dataset(request: Request, name: str, version: int) -> Reply:
    """`training_data`, `create_training_data`, `train_test_split` and the like."""
    app, doc = request.app, request.json()
    wanted = check_version(take(doc, "version", int, None), 270058)
    with app.folder.transaction():
        view = view_of(request, name, version)
        stored = _read_dataset(request, view, doc)
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
        tag_schemas.attach(app.folder, dataset, doc)
    return Reply(201, dataset_dto(request, view, dataset))


def _read_dataset(request: Request, view: Entity, doc: dict[str, Any]) -> dict[str, Any]:
    """Check a new training dataset and return what is stored of it."""
    kind, form = take(doc, "trainingDatasetType", str, ""), take(doc, "dataFormat", str, "tsv")
    if kind not in ("IN_MEMORY_TRAINING_DATASET", HOPSFS):
        raise unsupported(f"Training data of type {kind!r}")
    if take(doc, "spineAnchored", bool, False) or take(doc, "lookback", dict, None):
        raise unsupported("Training data with spine_df or lookback")
    if form not in FORMATS:
        raise ApiError(270057, f"Unknown data format {form!r}.")
    query = from_doc(view.doc["query"])
    groups = wire.sources(request, query)
    if kind == HOPSFS:
        columns = wire.output(request.app, groups, query)
        kinds = [feature(groups[c.source], c.feature)["type"] for c in columns]
        training_files.check(view, form, take(doc, "dataSource", dict, {}), kinds)
    splits = [_read_split(s) for s in take(doc, "splits", list, [])]
    _check_splits(splits, groups[0])
    start, end = take(doc, "eventStartTime", int, None), take(doc, "eventEndTime", int, None)
    list(wire.time_window(groups[0], start, end))  # refuses what could not be read later
    extra = take(doc, "extraFilter", dict, None)
    sent = {
        "description": check_description(take(doc, "description", str, "")),
        "dataFormat": form,
        "coalesce": take(doc, "coalesce", bool, False),
        "trainingDatasetType": kind,
        "splits": splits,
        "seed": take(doc, "seed", int, None),
        "trainSplit": take(doc, "trainSplit", str, None),
        "eventStartTime": start,
        "eventEndTime": end,
        "statisticsConfig": {**STATISTICS_DEFAULT, **take(doc, "statisticsConfig", dict, {})},
        "extraFilter": extra,
    }
    condition = wire.parse_filter(groups, extra) if extra else None
    return {"sent": sent, "filter": node_to_doc(condition)}


def _read_split(split: Any) -> dict[str, Any]:
    kind = take(split, "splitType", str, "RANDOM_SPLIT")
    checked = {
        "name": check_name(take(split, "name", str, ""), 270098, "split name"),
        "splitType": kind,
        "percentage": take(split, "percentage", (int, float), None),
        "startTime": take(split, "startTime", int, None),
        "endTime": take(split, "endTime", int, None),
    }
    if kind == "RANDOM_SPLIT" and not (checked["percentage"] or 0) > 0:
        raise ApiError(270099, f"The split {checked['name']!r} needs a percentage above 0.")
    return checked


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


@route("GET", DATASETS)
def list_datasets(request: Request, name: str, version: int) -> Any:
    """`FeatureView.get_training_datasets()`."""
    view = view_of(request, name, version)
    datasets = request.app.folder.all("trainingdataset", owner=view.id)
    return {"count": len(datasets), "items": [dataset_dto(request, view, d) for d in datasets]}


@route("DELETE", DATASETS)
def delete_datasets(request: Request, name: str, version: int) -> Any:
    """`delete_all_training_datasets()`."""
    with request.app.folder.transaction():
        view = view_of(request, name, version)
        datasets = request.app.folder.all("trainingdataset", owner=view.id)
        for dataset in datasets:
            request.app.folder.remove(dataset.id)
    for dataset in datasets:
        training_files.remove(request.app, view, dataset)


@route("GET", DATASETS + "/version/{number:int}")
def get_dataset(request: Request, name: str, version: int, number: int) -> Any:
    """`get_training_data(version)` and the like."""
    view = view_of(request, name, version)
    return dataset_dto(request, view, dataset_of(request, view, number))


@route("DELETE", DATASETS + "/version/{number:int}")
def delete_dataset(request: Request, name: str, version: int, number: int) -> Any:
    """`delete_training_dataset(version)`."""
    view = view_of(request, name, version)
    dataset = dataset_of(request, view, number)
    request.app.folder.remove(dataset.id)
    training_files.remove(request.app, view, dataset)


@route("DELETE", DATASETS + "/data")
@route("DELETE", DATASETS + "/version/{number:int}/data")
def purge(request: Request, name: str, version: int, number: int | None = None) -> Any:
    """`purge_training_data` and `purge_all_training_data`: the files go, the metadata stays."""
    app, view = request.app, view_of(request, name, version)
    datasets = app.folder.all("trainingdataset", owner=view.id)
    if number is not None:
        datasets = [dataset_of(request, view, number)]
    datasets = [d for d in datasets if d.doc["sent"]["trainingDatasetType"] == HOPSFS]
    if not datasets:
        raise ApiError(270204, "An in-memory training dataset has no data to delete.")
    for dataset in datasets:
        training_files.remove(app, view, dataset)

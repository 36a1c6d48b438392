"""Training data in files: a view's query, run here and written to the project's files.

On a cluster Spark or the query service does this. A view with transformation functions is refused,
as the functions are the client's code.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from . import wire
from .execution import Plan, run
from .files import resolve
from .groups import STORE_ID, group_by_id
from .jobs import finished_job
from .protocol import ApiError, Request, route, take, unsupported
from .query import both
from .state import Entity
from .views import DATASETS, dataset_of, view_of

if TYPE_CHECKING:
    from .app import App

HOPSFS = "HOPSFS_TRAINING_DATASET"
FORMATS = ("csv", "tsv", "parquet")  # what the client can read without Spark


def check(view: Entity, data_format: str, source: dict[str, Any], kinds: list[str]) -> None:
    """Refuse training data that cannot be written here; `kinds` are the types of the view's features."""
    if data_format not in FORMATS:
        raise unsupported(f"Training data in files of format {data_format!r}")
    connector = take(source, "storageConnector", dict, {})
    if source.get("path") or connector.get("storageConnectorType") not in (None, "HOPSFS"):
        raise unsupported("create_training_data(location=..., storage_connector=...)")
    if view.doc["transformations"]:
        raise unsupported("Training data in files of a view with transformation functions")
    for kind in kinds:
        if data_format != "parquet" and (kind == "binary" or "<" in kind):
            raise unsupported(f"Training data in {data_format} files with a feature of type {kind}")


def _home(app: App, view: Entity, dataset: Entity) -> str:
    """Return the path of a training dataset's folder, as the client knows it."""
    name = f"{view.name}_{view.version}_{dataset.version}"
    return f"/Projects/{app.project}/Training_Datasets/{name}"


def place(app: App, view: Entity, dataset: Entity) -> dict[str, Any]:
    """Return where the client reads the files of a training dataset, if it has any."""
    if dataset.doc["sent"]["trainingDatasetType"] != HOPSFS:
        return {"dataSource": {}}
    connector = {
        "type": "featurestoreHopsfsConnectorDTO",
        "storageConnectorType": "HOPSFS",
        "id": 2,
        "name": f"{app.project}_Training_Datasets",
        "featurestoreId": STORE_ID,
    }
    return {
        "location": _home(app, view, dataset),
        "dataSource": {"storageConnector": connector},
    }


def remove(app: App, view: Entity, dataset: Entity) -> None:
    """Remove the files of a training dataset, if it has any."""
    if dataset.doc["sent"]["trainingDatasetType"] == HOPSFS:
        with app.folder.aside() as gone, contextlib.suppress(FileNotFoundError):
            os.rename(resolve(app, _home(app, view, dataset)), gone)


@route("POST", DATASETS + "/version/{number:int}/compute")
def compute(request: Request, name: str, version: int, number: int) -> Any:
    """`create_training_data()`, the splits and `recreate_training_dataset()`."""
    view = view_of(request, name, version)
    dataset = dataset_of(request, view, number)
    query = wire.parse(request, take(request.json(), "query", dict))
    write(request.app, view, dataset, wire.plan(request, query))
    return finished_job(request.app, group_by_id(request, query.group))


def write(app: App, view: Entity, dataset: Entity, plan: Plan) -> None:
    """Write all files of a training dataset, and only then put them in place of older ones."""
    sent = dataset.doc["sent"]
    if sent["trainingDatasetType"] != HOPSFS:
        raise ApiError(270204, "An in-memory training dataset has no files.")
    target = resolve(app, _home(app, view, dataset))
    with app.folder.aside() as whole, app.folder.aside() as old:
        for part, table in _parts(app, plan, f"{view.name}_{view.version}", sent):
            (whole / part).mkdir(parents=True)
            _write_table(table, whole / part / f"part-00000.{sent['dataFormat']}", sent)
        target.parent.mkdir(exist_ok=True)
        with app.folder.transaction():
            if target.exists():
                os.rename(target, old)
            os.rename(whole, target)


def _parts(app: App, plan: Plan, name: str, sent: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield each split with its rows; all rows without splits."""
    splits = sent["splits"]
    if splits and splits[0]["splitType"] != "RANDOM_SPLIT":
        for split in splits:
            condition = plan.query.filter
            for window in wire.time_window(plan.groups[0], split["startTime"], split["endTime"]):
                condition = both(condition, window)
            yield (
                split["name"],
                _table(app, replace(plan, query=replace(plan.query, filter=condition))),
            )
        return
    table = _table(app, plan)
    if not splits:
        yield name, table
        return
    shares = np.array([split["percentage"] for split in splits], dtype=float)
    ends = np.round(shares.cumsum() / shares.sum() * len(table)).astype(int)
    order = np.random.default_rng(sent["seed"]).permutation(len(table))
    for split, rows in zip(splits, np.split(order, ends[:-1]), strict=True):
        yield split["name"], table.take(np.sort(rows))


def _table(app: App, plan: Plan) -> Any:
    schema, batches = run(app, plan)
    return pa.Table.from_batches(batches, schema)


def _write_table(table: Any, place: Path, sent: dict[str, Any]) -> None:
    if sent["dataFormat"] == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, place)
        return
    from pyarrow import compute, csv

    for i, field in enumerate(table.schema):
        if pa.types.is_floating(field.type):  # 2.0, as Spark writes it: "2" is read as an integer
            text = table[i].cast(pa.string())
            text = compute.replace_substring_regex(text, r"^(-?\d+)$", r"\1.0")
            table = table.set_column(i, field.name, text)
    options = csv.WriteOptions(delimiter="\t" if sent["dataFormat"] == "tsv" else ",")
    csv.write_csv(table, place, options)


def parquet_file(app: App, path: str) -> Path:
    """Return the place of a Parquet file of the project, which must be there."""
    place = resolve(app, path)
    if place.suffix != ".parquet" or not place.is_file():
        raise ApiError(110018, f"There is no Parquet file {path!r}.")
    return place


def read(app: App, path: str) -> Any:
    """Return a Parquet file of the project as a stream of record batches."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(parquet_file(app, path), pre_buffer=False)
    return pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())

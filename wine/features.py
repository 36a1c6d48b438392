"""How the feature groups, views and files of the project are written and read.

All groups are offline, in Delta, version 1. ``wine.groups`` describes them.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from wine.columns import BY_NAME, GRADES, TYPES
from wine.connection import place, streams
from wine.errors import WineError
from wine.groups import NO_ROWS_YET, WINE, Group
from wine.retry import call

VERSION = 1
POSSIBLE = {"type": TYPES} | dict.fromkeys(
    ("quality", "reference_grade", "predicted_grade"), GRADES
)


def write(store: Any, group: Group, frame: pd.DataFrame) -> Any:
    """Upsert the rows of ``frame`` into a feature group, creating it when it is missing.

    Raises WineError when the group's columns in Hopsworks are not those of ``group``.
    """
    frame = frame[list(group.columns)]
    times = frame.select_dtypes("datetime").columns  # Delta keeps microseconds
    frame = frame.astype(dict.fromkeys(times, "datetime64[us]"))

    def upsert() -> Any:  # as a whole, since another run may create the group in between
        feature_group = _get_or_create(store, group)
        # waits for the cluster's job when streaming; otherwise the rows are there at once
        feature_group.insert(frame, wait=True)
        return feature_group

    feature_group = call(upsert)
    # Every write adds a file, and a read opens them all: merge them about once a month.
    if group.event_time and not streams() and (frame[group.event_time].dt.day == 1).any():
        call(feature_group.delta_optimize)
        call(feature_group.delta_vacuum)
    return feature_group


def _get_or_create(store: Any, group: Group) -> Any:
    from hsfs.feature import Feature

    feature_group = store.get_or_create_feature_group(
        name=group.name,
        version=VERSION,
        description=group.description,
        primary_key=[group.primary_key],
        event_time=group.event_time,
        features=[
            Feature(name, type=kind, description=description)
            for name, (kind, description) in group.columns.items()
        ],
        online_enabled=False,
        time_travel_format="DELTA",
        stream=streams(),
    )
    if feature_group.id is not None:  # it was there before
        _check_columns(feature_group, group, exact=True)
    return feature_group


def find(store: Any, group: Group) -> Any:
    """Return the feature group, or None when it was never written.

    Raises WineError when its columns are not those of ``group``.
    """
    feature_group = call(store.get_feature_group, group.name, version=VERSION)
    if feature_group is not None:
        _check_columns(feature_group, group)
    return feature_group


def _check_columns(feature_group: Any, group: Group, *, exact: bool = False) -> None:
    """Raise WineError when a column is missing or of another type.

    With ``exact``, also for an unexpected column: Hopsworks takes no rows that lack it.
    """
    actual = {feature.name: feature.type for feature in feature_group.features}
    faults = [f"missing column: {name}" for name in group.columns if name not in actual]
    faults += [
        f"column {name} is {actual[name]}, expected {kind}"
        for name, (kind, _) in group.columns.items()
        if actual.get(name, kind) != kind
    ]
    if exact:
        faults += [f"unexpected column: {name}" for name in actual if name not in group.columns]
    if faults:
        raise WineError(
            f"the schema of feature group {group.name} has changed ({', '.join(faults)}). Revert "
            f"it, or delete the feature group and its feature views and run {group.written_by} to "
            "recreate it."
        )


def need(store: Any, group: Group) -> Any:
    """Return the feature group, or raise WineError that says which part creates it."""
    feature_group = find(store, group)
    if feature_group is None:
        raise WineError(f"no feature group {group.name} in {place()}: run {group.written_by} first")
    return feature_group


def read(store: Any, group: Group) -> pd.DataFrame:
    """Return all rows ordered by key; raise WineError when the group is missing or empty."""
    frame = _rows(need(store, group), group)
    if frame.empty:
        raise WineError(
            f"the feature group {group.name} in {place()} is empty: run {group.written_by} first"
        )
    return frame


def read_all(store: Any, group: Group) -> pd.DataFrame:
    """Return all rows ordered by key; no rows when the group is missing."""
    feature_group = find(store, group)
    return empty(group) if feature_group is None else _rows(feature_group, group)


def empty(group: Group) -> pd.DataFrame:
    """Return a feature group's columns without rows."""
    types = {"string": "object", "bigint": "int64", "timestamp": "datetime64[us]"}
    return pd.DataFrame(
        {name: pd.Series(dtype=types.get(kind, kind)) for name, (kind, _) in group.columns.items()}
    )


def _rows(query: Any, group: Group) -> pd.DataFrame:
    """Return what a query reads, ordered by key; no rows when the group's first write failed."""
    from hopsworks.client.exceptions import FeatureStoreException

    try:
        rows = call(query.read).sort_values(group.primary_key, ignore_index=True)
    except FeatureStoreException as error:
        if not NO_ROWS_YET.search(str(error)):
            raise
        return empty(group)
    _check_values(rows, group)
    return rows


def _check_values(rows: pd.DataFrame, group: Group) -> None:
    """Raise WineError for the first value that no wine can have, a missing one included."""
    for name in map(str, rows):
        if column := BY_NAME.get(name):
            possible = rows[name].between(column.low, column.high)
        elif name in POSSIBLE:
            possible = rows[name].isin(POSSIBLE[name])
        else:
            continue
        if not possible.all():
            row = rows[~possible].iloc[0]
            raise WineError(
                f"{name} of {row[group.primary_key]} in feature group {group.name} is {row[name]}, "
                "which is not possible: correct or delete this row and run again"
            )


def read_wines(store: Any) -> pd.DataFrame:
    """Return all wines through the feature view ``wine``, ordered by wine_id: shape (5320, 15).

    Features, ``quality`` (the label) and the helper columns ``wine_id``, ``group_id``,
    ``split``. Hopsworks registers a training dataset for every such read and a cluster may allow
    only so many (100 in the original project), so it is deleted again here.
    """
    view = call(
        store.get_or_create_feature_view,
        name=WINE.name,
        version=VERSION,
        description=WINE.description,
        query=need(store, WINE).select_all(),
        labels=["quality"],
        training_helper_columns=["wine_id", "group_id", "split"],
    )
    features, labels = call(
        view.training_data, training_helper_columns=True, statistics_config=False
    )
    registered = view.get_last_accessed_training_dataset()
    call(view.delete_training_dataset, training_dataset_version=registered)
    rows = features.join(labels).sort_values("wine_id", ignore_index=True)
    _check_values(rows, WINE)
    return rows


def upload(project: Any, files: Iterable[Path], folder: str) -> None:
    """Upload local files to a folder of the project, replacing files of the same name.

    Hopsworks makes the folder.
    """
    dataset = project.get_dataset_api()
    for file in files:
        call(dataset.upload, str(file), folder, overwrite=True)


def download_text(project: Any, path: str) -> str | None:
    """Return the text of a file of the project, or None when it is missing."""
    dataset = project.get_dataset_api()

    def download() -> str | None:
        if not dataset.exists(path):
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(dataset.download(path, folder, overwrite=True)).read_text(encoding="utf-8")

    return call(download)

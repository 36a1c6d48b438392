"""The feature groups and views: their names and keys, how they are written and read.

All groups are offline, in Delta, version 1. Hopsworks upserts by primary key and event time,
and both come from the data, never from the clock: writing anything twice changes nothing.
What grows by a wine a day is partitioned by month and compacted, so that one more wine costs the
same after any number of years: an upsert compares with the rows of its month alone, and a month
is one file.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from wine.columns import NAMES
from wine.connection import call, place, streams
from wine.errors import WineError

VERSION = 1
NOTHING_WRITTEN = re.compile(  # how the client says that a feature group has no table yet
    r"nothing was inserted yet|No commits found|No delta logs found"
    r"|No data found for featuregroup [\w.]+\. Detail"
)


@dataclass(frozen=True)
class Group:
    """What Hopsworks must know of a feature group, and which part of the pipeline writes it.

    ``columns`` maps every column to its type, as Hopsworks calls it. A group ``by_month`` has a
    partition key ``month``, which is made of its ``day``.
    """

    name: str
    description: str
    primary_key: str
    written_by: str
    columns: dict
    event_time: str | None = None
    by_month: bool = False


_MEASURED = dict.fromkeys(NAMES, "double") | {"type": "string", "quality": "bigint"}
_DATED = {"wine_id": "string", "day": "timestamp", "month": "string", "filed": "timestamp"}


WINE = Group(
    "wine",
    "Every distinct wine of UCI's Wine Quality data, its near-duplicate group and its split",
    "wine_id",
    "initialize.ipynb",
    _MEASURED | {"wine_id": "string", "group_id": "bigint", "split": "string"},
)
BALANCED = Group(
    "wine_balanced",
    "The training wines balanced by grade with SMOTE; never evaluated on",
    "row_id",
    "initialize.ipynb",
    _MEASURED | {"row_id": "string", "synthetic": "boolean"},
)
DAILY = Group(
    "daily_wine",
    "One generated wine a day; its quality is the grade of its nearest real wine",
    "wine_id",
    "daily.py",
    _MEASURED | _DATED | {"source_id": "string"},
    "day",
    by_month=True,
)
PREDICTION = Group(
    "wine_prediction",
    "What the served model said of each daily wine, when it was new",
    "wine_id",
    "inference.py",
    _DATED
    | {"type": "string", "quality": "bigint", "predicted": "bigint", "expected": "double"}
    | {"probability": "double", "model_version": "bigint"},
    "day",
    by_month=True,
)


def write(store, group, frame):
    """Upsert the rows of ``frame`` into a feature group, which is made if it is not there."""
    if group.by_month:
        frame = frame.assign(month=frame["day"].dt.strftime("%Y-%m"))
    times = frame.select_dtypes("datetime").columns  # Delta keeps microseconds
    frame = frame.astype(dict.fromkeys(times, "datetime64[us]"))
    delta = group.by_month and not streams()  # when streaming, the cluster writes the files
    # The client appends to a month that has no rows, and two runs that do so at once would both
    # succeed. A table property, though the same as before, lets nearly always only one of them;
    # the other one is tried again, finds the rows and updates them. Should both get through,
    # the row is there twice, and who reads takes one of them.
    options = {"delta.enableChangeDataFeed": "true"} if delta else {}

    def upsert():  # as a whole, since another run may make the group in between
        feature_group = store.get_or_create_feature_group(
            name=group.name,
            version=VERSION,
            description=group.description,
            primary_key=[group.primary_key],
            event_time=group.event_time,
            partition_key=["month"] if group.by_month else [],
            online_enabled=False,
            time_travel_format="DELTA",
            stream=streams(),
        )
        if feature_group.id is not None:  # it was there before
            _check_columns(feature_group, group, set(frame))
        if not streams() and not (feature_group.id and feature_group.commit_details(limit=1)):
            # Two first writes at once would both succeed, and double every row. Two that make the
            # table empty do no harm, and rows that follow are compared with what is there.
            text = [name for name, kind in group.columns.items() if kind == "string"]
            nothing = frame.head(0).astype(dict.fromkeys(text, "string"))
            feature_group.insert(nothing, validation_options={"schema_validation": False})
        # waits for the cluster's job when streaming; without it, the rows are there at once
        feature_group.insert(frame, write_options=options, wait=True)
        return feature_group

    feature_group = call(upsert)
    if delta:
        call(feature_group.delta_optimize)
    return feature_group


def find(store, group):
    """The feature group, or None when it was never written; WineError when its columns differ."""
    feature_group = call(store.get_feature_group, group.name, version=VERSION)
    if feature_group is not None:
        _check_columns(feature_group, group)
    return feature_group


def _check_columns(feature_group, group, written=None):
    """Raises WineError when a column is missing or of another type.

    So it does for a column too many when rows are to be ``written`` (a set of their columns):
    reading does not mind it, but Hopsworks takes no rows that lack it.
    """
    there = {feature.name: feature.type for feature in feature_group.features}
    faults = [f"no column {name}" for name in group.columns if name not in there]
    faults += [
        f"{name} is {there[name]} instead of {kind}"
        for name, kind in group.columns.items()
        if there.get(name, kind) != kind
    ]
    if written:
        faults += [f"{name} is a column too many" for name in there if name not in written]
    if faults:
        raise WineError(
            f"the feature group {group.name} was changed from outside ({', '.join(faults)}): "
            f"undo that, or delete it and run {group.written_by} to make it anew"
        )


def need(store, group):
    """The feature group. Raises WineError that says which part of the pipeline makes it."""
    feature_group = find(store, group)
    if feature_group is None:
        raise WineError(f"no feature group {group.name} in {place()}: run {group.written_by} first")
    return feature_group


def read(store, group):
    """All rows of a feature group, ordered by its key; WineError when it is missing or empty."""
    frame = _rows(need(store, group), group)
    if frame.empty:
        raise WineError(
            f"the feature group {group.name} in {place()} is empty: run {group.written_by} first"
        )
    return frame.sort_values(group.primary_key, ignore_index=True)


def read_from(store, group, column, start):
    """The rows whose timestamp ``column`` is ``start`` (a date) or later, ordered by key."""
    feature_group = need(store, group)
    query = feature_group.filter(feature_group[column] >= f"{start} 00:00:00")
    return _rows(query, group).sort_values(group.primary_key, ignore_index=True)


def empty(group):
    """A feature group's columns without rows."""
    types = {"string": "object", "bigint": "int64", "timestamp": "datetime64[us]"}
    return pd.DataFrame(
        {name: pd.Series(dtype=types.get(kind, kind)) for name, kind in group.columns.items()}
    )


def _rows(query, group):
    """What a query reads, a key once (see ``write``); no rows when the run that made the group
    ended before it wrote any."""
    from hopsworks.client.exceptions import FeatureStoreException

    try:
        return call(query.read).drop_duplicates(group.primary_key)
    except FeatureStoreException as error:
        if not NOTHING_WRITTEN.search(str(error)):
            raise
        return empty(group)


def read_wines(store):
    """All wines through the feature view ``wine``, ordered by wine_id: shape (5320, 16).

    Features, ``quality`` (the label), and the helper columns ``wine_id``, ``group_id``,
    ``split``.
    """
    wines = training_data(view(store, WINE, helpers=["wine_id", "group_id", "split"]))
    return wines.sort_values("wine_id", ignore_index=True)


def view(store, group, *, helpers, label="quality"):
    """The feature view of the same name over all of a group, made if it is not there.

    ``helpers`` are training helper columns: they come with training data and are no features.
    """
    feature_group = need(store, group)
    return call(
        store.get_or_create_feature_view,
        name=group.name,
        version=VERSION,
        description=group.description,
        query=feature_group.select_all(),
        labels=[label],
        training_helper_columns=helpers,
    )


def training_data(feature_view):
    """All rows of a feature view in one frame: features, helper columns and label.

    Hopsworks registers a training dataset for every such read and a cluster may allow only so
    many (the original project ran into 100), so it is deleted again here.
    """
    rows, labels = call(
        feature_view.training_data, training_helper_columns=True, statistics_config=False
    )
    registered = feature_view.get_last_accessed_training_dataset()
    call(feature_view.delete_training_dataset, training_dataset_version=registered)
    return rows.join(labels)


def upload(project, files, folder):
    """Upload local files to a folder of the project, over files of the same name."""
    dataset = project.get_dataset_api()
    make_folder(dataset, folder)
    for file in files:
        call(dataset.upload, str(file), folder, overwrite=True)


def make_folder(dataset, folder):
    """Make a folder and those above it: Hopsworks makes one level at a time."""
    parts = folder.split("/")
    for depth in range(2, len(parts) + 1):
        path = "/".join(parts[:depth])
        call(lambda path=path: dataset.exists(path) or dataset.mkdir(path))


def download_text(project, path):
    """The text of a file of the project, or None when it is not there."""
    dataset = project.get_dataset_api()

    def download():
        if not dataset.exists(path):
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(dataset.download(path, folder, overwrite=True)).read_text()

    return call(download)

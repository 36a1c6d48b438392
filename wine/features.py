"""The feature groups and views: their names and keys, how they are written and read.

All groups are offline, in Delta, version 1. Hopsworks upserts by primary key and event time,
and both come from the data, never from the clock: writing anything twice changes nothing.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from wine.connection import call, streams
from wine.errors import WineError

VERSION = 1


@dataclass(frozen=True)
class Group:
    """What Hopsworks must know of a feature group, and which part of the pipeline writes it."""

    name: str
    description: str
    primary_key: str
    written_by: str
    event_time: str | None = None


WINE = Group(
    "wine",
    "Every distinct wine of UCI's Wine Quality data, its near-duplicate group and its split",
    "wine_id",
    "initialize.ipynb",
)
BALANCED = Group(
    "wine_balanced",
    "The training wines balanced by grade with SMOTE; never evaluated on",
    "row_id",
    "initialize.ipynb",
)
DAILY = Group(
    "daily_wine",
    "One generated wine a day; its quality is the grade of its nearest real wine",
    "wine_id",
    "daily.py",
    "day",
)
PREDICTION = Group(
    "wine_prediction",
    "What the served model said of each daily wine, when it was new",
    "wine_id",
    "inference.py",
    "day",
)


def write(store, group, frame):
    """Upsert the rows of ``frame`` into a feature group, which is made if it is not there."""
    feature_group = call(
        store.get_or_create_feature_group,
        name=group.name,
        version=VERSION,
        description=group.description,
        primary_key=[group.primary_key],
        event_time=group.event_time,
        online_enabled=False,
        time_travel_format="DELTA",
        stream=streams(),
    )
    times = frame.select_dtypes("datetime").columns  # Delta keeps microseconds
    frame = frame.astype(dict.fromkeys(times, "datetime64[us]"))
    # waits for the cluster's job when streaming; without streaming the rows are there at once
    call(feature_group.insert, frame, wait=True)
    return feature_group


def find(store, group):
    """The feature group, or None when it was never written."""
    return call(store.get_feature_group, group.name, version=VERSION)


def need(store, group):
    """The feature group. Raises WineError that says which part of the pipeline makes it."""
    feature_group = find(store, group)
    if feature_group is None:
        raise WineError(f"no feature group {group.name}: run {group.written_by} first")
    return feature_group


def read(store, group):
    """All rows of a feature group, ordered by its key; WineError when it is missing or empty."""
    frame = call(need(store, group).read)
    if frame.empty:
        raise WineError(f"the feature group {group.name} is empty: run {group.written_by} first")
    return frame.sort_values(group.primary_key, ignore_index=True)


def read_from(store, group, column, start):
    """The rows whose timestamp ``column`` is ``start`` (a date) or later, ordered by key."""
    feature_group = need(store, group)
    query = feature_group.filter(feature_group[column] >= f"{start} 00:00:00")
    return call(query.read).sort_values(group.primary_key, ignore_index=True)


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
        if not call(dataset.exists, path):
            call(dataset.mkdir, path)


def exists(project, path):
    """True when the project has a file or folder of this path."""
    return call(project.get_dataset_api().exists, path)


def download_text(project, path):
    """The text of a file of the project, or None when it is not there."""
    if not exists(project, path):
        return None
    with tempfile.TemporaryDirectory() as folder:
        local = call(project.get_dataset_api().download, path, folder, overwrite=True)
        return Path(local).read_text()

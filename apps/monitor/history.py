"""Read the daily wines, their predictions and the served model from Hopsworks."""

import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from live import NothingToShow

from wine.errors import WineError
from wine.groups import DAILY, NO_ROWS_YET, PREDICTION, Group
from wine.serving import NothingServed, served
from wine.spec import Spec, parse

PREDICTED = ["predicted_grade", "predicted_score", "probability", "model_version"]


@dataclass(frozen=True)
class Model:
    """The served version: its ``spec`` and the real ``wines`` it was fitted on.

    ``created`` is when it was registered, in ms: a number can be used again after a deletion.
    """

    version: int
    spec: Spec
    wines: pd.DataFrame
    created: int = 0


@dataclass(frozen=True)
class History:
    """The result of one read; two are equal if the ``digest`` of their content is.

    ``wines`` has a row for each daily wine, by day, with its prediction or NaN. ``trouble`` says
    why the served version cannot be shown, if it cannot.
    """

    wines: pd.DataFrame = field(compare=False)
    model: Model | None = field(compare=False)
    digest: str
    trouble: str = ""


def read(project: Any, last: History | None) -> History:
    """Return the History as it is now; ``last`` is the one read before, or None.

    Both groups are read completely: a hundred years of daily wines are 36,500 small rows.
    """
    store = project.get_feature_store()
    predictions = _rows(store, PREDICTION)[["wine_id", *PREDICTED]]
    wines = _rows(store, DAILY).merge(predictions, on="wine_id", how="left", validate="one_to_one")
    wines = wines.sort_values("day", ignore_index=True)
    model, trouble = None, ""
    try:
        model = _model(project, last.model if last else None)
    except NothingToShow as error:
        trouble = str(error)
    content = hashlib.sha256(pd.util.hash_pandas_object(wines).to_numpy().tobytes())
    content.update(f"{model and (model.version, model.created)}{trouble}".encode())
    return History(wines, model, content.hexdigest(), trouble)


def write_csv(history: History, folder: str | Path) -> Path:
    """Write the wines as a CSV file in ``folder``; return its path.

    A page that copies the file meanwhile has the one before.
    """
    path, part = Path(folder) / "daily_wines.csv", Path(folder) / "daily_wines.part"
    whole = {"predicted_grade": "Int64", "model_version": "Int64"}  # some wines have none yet
    history.wines.astype(whole).to_csv(part, index=False)
    return part.replace(path)


def _rows(store: Any, group: Group) -> pd.DataFrame:
    """Return all rows of a feature group; no rows if it was never written."""
    from hopsworks.client.exceptions import FeatureStoreException

    stored, batches = store.get_feature_group(group.name, version=1), []
    try:
        if stored is not None:
            # not read(), which prints a progress bar and takes half a second longer
            with stored.select_all().read_batches() as stream:
                batches = list(stream)
    except FeatureStoreException as error:
        if not NO_ROWS_YET.search(str(error)):
            raise
    if batches:
        rows = pa.Table.from_batches(batches).to_pandas()
        # Spark writes days with a time zone, the client's Python engine without
        return rows.assign(day=pd.to_datetime(rows["day"], utc=True).dt.tz_localize(None))
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in group.columns})
    return empty.astype({"day": "datetime64[us]"})


def _model(project: Any, last: Model | None) -> Model | None:
    """Return the served version's spec and wines, without its model."""
    try:
        best = served(project.get_model_registry())
    except NothingServed:
        return None
    if last and (last.version, last.created) == (best.version, best.created):
        return last
    files = project.get_dataset_api()
    content, wines = (
        _content(files, f"{best.model_files_path}/{file}") for file in ("spec.json", "wines.csv")
    )
    try:
        spec = parse(content)
    except WineError as error:
        raise NothingToShow(f"Version {best.version} cannot be shown: {error}") from error
    for file, found, known in (
        ("spec.json", content, best.description or ""),
        ("wines.csv", wines, spec.sha256.get("wines.csv", "")),
    ):
        if hashlib.sha256(found).hexdigest() not in known:
            raise NothingToShow(
                f"The {file} of the model's version {best.version} is not the file that was registered."
            )
    return Model(best.version, spec, pd.read_csv(io.BytesIO(wines)), best.created)


def _content(files: Any, path: str) -> bytes:
    """Return a file's bytes. ``read_content`` drops the first character of a path."""
    return files.read_content(f"/{path}").content

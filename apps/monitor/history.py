"""The daily wines and their predictions, as read from Hopsworks, and what they add up to."""

import datetime
import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from live import NothingToShow

MODEL, APPROVED = "wine_quality", "approved"
WINDOW_DAYS = 365  # what is read row by row; all-time counts come from the pipeline's tally
TALLY = "Resources/images/tally.json"
GRADES = tuple(range(3, 10))
ROLLING = 30  # wines behind every point of the curves over time
FEWEST = 10  # wines below which a share says nothing

WINES = ["wine_id", "day", "type", "quality", "source_id"]
PREDICTIONS = ["wine_id", "predicted", "expected", "probability", "model_version"]


@dataclass(frozen=True)
class Model:
    """The served version: its ``spec`` and the real ``wines`` it was fitted on."""

    version: int
    spec: dict
    wines: pd.DataFrame


@dataclass(frozen=True, eq=False)
class History:
    """What one read found; two reads that found the same have the same ``digest``.

    ``wines`` has one row a daily wine of the last year, by day, with its prediction or NaN;
    ``counts`` (7, 7) counts all predictions ever made, label by prediction.
    """

    wines: pd.DataFrame
    counts: np.ndarray
    counts_as_of: str | None
    model: Model | None
    digest: str

    def __eq__(self, other):
        return isinstance(other, History) and self.digest == other.digest

    def __hash__(self):
        return hash(self.digest)

    @property
    def predicted(self):
        """The wines that have a prediction."""
        return self.wines[self.wines["predicted"].notna()]


def read(project, last):
    """The history as Hopsworks has it now; ``last`` is the one read before, or None."""
    store = project.get_feature_store()
    start = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=WINDOW_DAYS)
    wines = _window(store, "daily_wine", start, WINES)
    predictions = _window(store, "wine_prediction", start, PREDICTIONS)
    wines = wines.merge(predictions[PREDICTIONS], on="wine_id", how="left")
    wines = wines.sort_values("day", ignore_index=True)
    counts, as_of = _tally(project)
    if counts is None:
        known = wines[wines["predicted"].notna()]
        counts = confusion(known["quality"], known["predicted"])
    model = _model(project, last.model if last else None)
    content = wines.to_csv() + str(counts.tolist()) + str(as_of) + str(model and model.version)
    return History(wines, counts, as_of, model, hashlib.sha256(content.encode()).hexdigest())


def confusion(label, predicted):
    """Counts (7, 7) of labels (rows) against predictions (columns), both grades 3-9."""
    counts = np.zeros((len(GRADES), len(GRADES)), dtype=np.int64)
    np.add.at(counts, (np.asarray(label, int) - 3, np.asarray(predicted, int) - 3), 1)
    return counts


def scores(counts):
    """Accuracy, share within one grade and quadratic weighted kappa of counts (7, 7).

    None where there is nothing to say: no wine, or for kappa a single grade on both sides.
    """
    total = counts.sum()
    if not total:
        return {"accuracy": None, "within_one": None, "qwk": None}
    away = np.subtract.outer(GRADES, GRADES)
    by_chance = (away**2 * np.outer(counts.sum(axis=1), counts.sum(axis=0))).sum() / total
    return {
        "accuracy": float(counts.trace() / total),
        "within_one": float(counts[abs(away) <= 1].sum() / total),
        "qwk": float(1 - (away**2 * counts).sum() / by_chance) if by_chance else None,
    }


def over_time(wines):
    """Scores over the last ROLLING predicted wines, at each day's end, from the FEWEST-th wine on."""
    rows = []
    for end in np.flatnonzero(~wines["day"].duplicated(keep="last")) + 1:
        if end >= FEWEST:
            part = wines.iloc[max(0, end - ROLLING) : end]
            counts = confusion(part["quality"], part["predicted"])
            rows.append({"day": part["day"].iloc[-1]} | scores(counts))
    return pd.DataFrame(rows, columns=["day", "accuracy", "within_one", "qwk"])


def distance(sample, reference, together):
    """Kolmogorov-Smirnov distance of two samples, and what chance alone may give.

    The second is the 5 % limit when so many measurements are looked at ``together``: of
    Kolmogorov's distribution for large samples, with Bonferroni's correction.
    """
    sample, reference = np.sort(sample), np.sort(reference)
    points = np.concatenate([sample, reference])
    below = [
        np.searchsorted(part, points, side="right") / len(part) for part in (sample, reference)
    ]
    limit = np.sqrt(-np.log(0.05 / together / 2) / 2)
    n, m = len(sample), len(reference)
    return float(abs(below[0] - below[1]).max()), float(limit * np.sqrt((n + m) / (n * m)))


def write_csv(history, folder):
    """The wines as a CSV file in ``folder``; returns its path."""
    path = Path(folder) / "daily_wines.csv"
    whole = {"predicted": "Int64", "model_version": "Int64"}  # though some wines have none
    history.wines.astype(whole).to_csv(path, index=False)
    return path


def _window(store, name, start, columns):
    """The rows of a feature group from ``start`` on; only ``columns``, and empty, without any.

    A wine comes once: two runs at the same moment may both have written it.
    """
    group, batches = store.get_feature_group(name, version=1), []
    if group is not None:
        # not read(), which draws on the terminal and takes half a second for that
        with group.filter(group["day"] >= f"{start} 00:00:00").read_batches() as stream:
            batches = list(stream)
    if not batches:
        empty = {column: pd.Series(dtype=object) for column in columns}
        return pd.DataFrame(empty).astype({"day": "datetime64[us]"} if "day" in columns else {})
    return pa.Table.from_batches(batches).to_pandas().drop_duplicates("wine_id")


def _tally(project):
    """Counts of all predictions, kept by the pipeline, and their date; (None, None) without them
    or when they are damaged, which the pipeline's next run mends."""
    files = project.get_dataset_api()
    if not files.exists(TALLY):
        return None, None
    try:
        content = json.loads(_content(files, TALLY))
        counts = np.array(content["all"], dtype=np.int64).reshape(len(GRADES), len(GRADES))
        return counts, str(content["as_of"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return None, None


def _model(project, last):
    """The served version's spec and wines; not its model, which nobody asks here."""
    best = project.get_model_registry().get_best_model(MODEL, APPROVED, "max")
    if best is None or APPROVED not in best.training_metrics:
        return None
    if last and last.version == best.version:
        return last
    files = project.get_dataset_api()
    spec = json.loads(_content(files, f"{best.model_files_path}/spec.json"))
    wines = _content(files, f"{best.model_files_path}/wines.csv")
    if hashlib.sha256(wines).hexdigest() != spec["sha256"]["wines.csv"]:
        raise NothingToShow(
            f"The wines.csv of the model's version {best.version} is not the file that was registered."
        )
    return Model(best.version, spec, pd.read_csv(io.BytesIO(wines)))


def _content(files, path):
    """A file's bytes. ``read_content`` leaves out a path's first character, whatever it is."""
    return files.read_content(f"/{path}").content

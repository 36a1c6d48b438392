"""The served model: brought from the registry, checked, and asked.

The model's folder is the whole contract with training: ``spec.json`` says what a wine is and
how an expected grade becomes a grade and probabilities, ``wines.csv`` holds the real wines.
"""

import datetime
import hashlib
import json
import tempfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import sklearn
import xgboost
from live import NothingToShow

NAME = "wine_quality"
APPROVED = "approved"  # the metric only approved versions have: the version's own number
ORDERS = 8  # orders of the measurements tried for an explanation, and as many reversed


class Served:
    """A version of the model, ready to answer. ``folder`` is the model's folder."""

    def __init__(self, folder, version, registered):
        folder = Path(folder)
        self.version, self.registered = version, registered
        self.spec = json.loads((folder / "spec.json").read_text())
        for file in ("model.joblib", "wines.csv"):
            found = hashlib.sha256((folder / file).read_bytes()).hexdigest()
            if found != self.spec["sha256"].get(file):
                raise NothingToShow(
                    f"Version {version}'s {file} is not the file that was registered, so the model is "
                    "not loaded."
                )
        for library in (sklearn, xgboost):
            made, here = self.spec["versions"].get(library.__name__), library.__version__
            # pickles are promised to work in the same minor version only
            if str(made).split(".")[:2] != here.split(".")[:2]:
                raise NothingToShow(
                    f"Version {version} was made with {library.__name__} {made} and this is {here}, so "
                    "the model is not loaded: make requirements.txt and the model agree."
                )
        self.model = joblib.load(folder / "model.joblib")
        self.columns = {column["name"]: column for column in self.spec["columns"]}
        self.names = list(self.columns)
        self.grades = self.spec["grades"]
        self.wines = pd.read_csv(folder / "wines.csv")
        self._masks = _masks(len(self.names))
        self.expected(pd.DataFrame([self.typical(kind) for kind in self.spec["types"]]))  # warm

    def typical(self, kind):
        """The typical wine of a colour: the median of every measurement."""
        return {name: self.columns[name]["typical"][kind] for name in self.names} | {"type": kind}

    def expected(self, wines):
        """Expected grades, floats (n,), of a frame of wines."""
        wines = wines[self.spec["features"]]
        if hasattr(self.model, "predict_proba"):
            return self.model.predict_proba(wines) @ self.model.classes_
        return np.asarray(self.model.predict(wines), dtype=float)

    def decode(self, expected):
        """Grades (n,) and the probability of every grade (n, 7) from expected grades (n,)."""
        expected = np.asarray(expected, dtype=float)
        grades = np.searchsorted(self.spec["cuts"], expected, side="right") + self.grades[0]
        slope, thresholds = self.spec["odds"]["slope"], np.array(self.spec["odds"]["thresholds"])
        at_most = 1 / (1 + np.exp(slope * expected[:, None] - thresholds))
        chances = np.diff(at_most, axis=1, prepend=0.0, append=1.0)
        return grades, chances

    def grade_set(self, chances):
        """The most probable grades, ascending; such sets hold the truth for 80 % of all wines."""
        order = np.argsort(-chances)
        before = chances[order].cumsum() - chances[order]
        return sorted(self.grades[i] for i in order[before < self.spec["set_level"]])

    def predict(self, wine):
        """One checked wine: a dict of grade, expected grade, probabilities and grade set."""
        return self._answer(self.expected(pd.DataFrame([wine])))

    def explain(self, wine):
        """The answer as of ``predict``, and how far each measurement moves the expected grade.

        Adds ``base``, the expected grade of the colour's typical wine, and ``effects`` by
        measurement, which sum to expected - base: Shapley values, estimated over a few orders
        in which the typical wine's measurements are replaced one by one (each order forwards
        and backwards). All wines on the way are predicted in one call of the model.
        """
        start = self.typical(wine["type"])
        ends = np.array([[start[name] for name in self.names], [wine[name] for name in self.names]])
        masks, paths = self._masks
        rows = pd.DataFrame(np.where(masks, ends[1], ends[0]), columns=self.names)
        expected = self.expected(rows.assign(type=wine["type"]))
        effects = np.zeros(len(self.names))
        for order, places in paths:
            effects[order] += np.diff(expected[places])
        effects /= len(paths)
        answer = self._answer(expected[-1:])
        return answer | {
            "base": float(expected[0]),
            "effects": dict(zip(self.names, effects.tolist(), strict=True)),
        }

    def nearest(self, wine, count=5):
        """The real wines of the same colour nearest to a wine, with their ``distance``.

        Distance is in standard deviations of each measurement over the colour's wines.
        """
        colour = self.wines[self.wines["type"] == wine["type"]]
        values = colour[self.names].to_numpy()
        point = np.array([wine[name] for name in self.names], dtype=float)
        spread = values.std(axis=0)
        away = np.sqrt((((values - point) / np.where(spread > 0, spread, 1)) ** 2).sum(axis=1))
        order = np.argsort(away, kind="stable")[:count]
        return colour.iloc[order].assign(distance=away[order])

    def _answer(self, expected):
        grades, chances = self.decode(expected)
        return {
            "grade": int(grades[0]),
            "expected": float(expected[0]),
            "probabilities": dict(zip(self.grades, chances[0].tolist(), strict=True)),
            "grade_set": self.grade_set(chances[0]),
        }


def latest(project, current):
    """The served version: ``current`` itself while no newer one was approved."""
    registry = project.get_model_registry()
    best = registry.get_best_model(NAME, APPROVED, "max")
    # versions without the metric sort last, so one can come back even when none was approved
    if best is None or APPROVED not in best.training_metrics:
        raise NothingToShow(
            f"The model registry has no approved version of {NAME} yet: train.ipynb makes one."
        )
    if current and current.version == best.version:
        return current
    with tempfile.TemporaryDirectory() as folder:
        registered = datetime.datetime.fromtimestamp(best.created / 1000, datetime.UTC)
        return Served(best.download(local_path=folder), best.version, registered)


def _masks(count):
    """Which measurements are the wine's own on the way from the typical wine to it.

    Returns the distinct masks, bool (m, count), none first and all last, and for each order
    the pair (order, places of its masks).
    """
    random = np.random.default_rng(0)
    orders = [random.permutation(count) for _ in range(ORDERS)]
    orders += [order[::-1] for order in orders]
    ways = [np.tril(np.ones((count + 1, count), dtype=bool), -1)[:, np.argsort(o)] for o in orders]
    distinct, places = np.unique(np.concatenate(ways), axis=0, return_inverse=True)
    return distinct, list(zip(orders, places.reshape(len(orders), -1), strict=True))

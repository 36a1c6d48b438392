"""The served model: downloaded from the registry, checked, and used to predict.

How a score becomes a grade is the code of wine/, which the Space takes along.
"""

import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from live import NothingToShow
from neighbours import Neighbour, by_kind

from wine import model, serving
from wine.columns import GRADES, NAMES, TYPES
from wine.decoding import decode, prediction_sets, probabilities
from wine.errors import WineError

ORDERS = 8  # orders of the measurements tried for an explanation, and as many reversed
POINTS = 41  # of a what-if curve


@dataclass(frozen=True)
class Answer:
    """The model's answer for one wine.

    ``chances`` has the probability of each grade, ``nearest`` the nearest real wine, and
    ``notes`` what is unlike all real wines: with any, the grade is a guess.
    """

    grade: int
    score: float
    chances: dict[int, float]
    likely: list[int]
    nearest: Neighbour
    notes: dict[str, str]

    @property
    def most_probable(self) -> int:
        """The grade with the highest probability, which need not be the grade."""
        return max(self.chances, key=self.chances.__getitem__)


class Served:
    """A version of the model, ready to predict. ``folder`` is the model's; wine.model checks it."""

    def __init__(
        self,
        folder: str | Path,
        version: int,
        registered: datetime.datetime,
        description: str | None,
    ) -> None:
        self.version, self.registered = version, registered
        self.model, self.spec = model.load(folder, description)
        self.columns = {column.name: column for column in self.spec.columns}
        self.wines = pd.read_csv(Path(folder) / "wines.csv")
        self.neighbours = by_kind(self.wines)
        self._masks = _masks(len(NAMES))

    def typical(self, kind: str) -> dict[str, Any]:
        """Return the typical wine of a colour: the median of every measurement."""
        return {name: self.columns[name].typical[kind] for name in NAMES} | {"type": kind}

    def answers(self, wines: list[dict[str, Any]]) -> list[Answer]:
        """Return the Answer for each of some checked wines, at least one."""
        x = np.vstack([_encode(wine) for wine in wines])
        return self._answers(x, model.predict_in_batches(self.model, x))

    def explain(self, wine: dict[str, Any]) -> tuple[Answer, float, dict[str, float]]:
        """Return the Answer, the score of the colour's typical wine, and the measurements' effects.

        Effects, by name, say how far each measurement moves the score away from the typical
        wine's, and sum to the difference: Shapley values, estimated over a few orders in which
        the typical wine's measurements are replaced one by one (each order forwards and
        backwards). All wines on the way are predicted in one call of the model.
        """
        masks, paths = self._masks
        end, start = _encode(wine), _encode(self.typical(wine["type"]))
        x = np.repeat(end, len(masks), axis=0)
        x[:, :-1] = np.where(masks, end[:, :-1], start[:, :-1])
        scores = model.predict_scores(self.model, x)
        effects = np.zeros(len(NAMES))
        for order, places in paths:
            effects[order] += np.diff(scores[places])
        by_name = dict(zip(NAMES, (effects / len(paths)).tolist(), strict=True))
        return self._answers(end, scores[-1:])[0], float(scores[0]), by_name

    def what_if(self, wine: dict[str, Any], name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return values of one measurement, the wine's among them, and its score at each: two arrays."""
        place = NAMES.index(name)
        low, high = self.neighbours[wine["type"]].scales[:, place]
        values = np.union1d(
            np.linspace(min(low, wine[name]), max(high, wine[name]), POINTS), wine[name]
        )
        x = np.repeat(_encode(wine), len(values), axis=0)
        x[:, place] = values
        return values, model.predict_scores(self.model, x)

    def nearest(self, wine: dict[str, Any]) -> pd.DataFrame:
        """Return the real wines nearest to a wine, nearest first, as a frame with ``distance``."""
        return self.neighbours[wine["type"]].nearest(_encode(wine)[0, :-1])

    def _answers(self, x: np.ndarray, scores: np.ndarray) -> list[Answer]:
        """Return the Answers of encoded wines (n, 12) with their scores (n,)."""
        grades, chances = decode(scores, self.spec.cuts), probabilities(scores, self.spec.odds)
        inside = prediction_sets(chances, self.spec.set_level)
        answers: list[Any] = [None] * len(x)
        for code, kind in enumerate(TYPES):
            around = self.neighbours[kind]
            places = np.flatnonzero(x[:, -1] == code)
            if not len(places):
                continue
            nearest = around.nearest_each(x[places, :-1])
            for place, near in zip(places, nearest, strict=True):
                notes = around.notes(x[place, :-1].tolist(), self.spec.columns, near.distance)
                answers[place] = Answer(
                    int(grades[place]),
                    float(scores[place]),
                    dict(zip(GRADES, chances[place].tolist(), strict=True)),
                    [g for g, held in zip(GRADES, inside[place], strict=True) if held],
                    near,
                    notes,
                )
        return answers


def latest(project: Any, current: Served | None) -> Served:
    """Return the served version: ``current`` itself if it is still the newest approved one."""
    try:
        best = serving.served(project.get_model_registry())
        registered = datetime.datetime.fromtimestamp(best.created / 1000, datetime.UTC)
        # a number can be used again after a deletion
        if current and (current.version, current.registered) == (best.version, registered):
            return current
        with tempfile.TemporaryDirectory() as folder:
            files = best.download(local_path=folder)
            return Served(files, best.version, registered, best.description)
    except WineError as error:
        text = str(error)
        raise NothingToShow(f"{text[0].upper()}{text[1:].rstrip('.')}.") from error


def _encode(wine: dict[str, Any]) -> np.ndarray:
    """Return a checked wine as the model takes it, (1, 12); see wine.model.encode."""
    return np.array([[*(wine[name] for name in NAMES), TYPES.index(wine["type"])]], dtype=float)


def _masks(count: int) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Return which measurements are the wine's own on the way from the typical wine to it.

    The distinct masks, bool (m, count), none first and all last, and for each order the pair
    (order, places of its masks).
    """
    random = np.random.default_rng(0)
    orders = [random.permutation(count) for _ in range(ORDERS)]
    orders += [order[::-1] for order in orders]
    ways = [np.tril(np.ones((count + 1, count), dtype=bool), -1)[:, np.argsort(o)] for o in orders]
    distinct, places = np.unique(np.concatenate(ways), axis=0, return_inverse=True)
    return distinct, list(zip(orders, places.reshape(len(orders), -1), strict=True))

"""The real wines nearest to a wine, and whether it is outside the data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from wine.columns import NAMES, TYPES
from wine.spec import Column

USUAL = 0.99  # share of the real wines whose nearest other wine is within ``limit``
SCALE = 0.005  # share of the real wines beyond each end of a slider


@dataclass(frozen=True)
class Neighbour:
    """A real wine and its distance, in standard deviations of each measurement."""

    wine_id: str
    quality: int
    distance: float


class Neighbours:
    """The real ``wines`` of one colour, a frame with the columns NAMES, wine_id and quality.

    ``ranges`` has the extremes of each measurement, (2, 11), ``scales`` the ends of the
    sliders, and ``limit`` the usual distance from a real wine to the next.
    """

    def __init__(self, wines: pd.DataFrame, kind: str) -> None:
        self.kind, self._rows = kind, wines[wines["type"] == kind].reset_index(drop=True)
        values = self._rows[list(NAMES)].to_numpy(dtype=float)
        self._ids, self._grades = self._rows["wine_id"].tolist(), self._rows["quality"].tolist()
        self.ranges = np.array([values.min(axis=0), values.max(axis=0)])
        self.scales = np.quantile(values, (SCALE, 1 - SCALE), axis=0)
        self._spread = values.std(axis=0)
        self._spread[self._spread == 0] = 1
        self._tree = KDTree(values / self._spread)
        others = self._tree.query(self._tree.data, k=2)[0][:, 1]  # the first is the wine itself
        self.limit = float(np.quantile(others, USUAL))

    def nearest(self, values: np.ndarray, count: int = 5) -> pd.DataFrame:
        """Return the rows nearest to one wine's ``values``, (11,), with their ``distance``."""
        away, places = self._tree.query(values / self._spread, k=min(count, len(self._rows)))
        return self._rows.iloc[places].assign(distance=away)

    def nearest_each(self, values: np.ndarray) -> list[Neighbour]:
        """Return the nearest Neighbour of each row of measurements, (n, 11)."""
        away, places = self._tree.query(values / self._spread)
        return [
            Neighbour(self._ids[place], int(self._grades[place]), float(distance))
            for distance, place in zip(away, places, strict=True)
        ]

    def notes(
        self, values: list[float], columns: Sequence[Column], distance: float
    ) -> dict[str, str]:
        """Return what is unlike all real wines, by name; "distance" is about the wine as a whole."""
        notes = {}
        for column, value, low, high in zip(columns, values, *self.ranges, strict=True):
            if not low <= value <= high:
                side = "above" if value > high else "below"
                shown = f"{value:.6g} {column.unit}".strip()
                ends = f"{low:.6g} to {high:.6g} {column.unit}".strip()
                notes[column.name] = (
                    f"{column.label} {shown} is {side} any {self.kind} wine the model has seen "
                    f"({ends})."
                )
        if distance > self.limit:
            notes["distance"] = (
                f"The nearest real {self.kind} wine is {distance:.1f} standard deviations away; "
                f"{100 * USUAL:.0f} % of these wines have another within {self.limit:.1f}."
            )
        return notes


def by_kind(wines: pd.DataFrame) -> dict[str, Neighbours]:
    """Return the Neighbours by colour."""
    return {kind: Neighbours(wines, kind) for kind in TYPES}

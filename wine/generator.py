"""The daily wine: randomise, find the nearest real wine, skew a little.

The day is the seed, so a date gives the same wine on every machine and however often it is
asked. The label of a generated wine is the grade of its nearest real wine: nobody tasted it.
Sources are wines of the training part only, so that generated wines can be trained on without
a near-copy of a test wine among them.
"""

import datetime

import numpy as np
import pandas as pd

from wine.columns import MEASUREMENTS, NAMES
from wine.errors import BadInput

RANDOMISE = 0.5  # standard deviations of noise around a drawn wine
SKEW = 0.1  # standard deviations around the nearest real wine


def generate(day, wines):
    """The wine of ``day`` (a date), as a dict: one row of the feature group ``daily_wine``.

    ``wines`` are the real wines to start from, a frame as of ``dataset.read`` with ``wine_id``,
    in any order. The result stays within its colour's observed range, keeps the decimals of
    the raw files and free <= total sulphur dioxide, and is never an exact copy of a real wine.
    Raises BadInput when there is no wine to start from.
    """
    if len(wines) == 0:
        raise BadInput("no real wines to generate from: run initialize.ipynb first")
    wines = wines.sort_values("wine_id", ignore_index=True)
    random = np.random.default_rng([day.year, day.month, day.day])
    drawn = wines.iloc[random.integers(len(wines))]
    colour = wines[wines["type"] == drawn["type"]].reset_index(drop=True)
    real = colour[list(NAMES)].to_numpy(dtype=float)
    spread = real.std(axis=0)
    spread[spread == 0] = 1.0

    point = drawn[list(NAMES)].to_numpy(dtype=float) + RANDOMISE * spread * random.normal(
        size=len(NAMES)
    )
    nearest = (((real - point) / spread) ** 2).sum(axis=1).argmin()
    source = colour.iloc[nearest]

    while True:
        skewed = real[nearest] + SKEW * spread * random.normal(size=len(NAMES))
        values = _plausible(skewed, real.min(axis=0), real.max(axis=0))
        if not (real == values).all(axis=1).any():
            break
    return {
        "wine_id": day.isoformat(),
        "day": pd.Timestamp(day),
        **dict(zip(NAMES, values.tolist(), strict=True)),
        "type": source["type"],
        "quality": int(source["quality"]),
        "source_id": source["wine_id"],
    }


def _plausible(values, low, high):
    """Within the observed range, to the raw files' decimals, free <= total sulphur dioxide."""
    values = np.clip(values, low, high)
    values = np.array(
        [round(x, column.decimals) for x, column in zip(values, MEASUREMENTS, strict=True)]
    )
    free, total = NAMES.index("free_sulfur_dioxide"), NAMES.index("total_sulfur_dioxide")
    values[free] = min(values[free], values[total])
    return values


def days_to_fill(today, newest, limit):
    """The dates from the day after ``newest`` to ``today``, at most the last ``limit``.

    With ``newest`` None (no wine yet) only today.
    """
    first = today if newest is None else newest + datetime.timedelta(days=1)
    first = max(first, today - datetime.timedelta(days=limit - 1))
    return [first + datetime.timedelta(days=i) for i in range((today - first).days + 1)]

"""The daily wine: randomise, find the nearest real wine, skew a little.

The day is the seed, so a date gives the same wine on every machine, every time. The reference
grade of a generated wine is the grade of its nearest real wine: nobody tasted it. Sources are
training wines only, so that generated wines can be trained on without a near-duplicate of a test
wine among them.
"""

import datetime
from typing import Any

import numpy as np
import pandas as pd

from wine.columns import NAMES, to_precision
from wine.errors import BadInput

RANDOMISE = 0.5  # standard deviations of noise around a drawn wine
SKEW = 0.1  # standard deviations around the nearest real wine
MAX_TRIES = 100  # real wines take one or two; wines that are all alike would take forever


def generate(day: datetime.date, wines: pd.DataFrame) -> dict[str, Any]:
    """Return the wine of ``day`` (a date) as a dict: one row of the feature group ``daily_wine``.

    ``wines`` are the real wines to start from, a frame as of ``dataset.read`` with ``wine_id``,
    in any order. The result stays within its colour's observed range, keeps the decimals of
    the raw files and free <= total sulphur dioxide, and is never an exact copy of a real wine.
    Raises BadInput when no wine of its colour differs.
    """
    if not wines["wine_id"].is_monotonic_increasing:
        wines = wines.sort_values("wine_id")
    random = np.random.default_rng([day.year, day.month, day.day])
    drawn = wines.iloc[random.integers(len(wines))]
    colour = wines[wines["type"] == drawn["type"]]
    real = colour[list(NAMES)].to_numpy(dtype=float)
    spread = real.std(axis=0)
    spread[spread == 0] = 1.0

    point = drawn[list(NAMES)].to_numpy(dtype=float) + RANDOMISE * spread * random.normal(
        size=len(NAMES)
    )
    nearest = (((real - point) / spread) ** 2).sum(axis=1).argmin()
    source = colour.iloc[nearest]

    low, high = real.min(axis=0), real.max(axis=0)
    for _ in range(MAX_TRIES):
        skewed = real[nearest] + SKEW * spread * random.normal(size=len(NAMES))
        bounded = np.clip(skewed, low, high)
        values = to_precision(bounded[None])[0]
        inside = ((values >= low) & (values <= high)).all()  # rounding can lead out of the range
        if inside and not (real == values).all(axis=1).any():
            break
    else:
        raise BadInput(f"the {source['type']} wines are too few or too alike to skew one of them")
    return {
        "wine_id": day.isoformat(),
        "day": pd.Timestamp(day),
        **dict(zip(NAMES, values.tolist(), strict=True)),
        "type": source["type"],
        "reference_grade": int(source["quality"]),
        "source_id": source["wine_id"],
    }

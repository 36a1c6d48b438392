"""Tell whether the daily wines are predicted as expected, apart from chance.

Fourteen checks of the wines in a window: their agreement with the reference grades, and the drift of
the predicted grades, of the eleven measurements and of the colour. If nothing has changed, each
raises a false alarm in at most ALPHA of all windows. Windows of consecutive days overlap:
benchmarks/monitor.py measures how many months have a false alarm.
"""

import datetime
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from wine.columns import GRADES, MEASUREMENTS, NAMES
from wine.metrics import confusion

ALPHA = 0.001
FEWEST = 10  # wines below which there is no verdict
STALE = datetime.timedelta(hours=36)  # after so long a wine or a prediction is late
LABELS = (
    {  # of the features, as written in a sentence
        column.name: column.label[0].lower() + column.label[1:] for column in MEASUREMENTS
    }
    | {"type": "colour"}
)
GOOD, LOOK, NO_DATA = "as expected", "look", "no data"


@dataclass(frozen=True)
class Window:
    """The daily wines of the last ``days`` days before ``now``, beside what is expected of them."""

    history: Any
    days: int
    now: datetime.datetime

    @cached_property
    def wines(self) -> pd.DataFrame:
        """All daily wines, by day."""
        first = pd.Timestamp(self.now.date()) - pd.Timedelta(days=self.days - 1)
        return self.history.wines[self.history.wines["day"] >= first]

    @cached_property
    def graded(self) -> pd.DataFrame:
        """The wines that have a prediction."""
        return graded(self.wines)

    @cached_property
    def judged(self) -> pd.DataFrame:
        """The wines that the served version predicted; all predicted wines if there is none."""
        model = self.history.model
        return self.graded[self.graded["model_version"] == model.version] if model else self.graded

    @cached_property
    def counts(self) -> np.ndarray:
        """Counts (7, 7) of the reference grades (rows) of the judged wines by predicted grades."""
        return counts_of(self.judged)

    @property
    def agree(self) -> int:
        """How many wines have the same reference grade and predicted grade."""
        return int(self.counts.trace())

    @cached_property
    def expected(self) -> np.ndarray | None:
        """The same counts for the generated wines on which the served model was evaluated, or None."""
        model = self.history.model
        return None if model is None else np.array(model.spec.metrics.daily_counts)

    def expected_range(self, wines: int | None = None, within: int = 0) -> tuple[int, int]:
        """Return the fewest and the most of ``wines`` (default: the judged ones) that are expected
        to have a predicted grade ``within`` so many of the reference grade."""
        near = abs(np.subtract.outer(GRADES, GRADES)) <= within
        hits, tried = int(self.expected[near].sum()), int(self.expected.sum())
        return expected_range(hits, tried, len(self.judged) if wines is None else wines)

    @cached_property
    def drifts(self) -> dict[str, "Drift"]:
        """A Drift of the predicted grades, of every measurement and of the colour, by name."""
        if self.expected is None or len(self.judged) < FEWEST:
            return {}
        model = self.history.model
        tried = np.repeat(GRADES, self.expected.sum(axis=0))
        drifts = {"predicted": Drift(self.judged["predicted_grade"].to_numpy(float), tried)}
        for name in NAMES:
            drifts[name] = Drift(
                self.wines[name].to_numpy(float), model.wines[name].to_numpy(float)
            )
        red = [(wines["type"] == "red").to_numpy(float) for wines in (self.wines, model.wines)]
        return drifts | {"type": Drift(*red)}

    @property
    def verdict(self) -> str:
        """GOOD, LOOK or NO_DATA."""
        if self.reasons:
            return LOOK
        return GOOD if self.drifts else NO_DATA

    @property
    def reasons(self) -> list[str]:
        """Sentences about everything that is late or unexpected."""
        return self._delays() + self._surprises()

    def _delays(self) -> list[str]:
        """Return sentences about wines and predictions that should be there by now."""
        wines, sentences = self.history.wines, []
        due = pd.Timestamp(self.now - STALE).tz_localize(None)
        if len(wines) and (last := wines["day"].iloc[-1]) < due:
            ago = (self.now.date() - last.date()).days
            sentences.append(
                f"The last daily wine is of {last:%Y-%m-%d}, {number(ago, 'day')} ago: the schedule "
                "may have stopped. daily.py makes the wines of the missing days."
            )
        waiting = int((wines["predicted_grade"].isna() & (wines["day"] < due)).sum())
        if waiting:
            sentences.append(
                f"{number(waiting, 'wine')} of earlier days without a prediction: run inference.py."
            )
        return sentences

    def _surprises(self) -> list[str]:
        """Return sentences about what is not explained by chance."""
        if not self.drifts:
            return []
        sentences = []
        low, high = self.expected_range()
        if not low <= self.agree <= high:
            sentences.append(f"Expected: {low:,} to {high:,} wines with the same grade.")
        moved = [name for name, drift in self.drifts.items() if drift.moved]
        if "predicted" in moved:
            sentences.append("The predicted grades have drifted.")
        inputs = [LABELS[name] for name in moved if name in LABELS]
        if inputs:
            sentences.append(f"Drifted away from the training wines: {', '.join(inputs)}.")
        return sentences


@dataclass(frozen=True)
class Drift:
    """The distance of daily wines from a reference, and the distance that chance explains."""

    sample: np.ndarray
    reference: np.ndarray

    @cached_property
    def distance(self) -> float:
        """The Kolmogorov-Smirnov distance."""
        return distance(self.sample, self.reference)

    @property
    def limit(self) -> float:
        """The distance that chance explains."""
        return distance_limit(len(self.sample), len(self.reference))

    @property
    def moved(self) -> bool:
        """Whether chance does not explain the distance."""
        return self.distance > self.limit


def expected_range(hits: int, tried: int, wines: int) -> tuple[int, int]:
    """Return the fewest and the most hits to expect among ``wines``, given ``hits`` of ``tried``.

    The central 1 - ALPHA of the beta-binomial distribution, which is the exact posterior predictive
    distribution under Jeffreys' prior (Gelman et al., Bayesian Data Analysis, 3rd edition, sections
    2.4 and 2.8). A binomial distribution around the expected rate would be too narrow, since that
    rate comes from a finite number of wines, too.
    """
    a, b, gamma = hits + 0.5, tried - hits + 0.5, math.lgamma
    total = gamma(wines + 1) - gamma(wines + a + b) + gamma(a + b) - gamma(a) - gamma(b)
    logs = [
        total + gamma(k + a) - gamma(k + 1) + gamma(wines - k + b) - gamma(wines - k + 1)
        for k in range(wines + 1)
    ]
    below = np.cumsum(np.exp(logs))
    low, high = (
        np.searchsorted(below, ALPHA / 2, side="right"),
        np.searchsorted(below, 1 - ALPHA / 2),
    )
    return int(low), min(int(high), wines)


def distance(sample: np.ndarray, reference: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples: the largest difference between the
    shares of either that lie at or below a value, 0 to 1."""
    sample, reference = np.sort(sample), np.sort(reference)
    sides: Any = ("left", "right")  # at or just below a value of the sample lies the largest one
    below: Any = [
        [np.searchsorted(x, sample, side) / len(x) for side in sides] for x in (sample, reference)
    ]
    return float(np.abs(np.subtract(*below)).max())


def distance_limit(wines: int, reference: int) -> float:
    """Return the distance that so many wines of one distribution exceed in at most ALPHA of all cases.

    By the two-sample inequality of Dvoretzky, Kiefer, Wolfowitz and Massart, P(D > d) <=
    2 exp(-2 d^2 n m / (n + m)) (Wei & Dudley, Statistics & Probability Letters 82, 2012), which
    needs no large samples; ties, which measurements have, only make the distance smaller.
    """
    return math.sqrt(math.log(2 / ALPHA) / 2 * (1 / wines + 1 / reference))


def graded(wines: pd.DataFrame) -> pd.DataFrame:
    """Return the wines with a prediction."""
    return wines[wines["predicted_grade"].notna()]


def counts_of(wines: pd.DataFrame) -> np.ndarray:
    """Return counts (7, 7) of the reference grades (rows) of graded wines by predicted grades."""
    return confusion(wines["reference_grade"], wines["predicted_grade"].astype(int))


def number(count: int, noun: str) -> str:
    """Return "1 wine" or "2 wines"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"

"""The metrics of protocol P1 and how sure they are.

All take the true grades, the predicted grades and the predicted scores behind them, so that a
classifier and a regressor are judged in the same way. RMSE of the scores chooses between models;
quadratic weighted kappa (QWK) of the grades is what a user gets. A model that always says 6 is
right for 44 % of the wines and within one grade for 93 %, yet has a QWK of 0.
"""

import math

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from wine.columns import GRADES

SEED = 0  # of the bootstrap
METRICS = {  # with the lowest and the highest value that each can have
    "qwk": (-1, 1),
    "rmse": (0, math.inf),
    "accuracy": (0, 1),
    "within_one": (0, 1),
    "macro_f1": (0, 1),
    "balanced_accuracy": (0, 1),
    "mae": (0, math.inf),
    "r2": (-math.inf, 1),
}


def confusion(truth: ArrayLike, predicted: ArrayLike) -> np.ndarray:
    """Return counts, shape (7, 7): rows are true grades 3-9, columns predicted grades 3-9.

    Raises ValueError when a grade lies outside 3-9.
    """
    truth, predicted = as_grades(truth), as_grades(predicted)
    if truth.shape != predicted.shape:
        raise ValueError(f"{truth.size} true grades but {predicted.size} predicted ones")
    counts = np.zeros((len(GRADES), len(GRADES)), dtype=np.int64)
    np.add.at(counts, (truth - GRADES[0], predicted - GRADES[0]), 1)
    return counts


def qwk_of(counts: np.ndarray) -> np.ndarray:
    """Return the quadratic weighted kappa (Cohen 1968) of confusion counts, shape (..., 7, 7).

    0 where chance alone already agrees perfectly (one grade on both sides).
    """
    grades = np.arange(counts.shape[-1])
    weights = (grades[:, None] - grades) ** 2
    observed = (counts * weights).sum((-2, -1))
    chance = (counts.sum(-1)[..., :, None] * counts.sum(-2)[..., None, :] * weights).sum(
        (-2, -1)
    ) / np.maximum(counts.sum((-2, -1)), 1)
    return np.where(chance > 0, 1 - observed / np.where(chance > 0, chance, 1), 0.0)


def has_kappa(counts: np.ndarray) -> bool:
    """Return whether QWK of counts (7, 7) is defined: not for one wine, or where all are one grade."""
    return bool(counts.sum() > 1 and not counts.max() == counts.trace() == counts.sum())


def score(
    truth: ArrayLike,
    grades: ArrayLike,
    scores: ArrayLike | None = None,
    *,
    present: np.ndarray | None = None,
) -> dict[str, float]:
    """Return all metrics of P1 as a dict of floats.

    ``truth`` and ``grades`` are integer grades, ``scores`` the predicted scores behind
    ``grades`` (default: the grades themselves). RMSE, MAE and R^2 judge the scores, the other
    metrics the grades. macro-F1 and balanced accuracy are means over the grades ``present``, a
    boolean array (7,) (default: those in ``truth``). Raises ValueError on empty input or grades
    outside 3-9.
    """
    truth, grades = as_grades(truth), as_grades(grades)
    if truth.size == 0:
        raise ValueError("no wines to score")
    scores = grades if scores is None else np.asarray(scores, dtype=float)
    counts = confusion(truth, grades)
    hits, support, predicted = counts.diagonal(), counts.sum(1), counts.sum(0)
    present = support > 0 if present is None else present
    error = scores - truth
    spread = ((truth - truth.mean()) ** 2).sum()
    return {
        **score_counts(counts),
        "rmse": float(np.sqrt((error**2).mean())),
        "macro_f1": float((2 * hits / np.maximum(support + predicted, 1))[present].mean()),
        "balanced_accuracy": float((hits / np.maximum(support, 1))[present].mean()),
        "mae": float(abs(error).mean()),
        "r2": float(1 - (error**2).sum() / spread) if spread else 0.0,
    }


def score_counts(counts: np.ndarray) -> dict[str, float]:
    """Return qwk, accuracy and within_one, the metrics that need only counts (7, 7).

    Raises ValueError when nothing was counted.
    """
    total = counts.sum()
    if total == 0:
        raise ValueError("no wines to score")
    grades = np.arange(len(counts))
    near = abs(grades[:, None] - grades) <= 1
    return {
        "qwk": float(qwk_of(counts)),
        "accuracy": float(counts.diagonal().sum() / total),
        "within_one": float(counts[near].sum() / total),
    }


def bootstrap(
    truth: ArrayLike, grades: ArrayLike, scores: ArrayLike, *, repeats: int = 500
) -> pd.DataFrame:
    """Return metrics of resampled wines: a frame with one row a repeat and one column a metric.

    ``grades`` and ``scores`` may have shape (n,) or (k, n) for k repeats of cross-validation
    of the same n wines: a wine is then drawn with all its predictions, so that repeats do not
    count as more wines (Efron & Tibshirani 1993, chapter 13). macro-F1 and balanced
    accuracy keep to the grades of all wines: without that, a draw which lacks the only wine of
    grade 9 would be a mean over other grades, and too high.
    """
    truth, grades, scores = np.asarray(truth), np.atleast_2d(grades), np.atleast_2d(scores)
    present = confusion(truth, truth).diagonal() > 0
    generator = np.random.default_rng(SEED)
    rows = []
    for _ in range(repeats):
        drawn = generator.integers(0, truth.size, truth.size)
        rows.append(
            score(
                np.tile(truth[drawn], len(grades)),
                grades[:, drawn].ravel(),
                scores[:, drawn].ravel(),
                present=present,
            )
        )
    return pd.DataFrame(rows)


def as_grades(values: ArrayLike) -> np.ndarray:
    """Return grades as an int array; ValueError when one is not a whole number in 3-9."""
    values = np.asarray(values)
    numbers = values.dtype.kind in "iuf" or not values.size
    if not (numbers and np.isin(values, GRADES).all()):
        raise ValueError(f"grades must be whole numbers in {GRADES[0]}-{GRADES[-1]}")
    return values.astype(np.int64)

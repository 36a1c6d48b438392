"""From a predicted score to a grade, and to a probability for every grade.

Every model predicts a score, a number such as 5.7. Plain rounding is a poor way to a grade:
models shrink towards 6, so it hardly ever gives 4 or 8. Cut points learned on out-of-fold
predictions do better. A proportional-odds model over the score gives the probabilities, and the
probabilities give prediction sets. All of it is a handful of numbers in ``spec.json``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit

from wine.columns import GRADES
from wine.metrics import as_grades, qwk_of
from wine.spec import Odds

COVERAGE = 0.8  # the share of prediction sets that are to hold the true grade
PLAIN_CUTS = tuple(grade + 0.5 for grade in GRADES[:-1])  # plain rounding
# what learn_cuts tries: every stretch around every centre (a stretch of 1 is plain rounding)
STRETCHES, CENTRES = (
    grid.ravel() for grid in np.meshgrid(np.arange(1, 2.2, 0.04), np.arange(5.2, 6.6, 0.05))
)


def decode(scores: ArrayLike, cuts: Sequence[float] = PLAIN_CUTS) -> np.ndarray:
    """Return grades, an int array of the shape of ``scores``, by six ascending cut points.

    Raises ValueError when a predicted score is missing: it would otherwise sort above all cuts.
    """
    if np.isnan(scores).any():
        raise ValueError("a predicted score is missing (NaN)")
    return np.searchsorted(cuts, scores, side="right") + GRADES[0]


def learn_cuts(
    truth: ArrayLike, scores: ArrayLike, *, accuracy_loss: float = 0.01
) -> tuple[float, ...]:
    """Return six cut points that maximise QWK while accuracy loses at most ``accuracy_loss``.

    The cuts are those of rounding after a stretch: predicted scores are pulled apart around a
    centre, which undoes the shrinkage of the model. That is two numbers to learn; six cuts
    learned one by one overfit more and gained nothing. The loss is against plain rounding on the
    same wines, which must be unseen by the model (out of fold).
    ``accuracy_loss=1`` leaves accuracy free. Raises ValueError without wines or for a grade
    outside 3-9.
    """
    truth, scores = as_grades(truth), np.asarray(scores, dtype=float)
    if truth.size == 0:
        raise ValueError("no wines to learn cut points from")
    tried = CENTRES[:, None] + (np.array(PLAIN_CUTS) - CENTRES[:, None]) / STRETCHES[:, None]
    # below[c, k, g]: wines of true grade g with a predicted score under cut k of choice c
    order = np.argsort(scores)
    grades = np.eye(len(GRADES))[truth[order] - GRADES[0]]
    cumulated = np.vstack([np.zeros(len(GRADES)), grades.cumsum(axis=0)])
    edges = np.pad(tried, ((0, 0), (1, 1)), constant_values=(-np.inf, np.inf))
    below = cumulated[np.searchsorted(scores[order], edges)]
    counts = np.diff(below, axis=1).swapaxes(1, 2)  # (choices, true grade, served grade)
    accuracy = np.trace(counts, axis1=1, axis2=2) / len(truth)
    floor = (decode(scores) == truth).mean() - accuracy_loss
    best = np.where(accuracy >= floor, qwk_of(counts), -1).argmax()
    return tuple(float(cut) for cut in tried[best].round(4))


def learn_odds(truth: ArrayLike, scores: ArrayLike) -> Odds:
    """Return the proportional odds of the grades given the predicted scores (McCullagh 1980).

    P(grade <= g) = 1 / (1 + exp(slope * score - threshold_g)), fitted by maximum likelihood with
    a weak ridge penalty.
    """
    truth = np.asarray(truth) - GRADES[0]
    scores = np.asarray(scores, dtype=float)
    counts = np.bincount(truth, minlength=len(GRADES)) + 0.5
    share = counts.cumsum()[:-1] / counts.sum()
    slope = 2.0
    start = np.log(share / (1 - share)) + slope * scores.mean()

    def unpack(theta: np.ndarray) -> tuple[float, np.ndarray]:
        return np.exp(theta[0]), theta[1] + np.concatenate([[0], np.exp(theta[2:]).cumsum()])

    def loss(theta: np.ndarray) -> float:
        slope, thresholds = unpack(theta)
        edges = np.concatenate([[-np.inf], thresholds, [np.inf]])
        own = expit(edges[truth + 1] - slope * scores) - expit(edges[truth] - slope * scores)
        return -np.log(own + 1e-12).mean() + 1e-6 * (theta**2).sum()

    theta = np.concatenate([[np.log(slope), start[0]], np.log(np.diff(start))])
    slope, thresholds = unpack(minimize(loss, theta, method="L-BFGS-B").x)
    return Odds(slope=float(slope), thresholds=tuple(thresholds.tolist()))


def probabilities(scores: ArrayLike, odds: Odds) -> np.ndarray:
    """Return the probability of every grade 3-9, shape (n, 7), rows summing to 1."""
    scores = np.atleast_1d(np.asarray(scores, dtype=float))
    at_most = expit(np.asarray(odds.thresholds) - odds.slope * scores[:, None])
    edges = np.concatenate([np.zeros((len(scores), 1)), at_most, np.ones((len(scores), 1))], axis=1)
    return np.diff(edges, axis=1)


def probability_of(grades: ArrayLike, chances: np.ndarray) -> np.ndarray:
    """Return each wine's probability of its grade, (n,), given ``grades`` (n,), ``chances`` (n, 7)."""
    return chances[np.arange(len(chances)), np.asarray(grades) - GRADES[0]]


def prediction_sets(chances: np.ndarray, level: float) -> np.ndarray:
    """Return the grades in each wine's prediction set, booleans (n, 7), given ``chances`` (n, 7).

    The most probable grades, down to the one with which their probability reaches ``level``.
    """
    order = np.argsort(-chances, axis=1)
    ranked = np.take_along_axis(chances, order, axis=1)
    inside = np.empty(chances.shape, dtype=bool)
    np.put_along_axis(inside, order, ranked.cumsum(axis=1) - ranked < level, axis=1)
    return inside


def learn_set_level(truth: ArrayLike, chances: np.ndarray, coverage: float = COVERAGE) -> float:
    """Return the level at which ``coverage`` of the prediction sets hold the true grade.

    The promise is about all wines together: sets of one grade hold it less often, sets of two
    grades more often. A set contains whole grades only, so a level of 0.8 would cover more than
    80 %: the level is a quantile of the probability that the grades likelier than the true one
    have together (split-conformal adaptive sets, Romano et al. 2020). ``truth`` (n,), ``chances`` (n, 7) out of fold.
    """
    own = probability_of(truth, chances)
    above = np.where(chances > own[:, None], chances, 0).sum(axis=1)
    return float(np.quantile(above, coverage, method="higher")) + 1e-9

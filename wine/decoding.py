"""From an expected grade to a grade, and to a probability for every grade.

Every model gives an expected grade, a number such as 5.7. Rounding it is a poor way to a
grade: models shrink towards 6, so rounding hardly ever says 4 or 8. Cut points learned on
out-of-fold predictions serve better, and a proportional-odds model over the expected grade
gives the probabilities. Both are a handful of numbers and travel in ``spec.json``.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from wine.columns import GRADES
from wine.metrics import confusion, qwk_of

PLAIN_CUTS = tuple(grade + 0.5 for grade in GRADES[:-1])  # plain rounding


def decode(expected, cuts=PLAIN_CUTS):
    """Grades, int array of the shape of ``expected``, by six ascending cut points."""
    return np.searchsorted(cuts, expected, side="right") + GRADES[0]


def learn_cuts(truth, expected, *, accuracy_loss=0.01):
    """Six cut points that maximise QWK while accuracy loses at most ``accuracy_loss``.

    The loss is against plain rounding, on the wines given, which must be predictions for wines
    the model did not see (out of fold). ``accuracy_loss=1`` leaves the cuts free. Maximises
    QWK + w * accuracy by coordinate ascent for a ladder of weights w and keeps the best QWK
    that respects the bound (Lagrangian relaxation); deterministic.
    """
    truth, expected = np.asarray(truth), np.asarray(expected, dtype=float)
    grid = np.arange(GRADES[0], GRADES[-1], 0.02)
    # below[i, g]: wines of true grade g with an expected grade under grid[i]
    place = np.searchsorted(grid, expected, side="right")
    cells = np.zeros((len(grid) + 1, len(GRADES)))
    np.add.at(cells, (place, truth - GRADES[0]), 1)
    below = np.vstack([cells.cumsum(0)[:-1], cells.sum(0)])

    def judged(indices):
        edges = np.concatenate(
            [np.zeros_like(below[:1]), below[indices], below[-1:]]
        )
        counts = np.diff(edges, axis=0).T
        return float(qwk_of(counts)), counts.diagonal().sum() / max(len(truth), 1)

    plain = np.searchsorted(grid, np.array(PLAIN_CUTS) - 1e-9)
    best_qwk, floor = judged(plain)
    floor -= accuracy_loss
    best = plain
    for weight in (0.0, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5):
        cuts = _ascend(plain.copy(), len(grid), below, weight)
        qwk, accuracy = judged(cuts)
        if accuracy >= floor and qwk > best_qwk:
            best, best_qwk = cuts, qwk
    return tuple(float(round(value, 2)) for value in grid[best])


def _ascend(cuts, size, below, weight):
    """Move one cut at a time to where QWK + weight * accuracy is greatest, until none moves."""
    total = below[-1].sum()
    while True:
        before = cuts.copy()
        for i in range(len(cuts)):
            low = cuts[i - 1] if i else 0
            high = cuts[i + 1] if i + 1 < len(cuts) else size - 1
            places = np.arange(low, high + 1)
            tried = np.tile(cuts, (len(places), 1))
            tried[:, i] = places
            edges = np.zeros((len(places), len(cuts) + 2, below.shape[1]))
            edges[:, 1:-1], edges[:, -1] = below[tried], below[-1]
            counts = np.diff(edges, axis=1).swapaxes(1, 2)
            value = qwk_of(counts) + weight * np.trace(counts, axis1=1, axis2=2) / total
            if value.max() > value[cuts[i] - low] + 1e-9:
                cuts[i] = places[value.argmax()]
        if (cuts == before).all():
            return cuts


def learn_odds(truth, expected):
    """Proportional-odds model of the grade given the expected grade (McCullagh 1980).

    Returns ``{"slope": s, "thresholds": [t3, ..., t8]}`` with
    P(grade <= g) = 1 / (1 + exp(s * expected - t_g)), by maximum likelihood with a weak ridge.
    """
    truth = np.asarray(truth) - GRADES[0]
    expected = np.asarray(expected, dtype=float)
    counts = np.bincount(truth, minlength=len(GRADES)) + 0.5
    share = counts.cumsum()[:-1] / counts.sum()
    slope = 2.0
    start = np.log(share / (1 - share)) + slope * expected.mean()

    def unpack(theta):
        return np.exp(theta[0]), theta[1] + np.concatenate([[0], np.exp(theta[2:]).cumsum()])

    def loss(theta):
        slope, thresholds = unpack(theta)
        p = _grade_probabilities(expected, slope, thresholds)
        return -np.log(p[np.arange(len(truth)), truth] + 1e-12).mean() + 1e-6 * (theta**2).sum()

    theta = np.concatenate([[np.log(slope), start[0]], np.log(np.diff(start))])
    slope, thresholds = unpack(minimize(loss, theta, method="L-BFGS-B").x)
    return {"slope": float(slope), "thresholds": [float(value) for value in thresholds]}


def probabilities(expected, odds):
    """Probability of every grade 3-9, shape (n, 7), rows summing to 1; see learn_odds."""
    expected = np.atleast_1d(np.asarray(expected, dtype=float))
    return _grade_probabilities(expected, odds["slope"], np.asarray(odds["thresholds"]))


def _grade_probabilities(expected, slope, thresholds):
    at_most = expit(thresholds - slope * expected[:, None])
    edges = np.concatenate(
        [np.zeros((len(expected), 1)), at_most, np.ones((len(expected), 1))], axis=1
    )
    return np.diff(edges, axis=1)

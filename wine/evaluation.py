"""Protocol P1's cross-validation: every wine predicted by models that did not see it."""

import io
import time

import joblib
import numpy as np
import pandas as pd

from wine.columns import FEATURES, GRADES
from wine.decoding import decode, learn_cuts, learn_odds, probabilities
from wine.metrics import bootstrap, score
from wine.model import expected_grade
from wine.split import FOLDS

PROTOCOL = (
    "P1: copies dropped, near-duplicates kept together, {repeats} x {folds}-fold stratified "
    "group cross-validation on {part}, pooled out-of-fold predictions, cut points learned "
    "without the fold they serve"
)


def fit_and_predict(estimator, wines, held_out):
    """Fit on the wines not held out and predict the others.

    ``held_out`` is a boolean array (n,). Returns a dict: ``expected`` grades of the held-out
    wines, ``fit_seconds``, ``predict_seconds`` and the fitted model's ``size_bytes`` as saved.
    """
    started = time.perf_counter()
    model = estimator.fit(wines.loc[~held_out, list(FEATURES)], wines["quality"][~held_out])
    fitted = time.perf_counter()
    expected = expected_grade(model, wines.loc[held_out, list(FEATURES)])
    predicted = time.perf_counter()
    saved = io.BytesIO()
    joblib.dump(model, saved, compress=3)
    return {
        "expected": expected,
        "fit_seconds": fitted - started,
        "predict_seconds": predicted - fitted,
        "size_bytes": saved.tell(),
    }


def out_of_fold(make, wines, fold_numbers, *, jobs=2, daily=None):
    """Out-of-fold expected grades, shape (repeats, n), of models fresh from ``make()``.

    ``daily`` adds generated wines to the training folds (never to what is predicted): each only
    where its source wine (``source_id``) is in the training fold too, for it is a near-copy.
    """
    places = [(r, f) for r in range(len(fold_numbers)) for f in range(FOLDS)]

    def task(repeat, fold):
        held_out = fold_numbers[repeat] == fold
        if daily is None:
            return joblib.delayed(fit_and_predict)(make(), wines, held_out)
        sources = wines["wine_id"][~held_out]
        added = daily[daily["source_id"].isin(sources)]
        known = pd.concat([wines, added[[*FEATURES, "quality"]]], ignore_index=True)
        return joblib.delayed(fit_and_predict)(
            make(), known, np.append(held_out, np.zeros(len(added), dtype=bool))
        )

    results = joblib.Parallel(jobs)(task(*place) for place in places)
    expected = np.empty(fold_numbers.shape)
    for (r, f), result in zip(places, results, strict=True):
        expected[r, fold_numbers[r] == f] = result["expected"]
    return expected


def serve(truth, expected, fold_numbers, *, accuracy_loss=0.01):
    """Grades as served, int array (repeats, n): each fold by cut points from the other folds."""
    served = np.empty(expected.shape, dtype=np.int64)
    for repeat, held_out in _parts(fold_numbers):
        cuts = learn_cuts(
            truth[~held_out], expected[repeat, ~held_out], accuracy_loss=accuracy_loss
        )
        served[repeat, held_out] = decode(expected[repeat, held_out], cuts)
    return served


def confidence(truth, expected, fold_numbers):
    """Probability of every grade, shape (repeats, n, 7): each fold by odds from the others."""
    chances = np.empty((*expected.shape, 7))
    for repeat, held_out in _parts(fold_numbers):
        odds = learn_odds(truth[~held_out], expected[repeat, ~held_out])
        chances[repeat, held_out] = probabilities(expected[repeat, held_out], odds)
    return chances


def sets(truth, chances, fold_numbers, coverage=0.8):
    """Which grades are in each wine's set, boolean (repeats, n, 7): levels from other folds."""
    inside = np.empty(chances.shape, dtype=bool)
    for repeat, held_out in _parts(fold_numbers):
        level = learn_level(truth[~held_out], chances[repeat, ~held_out], coverage)
        inside[repeat, held_out] = in_sets(chances[repeat, held_out], level)
    return inside


def evaluate(truth, expected, fold_numbers, *, repeats=200):
    """All metrics of P1 as served, and the bootstrap behind their standard errors.

    Returns ``(metrics, draws)``: a dict of floats, and a frame with one row a bootstrap repeat.
    Draws are the same wines for every call with the same ``truth``, so that the draws of two
    models can be subtracted (paired bootstrap).
    """
    served = serve(truth, expected, fold_numbers)
    metrics = score(np.tile(truth, len(expected)), served.ravel(), expected.ravel())
    return metrics, bootstrap(truth, served, expected, repeats=repeats)


def compare(truth, new, old, *, repeats=500):
    """Is a model worse than another on the same out-of-fold wines? Paired bootstrap of QWK.

    ``new`` and ``old`` are grades as served, shape (repeats, n). Returns ``difference`` (new
    minus old), its 95 % interval ``low``-``high``, and ``worse``: at least 95 % of the draws
    say so.
    """
    score_of = {
        "new": bootstrap(truth, new, new, repeats=repeats)["qwk"],
        "old": bootstrap(truth, old, old, repeats=repeats)["qwk"],
    }
    draws = score_of["new"] - score_of["old"]
    return {
        "difference": float(draws.mean()),
        "low": float(draws.quantile(0.025)),
        "high": float(draws.quantile(0.975)),
        "worse": bool((draws < 0).mean() >= 0.95),
    }


def in_sets(chances, level):
    """The grades of each wine's set, boolean array (n, 7).

    The most probable grades, down to the one with which their probability reaches ``level``.
    """
    order = np.argsort(-chances, axis=1)
    ranked = np.take_along_axis(chances, order, axis=1)
    inside = np.empty(chances.shape, dtype=bool)
    np.put_along_axis(inside, order, ranked.cumsum(axis=1) - ranked < level, axis=1)
    return inside


def learn_level(truth, chances, coverage=0.8):
    """The level at which ``in_sets`` holds the true grade for ``coverage`` of the wines.

    Grades come whole, so sets cut at 0.8 would hold more than 80 %: the level is the quantile
    of the probability ranked above the true grade (split-conformal adaptive sets, Romano et al.
    2020). ``truth`` (n,), ``chances`` (n, 7) out of fold.
    """
    own = chances[np.arange(len(truth)), np.asarray(truth) - GRADES[0]]
    above = np.where(chances > own[:, None], chances, 0).sum(axis=1)
    return float(np.quantile(above, coverage, method="higher")) + 1e-9


def log_loss(truth, chances):
    """Mean negative log-probability of the true grades: ``truth`` (n,), ``chances`` (n, 7)."""
    place = np.asarray(truth) - GRADES[0]
    return float(-np.log(np.maximum(chances[np.arange(len(place)), place], 1e-12)).mean())


def _parts(fold_numbers):
    for repeat in range(len(fold_numbers)):
        for fold in range(FOLDS):
            yield repeat, fold_numbers[repeat] == fold

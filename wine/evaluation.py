"""Protocol P1's cross-validation: every wine predicted by models that did not see it."""

import io
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from wine import model
from wine.columns import FEATURES, GRADES
from wine.decoding import (
    decode,
    learn_cuts,
    learn_odds,
    learn_set_level,
    prediction_sets,
    probabilities,
)
from wine.metrics import bootstrap, score
from wine.split import FOLDS

PROTOCOL = (
    "P1: copies dropped, near-duplicates kept together, {repeats} x {folds}-fold stratified "
    "group cross-validation on {part}, pooled out-of-fold predictions, cut points for each fold "
    "learned from the other folds' predictions"
)


def fit_and_predict(estimator, wines, held_out):
    """Fit on the wines not held out and predict the others.

    ``held_out`` is a boolean array (n,). Returns a dict: ``expected`` grades of the held-out
    wines, ``fit_seconds``, ``predict_seconds`` and the fitted model's ``size_bytes`` as saved.
    """
    started = time.perf_counter()
    fitted = estimator.fit(wines.loc[~held_out, list(FEATURES)], wines["quality"][~held_out])
    fit = time.perf_counter()
    expected = model.expected_grade(fitted, wines.loc[held_out, list(FEATURES)])
    predicted = time.perf_counter()
    saved = io.BytesIO()
    joblib.dump(fitted, saved, compress=3)
    return {
        "expected": expected,
        "fit_seconds": fit - started,
        "predict_seconds": predicted - fit,
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

    # threads, since a notebook that has started processes is killed at its end and tidies nothing up;
    # what takes long in a fit needs no interpreter
    results = joblib.Parallel(jobs, prefer="threads")(task(*place) for place in places)
    expected = np.empty(fold_numbers.shape)
    for (r, f), result in zip(places, results, strict=True):
        expected[r, fold_numbers[r] == f] = result["expected"]
    return expected


def out_of_fold_grades(truth, expected, fold_numbers, *, accuracy_loss=0.01):
    """Grades as served, int array (repeats, n), of expected grades (repeats, n).

    Each fold is decoded by cut points learned from the other folds' out-of-fold predictions.
    """
    served = np.empty(expected.shape, dtype=np.int64)
    for repeat, held_out in _parts(fold_numbers):
        cuts = learn_cuts(
            truth[~held_out], expected[repeat, ~held_out], accuracy_loss=accuracy_loss
        )
        served[repeat, held_out] = decode(expected[repeat, held_out], cuts)
    return served


def out_of_fold_probabilities(truth, expected, fold_numbers):
    """Probability of every grade, shape (repeats, n, 7): each fold by odds from the others."""
    chances = np.empty((*expected.shape, len(GRADES)))
    for repeat, held_out in _parts(fold_numbers):
        odds = learn_odds(truth[~held_out], expected[repeat, ~held_out])
        chances[repeat, held_out] = probabilities(expected[repeat, held_out], odds)
    return chances


def out_of_fold_sets(truth, chances, fold_numbers, coverage=0.8):
    """Which grades are in each wine's prediction set, boolean (repeats, n, 7), given their
    probabilities ``chances`` of that shape: each fold by a level from the others."""
    inside = np.empty(chances.shape, dtype=bool)
    for repeat, held_out in _parts(fold_numbers):
        level = learn_set_level(truth[~held_out], chances[repeat, ~held_out], coverage)
        inside[repeat, held_out] = prediction_sets(chances[repeat, held_out], level)
    return inside


def evaluate(truth, expected, fold_numbers, *, repeats=200):
    """All metrics of P1 as served, and the bootstrap behind their standard errors.

    Returns ``(metrics, draws)``: a dict of floats, and a frame with one row a bootstrap repeat.
    Wines are resampled and no model is fitted again: the errors are those of judging these
    fitted models by these wines.
    Draws are the same wines for every call with the same ``truth``, so that the draws of two
    models can be subtracted (paired bootstrap).
    """
    served = out_of_fold_grades(truth, expected, fold_numbers)
    metrics = score(np.tile(truth, len(expected)), served.ravel(), expected.ravel())
    return metrics, bootstrap(truth, served, expected, repeats=repeats)


def compare(truth, new, old, *, repeats=500):
    """Is a model worse than another on the same out-of-fold wines? Paired bootstrap of QWK.

    ``new`` and ``old`` are grades as served, shape (repeats, n). Returns ``difference`` (new
    minus old), its 95 % interval ``low``-``high``, and ``worse``: all of the interval is below 0.
    """

    def qwk(served):
        return score(np.tile(truth, len(served)), served.ravel())["qwk"]

    draws = (
        bootstrap(truth, new, new, repeats=repeats)["qwk"]
        - bootstrap(truth, old, old, repeats=repeats)["qwk"]
    )
    low, high = draws.quantile([0.025, 0.975])
    return {
        "difference": qwk(new) - qwk(old),
        "low": float(low),
        "high": float(high),
        "worse": bool(high < 0),
    }


def compare_with_served(project, out_of_fold, wines):
    """``compare`` of new out-of-fold grades with those of the served version.

    ``out_of_fold`` has ``wine_id`` and one column of grades as served per repeat, ``wines`` also
    FEATURES and ``quality``; wines and repeats that only one of the two versions has are left
    out, and a wine is the same one only with the same measurements and grade. None when no
    version is served, or when it was judged by other wines.
    """
    try:
        served = model.served(project)
    except model.NothingServed:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = model.download(served, folder)
        model.checked(files)
        before = pd.read_csv(Path(files) / "out_of_fold.csv")
        its_wines = pd.read_csv(Path(files) / "wines.csv", float_precision="round_trip")
    wine = ["wine_id", *FEATURES, "quality"]
    both = wines[wine].merge(its_wines.reindex(columns=wine))
    both = both.merge(out_of_fold, on="wine_id")
    both = both.merge(before, on="wine_id", suffixes=("", "_before"))
    if both.empty:
        return None
    repeats = [name for name in out_of_fold.columns[1:] if name in before.columns]
    new = both[repeats].to_numpy().T
    old = both[[f"{name}_before" for name in repeats]].to_numpy().T
    compared = compare(both["quality"].to_numpy(), new, old)
    return compared | {"version": served.version, "wines": len(both)}


def _parts(fold_numbers):
    for repeat in range(len(fold_numbers)):
        for fold in range(FOLDS):
            yield repeat, fold_numbers[repeat] == fold

"""Protocol P1's cross-validation: every wine predicted by models that did not see it."""

import functools
import io
import itertools
import time
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from wine.decoding import (
    decode,
    learn_cuts,
    learn_odds,
    learn_set_level,
    prediction_sets,
    probabilities,
)
from wine.metrics import bootstrap, score
from wine.model import encode, predict_in_batches, predict_scores
from wine.split import FOLDS

PROTOCOL = (
    "P1: duplicates dropped, near-duplicates kept together, {repeats} x {folds}-fold stratified "
    "group cross-validation on {part}, pooled out-of-fold predictions, cut points for each fold "
    "learned from the other folds' predictions"
)
SINGLE_WINES = 30  # how many are predicted one by one to time one


def fit_and_predict(
    estimator: BaseEstimator, wines: pd.DataFrame, held_out: np.ndarray
) -> dict[str, Any]:
    """Fit on the wines not held out and predict the others.

    ``held_out`` is a boolean array (n,). Return a dict: predicted ``scores`` of the held-out
    wines, the median ``wine_seconds`` to predict one wine alone (CPU time, so that what
    else the machine does cannot change the choice), and ``size_bytes`` as saved.
    """
    scores = _scores(estimator, wines, held_out)
    rows = encode(wines.head(SINGLE_WINES))
    saved = io.BytesIO()
    joblib.dump(estimator, saved, compress=3)
    return {
        "scores": scores,
        "wine_seconds": float(np.median([_seconds(estimator, row) for row in rows])),
        "size_bytes": saved.tell(),
    }


def _scores(estimator: BaseEstimator, wines: pd.DataFrame, held_out: np.ndarray) -> np.ndarray:
    """Fit ``estimator`` on the wines not held out; return the predicted scores of the others."""
    x, y = encode(wines), wines["quality"].to_numpy()
    fitted = estimator.fit(x[~held_out], y[~held_out])
    return predict_in_batches(fitted, x[held_out], threads=1)


def _seconds(model: BaseEstimator, row: np.ndarray) -> float:
    started = time.thread_time()
    predict_scores(model, row[None, :])
    return time.thread_time() - started


def out_of_fold(
    make: Callable[[], BaseEstimator],
    wines: pd.DataFrame,
    fold_numbers: np.ndarray,
    *,
    jobs: int = 2,
    daily: pd.DataFrame | None = None,
) -> np.ndarray:
    """Return out-of-fold scores, shape (repeats, n), of models fresh from ``make()``.

    ``daily`` adds generated wines, with ``quality``, to the training folds (never to what is
    predicted): each only where its source wine (``source_id``) is in the training fold, too,
    because it is a near-duplicate.
    """
    places = [(r, f) for r in range(len(fold_numbers)) for f in range(FOLDS)]

    def task(repeat: int, fold: int) -> Any:
        held_out, known = fold_numbers[repeat] == fold, wines
        if daily is not None:
            added = daily[daily["source_id"].isin(wines["wine_id"][~held_out])]
            known = pd.concat([wines, added], ignore_index=True)
            held_out = np.append(held_out, np.zeros(len(added), dtype=bool))
        return joblib.delayed(_scores)(make(), known, held_out)

    # threads: a notebook that has started processes is killed at its end and cleans nothing up,
    # and most of a fit needs no interpreter
    results = joblib.Parallel(jobs, prefer="threads")(task(*place) for place in places)
    scores = np.empty(fold_numbers.shape)
    for (r, f), result in zip(places, results, strict=True):
        scores[r, fold_numbers[r] == f] = result
    return scores


def out_of_fold_grades(
    truth: np.ndarray, scores: np.ndarray, fold_numbers: np.ndarray, *, accuracy_loss: float = 0.01
) -> np.ndarray:
    """Return grades, ints (repeats, n), of out-of-fold scores (repeats, n)."""
    learn = functools.partial(learn_cuts, accuracy_loss=accuracy_loss)
    return _from_other_folds(learn, decode, truth, scores, fold_numbers)


def out_of_fold_probabilities(
    truth: np.ndarray, scores: np.ndarray, fold_numbers: np.ndarray
) -> np.ndarray:
    """Return probabilities, shape (repeats, n, 7), of out-of-fold scores (repeats, n)."""
    return _from_other_folds(learn_odds, probabilities, truth, scores, fold_numbers)


def out_of_fold_sets(
    truth: np.ndarray, chances: np.ndarray, fold_numbers: np.ndarray
) -> np.ndarray:
    """Return the grades in each wine's prediction set, booleans (repeats, n, 7).

    ``chances`` are out-of-fold probabilities of that shape.
    """
    return _from_other_folds(learn_set_level, prediction_sets, truth, chances, fold_numbers)


def _from_other_folds(
    learn: Callable[..., Any],
    apply: Callable[..., np.ndarray],
    truth: np.ndarray,
    values: np.ndarray,
    fold_numbers: np.ndarray,
) -> np.ndarray:
    """Apply to each fold's ``values`` what is learned from the other folds' values and truth."""
    result: Any = None
    for repeat, fold in itertools.product(range(len(fold_numbers)), range(FOLDS)):
        held_out = fold_numbers[repeat] == fold
        learned = learn(truth[~held_out], values[repeat, ~held_out])
        part = apply(values[repeat, held_out], learned)
        if result is None:
            result = np.empty((*fold_numbers.shape, *part.shape[1:]), part.dtype)
        result[repeat, held_out] = part
    return result


def score_out_of_fold(
    truth: np.ndarray, scores: np.ndarray, fold_numbers: np.ndarray, **options: float
) -> dict[str, float]:
    """Return all metrics of out-of-fold scores (repeats, n), decoded as ``out_of_fold_grades``."""
    grades = out_of_fold_grades(truth, scores, fold_numbers, **options)
    return score(np.tile(truth, len(scores)), grades.ravel(), scores.ravel())


def evaluate(
    truth: np.ndarray, scores: np.ndarray, fold_numbers: np.ndarray, **options: float
) -> tuple[dict[str, float], pd.DataFrame]:
    """Return all metrics of P1, and the bootstrap behind their standard errors.

    ``options`` are those of ``out_of_fold_grades``. Returns ``(metrics, draws)``: a dict of
    floats, and a frame with one row for each of 200 bootstrap repeats.
    Wines are resampled and no model is fitted again: the errors are those of judging these
    fitted models by these wines. Draws are the same wines for every call with the same
    ``truth``, so that the draws of two models can be subtracted (paired bootstrap).
    """
    grades = out_of_fold_grades(truth, scores, fold_numbers, **options)
    metrics = score(np.tile(truth, len(scores)), grades.ravel(), scores.ravel())
    return metrics, bootstrap(truth, grades, scores, repeats=200)


def compare(
    truth: np.ndarray, new: np.ndarray, old: np.ndarray, *, repeats: int = 2000
) -> dict[str, Any]:
    """Compare two models on the same unseen wines: a paired bootstrap of their RMSE.

    ``new`` and ``old`` are scores of shape (k, n). Returns ``difference`` (new minus old), its
    95 % interval ``low`` to ``high``, and ``worse``: the whole interval is above 0.
    """
    errors = [((scores - truth) ** 2).mean(axis=0) for scores in (new, old)]

    def difference(wines: Any) -> float:
        new_rmse, old_rmse = (np.sqrt(error[wines].mean()) for error in errors)
        return float(new_rmse - old_rmse)

    random = np.random.default_rng(0)
    draws = [difference(random.integers(0, truth.size, truth.size)) for _ in range(repeats)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return {
        "difference": difference(slice(None)),
        "low": float(low),
        "high": float(high),
        "worse": bool(low > 0),
    }

"""Protocol P1's cross-validation: nothing about a wine reaches the model that predicts it."""

import datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from wine.balance import balance
from wine.candidates import BY_NAME
from wine.decoding import decode, learn_cuts
from wine.evaluation import (
    compare,
    evaluate,
    fit_and_predict,
    out_of_fold,
    out_of_fold_grades,
    out_of_fold_probabilities,
    out_of_fold_sets,
    score_out_of_fold,
)
from wine.generator import generate
from wine.metrics import score
from wine.model import encode
from wine.split import folds


def ridge():
    """A model that fits in no time."""
    return make_pipeline(StandardScaler(), Ridge())


def trees():
    return ExtraTreesRegressor(20, random_state=1)


@pytest.fixture(scope="module")
def truth(train):
    return train["quality"].to_numpy()


@pytest.fixture(scope="module")
def scores(train, fold_numbers):
    return out_of_fold(ridge, train, fold_numbers, jobs=1)


def test_a_wine_is_predicted_by_a_model_fitted_on_the_other_folds(train, fold_numbers, scores):
    x = encode(train)
    for repeat, fold in ((0, 0), (1, 3)):
        held_out = fold_numbers[repeat] == fold
        model = ridge().fit(x[~held_out], train["quality"][~held_out])
        assert np.allclose(scores[repeat, held_out], model.predict(x[held_out]))


@pytest.mark.parametrize("name", ["ridge", "extra trees + SMOTE"])
def test_the_grades_of_held_out_wines_do_not_reach_the_model(train, fold_numbers, name):
    few, held_out = train.iloc[::4], fold_numbers[0, ::4] == 0
    false = few.assign(quality=few["quality"].mask(held_out, 3))
    first, second = (
        fit_and_predict(BY_NAME[name].make(), wines, held_out)["scores"] for wines in (few, false)
    )
    assert (first == second).all()


def test_fits_are_measured(train, fold_numbers):
    held_out = fold_numbers[0] == 0
    result = fit_and_predict(ridge(), train, held_out)
    assert result["scores"].shape == (held_out.sum(),)
    assert 0 < result["wine_seconds"] < 1
    assert 100 < result["size_bytes"] < 1e6


def test_what_decodes_a_fold_never_comes_from_it(truth, scores, fold_numbers):
    once, held_out = fold_numbers[1:], fold_numbers[1] == 2
    false = np.where(held_out, 9, truth)
    grades = out_of_fold_grades(truth, scores[1:], once)
    cuts = learn_cuts(truth[~held_out], scores[1, ~held_out])
    assert (grades[0, held_out] == decode(scores[1, held_out], cuts)).all()
    assert (out_of_fold_grades(false, scores[1:], once)[0, held_out] == grades[0, held_out]).all()

    chances = out_of_fold_probabilities(truth, scores[1:], once)
    assert np.allclose(chances.sum(axis=2), 1)
    again = out_of_fold_probabilities(false, scores[1:], once)
    assert (again[0, held_out] == chances[0, held_out]).all()
    sets, again = (out_of_fold_sets(grades, chances, once) for grades in (truth, false))
    assert (again[0, held_out] == sets[0, held_out]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ridge", "kernel ridge"])
def test_cut_points_from_nested_folds_say_the_same(train, truth, fold_numbers, name):
    """The strictest way: cut points from folds within the training fold, nothing else seen.

    ``out_of_fold_grades`` takes them from the other folds' predictions, whose models did see the
    fold that is decoded. If that were a leak, it would score better than this.
    """
    make, once = BY_NAME[name].make, fold_numbers[:1]
    scores = out_of_fold(make, train, once)
    nested = np.empty(len(train), dtype=int)
    for fold in range(5):
        held_out = fold_numbers[0] == fold
        inner = train[~held_out].reset_index(drop=True)
        inner_scores = out_of_fold(make, inner, folds(inner, repeats=1))
        cuts = learn_cuts(truth[~held_out], inner_scores[0])
        nested[held_out] = decode(scores[0, held_out], cuts)
    strict = score(truth, nested)["qwk"]
    assert score_out_of_fold(truth, scores, once)["qwk"] < strict + 0.01


@pytest.mark.uci
def test_evaluate_scores_all_repeats_and_says_how_sure_it_is(truth, scores, fold_numbers):
    metrics, draws = evaluate(truth, scores, fold_numbers)
    grades = out_of_fold_grades(truth, scores, fold_numbers)
    assert metrics == score(np.tile(truth, 2), grades.ravel(), scores.ravel())
    assert metrics == score_out_of_fold(truth, scores, fold_numbers)
    assert len(draws) == 200
    assert set(draws) == set(metrics)
    assert 0.005 < draws["accuracy"].std() < 0.012


def test_compare_sees_worse_better_and_equal(truth, scores):
    noisy = scores + np.random.default_rng(0).normal(0, 0.2, scores.shape)
    worse = compare(truth, noisy, scores, repeats=100)
    assert worse["worse"]
    assert 0 < worse["low"] < worse["difference"] < worse["high"]
    rmse = [np.sqrt(((each - truth) ** 2).mean()) for each in (noisy, scores)]
    assert worse["difference"] == pytest.approx(rmse[0] - rmse[1])
    better = compare(truth, scores, noisy, repeats=100)
    assert not better["worse"]
    assert better["difference"] == -worse["difference"]
    same = compare(truth, scores, scores, repeats=20)
    assert (same["difference"], same["low"], same["high"], same["worse"]) == (0, 0, 0, False)


@pytest.mark.uci
def test_shuffled_grades_cannot_be_predicted(train, fold_numbers):
    grades = np.random.default_rng(0).permutation(train["quality"])
    once = fold_numbers[:1]
    scores = out_of_fold(trees, train.assign(quality=grades), once)
    for loss in (0.01, 1):
        assert abs(score_out_of_fold(grades, scores, once, accuracy_loss=loss)["qwk"]) < 0.08


@pytest.mark.uci
def test_balancing_before_the_split_would_show(train):
    """What the leak alarm is there for: the same model, SMOTE before the folds, looks superb."""
    balanced = balance(train)
    held_out = np.random.default_rng(0).random(len(balanced)) < 0.2
    scores = fit_and_predict(trees(), balanced, held_out)["scores"]
    leaked = score(balanced["quality"][held_out], decode(scores), scores)
    assert leaked["accuracy"] > 0.65
    assert leaked["r2"] > 0.5


def test_a_daily_wine_is_trained_on_only_where_its_source_is(train, fold_numbers, scores):
    days = [datetime.date(2027, 1, 1) + datetime.timedelta(days=i) for i in range(200)]
    daily = pd.DataFrame([generate(day, train) for day in days])
    daily = daily.rename(columns={"reference_grade": "quality"})
    once = fold_numbers[:1]
    added = out_of_fold(ridge, train, once, jobs=1, daily=daily)
    held_out = once[0] == 4
    mine = daily[daily["source_id"].isin(train["wine_id"][~held_out])]
    assert 0 < len(mine) < len(daily)
    known = pd.concat([train[~held_out], mine])
    fitted = ridge().fit(encode(known), known["quality"])
    assert np.allclose(added[0, held_out], fitted.predict(encode(train[held_out])))
    assert (out_of_fold(ridge, train, once, jobs=1, daily=daily.head(0)) == scores[:1]).all()

"""Protocol P1's cross-validation: nothing about a wine reaches the model that predicts it."""

import datetime

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from wine import evaluation, model
from wine.balance import balance
from wine.candidates import BY_NAME, encode
from wine.columns import FEATURES, GRADES
from wine.decoding import decode, learn_cuts, learn_set_level, prediction_sets
from wine.errors import WineError
from wine.evaluation import (
    compare,
    evaluate,
    fit_and_predict,
    out_of_fold,
    out_of_fold_grades,
    out_of_fold_probabilities,
    out_of_fold_sets,
)
from wine.generator import generate
from wine.metrics import score
from wine.split import folds


def ridge():
    """A model that fits in no time."""
    return make_pipeline(encode(), Ridge())


@pytest.fixture(scope="module")
def fold_numbers(train):
    return folds(train)


@pytest.fixture(scope="module")
def truth(train):
    return train["quality"].to_numpy()


@pytest.fixture(scope="module")
def expected(train, fold_numbers):
    return out_of_fold(ridge, train, fold_numbers, jobs=1)


def test_every_wine_is_predicted_by_a_model_fitted_on_the_other_folds(
    train, fold_numbers, expected
):
    for repeat, fold in ((0, 0), (1, 3)):
        held = fold_numbers[repeat] == fold
        model = ridge().fit(train.loc[~held, list(FEATURES)], train["quality"][~held])
        own = model.predict(train.loc[held, list(FEATURES)])
        assert np.allclose(expected[repeat, held], own)


def test_the_number_of_jobs_changes_nothing(train, fold_numbers):
    def trees():
        return make_pipeline(encode(), ExtraTreesRegressor(20, random_state=1))

    one = out_of_fold(trees, train, fold_numbers[:1], jobs=1)
    assert (out_of_fold(trees, train, fold_numbers[:1], jobs=2) == one).all()


@pytest.mark.parametrize("name", ["ridge", "extra trees + SMOTE"])
def test_the_grades_of_held_out_wines_do_not_reach_the_model(train, fold_numbers, name):
    held = fold_numbers[0] == 0
    lied = train.assign(quality=train["quality"].mask(held, 3))
    honest = fit_and_predict(BY_NAME[name].make(), train, held)
    assert (
        fit_and_predict(BY_NAME[name].make(), lied, held)["expected"] == honest["expected"]
    ).all()


def test_fits_are_measured(train, fold_numbers):
    result = fit_and_predict(ridge(), train, fold_numbers[0] == 0)
    assert result["expected"].shape == ((fold_numbers[0] == 0).sum(),)
    assert 0 < result["fit_seconds"] < 60
    assert 0 < result["predict_seconds"] < 60
    assert 100 < result["size_bytes"] < 1e6


def test_cut_points_never_come_from_the_fold_they_serve(truth, expected, fold_numbers):
    served = out_of_fold_grades(truth, expected, fold_numbers)
    held = fold_numbers[1] == 2
    cuts = learn_cuts(truth[~held], expected[1, ~held])
    assert (served[1, held] == decode(expected[1, held], cuts)).all()
    lied = np.where(held, 9, truth)
    assert (
        out_of_fold_grades(lied, expected[1:], fold_numbers[1:])[0, held] == served[1, held]
    ).all()


@pytest.mark.parametrize("name", ["ridge", "kernel ridge"])
def test_cut_points_from_nested_folds_say_the_same(train, truth, fold_numbers, name):
    """The strictest way: cut points from folds within the training fold, nothing else seen.

    ``out_of_fold_grades`` takes them from the other folds' predictions instead, whose models did see the
    fold served. Were that a leak, it would score better than this.
    """
    expected = out_of_fold(BY_NAME[name].make, train, fold_numbers[:1])
    nested = np.empty(len(train), dtype=int)
    for fold in range(5):
        held = fold_numbers[0] == fold
        inner = train[~held].reset_index(drop=True)
        inner_folds = folds(inner, repeats=1)
        inner_expected = out_of_fold(BY_NAME[name].make, inner, inner_folds)
        nested[held] = decode(expected[0, held], learn_cuts(truth[~held], inner_expected[0]))
    strict = score(truth, nested)["qwk"]
    assert (
        score(truth, out_of_fold_grades(truth, expected, fold_numbers[:1])[0])["qwk"]
        < strict + 0.01
    )


def test_probabilities_and_sets_never_come_from_the_fold_they_serve(truth, expected, fold_numbers):
    once, held = fold_numbers[:1], fold_numbers[0] == 0
    lied = np.where(held, 9, truth)
    chances = out_of_fold_probabilities(truth, expected[:1], once)
    assert np.allclose(chances.sum(axis=2), 1)
    assert (out_of_fold_probabilities(lied, expected[:1], once)[0, held] == chances[0, held]).all()
    inside = out_of_fold_sets(truth, chances, once)
    assert (out_of_fold_sets(lied, chances, once)[0, held] == inside[0, held]).all()


def test_sets_hold_the_stated_share_of_the_wines(truth, expected, fold_numbers):
    chances = out_of_fold_probabilities(truth, expected, fold_numbers)
    for coverage in (0.8, 0.95):
        inside = out_of_fold_sets(truth, chances, fold_numbers, coverage)
        held = inside[:, np.arange(len(truth)), truth - GRADES[0]].mean()
        assert held == pytest.approx(coverage, abs=0.02)


def test_a_set_holds_the_likeliest_grades_first_and_always_one():
    chances = np.array([[0.1, 0.5, 0.3, 0.05, 0.03, 0.01, 0.01]])
    assert prediction_sets(chances, 1e-9)[0].tolist() == [False, True] + 5 * [False]
    assert prediction_sets(chances, 0.6)[0].tolist() == [False, True, True] + 4 * [False]
    assert prediction_sets(chances, 1.1).all()
    assert prediction_sets(np.zeros((0, 7)), 0.8).shape == (0, 7)


def test_the_level_is_the_least_that_holds_the_share_asked_for():
    random = np.random.default_rng(0)
    chances = random.dirichlet(np.ones(7), 2000)
    truth = random.integers(3, 10, 2000)
    level = learn_set_level(truth, chances, 0.7)
    holds = prediction_sets(chances, level)[np.arange(2000), truth - 3].mean()
    fewer = prediction_sets(chances, level - 1e-6)[np.arange(2000), truth - 3].mean()
    assert fewer <= 0.7 < holds < 0.71
    with pytest.raises((ValueError, IndexError)):
        learn_set_level([], np.zeros((0, 7)))


def test_evaluate_scores_all_repeats_and_says_how_sure_it_is(truth, expected, fold_numbers):
    metrics, draws = evaluate(truth, expected, fold_numbers, repeats=50)
    served = out_of_fold_grades(truth, expected, fold_numbers)
    assert metrics == score(np.tile(truth, 2), served.ravel(), expected.ravel())
    assert len(draws) == 50
    assert set(draws) == set(metrics)
    assert 0.005 < draws["accuracy"].std() < 0.012


def test_compare_sees_worse_better_and_equal(truth, expected, fold_numbers):
    served = out_of_fold_grades(truth, expected, fold_numbers)
    random = np.random.default_rng(0)
    spoilt = np.where(random.random(served.shape) < 0.2, 6, served)
    worse = compare(truth, spoilt, served, repeats=100)
    assert worse["worse"]
    assert worse["low"] < worse["difference"] < worse["high"] < 0
    said = [
        score(np.tile(truth, len(grades)), grades.ravel())["qwk"] for grades in (spoilt, served)
    ]
    assert worse["difference"] == said[0] - said[1]
    better = compare(truth, served, spoilt, repeats=100)
    assert not better["worse"]
    assert better["difference"] > 0
    same = compare(truth, served, served, repeats=20)
    assert (same["difference"], same["low"], same["high"], same["worse"]) == (0, 0, 0, False)


def test_shuffled_grades_cannot_be_predicted(train, fold_numbers):
    grades = np.random.default_rng(0).permutation(train["quality"])
    shuffled = train.assign(quality=grades)
    once = fold_numbers[:1]
    expected = out_of_fold(BY_NAME["extra trees"].make, shuffled, once)
    metrics, _ = evaluate(grades, expected, once, repeats=2)
    assert abs(metrics["qwk"]) < 0.08
    free = out_of_fold_grades(grades, expected, once, accuracy_loss=1)
    assert abs(score(grades, free[0])["qwk"]) < 0.08


def test_balancing_before_the_split_would_show(train):
    """What the leak alarm is there for: the same model, SMOTE before the folds, looks superb."""
    balanced = balance(train)
    balanced["group_id"] = np.arange(len(balanced))
    held = folds(balanced, repeats=1)[0] == 0
    result = fit_and_predict(BY_NAME["extra trees"].make(), balanced, held)
    leaked = score(balanced["quality"][held], decode(result["expected"]), result["expected"])
    assert leaked["accuracy"] > 0.65
    assert leaked["r2"] > 0.5


@pytest.fixture(scope="module")
def daily(train):
    """Two hundred daily wines of training wines."""
    start = datetime.date(2027, 1, 1)
    days = [start + datetime.timedelta(days=i) for i in range(200)]
    return pd.DataFrame([generate(day, train) for day in days])


def test_a_daily_wine_is_trained_on_only_where_its_source_is(train, fold_numbers, daily):
    once = fold_numbers[:1]
    added = out_of_fold(ridge, train, once, jobs=1, daily=daily)
    held = once[0] == 4
    mine = daily[daily["source_id"].isin(train["wine_id"][~held])]
    assert 0 < len(mine) < len(daily)
    known = pd.concat([train[~held], mine])
    model = ridge().fit(known[list(FEATURES)], known["quality"])
    assert np.allclose(added[0, held], model.predict(train.loc[held, list(FEATURES)]))


def test_no_daily_wines_change_nothing(train, fold_numbers, expected, daily):
    added = out_of_fold(ridge, train, fold_numbers[:1], jobs=1, daily=daily.head(0))
    assert np.allclose(added, expected[:1])


def test_only_a_registry_without_an_approved_version_means_that_none_is_served(monkeypatch, train):
    def ends_with(error):
        def served(project):
            raise error

        monkeypatch.setattr(model, "served", served)
        return evaluation.compare_with_served(None, train[["wine_id"]], train)

    assert ends_with(model.NothingServed("run train.ipynb first")) is None
    with pytest.raises(WineError, match="trouble"):  # an outage must not approve a model
        ends_with(WineError("trouble with Hopsworks did not pass"))

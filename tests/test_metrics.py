"""The metrics against scikit-learn's, and their edges."""

import warnings

import numpy as np
import pytest
import sklearn.metrics as reference
from hypothesis import given
from hypothesis import strategies as st

from wine.columns import GRADES
from wine.metrics import (
    METRICS,
    bootstrap,
    confusion,
    has_kappa,
    qwk_of,
    score,
    score_counts,
)

grade_pairs = st.lists(st.tuples(st.integers(3, 9), st.integers(3, 9)), min_size=1, max_size=60)


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(grade_pairs)
def test_every_metric_is_scikit_learns(pairs):
    truth, grades = np.array(pairs).T
    scores = grades + 0.25
    result = score(truth, grades, scores)
    present = np.unique(truth)
    assert result["accuracy"] == pytest.approx(reference.accuracy_score(truth, grades))
    assert result["within_one"] == pytest.approx(np.mean(abs(truth - grades) <= 1))
    assert result["macro_f1"] == pytest.approx(
        reference.f1_score(truth, grades, labels=present, average="macro", zero_division=0)
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="y_pred contains classes not in y_true")
        balanced = reference.balanced_accuracy_score(truth, grades)
    assert result["balanced_accuracy"] == pytest.approx(balanced)
    assert result["rmse"] == pytest.approx(reference.root_mean_squared_error(truth, scores))
    assert result["mae"] == pytest.approx(reference.mean_absolute_error(truth, scores))
    if len(present) > 1:
        assert result["r2"] == pytest.approx(reference.r2_score(truth, scores))
        assert result["qwk"] == pytest.approx(
            reference.cohen_kappa_score(truth, grades, weights="quadratic", labels=GRADES)
        )
    assert set(result) == set(METRICS)
    assert all(type(value) is float for value in result.values())


@given(grade_pairs)
def test_the_counts_are_scikit_learns_confusion_matrix(pairs):
    truth, grades = np.array(pairs).T
    counts = confusion(truth, grades)
    assert (counts == reference.confusion_matrix(truth, grades, labels=GRADES)).all()
    assert score_counts(counts).items() <= score(truth, grades).items()


def test_kappa_of_a_stack_of_matrices_is_the_kappa_of_each():
    stack = np.random.default_rng(0).integers(0, 9, (5, 7, 7))
    assert qwk_of(stack).shape == (5,)
    assert np.allclose(qwk_of(stack), [qwk_of(counts) for counts in stack])


def test_perfect_and_opposite_and_constant_answers():
    truth = np.array([3, 4, 5, 6, 7, 8, 9])
    assert score(truth, truth)["qwk"] == 1
    assert score(truth, truth)["rmse"] == 0
    assert score(truth, truth[::-1])["qwk"] == -1
    assert score(truth, np.full(7, 6))["qwk"] == 0


def test_one_grade_on_both_sides_has_no_kappa_and_no_spread():
    result = score([6, 6], [6, 6])
    assert (result["qwk"], result["r2"], result["accuracy"]) == (0, 0, 1)


def test_kappa_is_undefined_for_one_wine_and_for_one_grade_on_both_sides():
    for truth, grades, defined in (
        ([6], [5], False),
        ([6, 6], [6, 6], False),
        ([6, 6], [5, 5], True),
    ):
        assert has_kappa(confusion(truth, grades)) is defined
    assert not has_kappa(np.zeros((7, 7), dtype=int))


@pytest.mark.parametrize("score_or_confusion", [score, confusion])
@pytest.mark.parametrize(
    ("truth", "grades", "message"),
    [
        ([2], [5], "3-9"),
        ([5], [0], "3-9"),
        ([5], [10], "3-9"),
        ([5], [np.nan], "whole"),
        ([5], [5.5], "whole"),
        ([5], [None], "numbers"),
        (["5"], ["5"], "numbers"),
        ([5, 6], [5], "2 true grades but 1"),
    ],
)
def test_what_is_no_grade_is_refused(score_or_confusion, truth, grades, message):
    with pytest.raises(ValueError, match=message):
        score_or_confusion(truth, grades)


def test_nothing_to_score_is_an_error_but_nothing_to_count_is_zero():
    with pytest.raises(ValueError, match="no wines"):
        score([], [])
    with pytest.raises(ValueError, match="no wines"):
        score_counts(np.zeros((7, 7), dtype=int))
    with pytest.raises(ValueError, match="no wines"):
        bootstrap([], [], [])
    assert confusion([], []).tolist() == np.zeros((7, 7)).tolist()
    assert confusion(np.array([], dtype=object), []).sum() == 0


def test_the_bootstraps_standard_error_is_the_textbooks_for_accuracy():
    random = np.random.default_rng(0)
    truth = random.integers(3, 10, 2000)
    grades = np.where(random.random(2000) < 0.6, truth, 3 + (truth - 2) % 7)
    draws = bootstrap(truth, grades, grades, repeats=400)
    share = (grades == truth).mean()
    assert draws["accuracy"].mean() == pytest.approx(share, abs=0.002)
    textbook = np.sqrt(share * (1 - share) / 2000)
    assert draws["accuracy"].std() == pytest.approx(textbook, rel=0.15)


def test_repeats_of_the_same_wines_do_not_feign_more_wines():
    random = np.random.default_rng(0)
    truth = random.integers(3, 10, 500)
    grades = np.where(random.random(500) < 0.6, truth, 6)
    once = bootstrap(truth, grades, grades, repeats=200)
    thrice = bootstrap(truth, np.tile(grades, (3, 1)), np.tile(grades, (3, 1)), repeats=200)
    assert np.allclose(once, thrice)


def test_a_draw_without_the_only_wine_of_a_grade_is_no_better_for_it():
    truth = np.array([9] + 200 * [5, 6])
    grades = np.where(truth == 9, 6, truth)  # all found but the 9
    draws = bootstrap(truth, grades, grades, repeats=100)
    assert (draws["macro_f1"] < 0.67).all(), "a mean over 5, 6 and 9, of which 9 is never found"
    assert np.allclose(draws["balanced_accuracy"], 2 / 3)

"""From a predicted score to a grade, and to a probability for every grade."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from wine.columns import GRADES
from wine.decoding import (
    PLAIN_CUTS,
    decode,
    learn_cuts,
    learn_odds,
    learn_set_level,
    prediction_sets,
    probabilities,
    probability_of,
)
from wine.metrics import score
from wine.spec import Odds

score_lists = st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=50)


@pytest.fixture(scope="module")
def shrunken():
    """True grades and predicted scores as models give them: pulled towards the middle, noisy."""
    random = np.random.default_rng(0)
    truth = random.choice(GRADES, 3000, p=[0.01, 0.04, 0.32, 0.43, 0.16, 0.03, 0.01])
    return truth, 5.8 + 0.4 * (truth - 5.8) + random.normal(0, 0.4, 3000)


@given(st.floats(3, 9))
def test_plain_cuts_round(scores):
    assert decode(scores) == min(9, np.floor(scores + 0.5))


def test_what_lies_beyond_the_scale_gets_its_ends_and_a_cut_belongs_to_the_grade_above():
    assert decode([-1e300, -np.inf, 0, 3.5, 8.49999, 8.5, 1e300, np.inf]).tolist() == [
        3, 3, 3, 4, 8, 9, 9, 9,
    ]  # fmt: skip
    assert decode([]).shape == (0,)
    assert decode(np.full((2, 3), 6.0)).shape == (2, 3)


def test_a_missing_score_is_an_error():
    with pytest.raises(ValueError, match="missing"):
        decode([5.0, np.nan])


def test_learned_cuts_are_the_best_of_all_that_may_be_tried(shrunken):
    truth, scores = (part[:300] for part in shrunken)
    plain = score(truth, decode(scores))["accuracy"]
    tried = (
        tuple(centre + (cut - centre) / stretch for cut in PLAIN_CUTS)
        for stretch, centre in itertools.product(np.arange(1, 2.2, 0.04), np.arange(5.2, 6.6, 0.05))
    )
    results = [score(truth, decode(scores, cuts)) for cuts in tried]
    for loss in (0.01, 1):
        best = max(r["qwk"] for r in results if r["accuracy"] >= plain - loss)
        learned = score(truth, decode(scores, learn_cuts(truth, scores, accuracy_loss=loss)))
        # cuts are given with four decimals
        assert learned["qwk"] == pytest.approx(best, abs=0.005)
        assert learned["accuracy"] >= plain - loss - 0.001


def test_perfect_scores_are_rounded_and_no_wines_are_an_error():
    truth = np.repeat(GRADES, 5)
    assert (decode(truth, learn_cuts(truth, truth)) == truth).all()
    assert len(learn_cuts([6], [6.1])) == 6
    with pytest.raises(ValueError, match="no wines"):
        learn_cuts([], [])
    with pytest.raises(ValueError, match="missing"):
        learn_cuts([5, 6], [np.nan, 6])


ODDS = Odds(slope=2.5, thresholds=(7.0, 10.0, 13.5, 16.5, 19.0, 21.5))


@given(score_lists)
def test_probabilities_are_between_0_and_1_and_sum_to_1(scores):
    chances = probabilities(scores, ODDS)
    assert chances.shape == (len(scores), 7)
    assert ((chances >= 0) & (chances <= 1)).all()
    assert np.allclose(chances.sum(axis=1), 1)


def test_probabilities_are_the_differences_of_the_proportional_odds_formula():
    at_most = [expit(t - 2.5 * 5.7) for t in ODDS.thresholds]
    assert np.allclose(probabilities(5.7, ODDS)[0], np.diff([0, *at_most, 1]))
    assert probabilities([], ODDS).shape == (0, 7)


def test_odds_are_learned_back_from_grades_drawn_with_them():
    random = np.random.default_rng(0)
    scores = random.normal(5.8, 0.6, 5000)
    edges = probabilities(scores, ODDS).cumsum(axis=1)
    truth = 3 + (random.random(len(scores))[:, None] > edges[:, :-1]).sum(axis=1)
    learned = learn_odds(truth, scores)
    assert learned.slope == pytest.approx(2.5, rel=0.1)
    stated, meant = probabilities(scores, learned), probabilities(scores, ODDS)
    assert np.abs(stated - meant).mean() < 0.006


@pytest.mark.filterwarnings("ignore:overflow")
@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(GRADES), min_size=1, max_size=30))
def test_odds_of_any_grades_are_ordered_and_finite(truth):
    learned = learn_odds(truth, np.linspace(4, 8, len(truth)))
    assert np.isfinite([learned.slope, *learned.thresholds]).all()
    assert learned.slope > 0
    assert list(learned.thresholds) == sorted(learned.thresholds)
    assert np.allclose(probabilities([3, 6, 9], learned).sum(axis=1), 1)


def test_the_probability_of_a_grade_is_its_own():
    chances = probabilities([4.0, 8.0], ODDS)
    assert probability_of([4, 9], chances).tolist() == [chances[0, 1], chances[1, 6]]


def test_a_set_holds_the_likeliest_grades_first_and_always_one():
    chances = np.array([[0.1, 0.5, 0.3, 0.05, 0.03, 0.01, 0.01]])
    assert prediction_sets(chances, 1e-9)[0].tolist() == [False, True] + 5 * [False]
    assert prediction_sets(chances, 0.6)[0].tolist() == [False, True, True] + 4 * [False]
    assert prediction_sets(chances, 1.1).all()
    assert prediction_sets(np.zeros((0, 7)), 0.8).shape == (0, 7)


def test_the_level_is_the_least_that_holds_the_share_asked_for():
    random = np.random.default_rng(0)
    chances, truth = random.dirichlet(np.ones(7), 2000), random.integers(3, 10, 2000)
    level = learn_set_level(truth, chances, 0.7)
    holds = prediction_sets(chances, level)[np.arange(2000), truth - 3].mean()
    fewer = prediction_sets(chances, level - 1e-6)[np.arange(2000), truth - 3].mean()
    assert fewer <= 0.7 < holds < 0.71
    with pytest.raises((ValueError, IndexError)):
        learn_set_level([], np.zeros((0, 7)))

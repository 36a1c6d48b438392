"""Every candidate of the table works, the same way every time, and learned what wines are like."""

import pickle

import numpy as np
import pytest
from sklearn.base import is_regressor
from sklearn.linear_model import LogisticRegression

from wine.candidates import (
    BY_NAME,
    CANDIDATES,
    OrdinalClassifier,
    average,
    encode,
    from_result,
)
from wine.columns import FEATURES, NAMES
from wine.errors import BadInput
from wine.model import expected_grade


@pytest.fixture(scope="module")
def sixty(train):
    """Sixty wines of all grades, so many of each that SMOTE can run."""
    few = train.groupby("quality").head(10)
    return few.drop(few[few["quality"] == 6].index[: len(few) - 60])


def fitted(candidate, wines):
    return candidate.make().fit(wines[list(FEATURES)], wines["quality"])


def test_sixty_wines_are_sixty(sixty):
    assert len(sixty) == 60
    assert sixty["quality"].nunique() == 7
    assert sixty["quality"].value_counts().min() >= 3


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_every_candidate_fits_and_predicts_sixty_wines_the_same_every_time(candidate, sixty):
    first = expected_grade(fitted(candidate, sixty), sixty[list(FEATURES)])
    assert first.shape == (60,)
    assert np.isfinite(first).all()
    assert ((first > 1) & (first < 11)).all()
    assert (expected_grade(fitted(candidate, sixty), sixty[list(FEATURES)]) == first).all()


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_every_candidate_is_described_as_it_is(candidate):
    model = candidate.make()
    assert candidate.balanced == ("balance" in getattr(model, "named_steps", {}))
    assert BY_NAME[candidate.name] is candidate
    if candidate.averageable:
        assert is_regressor(model)
        assert not candidate.balanced
    registered = pickle.dumps(model[-1])  # without SMOTE, which train.ipynb has done before
    assert candidate.servable == (b"wine." not in registered), "the app has no class of ours"


def test_names_are_unique_and_the_quick_search_has_a_servable_candidate():
    assert len(BY_NAME) == len(CANDIDATES)
    assert any(c.quick and c.servable and c.complexity for c in CANDIDATES)
    assert any(c.quick and c.averageable for c in CANDIDATES)


def test_encode_gives_the_measurements_in_order_then_one_for_white(sixty):
    points = encode().fit_transform(sixty)
    assert (points[:, :11] == sixty[list(NAMES)].to_numpy()).all()
    assert (points[:, 11] == (sixty["type"] == "white")).all()


def test_an_unknown_type_and_a_missing_column_are_refused(sixty):
    encoder = encode().fit(sixty)
    with pytest.raises(ValueError, match="rosé"):
        encoder.transform(sixty.assign(type="rosé"))
    with pytest.raises(ValueError, match="ph"):
        encoder.transform(sixty.drop(columns="ph"))


def test_an_average_is_the_mean_of_its_members(sixty):
    both = average("ridge", "extra trees")
    x = sixty[list(FEATURES)]
    parts = [expected_grade(fitted(BY_NAME[name], sixty), x) for name in both.members]
    assert np.allclose(expected_grade(fitted(both, sixty), x), np.mean(parts, axis=0))
    assert both.name == "ridge + extra trees"
    assert both.complexity == BY_NAME["ridge"].complexity + BY_NAME["extra trees"].complexity
    with pytest.raises(KeyError):
        average("ridge", "no such model")


def test_an_average_learns_from_no_more_wines_than_its_members_can():
    assert BY_NAME["kernel ridge"].most_wines == 10_000
    assert average("kernel ridge", "xgboost").most_wines == 10_000
    assert average("extra trees", "xgboost").most_wines == np.inf


def test_a_leaderboard_row_leads_back_to_its_candidate():
    assert from_result({"name": "ridge", "members": []}) is BY_NAME["ridge"]
    team = from_result({"name": "ridge + extra trees", "members": ["ridge", "extra trees"]})
    assert team.members == ("ridge", "extra trees")
    with pytest.raises(BadInput, match=r"'gone'.*run model_finder\.py"):
        from_result({"name": "gone", "members": []})
    with pytest.raises(BadInput, match="'gone'"):
        from_result({"name": "gone + ridge", "members": ["ridge", "gone"]})


def test_ordinal_steps_give_probabilities_that_sum_to_one(sixty):
    x = encode().fit_transform(sixty)
    model = OrdinalClassifier(LogisticRegression(max_iter=5000)).fit(x, sixty["quality"])
    chances = model.predict_proba(x)
    assert chances.shape == (60, 7)
    assert (chances >= 0).all()
    assert np.allclose(chances.sum(axis=1), 1)
    assert set(model.predict(x)) <= set(model.classes_)


def test_ordinal_steps_of_two_grades_are_the_binary_model(sixty):
    two = sixty[sixty["quality"].isin([5, 7])]
    x = encode().fit_transform(two)
    binary = LogisticRegression(max_iter=5000)
    ordinal = OrdinalClassifier(binary).fit(x, two["quality"])
    assert np.allclose(ordinal.predict_proba(x), binary.fit(x, two["quality"] > 5).predict_proba(x))


PICKED = average("kernel ridge", "xgboost")  # what the finder chooses on this data
GOOD = [c for c in CANDIDATES if c.quick and c.complexity] + [PICKED]


@pytest.fixture(scope="module", params=GOOD, ids=lambda candidate: candidate.name)
def good_model(request, train):
    return fitted(request.param, train)


def test_column_order_row_order_and_company_do_not_matter(good_model, train):
    some = train.sample(200, random_state=1)
    plain = expected_grade(good_model, some[list(FEATURES)])
    backwards = expected_grade(good_model, some[list(FEATURES)[::-1]])
    reversed_rows = expected_grade(good_model, some[list(FEATURES)][::-1])
    alone = expected_grade(good_model, some[list(FEATURES)].head(1))
    assert np.allclose(backwards, plain)
    assert np.allclose(reversed_rows[::-1], plain)
    assert np.allclose(alone, plain[:1])


def test_more_volatile_acidity_lowers_and_more_alcohol_raises_the_grade_on_average(
    good_model, train
):
    some = train[list(FEATURES)]
    plain = expected_grade(good_model, some).mean()
    sour = some.assign(volatile_acidity=some["volatile_acidity"] + 0.2)
    strong = some.assign(alcohol=some["alcohol"] + 1)
    assert expected_grade(good_model, sour).mean() < plain - 0.02
    assert expected_grade(good_model, strong).mean() > plain + 0.02

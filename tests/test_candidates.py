"""Every candidate of the table works, the same way every time, and learned what wines are like."""

import numpy as np
import pytest
from sklearn.base import is_regressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process.kernels import Matern
from sklearn.linear_model import LogisticRegression

from wine.candidates import BY_NAME, CANDIDATES, average, from_result, without_sampler
from wine.columns import GRADES
from wine.errors import BadInput
from wine.estimators import Chemistry, Exponential, OrdinalClassifier, QuickExtraTrees
from wine.model import encode, predict_scores


@pytest.fixture(scope="module")
def sixty(train):
    """Sixty wines of all grades, enough of each for SMOTE."""
    few = train.groupby("quality").head(10)
    few = few.drop(few[few["quality"] == 6].index[: len(few) - 60])
    assert few["quality"].value_counts().reindex(GRADES).min() >= 3
    return few


def fit(candidate, wines):
    return candidate.make().fit(encode(wines), wines["quality"])


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_a_candidate_fits_and_predicts_the_same_every_time(candidate, sixty):
    first = predict_scores(fit(candidate, sixty), encode(sixty))
    assert first.shape == (60,)
    assert ((first > 1) & (first < 11)).all()
    again = fit(candidate, sixty)
    assert (predict_scores(again, encode(sixty)) == first).all()
    assert (predict_scores(without_sampler(again), encode(sixty)) == first).all()


def test_the_table_describes_its_candidates():
    assert len(BY_NAME) == len(CANDIDATES)
    for candidate in CANDIDATES:
        model = candidate.make()
        if candidate.averageable:
            assert is_regressor(model)
            assert "balance" not in getattr(model, "named_steps", {})
    assert sum(c.quick and c.averageable for c in CANDIDATES) > 1


def test_an_average_is_the_mean_of_its_members(sixty):
    both = average("ridge", "kernel ridge")
    x = encode(sixty)
    parts = [predict_scores(fit(BY_NAME[name], sixty), x) for name in both.members]
    assert np.allclose(predict_scores(fit(both, sixty), x), np.mean(parts, axis=0))
    assert both.name == "ridge + kernel ridge"
    assert both.complexity == BY_NAME["ridge"].complexity + BY_NAME["kernel ridge"].complexity


def test_a_leaderboard_row_leads_back_to_its_candidate():
    assert from_result({"name": "ridge", "members": []}) is BY_NAME["ridge"]
    team = from_result({"name": "ridge + extra trees", "members": ["ridge", "extra trees"]})
    assert team.members == ("ridge", "extra trees")
    for row in ({"name": "gone", "members": []}, {"name": "", "members": ["ridge", "gone"]}):
        with pytest.raises(BadInput, match="'gone', which is not a candidate"):
            from_result(row)


# -- estimators of our own -------------------------------------------------------------------------


def test_ordinal_steps_give_probabilities(sixty):
    x = encode(sixty)
    model = OrdinalClassifier(LogisticRegression(max_iter=5000)).fit(x, sixty["quality"])
    chances = model.predict_proba(x)
    assert chances.shape == (60, 7)
    assert (chances >= 0).all()
    assert np.allclose(chances.sum(axis=1), 1)
    assert set(model.predict(x)) <= set(model.classes_)


def test_ordinal_steps_of_two_grades_are_the_binary_model(sixty):
    two = sixty[sixty["quality"].isin([5, 7])]
    x, binary = encode(two), LogisticRegression(max_iter=5000)
    ordinal = OrdinalClassifier(binary).fit(x, two["quality"])
    assert np.allclose(ordinal.predict_proba(x), binary.fit(x, two["quality"] > 5).predict_proba(x))


def test_quick_extra_trees_predict_as_scikit_learns(train):
    x, y, settings = encode(train), train["quality"], {"min_samples_leaf": 2, "random_state": 1}
    plain, quick = (
        kind(10, **settings).fit(x, y) for kind in (ExtraTreesRegressor, QuickExtraTrees)
    )
    assert np.allclose(quick.predict(x), plain.predict(x), atol=1e-12)


def test_the_exponential_kernel_is_the_matern_kernel_of_a_half(train):
    x = Chemistry().fit_transform(encode(train.head(200)))
    assert np.allclose(Exponential(10)(x, x[:20]), Matern(10, nu=0.5)(x, x[:20]), atol=1e-6)


def test_chemistry_gives_finite_numbers_for_any_wine(train):
    x = encode(train)
    chemistry = Chemistry().fit(x)
    assert chemistry.transform(x).shape == (len(train), 21)
    assert np.allclose(chemistry.transform(x)[:, :12].std(axis=0), 1)
    extreme = np.vstack([np.zeros(12), np.full(12, 1e6), np.full(12, -1.0)])
    assert np.isfinite(chemistry.transform(extreme)).all()


# -- what the good ones learned --------------------------------------------------------------------

GOOD = [c for c in CANDIDATES if c.quick and c.complexity]
GOOD += [average("chemical kernel ridge", "extra trees")]


@pytest.fixture(scope="module", params=GOOD, ids=lambda candidate: candidate.name)
def good_model(request, train):
    return fit(request.param, train.sample(2000, random_state=0))


def test_row_order_and_company_do_not_matter(good_model, train):
    x = encode(train.sample(200, random_state=1))
    plain = predict_scores(good_model, x)
    assert np.allclose(predict_scores(good_model, x[::-1])[::-1], plain)
    assert np.allclose(predict_scores(good_model, x[:1]), plain[:1])


def test_volatile_acidity_lowers_and_alcohol_raises_the_score_on_average(good_model, train):
    plain = predict_scores(good_model, encode(train)).mean()
    sour = train.assign(volatile_acidity=train["volatile_acidity"] + 0.2)
    strong = train.assign(alcohol=train["alcohol"] + 1)
    assert predict_scores(good_model, encode(sour)).mean() < plain - 0.02
    assert predict_scores(good_model, encode(strong)).mean() > plain + 0.02

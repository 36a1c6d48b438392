"""Which values are a wine, and what the model answers: checks.py, served.py and page.py."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apps.conftest import load
from wine import model
from wine.columns import BY_NAME, FEATURES, GRADES, MEASUREMENTS, NAMES, TYPES
from wine.decoding import prediction_sets
from wine.spec import describe

checks, page = load("predictor", "checks", "page")
anything = st.one_of(
    st.none(), st.booleans(), st.text(max_size=30), st.floats(), st.integers(),
    st.lists(st.integers(), max_size=2), st.floats(0, 500).map(str),
)  # fmt: skip
possible = st.fixed_dictionaries(
    {name: st.floats(column.low, column.high) for name, column in BY_NAME.items()}
    | {"type": st.sampled_from(TYPES)}
)
up_to_two = st.dictionaries(st.sampled_from(FEATURES), anything, max_size=2)


class OnlyColumns:
    """The part of a Spec that checks.py needs: columns with their possible ranges, and the types."""

    types = TYPES
    columns = describe(
        pd.DataFrame(
            [{c.name: c.low for c in MEASUREMENTS} | {"type": kind} for kind in TYPES]
            + [{c.name: c.high for c in MEASUREMENTS} | {"type": kind} for kind in TYPES]
        )
    )


ALCOHOL = OnlyColumns.columns[NAMES.index("alcohol")]


# the first text of a machine's life takes seconds: Hypothesis tabulates Unicode then
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wine=possible, spoilt=up_to_two)
def test_whatever_is_given_is_a_wine_within_the_possible_or_named_by_field(wine, spoilt):
    wine["free_sulfur_dioxide"] = min(wine["free_sulfur_dioxide"], wine["total_sulfur_dioxide"])
    checked, problems = checks.check(wine | spoilt, OnlyColumns)
    assert (checked is None) == bool(problems)
    assert spoilt or checked == wine
    for name, text in problems.items():
        assert text.startswith(BY_NAME[name].label if name in BY_NAME else "Type")
    if checked:
        assert list(checked) == list(FEATURES)
        assert checked["type"] in TYPES
        for name, column in BY_NAME.items():
            assert column.low <= checked[name] <= column.high
        assert checked["free_sulfur_dioxide"] <= checked["total_sulfur_dioxide"]


@given(number=st.floats(0, 20).map(lambda x: round(x, 3)))
def test_every_way_to_write_a_number_is_the_same_number(number):
    written = [number, str(number), f" {number} ", str(number).replace(".", ","), f"{number:e}"]
    written += [
        f"{number} {unit}" for unit in ("% vol", "%", "%vol.", "Vol.-%", "vol", "% by volume")
    ]
    written += [f"'{number}", f"{number}%"]
    assert {checks.number(text, ALCOHOL) for text in written} == {number}


@pytest.mark.parametrize(
    "text",
    ["", "  ", None, "nan", "inf", "1_0", "1.2.3", "0x1", True, [], "9,4 g/l", "12 vol 3", "9.4€"],
)
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="give a number in % vol"):
        checks.number(text, ALCOHOL)


def test_a_unit_may_be_spelled_in_any_usual_way():
    sugar = OnlyColumns.columns[NAMES.index("residual_sugar")]
    for text in ("2.5 g/dm³", "2.5 g/dm3", "2.5g/L", "2,5 g/l"):
        assert checks.number(text, sugar) == 2.5
    density = OnlyColumns.columns[NAMES.index("density")]
    for text in ("1.1 g/cm³", "1.1 g/ml", "1.1 kg/L"):
        assert checks.number(text, density) == 1.1


def test_the_app_answers_as_wine_model_does(served, wines):
    sample = wines.sample(500, random_state=1)
    grades, scores, chances = model.predict(served.model, served.spec, sample)
    answers = served.answers(sample.to_dict("records"))
    assert [answer.grade for answer in answers] == grades.tolist()
    np.testing.assert_allclose([answer.score for answer in answers], scores)
    np.testing.assert_allclose([[*answer.chances.values()] for answer in answers], chances)
    sets = prediction_sets(chances, served.spec.set_level)
    assert [a.likely for a in answers] == [np.array(GRADES)[held].tolist() for held in sets]
    alone = served.answers(sample.to_dict("records")[:1])
    assert alone[0].score == pytest.approx(answers[0].score)


def test_effects_sum_to_the_way_from_the_typical_wine_to_this_one(served, wines):
    for wine in wines[[*FEATURES]].sample(25, random_state=2).to_dict("records"):
        answer, base, effects = served.explain(wine)
        typical = served.typical(wine["type"])
        assert base == pytest.approx(served.answers([typical])[0].score)
        assert answer.score == pytest.approx(served.answers([wine])[0].score)
        assert sum(effects.values()) == pytest.approx(answer.score - base)
        changed = {name for name in NAMES if wine[name] != typical[name]}
        assert {name for name, effect in effects.items() if abs(effect) > 1e-9} <= changed


def test_the_nearest_wines_are_of_the_colour_and_a_seen_wine_is_its_own(served, wines):
    seen = set(served.wines["wine_id"])
    for wine in wines.sample(50, random_state=3).to_dict("records"):
        nearest = served.nearest(wine)
        assert (nearest["type"] == wine["type"]).all()
        assert nearest["distance"].is_monotonic_increasing
        own = served.answers([wine])[0].nearest
        assert (own.distance == 0) == (wine["wine_id"] in seen)
        assert own.wine_id == nearest.iloc[0]["wine_id"]
        # distances as anybody would compute them
        colour = served.wines[served.wines["type"] == wine["type"]][[*NAMES]].to_numpy()
        point = np.array([wine[name] for name in NAMES])
        away = np.sqrt((((colour - point) / colour.std(axis=0)) ** 2).sum(axis=1))
        assert own.distance == pytest.approx(away.min())


def test_a_wine_unlike_all_of_its_colour_is_outside_the_data(served):
    sweet = served.typical("red") | {"residual_sugar": 60.0}
    (answer,) = served.answers([sweet])
    assert re.fullmatch(
        r"Residual sugar 60 g/dm³ is above any red wine the model has seen "
        r"\([\d.]+ to [\d.]+ g/dm³\)\.", answer.notes["residual_sugar"],
    )  # fmt: skip
    assert re.match(
        r"The nearest real red wine is \d\d\.\d standard deviations away; 99 % of these wines have another "
        r"within \d\.\d\.", answer.notes["distance"],
    )  # fmt: skip
    # which is nothing unusual for a white wine
    white = served.typical("white") | {"residual_sugar": 14.0}
    assert served.answers([white])[0].notes == {}


def test_a_combination_unlike_all_wines_is_outside_the_data_with_every_value_in_range(served):
    around = served.neighbours["white"]
    low, high = around.ranges
    wine = dict(zip(NAMES, (high if n % 2 else low for n in range(11)), strict=True))
    wine = {name: float(values[n]) for n, (name, values) in enumerate(wine.items())}
    wine |= {"free_sulfur_dioxide": float(low[NAMES.index("free_sulfur_dioxide")])}
    (answer,) = served.answers([wine | {"type": "white"}])
    assert list(answer.notes) == ["distance"]


def test_few_real_wines_are_called_outside_the_data(served, wines):
    answers = served.answers(wines.to_dict("records"))
    assert 0 < np.mean([bool(answer.notes) for answer in answers]) < 0.05


def test_a_what_if_curve_goes_through_the_wine(served, wines):
    for wine in wines[[*FEATURES]].sample(10, random_state=5).to_dict("records"):
        for name in ("alcohol", "residual_sugar"):
            values, scores = served.what_if(wine, name)
            assert values.min() <= wine[name] <= values.max()
            here = np.interp(wine[name], values, scores)
            assert here == pytest.approx(served.answers([wine])[0].score)
            wine_there = served.answers([wine | {name: float(values[7])}])[0]
            assert scores[7] == pytest.approx(wine_there.score)


def test_a_grade_that_is_not_the_most_probable_one_is_explained_truly(served, wines):
    explained = 0
    for answer in served.answers(wines.to_dict("records")):
        text = page.why(served, answer)
        assert bool(text) == (answer.grade != max(answer.chances, key=answer.chances.get))
        if text:
            grade, likeliest, side, cut = re.match(
                r"The grade is (\d) although (\d) is more probable \(\d+ % against \d+ %\): the "
                r"score is (below|above) the cut point ([\d.]+)\. ", text,
            ).groups()  # fmt: skip
            explained += 1
            assert (int(grade), int(likeliest)) == (answer.grade, answer.most_probable)
            assert (answer.score < float(cut) + 0.005) if side == "below" else (
                answer.score >= float(cut) - 0.005
            )  # fmt: skip
            assert (int(grade) < int(likeliest)) == (side == "below")
    assert explained > 100

"""What is a wine, and whose fault it is when something is none: checks.py and served.py alone."""

import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.apps.conftest import load, model_folder
from tests.bomb import Bomb
from wine import model
from wine.columns import BY_NAME, FEATURES, GRADES, NAMES, TYPES
from wine.decoding import prediction_sets

checks = load("predictor", "checks")
COLUMNS = {
    column.name: {
        "label": column.label,
        "unit": column.unit,
        "possible": [column.low, column.high],
        "observed": [column.low + 0.1, column.high - 0.1],
    }
    for column in BY_NAME.values()
}
anything = st.one_of(
    st.none(), st.booleans(), st.text(max_size=30), st.floats(), st.integers(),
    st.lists(st.integers(), max_size=2), st.floats(0, 500).map(str),
)  # fmt: skip


possible = st.fixed_dictionaries(
    {name: st.floats(column.low, column.high) for name, column in BY_NAME.items()}
    | {"type": st.sampled_from(TYPES)}
)
up_to_two = st.dictionaries(st.sampled_from(FEATURES), anything, max_size=2)


# the first text of a machine's life takes seconds: Hypothesis tabulates Unicode then
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(wine=possible, spoilt=up_to_two)
def test_whatever_is_given_is_a_wine_within_the_possible_or_told_by_field(wine, spoilt):
    most = wine["total_sulfur_dioxide"]
    wine["free_sulfur_dioxide"] = min(wine["free_sulfur_dioxide"], most)
    checked, problems, notes = checks.check(wine | spoilt, COLUMNS, TYPES)
    assert (checked is None) == bool(problems)
    assert spoilt or checked == wine
    for name, text in (problems | notes).items():
        assert text.startswith(BY_NAME[name].label if name in BY_NAME else "Type")
    if checked:
        assert list(checked) == list(FEATURES)
        assert checked["type"] in TYPES
        for name, column in BY_NAME.items():
            assert column.low <= checked[name] <= column.high
        assert checked["free_sulfur_dioxide"] <= checked["total_sulfur_dioxide"]


@given(number=st.floats(0, 20).map(lambda x: round(x, 3)))
def test_every_way_to_write_a_number_is_the_same_number(number):
    column = COLUMNS["alcohol"]
    written = [number, str(number), f" {number} ", str(number).replace(".", ","), f"{number:e}"]
    assert {checks.number(text, column) for text in written} == {number}


@pytest.mark.parametrize("text", ["", "  ", None, "nan", "inf", "1_0", "1.2.3", "0x1", True, []])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="give a number in % vol"):
        checks.number(text, COLUMNS["alcohol"])


@pytest.fixture(scope="module")
def served(pipeline_root):
    """The registered model, as the app serves it."""
    return load("predictor", "served").Served(model_folder(pipeline_root), 1, None)


def test_the_app_answers_as_wine_model_does(served, fitted, wines):
    wines = wines.sample(1000, random_state=1)
    grades, expected, chances = model.predict(*fitted, wines)
    np.testing.assert_allclose(served.expected(wines), expected, rtol=1e-9)
    np.testing.assert_array_equal(served.decode(expected)[0], grades)
    np.testing.assert_allclose(served.decode(expected)[1], chances, rtol=1e-12)
    sets = prediction_sets(chances, fitted[1]["set_level"])
    assert [served.grade_set(row) for row in chances] == [
        np.array(GRADES)[inside].tolist() for inside in sets
    ]


def test_effects_sum_to_the_way_from_the_typical_wine_to_this_one(served, wines):
    for wine in wines[[*FEATURES]].sample(25, random_state=2).to_dict("records"):
        answer = served.explain(wine)
        typical = served.typical(wine["type"])
        base = served.expected(pd.DataFrame([typical]))[0]
        assert answer["base"] == pytest.approx(base)
        assert answer["expected"] == pytest.approx(served.predict(wine)["expected"])
        assert sum(answer["effects"].values()) == pytest.approx(answer["expected"] - base)
        changed = [name for name in NAMES if wine[name] != typical[name]]
        assert {name for name, effect in answer["effects"].items() if abs(effect) > 1e-9} <= set(
            changed
        )


def test_the_nearest_wines_are_of_the_colour_and_the_wine_itself_comes_first(served, wines):
    for wine in wines.sample(25, random_state=3).to_dict("records"):
        nearest = served.nearest(wine)
        assert (nearest["type"] == wine["type"]).all()
        assert nearest.iloc[0]["wine_id"] == wine["wine_id"]
        assert nearest.iloc[0]["distance"] == 0
        assert nearest["distance"].is_monotonic_increasing


def test_the_grade_set_holds_the_most_probable_grades(served):
    assert served.grade_set(np.array([0, 0.05, 0.4, 0.35, 0.15, 0.05, 0])) == [5, 6]
    assert served.grade_set(np.array([0, 0, 0, 1, 0, 0, 0])) == [6]


@pytest.mark.parametrize("file", ["model.joblib", "wines.csv"])
def test_an_altered_file_is_not_loaded(pipeline_root, tmp_path, file):
    folder = shutil.copytree(model_folder(pipeline_root), tmp_path / "model")
    with open(folder / file, "ab") as out:
        out.write(b"\n")
    app = load("predictor", "served")
    with pytest.raises(app.NothingToShow, match=f"{file} is not the file that was registered"):
        app.Served(folder, 1, None)


def test_an_exchanged_model_is_refused_before_it_is_unpickled(pipeline_root, tmp_path):
    folder = shutil.copytree(model_folder(pipeline_root), tmp_path / "model")
    joblib.dump(Bomb(tmp_path / "unpickled"), folder / "model.joblib")
    app = load("predictor", "served")
    with pytest.raises(
        app.NothingToShow, match=r"model\.joblib is not the file that was registered"
    ):
        app.Served(folder, 1, None)
    assert not (tmp_path / "unpickled").exists()

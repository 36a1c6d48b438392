"""The model folder: what is saved is what is loaded, and nothing else is."""

import datetime
import json
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest

from tests.bomb import Bomb
from wine import model, spec
from wine.candidates import BY_NAME
from wine.columns import BY_NAME as COLUMNS
from wine.columns import FEATURES, GRADES, NAMES, TYPES
from wine.decoding import PLAIN_CUTS
from wine.errors import WineError

ODDS = {"slope": 2.5, "thresholds": [7.0, 10.0, 13.5, 16.5, 19.0, 21.5]}


@pytest.fixture(scope="module")
def ridge(train):
    return BY_NAME["ridge"].make().fit(train[list(FEATURES)], train["quality"])


@pytest.fixture(scope="module")
def description(train):
    return spec.build(
        train, model_name="ridge", cuts=PLAIN_CUTS, odds=ODDS, set_level=0.7,
        metrics={"cv": {"qwk": 0.5}}, protocol="P1", today=datetime.date(2026, 11, 23),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path, ridge, description, train):
    out_of_fold = pd.DataFrame({"wine_id": train["wine_id"], "repeat_0": train["quality"]})
    model.save(tmp_path / "model", ridge, description, train, out_of_fold)
    return tmp_path / "model"


def test_what_is_saved_is_what_is_loaded(folder, ridge, description, train):
    loaded, its_spec = model.load(folder)
    assert {key: its_spec[key] for key in description} == json.loads(json.dumps(description))
    before = model.predict(ridge, description, train.head(50))
    after = model.predict(loaded, its_spec, train.head(50))
    for first, second in zip(before, after, strict=True):
        assert (first == second).all()
    assert len(pd.read_csv(folder / "wines.csv")) == len(train)


def test_saving_the_same_model_again_writes_the_same_bytes(folder, ridge, description, train):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    out_of_fold = pd.read_csv(folder / "out_of_fold.csv")
    model.save(folder, ridge, description, train, out_of_fold)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_the_bomb_of_these_tests_goes_off(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "unpickled"))).close()
    assert (tmp_path / "unpickled").exists()


def test_an_exchanged_model_is_refused_before_it_is_unpickled(folder, tmp_path):
    joblib.dump(Bomb(tmp_path / "unpickled"), folder / "model.joblib")
    with pytest.raises(WineError, match=r"model\.joblib is not the one .* not loaded"):
        model.load(folder)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("file", model.FILES)
def test_a_truncated_empty_or_altered_file_is_refused_by_its_name(folder, file):
    content = (folder / file).read_bytes()
    altered = bytearray(content)
    altered[len(content) // 2] ^= 1
    for spoilt in (content[:-1], b"", bytes(altered), content + b"\n"):
        (folder / file).write_bytes(spoilt)
        with pytest.raises(WineError, match=f"the model's {file} is not the one"):
            model.load(folder)


@pytest.mark.parametrize("file", ["spec.json", *model.FILES])
def test_a_missing_file_is_refused_by_its_name(folder, file):
    (folder / file).unlink()
    with pytest.raises(WineError, match=f"the model's {file} is missing"):
        model.load(folder)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"sha256": []}', '{"sha256": {}}', "\udcff"]
)
def test_a_damaged_spec_is_refused(folder, content):
    (folder / "spec.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(WineError, match=r"spec\.json is damaged"):
        model.load(folder)


def test_a_prediction_is_a_grade_an_expected_grade_and_seven_probabilities(
    ridge, description, train
):
    grades, expected, chances = model.predict(ridge, description, train)
    assert set(grades) <= set(GRADES)
    assert expected.shape == (len(train),)
    assert chances.shape == (len(train), 7)
    assert (grades == np.clip(np.floor(expected + 0.5), 3, 9)).all()


def test_no_wines_get_no_prediction(ridge, description, train):
    grades, expected, chances = model.predict(ridge, description, train.head(0))
    assert grades.shape == expected.shape == (0,)
    assert chances.shape == (0, 7)


def test_wines_that_lack_a_value_or_a_column_are_an_error(ridge, description, train):
    with pytest.raises(ValueError, match="NaN"):
        model.predict(ridge, description, train.assign(ph=np.nan))
    with pytest.raises(KeyError, match="ph"):
        model.predict(ridge, description, train.drop(columns="ph"))
    with pytest.raises(ValueError, match="rosé"):
        model.predict(ridge, description, train.assign(type="rosé"))
    with pytest.raises(ValueError, match="could not convert"):
        model.predict(ridge, description, train.assign(ph="sour"))


def test_an_extreme_wine_gets_a_grade_of_the_scale(ridge, description, train):
    extreme = train.head(2).copy()
    extreme.loc[0, list(NAMES)] = 0.0
    extreme.loc[1, list(NAMES)] = 1e12
    grades, _, chances = model.predict(ridge, description, extreme)
    assert set(grades) <= set(GRADES)
    assert np.allclose(chances.sum(axis=1), 1)


def test_batches_and_threads_change_nothing(ridge, train):
    x = train[list(FEATURES)]
    plain = model.expected_grade(ridge, x)
    for rows, threads in ((1000, 1), (1000, 3), (len(x), 2), (10**6, 2)):
        assert (model.expected_in_batches(ridge, x, rows=rows, threads=threads) == plain).all()
    assert model.expected_in_batches(ridge, x.head(0)).shape == (0,)


def test_a_classifiers_expected_grade_is_the_mean_of_its_grades(train):
    x, grades = train[list(FEATURES)].head(300), train["quality"].head(300)
    classifier = BY_NAME["extra trees classifier"].make().fit(x, grades)
    chances = classifier.predict_proba(x)
    by_hand = sum(chances[:, i] * grade for i, grade in enumerate(classifier.classes_))
    assert np.allclose(model.expected_grade(classifier, x), by_hand)


def test_the_spec_describes_every_column_as_the_wines_are(description, train):
    assert [column["name"] for column in description["columns"]] == list(NAMES)
    for column in description["columns"]:
        values = train[column["name"]]
        assert column["observed"] == [values.min(), values.max()]
        for kind in TYPES:
            middle = values[train["type"] == kind].median()
            assert abs(column["typical"][kind] - middle) <= 0.51 * 10.0 ** -column["decimals"]
        assert column["unit"] == COLUMNS[column["name"]].unit
    assert description["features"] == list(FEATURES)
    assert description["wines"] == len(train)
    assert description["fitted"] == "2026-11-23"


def test_the_spec_is_plain_json(description):
    text = json.dumps(description, allow_nan=False)  # no NumPy number, and no NaN
    assert json.loads(text) == description


def test_the_examples_are_real_wines_of_both_colours_and_several_grades(train):
    found = pd.DataFrame(spec.examples(train))
    assert set(found["type"]) == set(TYPES)
    assert found["quality"].nunique() >= 4
    real = train.set_index("wine_id").loc[found["wine_id"]].reset_index()
    columns = [*FEATURES, "quality"]
    assert (found[columns] == real[columns]).all(axis=None)
    assert spec.examples(train.head(0)) == []

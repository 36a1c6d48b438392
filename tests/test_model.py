"""The model folder: what is saved is what is loaded, and nothing else is."""

import pickle
import shutil

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

from tests import model_folder
from tests.bomb import Bomb
from wine import model
from wine.candidates import BY_NAME
from wine.columns import GRADES, NAMES
from wine.errors import WineError


@pytest.fixture(scope="module")
def saved(trained, tmp_path_factory):
    """A model folder and its version's description."""
    folder = tmp_path_factory.mktemp("model")
    return folder, model_folder.save(folder, trained)


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of the model folder, to be spoilt."""
    return shutil.copytree(saved[0], tmp_path / "model")


@pytest.fixture(scope="module")
def description(saved):
    return saved[1]


def test_what_is_saved_is_what_is_loaded(folder, description, trained, train):
    loaded, spec = model.load(folder, description)
    assert spec.model_copy(update={"sha256": {}}) == trained.spec
    before = model.predict(trained.model, trained.spec, train.head(50))
    after = model.predict(loaded, spec, train.head(50))
    for first, second in zip(before, after, strict=True):
        assert (first == second).all()
    assert len(pd.read_csv(folder / "wines.csv")) == len(trained.data.wines)


def test_the_bomb_of_these_tests_goes_off(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "unpickled"))).close()
    assert (tmp_path / "unpickled").exists()


def test_an_exchanged_model_is_refused_before_it_is_unpickled(folder, description, tmp_path):
    joblib.dump(Bomb(tmp_path / "unpickled"), folder / "model.joblib")
    with pytest.raises(WineError, match=r"model\.joblib is not the one .* not loaded"):
        model.load(folder, description)
    assert not (tmp_path / "unpickled").exists()


@pytest.mark.parametrize("file", ["spec.json", *model.FILES])
def test_a_spoilt_or_missing_file_is_refused_by_its_name(folder, description, file):
    content = (folder / file).read_bytes()
    altered = bytearray(content)
    altered[len(content) // 2] ^= 1
    for spoilt in (content[:-1], b"", bytes(altered), content + b"\n"):
        (folder / file).write_bytes(spoilt)
        with pytest.raises(WineError, match=f"the model's {file} is not the one"):
            model.load(folder, description)
    (folder / file).unlink()
    with pytest.raises(WineError, match=f"the model's {file} is missing"):
        model.load(folder, description)


@pytest.mark.parametrize("without", ["a model", "", None])
def test_a_version_without_a_digest_is_refused(folder, without):
    with pytest.raises(WineError, match=r"does not state the SHA-256 of spec\.json"):
        model.load(folder, without)


def test_a_model_that_answers_otherwise_is_refused(folder, trained, train):
    other = DummyRegressor().fit(model.encode(train), train["quality"])
    data = trained.data
    model.save(folder, other, trained.spec, data.wines, pd.DataFrame({"wine_id": []}))
    description = model.describe(folder, "another model with the answers of the first")
    with pytest.raises(WineError, match=r"the model's score for example \S+ is not the stored"):
        model.load(folder, description)


def test_a_prediction_is_a_grade_a_score_and_seven_probabilities(trained, train):
    grades, scores, chances = model.predict(trained.model, trained.spec, train)
    assert set(grades) <= set(GRADES)
    assert scores.shape == (len(train),)
    assert chances.shape == (len(train), 7)
    cuts = np.array(trained.spec.cuts)
    assert (grades == 3 + (scores[:, None] >= cuts).sum(axis=1)).all()
    again, *_ = model.predict(trained.model, trained.spec, model.encode(train))
    assert (again == grades).all()


def test_wines_are_encoded_in_order_and_their_index_and_column_order_do_not_matter(train):
    x = model.encode(train)
    assert (x[:, :11] == train[list(NAMES)].to_numpy()).all()
    assert (x[:, 11] == (train["type"] == "white")).all()
    other = train[train.columns[::-1]].set_index(np.arange(len(train)) + 7)
    assert (model.encode(other) == x).all()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda wines: wines.assign(ph=np.nan), ValueError, "NaN"),
        (lambda wines: wines.drop(columns="ph"), KeyError, "ph"),
        (lambda wines: wines.assign(type="rosé"), ValueError, "rosé"),
        (lambda wines: wines.assign(type=None), ValueError, "None"),
        (lambda wines: wines.assign(ph="sour"), ValueError, "could not convert"),
    ],
)
def test_wines_that_lack_a_value_or_a_column_are_an_error(train, change, error, message):
    with pytest.raises(error, match=message):
        model.encode(change(train))


def test_batches_and_threads_change_nothing(trained, train):
    x = model.encode(train)
    plain = model.predict_scores(trained.model, x)
    for rows, threads in ((1000, 1), (1000, 3), (len(x), 2), (10**6, 2)):
        parts = model.predict_in_batches(trained.model, x, rows=rows, threads=threads)
        assert np.allclose(parts, plain, rtol=1e-12)
    assert model.predict_in_batches(trained.model, x[:0]).shape == (0,)


def test_a_classifiers_score_is_the_mean_of_its_grades(train):
    x, grades = model.encode(train.head(300)), train["quality"].head(300)
    classifier = BY_NAME["extra trees classifier"].make().fit(x, grades)
    chances = classifier.predict_proba(x)
    by_hand = sum(chances[:, i] * grade for i, grade in enumerate(classifier.classes_))
    assert np.allclose(model.predict_scores(classifier, x), by_hand)

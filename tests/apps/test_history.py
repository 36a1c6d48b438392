"""The monitor's figures against the pipeline's own, scikit-learn's and SciPy's, on a real store."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.special import kolmogi
from scipy.stats import ks_2samp
from sklearn.metrics import accuracy_score, cohen_kappa_score

from tests.apps.conftest import daily, day, load, model_folder, predictions
from wine import features, metrics, model
from wine.columns import GRADES
from wine.groups import DAILY, PREDICTION

history = load("monitor", "history")


@pytest.fixture
def store(empty_pipeline, reader, tmp_path):
    """The client's view of a local Hopsworks with nothing in it, a Reader."""
    return reader(empty_pipeline.copy(tmp_path / "store"))


def test_nothing_there_at_all_is_no_error(store, tmp_path):
    read = history.read(store.project, None)
    assert len(read.wines) == len(read.predicted) == 0
    assert read.counts.shape == (7, 7)
    assert read.counts.sum() == 0
    assert read.counts_as_of is None
    assert read.model is None
    assert set(history.scores(read.counts).values()) == {None}
    assert history.over_time(read.predicted).empty
    written = pd.read_csv(history.write_csv(read, tmp_path))
    assert list(written) == [*history.WINES, *history.PREDICTIONS[1:]]
    assert written.empty


def test_wines_without_predictions_the_windows_edge_and_the_tally(store, train, tmp_path):
    wines = daily([day(366), day(365), day(3), day(0)], train)
    features.write(store.store, DAILY, wines)
    read = history.read(store.project, None)
    window = wines["wine_id"].tolist()[1:]
    assert read.wines["wine_id"].tolist() == window, "a year back, that day included"
    assert read.wines["predicted"].isna().all()
    assert read.counts.sum() == len(read.predicted) == 0
    written = pd.read_csv(history.write_csv(read, tmp_path), dtype={"predicted": str})
    assert written["predicted"].isna().all()
    assert written["day"].tolist() == window

    made = predictions(wines[:3], [3, 9, 6])
    features.write(store.store, PREDICTION, made)
    partly = history.read(store.project, read)
    assert partly.digest != read.digest
    assert partly.predicted["wine_id"].tolist() == window[:2]
    assert partly.predicted["predicted"].tolist() == [9, 6]
    assert partly.counts_as_of is None
    expected = metrics.confusion(made["quality"][1:], made["predicted"][1:])
    assert (partly.counts == expected).all(), "without a tally, of the window"
    written = pd.read_csv(history.write_csv(partly, tmp_path), dtype={"predicted": str})
    assert written["predicted"].tolist()[:2] == ["9", "6"], "not 9.0"
    assert history.read(store.project, partly).digest == partly.digest

    counts = metrics.confusion(made["quality"], made["predicted"])
    (tmp_path / "tally.json").write_text(
        json.dumps({"all": counts.tolist(), "as_of": "2026-11-23"})
    )
    features.upload(store.project, [tmp_path / "tally.json"], "Resources/images")
    tallied = history.read(store.project, partly)
    assert (tallied.counts == counts).all(), "with it, of all time"
    assert tallied.counts_as_of == "2026-11-23"
    assert tallied.digest != partly.digest
    assert tallied.wines.equals(partly.wines)
    for damaged in ("{", "{}", '{"all": [[1]], "as_of": "today"}', '{"all": "x", "as_of": ""}'):
        (tmp_path / "tally.json").write_text(damaged)
        features.upload(store.project, [tmp_path / "tally.json"], "Resources/images")
        assert history.read(store.project, tallied).digest == partly.digest, "as without it"


def test_a_thousand_wines(store, train, tmp_path):
    wines = daily([day(back) for back in range(1000)], train)
    said = np.clip(wines["quality"] + np.random.default_rng(0).integers(-1, 2, 1000), 3, 9)
    features.write(store.store, DAILY, wines)
    features.write(store.store, PREDICTION, predictions(wines, said))
    read = history.read(store.project, None)
    assert read.wines["day"].dt.date.tolist() == [day(back) for back in range(365, -1, -1)]
    within = wines[:366].assign(predicted=said[:366])
    assert (read.counts == metrics.confusion(within["quality"], within["predicted"])).all()

    both = store.read(DAILY).merge(store.read(PREDICTION)[history.PREDICTIONS], on="wine_id")
    both = both[both["day"] >= pd.Timestamp(day(365))].sort_values("day", ignore_index=True)
    path = history.write_csv(read, tmp_path)
    written = pd.read_csv(path, parse_dates=["day", "filed"])
    pd.testing.assert_frame_equal(written[both.columns], both, check_dtype=False)


def test_the_served_model_is_read_once_and_checked(pipeline_root, reader, tmp_path):
    pipeline = pipeline_root.copy(tmp_path / "copy")
    project = reader(pipeline).project
    read = history.read(project, None)
    _, spec = model.load(model_folder(pipeline))
    assert read.model.version == 1
    assert read.model.spec == spec
    assert read.model.wines.equals(pd.read_csv(model_folder(pipeline) / "wines.csv"))
    assert history.read(project, read).model is read.model

    with open(model_folder(pipeline) / "wines.csv", "a") as file:
        file.write("\n")
    with pytest.raises(history.NothingToShow, match="is not the file that was registered"):
        history.read(project, None)


@pytest.mark.parametrize("wines", [1, 2, 30, 1000])
def test_scores_are_those_of_scikit_learn_and_the_pipeline(wines):
    random = np.random.default_rng(wines)
    label, said = random.choice(GRADES, wines), random.choice(GRADES, wines)
    said[0] = label[0] + 1 if label[0] < 9 else 8  # never one grade on both sides alone
    counts = history.confusion(label, said)
    assert (counts == metrics.confusion(label, said)).all()
    found = history.scores(counts)
    assert found == pytest.approx(metrics.score_counts(counts))
    assert found["accuracy"] == pytest.approx(accuracy_score(label, said))
    kappa = cohen_kappa_score(label, said, labels=GRADES, weights="quadratic")
    assert found["qwk"] == pytest.approx(kappa)


def test_a_single_grade_on_both_sides_has_no_kappa():
    counts = history.confusion([6] * 12, [6] * 12)
    assert history.scores(counts) == {"accuracy": 1.0, "within_one": 1.0, "qwk": None}
    assert history.scores(history.confusion([5, 6], [6, 6]))["qwk"] == 0, "but it has beside two"


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 50), (61, 5320), (366, 5320)])
def test_distance_is_that_of_scipy(n, m):
    random = np.random.default_rng(n)
    sample, reference = random.normal(0.3, 1, n).round(1), random.normal(0, 1, m).round(1)  # ties
    away, limit = history.distance(sample, reference, 11)
    assert away == pytest.approx(ks_2samp(sample, reference).statistic)
    assert limit == pytest.approx(kolmogi(0.05 / 11) * np.sqrt((n + m) / (n * m)), rel=1e-4)


def test_scores_over_time_are_of_the_last_thirty_wines(train):
    wines = daily([day(back) for back in range(44, -1, -1)], train)
    wines["predicted"] = np.random.default_rng(1).choice(GRADES, len(wines))
    series = history.over_time(wines)
    assert series["day"].tolist() == wines["day"].tolist()[9:]
    for row, (begin, end) in {0: (0, 10), 20: (0, 30), 21: (1, 31), 35: (15, 45)}.items():
        part = wines[begin:end]
        expected = metrics.score_counts(metrics.confusion(part["quality"], part["predicted"]))
        assert series.iloc[row].drop("day").to_dict() == pytest.approx(expected)
    assert history.over_time(wines[:9]).empty


def test_a_wine_that_two_runs_wrote_at_once_is_shown_once(store, train):
    wines = daily([day(2), day(1)], train)
    for kind, rows in ((DAILY, wines), (PREDICTION, predictions(wines, [5, 6]))):
        features.write(store.store, kind, rows)
        group = store.store.get_feature_group(kind.name, 1)
        group.insert(group.read(), write_options={"mode": "append"})
        assert len(group.read()) == 4
    assert history.read(store.project, None).wines["wine_id"].tolist() == wines["wine_id"].tolist()

"""The monitor's reading and its verdict, against SciPy and scikit-learn and on a real store."""

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom, ks_2samp

from tests.apps.conftest import (
    NOON,
    daily,
    day,
    load,
    model_folder,
    predictions,
    project_of,
    space,
)
from tests.processes import REPOSITORY
from wine import features
from wine import train as training
from wine.columns import NAMES
from wine.groups import DAILY, PREDICTION

history = load("monitor", "history")
verdict = load("monitor", "verdict")


@pytest.fixture
def store(empty_pipeline, reader, tmp_path):
    """The client's view of a local Hopsworks with nothing in it, a Reader."""
    return reader(empty_pipeline.copy(tmp_path / "store"))


def test_nothing_there_at_all_is_no_error(store, tmp_path):
    read = history.read(store.project, None)
    assert read.wines.empty
    assert read.model is None
    written = pd.read_csv(history.write_csv(read, tmp_path))
    assert list(written) == [*DAILY.columns, *history.PREDICTED]
    nothing = verdict.Window(read, 30, NOON)
    assert (nothing.verdict, nothing.reasons) == (verdict.NO_DATA, [])


def test_feature_groups_that_nothing_was_inserted_into_have_no_rows(store):
    for group in (DAILY, PREDICTION):
        features._get_or_create(store.store, group).save()
    assert history.read(store.project, None).wines.empty


def test_rows_are_read_whole_and_joined(store, train, tmp_path):
    wines = daily([day(366), day(3), day(0)], train)
    features.write(store.store, DAILY, wines)
    without = history.read(store.project, None)
    assert without.wines["wine_id"].tolist() == wines["wine_id"].tolist()
    assert without.wines["predicted_grade"].isna().all()

    features.write(store.store, PREDICTION, predictions(wines[:2], [3, 9]))
    read = history.read(store.project, without)
    assert read != without
    assert read == history.read(store.project, read)
    written = pd.read_csv(history.write_csv(read, tmp_path), dtype=str)
    assert written["predicted_grade"].tolist() == ["3", "9", np.nan], "not 9.0"
    pd.testing.assert_frame_equal(
        written[list(NAMES)].astype(float), wines[list(NAMES)], check_dtype=False
    )


def test_the_served_model_is_read_once_and_checked(served_pipeline, trained, tmp_path):
    pipeline = served_pipeline.copy(tmp_path / "copy")
    with project_of(pipeline) as project:
        read = history.read(project, None)
        assert read.model.version == 1
        assert read.model.spec.metrics == trained.spec.metrics
        assert read.model.wines["wine_id"].tolist() == trained.data.wines["wine_id"].tolist()
        assert history.read(project, read).model is read.model

        folder = model_folder(pipeline)
        text = (folder / "spec.json").read_text()
        spec = json.loads(text)
        spec["metrics"]["cv"]["accuracy"] = 0.93
        for file, altered, why in (
            ("wines.csv", "altered", "The wines.csv of the model's version 1 is not the file that"),
            (
                "spec.json",
                json.dumps(spec),
                "The spec.json of the model's version 1 is not the file",
            ),
            ("spec.json", text.replace('"slope": ', '"slope": -'), "odds.slope"),
        ):
            whole = (folder / file).read_bytes()
            (folder / file).write_text(altered)
            read = history.read(project, None)
            assert read.model is None
            assert why in read.trouble
            (folder / file).write_bytes(whole)

        # a number is used again after a deletion
        last = history.read(project, None)
        project.get_model_registry().get_model("wine_quality", 1).delete()
        assert history.read(project, last).model is None
        training.register(project, trained, None)
        again = history.read(project, last)
        assert again.model.version == 1
        assert again.model is not last.model
        assert again != last


@pytest.mark.parametrize("wines", [1, 10, 30, 365])
@pytest.mark.parametrize(("hits", "tried"), [(340, 365), (365, 365), (0, 365), (180, 365)])
def test_the_expected_range_is_that_of_the_beta_binomial(hits, tried, wines):
    exact = betabinom(wines, hits + 0.5, tried - hits + 0.5)
    half = verdict.ALPHA / 2
    assert verdict.expected_range(hits, tried, wines) == (exact.ppf(half), exact.ppf(1 - half))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 50), (61, 5320), (366, 5320)])
def test_distance_is_that_of_scipy(n, m):
    random = np.random.default_rng(n)
    sample, reference = random.normal(0.3, 1, n).round(1), random.normal(0, 1, m).round(1)  # ties
    distance = verdict.distance(sample, reference)
    assert distance == pytest.approx(ks_2samp(sample, reference).statistic)


@pytest.mark.parametrize("n", [10, 30, 365])
def test_chance_exceeds_the_limit_as_rarely_as_stated(n):
    random, limit = np.random.default_rng(n), verdict.distance_limit(n, 1000)
    repeats = 5000
    beyond = sum(
        verdict.distance(random.normal(size=n), random.normal(size=1000)) > limit
        for _ in range(repeats)
    )
    assert beyond <= betabinom(repeats, 1, 999).ppf(0.999), "about 5 of 5,000 at most"


def test_what_is_as_expected_gives_no_alarm(window):
    for days in (30, 90, 365):
        shown = window(days=days)
        assert (shown.verdict, shown.reasons) == (verdict.GOOD, [])
        assert len(shown.graded) == days, "today included"
        assert len(shown.drifts) == 1 + len(NAMES) + 1


@pytest.mark.parametrize(
    ("column", "change", "reason"),
    [
        ("alcohol", lambda values: values + 3, "Drifted away from the training wines: alcohol."),
        ("ph", lambda values: values + 1, "Drifted away from the training wines: pH."),
        ("type", lambda values: "red", "Drifted away from the training wines: colour."),
        ("predicted_grade", lambda values: 4.0, "The predicted grades have drifted."),
    ],
)
def test_what_has_drifted_is_named(window, column, change, reason):
    shown = window(lambda wines: wines.assign(**{column: lambda w: change(w[column])}))
    assert shown.verdict == verdict.LOOK
    assert reason in shown.reasons


def test_agreement_beyond_chance_is_looked_at(window):
    for predicted, agree in (("reference_grade", 30), ("never", 0)):
        shown = window(
            lambda w, p=predicted: w.assign(never=3, predicted_grade=lambda w: w[p] * 1.0)
        )
        low, high = shown.expected_range()
        assert shown.agree == agree
        assert not low <= agree <= high
        assert shown.reasons[0] == f"Expected: {low} to {high} wines with the same grade."


def test_only_wines_of_the_served_version_are_judged(window, trained):
    second = history.Model(2, trained.spec, trained.data.wines)

    def change(wines):  # the first version was always wrong
        first = wines.index < len(wines) - 12
        return wines.assign(
            model_version=np.where(first, 1.0, 2.0),
            predicted_grade=wines["predicted_grade"].mask(first, 3.0),
        )

    shown = window(change, served=second)
    assert (shown.verdict, len(shown.judged), len(shown.graded)) == (verdict.GOOD, 12, 30)
    assert shown.counts.sum() == 12
    assert window(change).verdict == verdict.LOOK
    none_yet = window(lambda wines: wines, served=second)
    assert (none_yet.verdict, len(none_yet.judged)) == (verdict.NO_DATA, 0)


def test_few_wines_or_no_model_are_no_data(window):
    for few in (1, verdict.FEWEST - 1):
        shown = window(lambda wines, few=few: wines.tail(few))
        assert (shown.verdict, shown.drifts) == (verdict.NO_DATA, {})
    assert window(lambda wines: wines.tail(verdict.FEWEST)).verdict == verdict.GOOD
    assert window(served=None).verdict == verdict.NO_DATA


def test_what_is_late_is_looked_at(window):
    late = window(now=NOON + datetime.timedelta(days=3))
    assert late.reasons == [
        f"The last daily wine is of {day(0)}, 3 days ago: the schedule may have stopped. daily.py "
        "makes the wines of the missing days."
    ]

    def forget(wines):
        wines.loc[wines.index[-4:], "predicted_grade"] = np.nan  # the last two may still come
        return wines

    waiting = window(forget)
    assert waiting.reasons == ["2 wines of earlier days without a prediction: run inference.py."]
    assert waiting.verdict == verdict.LOOK


def test_chance_is_measured_to_alarm_as_rarely_as_the_page_says():
    measured = json.loads((REPOSITORY / "benchmarks/results/monitor.json").read_text())
    assert (
        "fewer than one month in twenty"
        in (space("monitor") / "templates/details.html").read_text()
    )
    assert all(row["months"] < 1 / 20 for row in measured["by_chance"])

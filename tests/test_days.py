"""daily.py and inference.py: run again, with days missing, and healed after a loss."""

import datetime
import re

import numpy as np
import pytest

import daily
import inference
from tests.processes import today
from wine import features, model, registry
from wine.balance import balance
from wine.columns import GRADES, MEASUREMENTS
from wine.errors import BadInput, WineError
from wine.generator import generate
from wine.groups import BALANCED, DAILY, PREDICTION, WINE

IMAGES = "Resources/images"
DAYS = daily.MAX_DAYS  # that daily.py makes on a first run


@pytest.fixture
def copy(pipeline_root, reader, tmp_path):
    """The pipeline's Hopsworks, copied to be changed."""
    return reader(pipeline_root.copy(tmp_path / "copy"))


def test_the_wine_of_a_date_is_the_same_in_every_process(pipeline_root, reader, train):
    hopsworks = reader(pipeline_root)
    stored = hopsworks.read(DAILY).iloc[-1]
    here = generate(stored["day"].date(), train)
    assert {name: stored[name] for name in here} == here
    printed = hopsworks.run(daily, "--date", "2025-02-28", "--dry-run")
    wine = generate(datetime.date(2025, 2, 28), train)
    for column in MEASUREMENTS:
        assert f"{column.label.lower()} {wine[column.name]:.{column.decimals}f}" in printed.lower()
    assert f"reference grade {wine['reference_grade']} (that of {wine['source_id']})" in printed


def test_running_any_part_again_adds_nothing(copy, pipeline_root, wines, train):
    before = [copy.read(group) for group in (WINE, BALANCED, DAILY, PREDICTION)]
    printed = copy.run(daily, "--date", pipeline_root.day(), "--days", DAYS)
    assert "nothing to do: no day is missing from" in printed
    assert "nothing to do: every daily wine has its prediction" in copy.run(inference)
    features.write(copy.store, WINE, wines)
    features.write(copy.store, BALANCED, balance(train))
    features.write(copy.store, DAILY, before[2])
    for group, rows in zip((WINE, BALANCED, DAILY, PREDICTION), before, strict=True):
        assert copy.read(group).equals(rows), group.name


def test_dry_runs_save_nothing(copy):
    printed = copy.run(daily, "--date", "2025-02-28", "--days", "3", "--dry-run")
    assert "dry run: 3 daily wines made, nothing saved" in printed
    copy.run(daily, "--date", "2025-02-28")
    assert "dry run: 1 prediction made, nothing saved" in copy.run(inference, "--dry-run")
    assert len(copy.read(DAILY)) == DAYS + 1
    assert len(copy.read(PREDICTION)) == DAYS


def test_every_daily_wine_is_predicted_as_the_served_model_does(pipeline_root, reader):
    hopsworks = reader(pipeline_root)
    wines, predictions = hopsworks.read(DAILY), hopsworks.read(PREDICTION)
    shared = ["wine_id", "day", "type", "reference_grade"]
    assert predictions[shared].equals(wines[shared])
    served = registry.served(hopsworks.project)
    assert set(predictions["model_version"]) == {served.version}
    fitted, spec = registry.load(served)
    grades, scores, chances = model.predict(fitted, spec, wines)
    assert predictions["predicted_grade"].tolist() == grades.tolist()
    assert predictions["predicted_score"].tolist() == scores.round(4).tolist()
    own = [row[GRADES.index(grade)] for row, grade in zip(chances, grades, strict=True)]
    assert predictions["probability"].tolist() == np.round(own, 4).tolist()


def test_missing_days_are_filled_also_before_a_later_wine(young, reader):
    hopsworks = reader(young)
    last = today() - datetime.timedelta(days=1)  # the same sixty days if it is midnight now
    for day in (last, last - datetime.timedelta(days=10), last - datetime.timedelta(days=90)):
        hopsworks.run(daily, "--date", day)
    hopsworks.run(daily, "--date", last - datetime.timedelta(days=1), "--days", "3")
    hopsworks.run(daily)
    days = hopsworks.read(DAILY)["day"].dt.date.tolist()
    assert days[0] == last - datetime.timedelta(days=90), "older days are left as they are"
    assert len(days) == 61
    assert days[1:] == [days[-1] - datetime.timedelta(days=back) for back in range(59, -1, -1)]
    assert days[-1] in (today(), today() - datetime.timedelta(days=1))
    with pytest.raises(BadInput, match=r"--days 11 is too early: 2000-01-01 is the first day"):
        hopsworks.run(daily, "--date", "2000-01-10", "--days", "11")
    with pytest.raises(BadInput, match="is in the future: today is"):
        hopsworks.run(daily, "--date", today() + datetime.timedelta(days=2))


def counts_line(hopsworks):
    """Return the line in which inference.py counts, made from the rows by other means."""
    rows = hopsworks.read(PREDICTION)
    exact = (rows["reference_grade"] == rows["predicted_grade"]).mean()
    near = ((rows["reference_grade"] - rows["predicted_grade"]).abs() <= 1).mean()
    return (
        f"{len(rows)} daily wines: {exact:.0%} predicted as their reference grade, "
        f"{near:.0%} within one grade"
    )


LOSSES = {
    "the predictions": lambda hopsworks: hopsworks.delete(PREDICTION),
    "the daily wines and the pictures": lambda hopsworks: [
        hopsworks.delete(DAILY),
        hopsworks.project.get_dataset_api().remove(IMAGES),
    ],
    "both": lambda hopsworks: hopsworks.delete(DAILY, PREDICTION),
    "some rows of both": lambda hopsworks: [
        features.find(hopsworks.store, group).commit_delete_record(
            hopsworks.read(group).iloc[7:30][["wine_id", "day"]]
        )
        for group in (DAILY, PREDICTION)
    ],
}


def test_what_was_deleted_is_made_again(copy, pipeline_root):
    wines, predictions = copy.read(DAILY), copy.read(PREDICTION)
    for loss, delete in LOSSES.items():
        delete(copy)
        copy.run(daily, "--date", pipeline_root.day(), "--days", DAYS)
        printed = copy.run(inference)
        assert copy.read(DAILY).equals(wines), loss
        assert copy.read(PREDICTION).equals(predictions), loss
        assert counts_line(copy) in printed, loss
        for picture in inference.PICTURES:
            assert copy.project.get_dataset_api().exists(f"{IMAGES}/{picture}"), loss


def test_predictions_count_only_for_the_daily_wines_that_are_there(copy):
    copy.delete(DAILY)
    assert "saved 1 daily wine, the last of 2025-03-01" in copy.run(daily, "--date", "2025-03-01")
    for kind, grade in (("red", 4), ("red", 8), ("white", 8)):  # made again as another wine
        wine = copy.read(DAILY).assign(type=kind, reference_grade=grade)
        features.write(copy.store, DAILY, wine)
        printed = copy.run(inference)
        assert "saved 1 prediction and the pictures" in printed
        assert re.search(r"^1 daily wine: \d+% .* within one grade", printed, re.M)
        assert "QWK" not in printed, "one wine has no kappa"
        stored = copy.read(PREDICTION).set_index("wine_id").loc["2025-03-01"]
        assert (stored["type"], stored["reference_grade"]) == (kind, grade)


def test_a_value_that_no_wine_has_is_named_by_its_row(copy):
    for group, column, value in (
        (DAILY, "alcohol", np.nan), (DAILY, "density", np.inf), (DAILY, "type", "rosé"),
        (DAILY, "reference_grade", 11), (PREDICTION, "predicted_grade", 2),
    ):  # fmt: skip
        right = copy.read(group).tail(1)
        features.write(copy.store, group, right.assign(**{column: value}))
        where = f"{column} of {right['wine_id'].iloc[0]} in feature group {group.name}"
        with pytest.raises(WineError, match=f"{where} is {value}, which is not possible"):
            copy.run(inference)
        features.write(copy.store, group, right)
    wine = copy.read(WINE).tail(1).assign(quality=2)
    features.write(copy.store, WINE, wine)
    with pytest.raises(WineError, match=f"quality of {wine['wine_id'].iloc[0]} in feature group"):
        features.read_wines(copy.store)


EARLIER = [
    (DAILY, lambda rows: rows.rename(columns={"reference_grade": "quality"}), "reference_grade"),
    (PREDICTION, lambda rows: rows.assign(month="2026-11"), "month"),
    (PREDICTION, lambda rows: rows.astype({"predicted_score": str}), "predicted_score"),
]


@pytest.mark.parametrize(("group", "change", "column"), EARLIER, ids=lambda case: str(case)[:9])
def test_a_group_with_earlier_columns_gets_one_clear_line(copy, group, change, column):
    rows = change(copy.read(group))
    copy.delete(group)
    old = copy.store.create_feature_group(
        name=group.name, version=1, primary_key=["wine_id"], event_time="day",
        online_enabled=False, time_travel_format="DELTA",
    )  # fmt: skip
    old.insert(rows)
    if group is PREDICTION:
        copy.run(daily, "--date", "2025-03-01")
    program = ("daily.py", "--date", "2025-03-02") if group is DAILY else ("inference.py",)
    message = (
        rf"feature group {group.name} has changed \(.*{column}.*\)\. Revert it, or "
        rf"delete the feature group and its feature views and run {program[0]} to recreate it\."
    )
    with pytest.raises(WineError, match=message) as error:
        copy.run(daily if group is DAILY else inference, *program[1:])
    assert "\n" not in str(error.value)


def test_output_that_is_not_utf_8_never_stops_a_run(pipeline_root):
    variables = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    run = pipeline_root.start("daily.py", "--date", "2025-02-28", "--dry-run", variables=variables)
    stdout, stderr = run.communicate(timeout=120)
    assert (run.returncode, stderr) == (0, "")
    assert "dry run: 1 daily wine made, nothing saved" in stdout


@pytest.mark.slow
def test_with_writing_through_kafka_the_local_server_says_what_it_does_instead(young, reader):
    done = young.run("daily.py", "--date", "2025-02-28", variables={"HOPSWORKS_STREAM": "1"})
    assert done.returncode == 0, done.stderr
    assert "saved 1 daily wine" in done.stdout
    notice = (
        "daily_wine version 1: stream/HUDI is not supported locally; it is a plain Delta group."
    )
    assert [line for line in done.stderr.splitlines() if notice not in line] == []
    assert notice in done.stderr
    assert len(reader(young).read(DAILY)) == 1

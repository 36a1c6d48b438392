"""The five parts on real data: what they leave, run again, and healed after a loss."""

import datetime
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import daily
import inference
from tests.processes import REPOSITORY, refused, today
from wine import features, model, registry
from wine.balance import balance
from wine.columns import FEATURES, GRADES, MEASUREMENTS
from wine.errors import BadInput, WineError
from wine.generator import generate
from wine.groups import BALANCED, DAILY, PREDICTION, WINE
from wine.metrics import METRICS, confusion, score

IMAGES = "Resources/images"
DAYS = daily.MAX_DAYS  # that daily.py makes on a first run


def summary_of(pipeline):
    """Return what ``make pipeline`` kept of its run."""
    return json.loads((pipeline.root / "reports/summary.json").read_text())


def day_of(pipeline):
    """Return the day on which the pipeline ran: yesterday when it is midnight."""
    return datetime.date.fromisoformat(summary_of(pipeline)["last_wine"]["wine_id"])


@pytest.fixture
def copy(pipeline_root, reader, tmp_path):
    """The pipeline's Hopsworks, copied to be changed."""
    return reader(pipeline_root.copy(tmp_path / "copy"))


# -- make pipeline ---------------------------------------------------------------------------------


def test_a_part_that_comes_too_early_says_what_to_run_first(pipeline_root, young, reader):
    early = refused(pipeline_root.stages["daily.py too early"])
    assert re.fullmatch(
        r"error: no feature group wine in Hopsworks \(local in /.*, project wine\): "
        "run initialize.ipynb first",
        early,
    )
    hopsworks = reader(young)
    with pytest.raises(WineError, match=r"no feature group daily_wine in .*: run daily\.py first"):
        hopsworks.run(inference)
    hopsworks.run(daily, "--date", "2025-03-01")
    with pytest.raises(WineError, match=r"no served model wine_quality in .*: run train\.ipynb"):
        hopsworks.run(inference)


def test_the_data_are_the_projects_whatever_folder_is_current(empty_pipeline, tmp_path):
    env = {name: value for name, value in empty_pipeline.env.items() if name[:9] != "HOPSWORKS"}
    done = replace(empty_pipeline, env=env).run(empty_pipeline.root / "daily.py", cwd=tmp_path)
    assert f"Hopsworks: local in {empty_pipeline.root}/.hopsworks, project wine\n" == done.stdout
    assert f"{empty_pipeline.root}/.hopsworks" in refused(done)
    assert not list(tmp_path.iterdir())


@pytest.mark.uci
def test_make_pipeline_shows_its_five_parts_and_a_summary_and_keeps_both(pipeline_root):
    done = pipeline_root.stages["make pipeline"]
    assert done.stderr == ""
    parts = ("initialize.ipynb", "model_finder.py", "train.ipynb", "daily.py", "inference.py")
    for number, part in enumerate(parts, start=1):
        assert re.search(rf"^{number}/5  {part} +\d+\.\d s$", done.stdout, re.M)
    assert "6,497 raw, 5,320 distinct, 13,006 balanced\n" in done.stdout
    kept = summary_of(pipeline_root)
    assert kept["rows"] == {"raw": 6497, "clean": 5320, "balanced": 13006, "daily": DAYS}
    assert f"QWK {kept['metrics']['test']['qwk']:.3f}, " in done.stdout
    for page in ("initialize.html", "train.html"):
        assert (pipeline_root.root / "reports" / page).stat().st_size > 100_000
    assert not list((pipeline_root.root / "temporary").iterdir()), "no keys and nothing else"


def test_the_run_is_as_good_as_the_readme_says(pipeline_root):
    """The README's first table is made of this result file."""
    stated = json.loads((REPOSITORY / "benchmarks/results/pipeline.json").read_text())
    run = summary_of(pipeline_root)
    assert run["model"]["name"] == stated["model"]["name"]
    for part in ("cv", "test"):
        assert run["metrics"][part] == pytest.approx(stated["metrics"][part], abs=0.01), part


@pytest.mark.uci
def test_the_scripts_say_what_they_did_and_nothing_else(pipeline_root):
    logs = {
        name: (pipeline_root.root / f"reports/{name}.log").read_text()
        for name in ("model_finder", "daily", "inference")
    }
    assert "4,255 training wines" in logs["model_finder"]
    assert "best: " in logs["model_finder"]
    assert f"saved {DAYS} daily wines, the last of {day_of(pipeline_root)}" in logs["daily"]
    assert f"saved {DAYS} predictions" in logs["inference"]
    for log in logs.values():
        assert re.match("Hopsworks: local in /.*, project wine\n", log)
        # joblib tells a search on a busy disk that keeping a fit took long
        assert "Warning" not in log.replace("UserWarning: Persisting input arguments", "")


@pytest.mark.uci
def test_what_hopsworks_holds_is_what_the_raw_files_give(pipeline_root, reader, wines, train):
    hopsworks = reader(pipeline_root)
    rows = {"wine": 5320, "wine_balanced": 13006, "daily_wine": DAYS, "wine_prediction": DAYS}
    assert hopsworks.rows() == rows
    for group, made in ((WINE, wines), (BALANCED, balance(train))):
        stored, made = hopsworks.read(group), made.sort_values(group.primary_key, ignore_index=True)
        pd.testing.assert_frame_equal(stored[made.columns], made, check_dtype=False)
    stored = hopsworks.read(WINE)
    viewed = features.read_wines(hopsworks.store)
    columns = [*FEATURES, "quality", "wine_id", "group_id", "split"]
    pd.testing.assert_frame_equal(viewed[columns], stored[columns], check_dtype=False)
    view = hopsworks.store.get_feature_view("wine", 1)
    assert view.get_training_datasets() == [], "reading leaves none behind"
    test_ids = stored.loc[stored["split"] == "test", "wine_id"]
    assert not hopsworks.read(BALANCED)["row_id"].isin(test_ids).any()


def test_every_column_has_its_description_in_hopsworks(pipeline_root, reader):
    store = reader(pipeline_root).store
    for group in (WINE, BALANCED, DAILY, PREDICTION):
        stored = features.find(store, group)
        assert stored.description == group.description
        assert {
            feature.name: (feature.type, feature.description) for feature in stored.features
        } == (group.columns)


def test_the_leaderboard_is_whole_and_the_best_is_one_of_its_rows(pipeline_root):
    results = pipeline_root.root / "model_finder_results"
    rows = json.loads((results / "leaderboard.json").read_text())["rows"]
    best = json.loads((results / "best.json").read_text())
    table = pd.read_csv(results / "leaderboard.csv")
    assert table["name"].tolist() == [r["name"] for r in rows]
    assert [r["rmse"] for r in rows] == sorted(r["rmse"] for r in rows)
    assert best.items() >= next(r for r in rows if r["name"] == best["name"]).items()
    assert best["within_budget"]
    for metric in ("qwk", "qwk_free", "accuracy", "within_one", "rmse", "macro_f1", "mae", "r2"):
        assert all(np.isfinite([r[metric], r["se"][metric]]).all() for r in rows)
    dummy = next(r for r in rows if r["name"] == "dummy")
    assert dummy["qwk"] == pytest.approx(0, abs=0.001)


@pytest.mark.uci
def test_the_leak_alarm_is_silent(pipeline_root, reader, wines, tmp_path):
    """Accuracy above .65 or R^2 above .5 under P1 is a leak until shown otherwise."""
    board = json.loads((pipeline_root.root / "model_finder_results/leaderboard.json").read_text())
    served = registry.served(reader(pipeline_root).project)
    _, spec = registry.load(served)
    metrics = spec.metrics
    for row in [*board["rows"], metrics.cv, metrics.test, metrics.elsewhere]:
        assert row["accuracy"] <= 0.65, row
        assert row["r2"] <= 0.5, row
    assert metrics.cv["qwk"] > 0.5, "and it has learned something"
    assert metrics.cv["within_one"] > 0.95
    assert metrics.cv["rmse"] < metrics.elsewhere["rmse"], "other wines are harder"

    folder = Path(registry.fetch(served, tmp_path))
    scores = pd.read_csv(folder / "out_of_fold.csv").merge(wines, on="wine_id")
    assert len(scores) == 4255
    assert set(scores["split"]) == {"train"}
    repeats = scores.filter(like="score_").to_numpy().T
    result = score(
        np.tile(scores["quality"], len(repeats)), np.full(repeats.size, 6), repeats.ravel()
    )
    for metric in ("rmse", "mae", "r2"):
        assert result[metric] == pytest.approx(metrics.cv[metric])


def test_the_registered_model_has_its_metrics_schema_and_pictures(pipeline_root, reader, tmp_path):
    project = reader(pipeline_root).project
    served = registry.served(project)
    assert served.version == 1
    _, spec = registry.load(served)
    assert served.training_metrics["approved"] == 1
    for name in METRICS:
        assert served.training_metrics[f"cv_{name}"] == pytest.approx(spec.metrics.cv[name])
        assert served.training_metrics[f"test_{name}"] == pytest.approx(spec.metrics.test[name])
        low, high = spec.metrics.test_interval[name]
        assert low <= spec.metrics.test[name] <= high
    inputs = served.model_schema["input_schema"]["columnar_schema"]
    assert [column["name"] for column in inputs] == list(FEATURES)
    folder = Path(registry.fetch(served, tmp_path))
    assert (folder / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")
    assert "# Model card" in (folder / "MODEL_CARD.md").read_text()
    for path in (
        *(f"{IMAGES}/{name}" for name in inference.PICTURES),
        *(f"Resources/model_finder/leaderboard.{kind}" for kind in ("json", "csv", "png")),
    ):
        assert project.get_dataset_api().exists(path), path
    best = json.loads(features.download_text(project, "Resources/model_finder/best.json"))
    local = json.loads((pipeline_root.root / "model_finder_results/best.json").read_text())
    assert best == local
    assert features.download_text(project, "Resources/model_finder/nothing.json") is None


# -- daily.py and inference.py ---------------------------------------------------------------------


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
    printed = copy.run(daily, "--date", day_of(pipeline_root), "--days", DAYS)
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
    with pytest.raises(BadInput, match=r"is too long ago: the first day is 2000-01-01"):
        hopsworks.run(daily, "--date", "2000-01-10", "--days", "11")


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
        copy.run(daily, "--date", day_of(pipeline_root), "--days", DAYS)
        printed = copy.run(inference)
        assert copy.read(DAILY).equals(wines), loss
        assert copy.read(PREDICTION).equals(predictions), loss
        assert counts_line(copy) in printed, loss
        for picture in inference.PICTURES:
            assert copy.project.get_dataset_api().exists(f"{IMAGES}/{picture}"), loss


def test_on_the_first_day_one_wine_is_singular_and_has_no_kappa(copy):
    copy.delete(DAILY, PREDICTION)
    assert "saved 1 daily wine, the last of 2025-03-01" in copy.run(daily, "--date", "2025-03-01")
    printed = copy.run(inference)
    assert "saved 1 prediction and the pictures" in printed
    assert re.search(r"^1 daily wine: \d+% .* within one grade", printed, re.M)
    counts = confusion(*(copy.read(PREDICTION)[c] for c in ("reference_grade", "predicted_grade")))
    several = (counts.any(axis=0) | counts.any(axis=1)).sum() > 1
    assert ("QWK" in printed) == several


EARLIER = [
    (DAILY, lambda rows: rows.rename(columns={"reference_grade": "quality"}), "reference_grade"),
    (PREDICTION, lambda rows: rows.assign(month="2026-11"), "month"),
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
        rf"delete the feature group and run {program[0]} to recreate it\."
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
    assert reader(young).rows()["daily_wine"] == 1

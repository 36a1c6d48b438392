"""The five parts on real data: what `make pipeline` leaves."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import daily
import inference
from tests.processes import REPOSITORY, refused
from wine import features, registry
from wine.balance import balance
from wine.columns import FEATURES
from wine.errors import WineError
from wine.groups import BALANCED, DAILY, PREDICTION, WINE
from wine.metrics import METRICS, score

IMAGES = "Resources/images"
DAYS = daily.MAX_DAYS  # that daily.py makes on a first run


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
    kept = pipeline_root.summary()
    assert kept["rows"] == {"raw": 6497, "clean": 5320, "balanced": 13006, "daily": DAYS}
    assert f"QWK {kept['metrics']['test']['qwk']:.3f}, " in done.stdout
    for page in ("initialize.html", "train.html"):
        assert (pipeline_root.root / "reports" / page).stat().st_size > 100_000
    assert not list((pipeline_root.root / "temporary").iterdir()), "no keys and nothing else"


def test_the_run_is_as_good_as_the_readme_says(pipeline_root):
    """The README's first table is made of this result file."""
    stated = json.loads((REPOSITORY / "benchmarks/results/pipeline.json").read_text())
    run = pipeline_root.summary()
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
    assert f"saved {DAYS} daily wines, the last of {pipeline_root.day()}" in logs["daily"]
    assert f"saved {DAYS} predictions" in logs["inference"]
    for log in logs.values():
        assert re.match("Hopsworks: local in /.*, project wine\n", log)
        # joblib tells a search on a busy disk that keeping a fit took long
        assert "Warning" not in log.replace("UserWarning: Persisting input arguments", "")


@pytest.mark.uci
def test_what_hopsworks_holds_is_what_the_raw_files_give(pipeline_root, reader, wines, train):
    hopsworks = reader(pipeline_root)
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
        *(f"Resources/model_finder/leaderboard.{kind}" for kind in ("json", "png")),
    ):
        assert project.get_dataset_api().exists(path), path
    best = json.loads(features.download_text(project, "Resources/model_finder/best.json"))
    local = json.loads((pipeline_root.root / "model_finder_results/best.json").read_text())
    assert best == local
    assert features.download_text(project, "Resources/model_finder/nothing.json") is None

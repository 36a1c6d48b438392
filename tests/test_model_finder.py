"""The finder's choice, and its runs as a process: refused, repeated, stopped and resumed."""

import itertools
import json
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest

import model_finder
from wine.candidates import average
from wine.errors import BadInput
from wine.split import folds


def row(name, qwk, rmse, complexity, *, servable=True, noise=0.0):
    """A leaderboard row whose bootstrap draws vary by ``noise`` on its own account."""
    random = np.random.default_rng(len(name))
    draws = {"qwk": qwk + noise * random.normal(size=300), "rmse": rmse + np.zeros(300)}
    return {
        "name": name, "qwk": qwk, "rmse": rmse, "complexity": complexity, "servable": servable,
        "size_bytes": 1000, "draws": pd.DataFrame(draws),
    }  # fmt: skip


def test_the_surely_better_model_is_picked():
    simple, good = row("simple", 0.5, 0.7, 1), row("good", 0.6, 0.7, 9)
    assert model_finder.pick([simple, good]) is good


def test_among_equals_the_simplest_is_picked_then_the_smallest():
    best, simple = row("best", 0.600, 0.7, 5), row("simple", 0.595, 0.7, 1, noise=0.02)
    assert model_finder.pick([best, simple]) is simple
    small = row("small", 0.6, 0.7, 5) | {"size_bytes": 10}
    assert model_finder.pick([best, small]) is small


def test_among_equals_in_qwk_the_lower_rmse_is_picked():
    simple, close = row("simple", 0.6, 0.70, 1), row("close", 0.6, 0.68, 9)
    assert model_finder.pick([simple, close]) is close
    assert (
        model_finder.pick([simple, close | {"qwk": 0.59, "draws": close["draws"] - 0.01}]) is simple
    )


def test_an_average_is_the_mean_of_its_members_and_costs_their_sum(train):
    few = train.head(600)
    truth, fold_numbers = few["quality"].to_numpy(), folds(few)
    random = np.random.default_rng(0)
    names = ("ridge", "kernel ridge", "xgboost", "extra trees", "support vectors")
    rows = [
        {
            "name": name, "rmse": 0.5 + place / 10, "expected": truth + random.normal(size=fold_numbers.shape),
            "fit_seconds": 1.0, "predict_seconds": 2.0, "size_bytes": 3 + place,
        }
        for place, name in enumerate(names)
    ]  # fmt: skip
    made = model_finder.averages(rows, truth, fold_numbers)
    best = itertools.combinations(names[:4], 2)
    assert [r["name"] for r in made] == [average(*team).name for team in [*best, names[:3]]]
    first, *_, three = made
    assert np.allclose(first["expected"], (rows[0]["expected"] + rows[1]["expected"]) / 2)
    assert np.allclose(three["expected"], sum(r["expected"] for r in rows[:3]) / 3)
    assert (three["fit_seconds"], three["predict_seconds"], three["size_bytes"]) == (3, 6, 12)


def test_what_cannot_be_served_is_never_picked():
    servable = row("servable", 0.4, 0.7, 5)
    assert model_finder.pick([row("best", 0.6, 0.6, 1, servable=False), servable]) is servable
    assert model_finder.pick([row("best", 0.6, 0.6, 1, servable=False)]) is None


def test_the_candidates_asked_for_are_chosen_and_unknown_ones_refused():
    assert [c.name for c in model_finder.chosen(False, ("ridge",))] == ["ridge"]
    assert all(c.quick for c in model_finder.chosen(True, ()))
    assert len(model_finder.chosen(False, ())) > len(model_finder.chosen(True, ()))
    with pytest.raises(BadInput, match=r"no candidate 'oracle'; there are: dummy, ridge"):
        model_finder.chosen(False, ("ridge", "oracle"))


def test_candidates_that_cannot_learn_from_so_many_wines_are_left_out_aloud(capsys):
    few = model_finder.chosen(False, ("ridge", "kernel ridge", "support vectors"))
    assert model_finder.bearable(few, 10_000) == few
    assert capsys.readouterr().out == ""
    assert [c.name for c in model_finder.bearable(few, 10_001)] == ["ridge"]
    assert "10,001 wines are too many for them: support vectors, kernel ridge" in (
        capsys.readouterr().out
    )
    with pytest.raises(BadInput, match="no candidate is left"):
        model_finder.bearable(few[1:], 10_001)


@pytest.fixture
def find(pipeline_root, tmp_path):
    """Starts the finder in a folder of its own, on a copy of the pipeline's Hopsworks."""
    pipeline = pipeline_root.copy(tmp_path / "hopsworks")
    script = pipeline.root / "model_finder.py"

    def start(folder, *arguments):
        (tmp_path / folder).mkdir(exist_ok=True)
        return pipeline.start(
            script,
            *arguments,
            cwd=tmp_path / folder,
            start_new_session=True,
            # a shell that runs the tests in the background has Ctrl-C ignored, and it is inherited
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    return start


def finished(process):
    """What a process said; it must end well."""
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    return stdout


def board(folder):
    return json.loads((folder / "model_finder_results" / "leaderboard.json").read_text())


def test_one_job_and_two_agree_and_a_rerun_reuses_every_fit(find, tmp_path):
    few = ("--quick", "--only", "ridge", "--only", "extra trees")
    finished(find("one", *few, "--jobs", "1"))
    finished(find("two", *few, "--jobs", "2"))
    one, two = board(tmp_path / "one"), board(tmp_path / "two")
    assert {r["name"] for r in one["rows"]} == {"ridge", "extra trees", "extra trees + ridge"}
    for first, second in zip(one["rows"], two["rows"], strict=True):
        for key in ("name", "qwk", "accuracy", "within_one", "rmse", "se"):
            assert first[key] == second[key]

    finished(find("two", *few))
    # the seconds that a fit took are never the same twice, unless nothing was fitted
    assert board(tmp_path / "two")["rows"] == two["rows"]


def test_a_run_that_is_stopped_leaves_valid_results_and_the_next_goes_on(find, tmp_path):
    results = tmp_path / "stopped" / "model_finder_results"
    process = find("stopped", "--quick")
    # the first two of five candidates are kept, and what a third has learned takes seconds: by now
    # the program knows that the first is finished
    deadline = time.monotonic() + 120
    while len(list(results.rglob("output.pkl"))) < 12 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stdout + stderr
    assert not list(results.glob(".*.part"))
    assert board(tmp_path / "stopped")["unfinished"]
    assert not (results / "best.json").exists()
    before = {file: file.stat().st_mtime_ns for file in results.rglob("output.pkl")}
    assert before

    finished(find("stopped", "--quick"))
    assert board(tmp_path / "stopped")["unfinished"] == []
    assert all(file.stat().st_mtime_ns == then for file, then in before.items())


def test_the_leaderboard_is_whole_and_the_best_is_one_of_its_rows(pipeline_root):
    results = pipeline_root.root / "model_finder_results"
    rows = json.loads((results / "leaderboard.json").read_text())["rows"]
    best = json.loads((results / "best.json").read_text())
    table = pd.read_csv(results / "leaderboard.csv")
    assert table["name"].tolist() == [r["name"] for r in rows]
    assert [r["qwk"] for r in rows] == sorted((r["qwk"] for r in rows), reverse=True)
    assert best.items() >= next(r for r in rows if r["name"] == best["name"]).items()
    assert best["servable"]
    for metric in ("qwk", "accuracy", "within_one", "rmse", "macro_f1", "mae", "r2"):
        assert all(np.isfinite([r[metric], r["se"][metric]]).all() for r in rows)
    dummy = next(r for r in rows if r["name"] == "dummy")
    assert dummy["qwk"] == pytest.approx(0, abs=0.001)


def test_a_budget_that_is_used_up_leaves_the_rest_unfinished_and_picks_from_what_is_done(
    find, tmp_path
):
    # one job, in the table's order: dummy and ridge take no time, what follows does
    stdout = finished(find("budget", "--quick", "--jobs", "1", "--budget", "3"))
    assert "the budget of 3 s is used up" in stdout
    assert "xgboost" in board(tmp_path / "budget")["unfinished"]
    assert (tmp_path / "budget" / "model_finder_results" / "best.json").exists()


def test_the_originals_search_praises_what_is_worth_little_under_p1(find, tmp_path):
    stdout = finished(find("original", "--original", "--budget", "1", "--quick"))
    result = json.loads((tmp_path / "original/model_finder_results/original.json").read_text())
    assert 1 <= result["families"] == len(result["rows"]) < result["of"] == 12
    best = result["rows"][0]
    assert best["name"] == result["honest"]["name"]
    assert best["score"] > 0.4
    assert result["honest"]["r2"] < 0, "SMOTE pulls its grades to the middle of the scale"
    assert f"{best['score']:.3f} by its own score" in stdout

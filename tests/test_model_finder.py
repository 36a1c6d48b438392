"""The finder's choice, and its runs as a process: repeated, stopped and resumed."""

import itertools
import json
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest

import model_finder
from tests.processes import take_ctrl_c
from wine.candidates import average
from wine.errors import BadInput
from wine.split import folds


def row(name, rmse, complexity, *, qwk_free=0.6, within_budget=True, noise=0.0):
    """A leaderboard row whose bootstrap draws vary by ``noise`` on its own account."""
    random = np.random.default_rng(len(name))
    draws = {"rmse": rmse + noise * random.normal(size=300), "qwk_free": np.full(300, qwk_free)}
    return {
        "name": name, "rmse": rmse, "qwk_free": qwk_free, "complexity": complexity,
        "within_budget": within_budget, "size_bytes": 1000, "draws": pd.DataFrame(draws),
    }  # fmt: skip


def test_the_lower_rmse_is_picked_whatever_else_is_better():
    simple, good = row("simple", 0.70, 1, qwk_free=0.7), row("good", 0.68, 9)
    assert model_finder.pick([simple, good]) is good


def test_a_tie_in_rmse_goes_to_free_kappa_then_to_the_simpler_then_to_the_smaller():
    best, simple = row("best", 0.680, 5), row("simple", 0.685, 1, noise=0.02)
    assert model_finder.pick([best, simple]) is simple
    assert model_finder.pick([best | {"qwk_free": 0.61}, simple])["name"] == "best"
    small = row("small", 0.680, 5) | {"size_bytes": 10}
    assert model_finder.pick([best, small]) is small


def test_what_misses_the_serving_budget_is_never_picked():
    slow, kept = row("slow", 0.6, 1, within_budget=False), row("kept", 0.7, 5)
    assert model_finder.pick([slow, kept]) is kept
    assert model_finder.pick([slow]) is None
    assert model_finder.pick([]) is None


@pytest.mark.parametrize(
    ("seconds", "size", "within"),
    [(0.0049, 14.9e6, True), (0.005, 1, False), (0.001, 15e6, False)],
)
def test_the_serving_budget_is_5_ms_and_15_mb(train, seconds, size, within):
    few = train.head(300)
    truth, fold_numbers = few["quality"].to_numpy(), folds(few, repeats=1)
    costs = {"wine_seconds": seconds, "size_bytes": size}
    scores = np.tile(truth + 0.1, (1, 1))
    judged = model_finder.judge(average("ridge"), {"scores": scores} | costs, truth, fold_numbers)
    assert judged["within_budget"] is within
    assert judged["rmse"] == pytest.approx(0.1)
    assert judged["qwk_free"] == judged["qwk"] == 1
    assert set(judged["se"]) == set(judged["draws"]) >= {"rmse", "qwk", "qwk_free"}


def test_an_average_is_the_mean_of_its_members_and_costs_their_sum(train):
    few = train.head(600)
    truth, fold_numbers = few["quality"].to_numpy(), folds(few, repeats=1)
    random = np.random.default_rng(0)
    names = ("ridge", "kernel ridge", "xgboost", "extra trees", "support vectors")
    rows = [
        {
            "name": name, "rmse": 0.5 + place / 10,
            "scores": truth + random.normal(size=fold_numbers.shape),
            "wine_seconds": 0.001, "size_bytes": 3 + place,
        }
        for place, name in enumerate(names)
    ]  # fmt: skip
    rows.append(rows[0] | {"name": "extra trees classifier", "rmse": 0.1})  # no regressor
    made = model_finder.averages(rows, truth, fold_numbers)
    teams = [*itertools.combinations(names[:4], 2), names[:3]]
    assert [r["members"] for r in made] == [list(team) for team in teams]
    assert np.allclose(made[0]["scores"], (rows[0]["scores"] + rows[1]["scores"]) / 2)
    three = made[-1]
    assert np.allclose(three["scores"], sum(r["scores"] for r in rows[:3]) / 3)
    assert [three[cost] for cost in model_finder.COSTS] == pytest.approx([0.003, 12])


def test_the_candidates_asked_for_are_chosen_and_unknown_ones_refused():
    assert [c.name for c in model_finder.chosen(False, ("ridge",))] == ["ridge"]
    assert all(c.quick for c in model_finder.chosen(True, ()))
    assert len(model_finder.chosen(False, ())) > len(model_finder.chosen(True, ()))
    with pytest.raises(BadInput, match=r"no candidate 'oracle'; there are: dummy, ridge"):
        model_finder.chosen(False, ("ridge", "oracle"))


def test_candidates_that_cannot_learn_from_so_many_wines_are_left_out(capsys):
    few = model_finder.chosen(False, ("ridge", "kernel ridge", "support vectors"))
    assert model_finder.skip_limited(few, 10_000) == few
    assert capsys.readouterr().out == ""
    assert [c.name for c in model_finder.skip_limited(few, 10_001)] == ["ridge"]
    message = "left out, too slow for 10,001 wines: support vectors, kernel ridge\n"
    assert capsys.readouterr().out == message
    with pytest.raises(BadInput, match="no candidate is left"):
        model_finder.skip_limited(few[1:], 10_001)


# -- runs ------------------------------------------------------------------------------------------


@pytest.fixture
def find(young, tmp_path):
    """Starts the finder in a folder of its own, on a Hopsworks that has the wines."""

    def start(folder, *arguments):
        (tmp_path / folder).mkdir(exist_ok=True)
        return young.start(
            young.root / "model_finder.py",
            *arguments,
            cwd=tmp_path / folder,
            start_new_session=True,
            preexec_fn=take_ctrl_c,
        )

    return start


def finished(process):
    """Return what a process printed; it must end well."""
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    return stdout


def board(folder):
    return json.loads((folder / "model_finder_results" / "leaderboard.json").read_text())


@pytest.mark.slow
def test_one_job_and_two_agree_and_a_rerun_reuses_every_fit(find, tmp_path):
    few = ("--quick", "--only", "ridge", "--only", "xgboost")
    finished(find("one", *few, "--jobs", "1"))
    finished(find("two", *few, "--jobs", "2"))
    one, two = (board(tmp_path / name)["rows"] for name in ("one", "two"))
    assert {row["name"] for row in one} == {"ridge", "xgboost", "xgboost + ridge"}
    for first, second in zip(one, two, strict=True):
        assert first["name"] == second["name"]
        for key in ("qwk", "accuracy", "within_one", "rmse"):
            assert first[key] == pytest.approx(second[key], abs=1e-9)

    finished(find("two", *few))
    # the seconds that a fit took are never the same twice, unless nothing was fitted
    assert board(tmp_path / "two")["rows"] == two


@pytest.mark.slow
def test_a_run_that_is_stopped_leaves_valid_results_and_the_next_goes_on(find, tmp_path):
    results = tmp_path / "stopped" / "model_finder_results"
    few = ("--only", "dummy", "--only", "ridge", "--only", "hist gradient boosting")
    process = find("stopped", *few)
    # ten fits of each: the first two candidates are kept, and what the third learned takes seconds
    deadline = time.monotonic() + 300
    while len(list(results.rglob("output.pkl"))) < 22 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stdout + stderr
    assert not list(results.glob(".*.part"))
    assert board(tmp_path / "stopped")["unfinished"] == ["hist gradient boosting"]
    assert not (results / "best.json").exists()
    before = {file: file.stat().st_mtime_ns for file in results.rglob("output.pkl")}
    assert before

    finished(find("stopped", *few))
    assert board(tmp_path / "stopped")["unfinished"] == []
    assert all(file.stat().st_mtime_ns == then for file, then in before.items())

"""The same search on a Dask cluster of two worker processes gives the same leaderboard."""

import json

import pytest
from dask.distributed import LocalCluster

pytestmark = pytest.mark.slow
SEARCH = (
    "--quick",
    "--no-resume",
    "--only",
    "ridge",
    "--only",
    "nearest neighbours",
    "--only",
    "xgboost",
)


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster of two worker processes on this machine."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def leaderboard(pipeline, folder, *options):
    """The rows of the leaderboard, by name, after a run in ``folder`` with these options."""
    folder.mkdir()
    script = pipeline.root / "model_finder.py"
    done = pipeline.run(script, *SEARCH, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = json.loads((folder / "model_finder_results/leaderboard.json").read_text())["rows"]
    return {row["name"]: row for row in rows}


def test_a_cluster_gives_the_same_leaderboard(pipeline_root, scheduler, tmp_path):
    pipeline = pipeline_root.copy(tmp_path / "copy")
    here = leaderboard(pipeline, tmp_path / "here")
    there = leaderboard(pipeline, tmp_path / "there", "--scheduler", scheduler)
    assert here.keys() == there.keys()
    for name, row in here.items():
        for metric in ("qwk", "accuracy", "rmse", "r2"):
            assert there[name][metric] == pytest.approx(row[metric], abs=1e-9), (name, metric)


def test_an_address_where_nobody_answers_ends_with_2_and_one_line(pipeline_root):
    done = pipeline_root.run(
        "model_finder.py", "--only", "ridge", "--scheduler", "tcp://127.0.0.1:9"
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: --scheduler tcp://127.0.0.1:9: no Dask scheduler answers there"
    )
    assert "Traceback" not in done.stderr

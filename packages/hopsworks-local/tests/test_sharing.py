"""Several processes, each with a server of its own, on one data folder at the same time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hopsworks_local

REPOSITORY = Path(hopsworks_local.__file__).parent.parent
pytestmark = pytest.mark.system
WORKERS, ROUNDS = 2, 2
PROGRAM = """
import json, os, sys, tempfile
import hopsworks_local
me, rounds, root = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
server = hopsworks_local.start(root)
os.environ.update(server.env)
import hopsworks, pandas as pd
from deltalake.exceptions import CommitFailedError
from hopsworks.client.exceptions import RestAPIError

project = hopsworks.login()
fs, files = project.get_feature_store(), project.get_dataset_api()
shared = fs.get_feature_group("shared", 1)
own = fs.get_or_create_feature_group(f"own{me}", version=1, primary_key=["id"])
won, versions = [], []
for i in range(rounds):
    rows = pd.DataFrame({"id": [me * 1000 + i], "x": [float(me)]})
    own.insert(rows)
    for attempt in range(50):  # two writers at once: the second one is told to try again
        try:
            shared.insert(rows)
            break
        except CommitFailedError:
            pass
    try:
        group = fs.create_feature_group(f"race{i}", 1, primary_key=["id"])
        group.insert(rows)
        won.append(i)
    except RestAPIError as e:
        assert e.error_code == 270089, e
    group = fs.create_feature_group("counted", primary_key=["id"], features=shared.features)
    group.save()
    versions.append(group.version)
print(json.dumps({"won": won, "versions": versions}))
"""


def test_processes_share_a_folder(tmp_path: Path, logged_in: Any) -> None:
    import pandas as pd

    with hopsworks_local.start(tmp_path) as server, logged_in(server.env) as project:
        shared = project.get_feature_store().create_feature_group("shared", 1, primary_key=["id"])
        shared.insert(pd.DataFrame({"id": [-1], "x": [0.0]}))
        working = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(me), str(ROUNDS), str(tmp_path)],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for me in range(WORKERS)
        ]
        results = []
        for worker in working:
            output, errors = worker.communicate(timeout=600)
            assert worker.returncode == 0, errors[-2000:]
            results.append(json.loads(output.splitlines()[-1]))
        fs = project.get_feature_store()
        expected = {me * 1000 + i for me in range(WORKERS) for i in range(ROUNDS)}
        assert set(fs.get_feature_group("shared", 1).read()["id"]) == {-1, *expected}
        for me in range(WORKERS):
            assert len(fs.get_feature_group(f"own{me}", 1).read()) == ROUNDS
        assert sorted(i for r in results for i in r["won"]) == list(range(ROUNDS)), (
            "one winner each"
        )
        versions = sorted(v for r in results for v in r["versions"])
        assert versions == list(range(1, WORKERS * ROUNDS + 1)), "no version was given twice"

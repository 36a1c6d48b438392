"""One more daily wine costs the same after any number of days, and comes once."""

import dataclasses
import subprocess

import numpy as np
import pandas as pd
from deltalake import DeltaTable

from tests.processes import succeeded
from wine import features
from wine.generator import generate
from wine.groups import DAILY, PREDICTION

MONTHS = pd.date_range("2025-01-01", periods=5, freq="MS")
BEGINS_MONTHS = f"""
import sys
import pandas as pd
from wine import features
from wine.connection import connect

store = connect().get_feature_store()
wine = features.read(store, DAILY).tail(1)
for day in pd.to_datetime({[str(day.date()) for day in MONTHS]}):
    print("ready", flush=True)
    sys.stdin.readline()
    features.write(store, DAILY, wine.assign(day=day, wine_id=str(day.date())))
"""
FIRST = [f"first_{kind}_{number}" for number in range(15) for kind in ("monthly", "whole")]
WRITES_FIRST = f"""
import dataclasses
import random
import sys
import time
from wine import features
from wine.connection import connect

store = connect().get_feature_store()
like = {{"monthly": DAILY, "whole": WINE}}
wine = {{kind: features.read(store, group).tail(1) for kind, group in like.items()}}
for name in {FIRST}:
    kind = name.split("_")[1]
    print("ready", flush=True)
    sys.stdin.readline()
    time.sleep(0.1 * random.random())  # one finds what the other is just making
    features.write(store, dataclasses.replace(like[kind], name=name), wine[kind])
"""


def test_one_more_wine_meets_the_rows_of_its_month_alone(pipeline_root, reader, train, tmp_path):
    pipeline = pipeline_root.copy(tmp_path / "copy")
    hopsworks = reader(pipeline)
    days = [first + pd.Timedelta(days=later) for first in MONTHS for later in (0, 1)]
    made = pd.DataFrame([generate(day.date(), train) | {"filed": day} for day in days])
    for number in range(len(made)):
        features.write(hopsworks.store, DAILY, made.iloc[[number]])
    table = DeltaTable(next((pipeline.store / "wine" / "tables").glob("daily_wine-*")))
    merges = [entry for entry in table.history() if entry["operation"] == "MERGE"]
    assert len(merges) == len(MONTHS), "the second wine of each month"
    for merge in merges:
        scanned = int(merge["operationMetrics"]["num_target_files_scanned"])
        assert scanned <= 1, "the files of other months are not read"
    assert len(table.file_uris()) == len(MONTHS) + 1, "a file for each month, and today's"
    stored = hopsworks.read(DAILY)
    kept = stored[stored["wine_id"].isin(made["wine_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept[made.columns], made, check_dtype=False)


def test_two_first_runs_at_once_leave_one_row(pipeline_root, reader, tmp_path):
    pipeline = pipeline_root.copy(tmp_path / "copy")
    abreast(pipeline, WRITES_FIRST, len(FIRST))
    hopsworks = reader(pipeline)
    rows = {
        name: len(hopsworks.store.get_feature_group(name, 1).read())
        if name.startswith("first_whole")
        else len(hopsworks.read(dataclasses.replace(DAILY, name=name)))
        for name in FIRST
    }
    assert rows == dict.fromkeys(FIRST, 1)


def test_two_runs_that_begin_a_month_at_once_leave_one_row(pipeline_root, reader, tmp_path):
    pipeline = pipeline_root.copy(tmp_path / "copy")
    abreast(pipeline, BEGINS_MONTHS, len(MONTHS))
    stored = reader(pipeline).read(DAILY)["wine_id"].tolist()
    assert stored[: len(MONTHS)] == [str(day.date()) for day in MONTHS]
    assert len(stored) == len(MONTHS) + 1


def test_a_wine_that_two_runs_appended_is_read_predicted_and_counted_once(
    pipeline_root, reader, tmp_path
):
    pipeline = pipeline_root.copy(tmp_path / "copy")
    hopsworks = reader(pipeline)
    for kind in (DAILY, PREDICTION):
        rows = hopsworks.read(kind)
        group = hopsworks.store.get_feature_group(kind.name, 1)
        group.insert(rows, write_options={"mode": "append"})  # as the other run would
        assert len(group.read()) == 2 * len(rows)
        assert hopsworks.read(kind).equals(rows)
    succeeded(pipeline.run("inference.py", "--recount"))
    assert np.sum(hopsworks.tally()["all"]) == len(hopsworks.read(PREDICTION))


def abreast(pipeline, program, steps):
    """Run a program twice at once; each of its steps begins in both at the same moment."""
    runs = [pipeline.start("-c", program, stdin=subprocess.PIPE) for _ in range(2)]
    for _ in range(steps):
        for run in runs:
            assert "ready\n" in iter(run.stdout.readline, ""), run.stderr.read()
        for run in runs:
            run.stdin.write("\n")
            run.stdin.flush()
    for run in runs:
        _, stderr = run.communicate(timeout=600)
        assert (run.returncode, stderr) == (0, "")

"""Days are written one by one, and by several runs at once: none is lost, none comes twice."""

import dataclasses
import subprocess

import pandas as pd
import pytest
from deltalake import DeltaTable

from wine import features
from wine.generator import generate
from wine.groups import DAILY

PROCESSES, STEPS = 3, 40
WRITES = f"""
import dataclasses, sys
import pandas as pd
from wine import features
from wine.connection import connect
from wine.groups import DAILY

mine = pd.read_pickle(sys.argv[1])
store = connect().get_feature_store()
for number in range({STEPS}):
    print("ready", flush=True)
    sys.stdin.readline()
    rows = mine.iloc[2 * number : 2 * number + 2]
    features.write(store, dataclasses.replace(DAILY, name=f"new_{{number}}"), rows)
    features.write(store, DAILY, rows)
"""


def made(train, days):
    return pd.DataFrame([generate(day.date(), train) for day in days])


@pytest.mark.slow
def test_new_groups_and_days_written_by_three_processes_at_once(young, reader, train, tmp_path):
    """Each process has a server of its own on the same folder. In every step all three write one
    row that they share and one of their own, to a new feature group and to daily_wine."""
    days = pd.date_range("2025-01-01", periods=STEPS * (1 + PROCESSES))
    wines = made(train, days)
    shared, own = wines.head(STEPS), wines.tail(-STEPS)
    runs = []
    for number in range(PROCESSES):
        rows = pd.concat([shared, own.iloc[number::PROCESSES]]).reset_index(drop=True)
        rows = rows.iloc[[i + half for i in range(STEPS) for half in (0, STEPS)]]
        rows.to_pickle(tmp_path / f"{number}.pickle")
        command = ("-c", WRITES, tmp_path / f"{number}.pickle")
        runs.append(young.start(*command, stdin=subprocess.PIPE))
    for _ in range(STEPS):  # every step begins in all of them at the same moment
        for run in runs:
            assert "ready\n" in iter(run.stdout.readline, ""), run.stderr.read()
        for run in runs:
            run.stdin.write("\n")
            run.stdin.flush()
    for run in runs:
        _, stderr = run.communicate(timeout=600)
        assert (run.returncode, stderr) == (0, "")

    hopsworks = reader(young)
    stored = hopsworks.read(DAILY)
    pd.testing.assert_frame_equal(stored, wines, check_dtype=False)
    for number in range(STEPS):
        group = dataclasses.replace(DAILY, name=f"new_{number}")
        place = [number, *(STEPS + PROCESSES * number + i for i in range(PROCESSES))]
        assert hopsworks.read(group)["wine_id"].tolist() == wines["wine_id"].iloc[place].tolist()


def test_a_month_of_writes_becomes_one_file_on_the_first_of_the_next(young, reader, train):
    store = reader(young).store
    days = pd.date_range("2025-01-20", "2025-02-03")
    wines = made(train, days)
    for number in range(len(wines)):
        features.write(store, DAILY, wines.iloc[[number]])
    table = DeltaTable(next((young.store / "wine/tables").glob("daily_wine-*")))
    assert len(table.file_uris()) == 3, "all up to the first of February, the second, the third"
    pd.testing.assert_frame_equal(features.read_all(store, DAILY), wines, check_dtype=False)

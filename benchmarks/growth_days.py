"""What a day costs after one day, one year, ten years and a hundred years of daily wines.

    make pipeline                                      the local Hopsworks that the histories start from
    python -m benchmarks.growth_days                   all but ten years, about ten minutes
    python -m benchmarks.growth_days --history 3650    ten years, written day by day: half an hour

A history of daily wines ends yesterday. Up to ten years it is written as the scheduled job writes
it, one insert a day into both feature groups, with the Delta log dated to those days (Delta removes
what is older than thirty). A hundred years are one insert, as 36,500 single ones take hours. Then
daily.py makes today's wine, inference.py predicts it and the monitor reads, three times, each time
on a fresh copy; at the end, counts must equal rows.

A cell is the median of three runs, each a process of its own from start to end (see measured.py);
what a program needs to start and log in is measured beside them and subtracted. Seconds are CPU
seconds, which a busy machine disturbs less. Writes results/growth_days.{json,md}; histories that
were not asked for keep their results.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import click
import pandas as pd

from benchmarks import common
from benchmarks.measured import measured, median
from wine import features
from wine.columns import NAMES
from wine.connection import connect
from wine.groups import DAILY, PREDICTION, WINE
from wine.split import training_part

REPEATS = 3
HISTORIES = ("1", "365", "3650", "36500")
DAY_BY_DAY = 3650  # up to so many days are written one by one
CONNECT = "from wine.connection import connect; project = connect()"
FLOOR = "start and login"
JOBS = {  # each adds to what the one before it left
    FLOOR: ["-c", CONNECT],
    "daily.py": ["daily.py", "--date", "{today}"],
    "inference.py": ["inference.py"],
    "monitor's read": [
        "-c",
        f"import sys; sys.path[:0] = ['apps/monitor', 'apps/shared']; {CONNECT}; "
        "import history; history.read(project, None)",
    ],
}


@click.command(help=__doc__.split("\n")[0])
@click.option("--history", "histories", type=click.Choice(HISTORIES), multiple=True)
def main(histories):
    data = common.hopsworks_data()
    path = common.RESULTS / "growth_days.json"
    kept = json.loads(path.read_text())["histories"] if path.is_file() else {}
    for history in histories or [name for name in HISTORIES if name != str(DAY_BY_DAY)]:
        with tempfile.TemporaryDirectory() as folder:
            kept[history] = grow(int(history), data, Path(folder))
        kept = {name: kept[name] for name in HISTORIES if name in kept}
        common.keep("growth_days", {"histories": kept}, table(kept))


def grow(days, data, folder):
    """Return the cells of all jobs after a history of that many days."""
    before, here = folder / "before", folder / "run"
    shutil.copytree(data, before)
    code = f"from benchmarks.growth_days import put_history; put_history({days})"
    measured(["-c", code], common.ROOT, before, max_seconds=7200)
    runs = {name: [] for name in JOBS}
    for _ in range(REPEATS):
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(before, here)
        for name, command in JOBS.items():
            today = f"{pd.Timestamp.now('UTC'):%Y-%m-%d}"
            command = [part.replace("{today}", today) for part in command]
            runs[name].append(measured(command, common.ROOT, here))
    code = f"from benchmarks.growth_days import check; check({days + 1})"
    measured(["-c", code], common.ROOT, here)
    return {name: median(cells) for name, cells in runs.items()}


def put_history(days):
    """Replace the daily wines and predictions by a history that ends yesterday."""
    import inference

    project = connect()
    store = project.get_feature_store()
    for group in (DAILY, PREDICTION):
        if feature_group := features.find(store, group):
            feature_group.delete()
    wines = daily_wines(days, training_part(features.read(store, WINE)))
    predictions = inference.predict(project, wines)
    if days > DAY_BY_DAY:
        features.write(store, DAILY, wines)
        features.write(store, PREDICTION, predictions)
        return
    tables = Path(os.environ["HOPSWORKS_LOCAL_ROOT"]) / "wine" / "tables"
    for number, day in enumerate(wines["day"]):
        features.write(store, DAILY, wines.iloc[[number]])
        features.write(store, PREDICTION, predictions.iloc[[number]])
        for entry in tables.glob("*_*/_delta_log/*"):
            if entry.stat().st_mtime > day.timestamp():  # just written
                os.utime(entry, (day.timestamp(), day.timestamp()))


def check(days):
    """Raise AssertionError unless every day has one wine and one prediction."""
    store = connect().get_feature_store()
    for group in (DAILY, PREDICTION):
        rows = features.read(store, group)
        assert len(rows) == rows["wine_id"].nunique() == days, (group.name, len(rows))


def daily_wines(number, real):
    """Return so many rows of ``daily_wine``, the last of yesterday, made of real wines."""
    yesterday = pd.Timestamp.now("UTC").tz_localize(None).normalize() - pd.Timedelta(days=1)
    columns = {"wine_id": "source_id", "quality": "reference_grade"}
    wines = real.sample(number, replace=True, random_state=0).rename(columns=columns)
    wines = wines[[*NAMES, "type", "reference_grade", "source_id"]].reset_index(drop=True)
    wines["day"] = pd.date_range(end=yesterday, periods=number, unit="us")
    return wines.assign(wine_id=wines["day"].dt.strftime("%Y-%m-%d"))


def table(histories):
    """Return one row a history: CPU seconds of each job beyond start and login."""
    return pd.DataFrame(
        {
            "daily wines so far": f"{int(days):,}"
            + (", one insert" if int(days) > DAY_BY_DAY else "")
        }
        | {
            name: f"{cell['cpu_seconds']:.2f} s"
            if name == FLOOR
            else f"{cell['cpu_seconds'] - cells[FLOOR]['cpu_seconds']:.2f} s"
            for name, cell in cells.items()
        }
        for days, cells in histories.items()
    )


if __name__ == "__main__":
    main()

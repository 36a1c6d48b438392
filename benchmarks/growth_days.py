"""How the daily job and the monitor fare after a day, a year, and up to a million daily wines.

    make pipeline                                     the local Hopsworks that the histories start from
    python -m benchmarks.growth_days                  all histories, about 15 minutes
    python -m benchmarks.growth_days --history 1000   one of them

A history of daily wines ends yesterday. The last year has one wine a day as a real one has, so
that what looks back over days finds no more than it would; all others share the days since 2010,
since 10^6 days are more than there have been. The client writes them in one insert and
inference.py predicts them; "day by day" is a write for every day, as the scheduled job leaves it,
with the log dated to those days, since Delta forgets what is older than thirty. Then daily.py
makes today's wine, inference.py predicts it and the monitor reads, three times, each time on a
fresh copy. At the end inference.py recounts everything, and the running counts must be equal to
that.

Every cell is the median of three runs, but for the recount, which is run once. A run is a process
of its own from start to end, seen ten times a second: of each process it starts, the last 0.1 s
may be missed (see measured.py). A multiple is one of the processor's seconds, which other programs
disturb less than the clock's. Measured anew are only the histories asked for;
results/growth_days.{json,md,png} keep the others.
"""

import datetime
import json
import os
import shutil
import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd

from benchmarks import common
from benchmarks.measured import lines, measured, median, seconds
from wine import features
from wine.columns import NAMES
from wine.connection import connect
from wine.groups import DAILY, PREDICTION, WINE

REPEATS = 3
DAY_BY_DAY = "365 day by day"
HISTORIES = ("1", DAY_BY_DAY, "1000", "100000", "1000000")
CONNECT = "from wine.connection import connect; project = connect()"
FLOOR = "start and login"  # what any program on Hopsworks takes
JOBS = {  # each adds to what the one before it left
    FLOOR: ["-c", CONNECT],
    "daily.py": ["daily.py"],
    "inference.py": ["inference.py"],
    "monitor's read": [
        "-c",
        f"import sys; sys.path[:0] = ['apps/monitor', 'apps/shared']; {CONNECT}; "
        "import history; history.read(project, None)",
    ],
}
RECOUNT = "full recount"
FIRST_DAY, ALONE = datetime.date(2010, 1, 1), 366  # days with one wine each, at the end
TALLY = "wine/files/Resources/images/tally.json"


@click.command(help=__doc__.split("\n")[0])
@click.option("--history", "histories", type=click.Choice(HISTORIES), multiple=True)
def main(histories):
    """Measure the histories asked for, all without a word, and write the results after each."""
    data = common.hopsworks_data()
    for history in histories or HISTORIES:
        with tempfile.TemporaryDirectory() as folder:
            keep(history, grow(history, data, Path(folder)))


def grow(history, data, folder):
    """The cells of all jobs, and of the recount, after a history of that many daily wines.

    RuntimeError when it cannot be made within the limits, AssertionError when the running counts
    are not those of the recount.
    """
    before, here = folder / "before", folder / "run"
    shutil.copytree(data, before)
    put = f"from benchmarks.growth_days import put_history; put_history({history!r})"
    for command in (["-c", put], ["inference.py", "--recount"]):  # which predicts and counts all
        found = measured(command, common.ROOT, before)
        if "stopped" in found:
            raise RuntimeError(f"{history}: {command} took {found['stopped']}")
    runs = {name: [] for name in JOBS}
    for _ in range(REPEATS):
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(before, here)
        for name, command in JOBS.items():
            runs[name].append(measured(command, common.ROOT, here))
    cells = {name: median(found) for name, found in runs.items()}
    running = json.loads((here / TALLY).read_text())["all"]
    cells[RECOUNT] = measured(["inference.py", "--recount"], common.ROOT, here)
    recounted = json.loads((here / TALLY).read_text())["all"]
    if running != recounted or np.sum(running) != number_of(history) + 1:
        raise AssertionError(f"{history}: the running counts {running} are not {recounted}")
    return cells


def put_history(history):
    """Replaces the daily wines by a history, and removes all predictions of others."""
    project = connect()
    store = project.get_feature_store()
    real = features.read(store, WINE)
    for group in (DAILY, PREDICTION):
        if found := features.find(store, group):
            found.delete()
    wines = daily_wines(number_of(history), real[real["split"] == "train"])
    if history != DAY_BY_DAY:
        features.write(store, DAILY, wines)
        return
    import inference

    predictions = inference.predict(project, wines)
    tables = Path(os.environ["HOPSWORKS_LOCAL_ROOT"]) / "wine" / "tables"
    for number, day in enumerate(wines["day"]):
        features.write(store, DAILY, wines.iloc[[number]])
        features.write(store, PREDICTION, predictions.iloc[[number]])
        for entry in tables.glob("*/_delta_log/*"):
            if entry.stat().st_mtime > day.timestamp():  # just written
                os.utime(entry, (day.timestamp(), day.timestamp()))


def daily_wines(number, real):
    """So many rows of ``daily_wine``, the last of yesterday: real wines, as the cost is the same.

    The last ALONE days have one each; the others share the days from FIRST_DAY on.
    """
    yesterday = pd.Timestamp.now("UTC").tz_localize(None).normalize() - pd.Timedelta(days=1)
    back = np.arange(number)[::-1]
    shared = (yesterday - pd.Timestamp(FIRST_DAY)).days - ALONE
    many = max(1, (number - ALONE) / shared)  # wines on each of the shared days
    back = np.where(back < ALONE, back, ALONE + (back - ALONE) // many)
    day = yesterday - pd.to_timedelta(back, unit="D")
    wines = real.sample(number, replace=True, random_state=0)[
        [*NAMES, "type", "quality", "wine_id"]
    ]
    wines = wines.rename(columns={"wine_id": "source_id"}).reset_index(drop=True)
    wines["day"] = wines["filed"] = day
    place = wines.groupby("day").cumcount().astype(str)
    wines["wine_id"] = wines["day"].dt.strftime("%Y-%m-%d") + ("-" + place).where(place != "0", "")
    return wines


def number_of(history):
    """How many daily wines a history has: 365 for "365 day by day"."""
    return int(history.split()[0])


def keep(history, cells):
    """The cells of one more history into results/growth_days.json; the table and picture anew."""
    path = common.RESULTS / "growth_days.json"
    histories = json.loads(path.read_text())["histories"] if path.is_file() else {}
    histories[history] = cells
    histories = {name: histories[name] for name in HISTORIES if name in histories}
    largest = {
        name: max(cells[name]["peak_mb"] for cells in histories.values())
        for name in (*JOBS, RECOUNT)
    }
    common.keep(
        "growth_days", {"largest_peak_mb": largest, "histories": histories}, table(histories)
    )
    # a year day by day has many small files, and is no point of a line between single inserts
    one_insert = {int(name): cells for name, cells in histories.items() if name != DAY_BY_DAY}
    series = {
        name: {number: cells[name] for number, cells in one_insert.items()}
        for name in (*JOBS, RECOUNT)
    }
    figure = lines("More daily wines made so far", "daily wines", series)
    figure.savefig(common.RESULTS / "growth_days.png")


def table(histories):
    """One row a history, one column a job; ``histories`` maps history and job to a cell."""
    return pd.DataFrame(
        {
            "daily wines so far": f"{number_of(history):,}"
            + (", day by day" if history == DAY_BY_DAY else "")
        }
        | {name: as_text(cell, cells[FLOOR]) for name, cell in cells.items()}
        for history, cells in histories.items()
    )


def as_text(cell, floor):
    """The processor seconds of a cell, and how many times those of the ``floor`` they are."""
    if "stopped" in cell:
        return cell["stopped"]
    if cell is floor:
        return seconds(cell)
    return f"{seconds(cell)} ({cell['cpu_seconds'] / floor['cpu_seconds']:.1f} ×)"


if __name__ == "__main__":
    main()

"""How time and memory grow: with the wines to learn from, and with the daily wines made so far.

    make pipeline                                the local Hopsworks that the histories start from
    python -m benchmarks.growth                  both tables
    python -m benchmarks.growth --scale 10 --folder /tmp/growth
                                                 one size of the first; the folder is kept, and
    python -m benchmarks.growth --scale 10 --folder /tmp/growth --part train.ipynb
                                                 measures a part again on what it finds there
    python -m benchmarks.growth --history 1000   one size of the second

More wines are a copy of the project in which dataset/ has 10 or 100 times as many: UCI's rows and
rows drawn from them with a noise of 2 % of the spread, which is above the decimals and well
inside the distance of near-duplicates. Their checksums replace UCI's in the copy's
wine/dataset.py; nothing else differs, and every check stays in force.

A history of daily wines ends yesterday. The last year has one wine a day as a real one has, so
that what looks back over days finds no more than it would; all others share the days since 2010,
since 10^6 days are more than there have been. The client writes them in one insert and
inference.py predicts them; "day by day" is a write for every day, as the scheduled job leaves it,
with the log dated to those days, since Delta forgets what is older than thirty. Then daily.py makes today's wine, inference.py predicts it and the monitor reads, three times,
each time on a fresh copy. At the end inference.py recounts everything, and the running counts must
be equal to that.

Every cell is a process of its own, timed from start to end; its memory is the largest sum of
resident memory of the process and all below it (the local server, notebook kernels, workers), seen
ten times a second. A ratio is one of the processor's seconds, which other programs disturb less.
Measured anew are only the cells asked for; results/growth.{json,png}, growth_data.md (the first
table) and growth.md (the second) keep the others.
"""

import contextlib
import datetime
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
import psutil
from matplotlib.figure import Figure

from benchmarks import common
from wine import dataset, features
from wine.columns import NAMES
from wine.connection import connect
from wine.pipeline import REPORTS, notebook

ROOT = Path(__file__).resolve().parents[1]
MOST_SECONDS, MOST_GB = 600, 10  # a cell that reaches either is stopped there
REPEATS = 3  # of a cell of the second table

SCALES = (1, 10, 100)
PARTS = {  # name: (command, the parts it needs)
    "initialize.ipynb": (notebook("initialize.ipynb"), ()),
    "model_finder.py": (["model_finder.py", "--quick"], ("initialize.ipynb",)),
    "train.ipynb": (notebook("train.ipynb"), ("model_finder.py",)),
    "daily.py": (["daily.py"], ("initialize.ipynb",)),
    "inference.py": (["inference.py"], ("train.ipynb", "daily.py")),
}
NOISE = 0.02  # standard deviations

DAY_BY_DAY = "365 day by day"
HISTORIES = ("1", DAY_BY_DAY, "1000", "100000", "1000000")
CONNECT = "from wine.connection import connect; project = connect()"
JOBS = {  # each adds to what the one before it left
    "start and login": ["-c", CONNECT],
    "daily.py": ["daily.py"],
    "inference.py": ["inference.py"],
    "monitor's read": [
        "-c",
        f"import sys; sys.path.insert(0, 'apps/monitor'); {CONNECT}; "
        "import history; history.read(project, None)",
    ],
}
RECOUNT = "full recount"
FIRST_DAY, ALONE = datetime.date(2010, 1, 1), 366  # days with one wine each, at the end
TALLY = "wine/files/Resources/images/tally.json"


@click.command(help=__doc__.split("\n")[0])
@click.option("--scale", "scales", type=click.Choice(list(map(str, SCALES))), multiple=True)
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True)
@click.option("--history", "histories", type=click.Choice(HISTORIES), multiple=True)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Work here.")
def main(scales, parts, histories, folder):
    """Measure the cells asked for, all without a word, and write the results after each."""
    if not (scales or parts or histories):
        scales, histories = tuple(map(str, SCALES)), HISTORIES
    with contextlib.ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for scale in map(int, scales):
            grow_data(scale, parts or tuple(PARTS), folder.resolve() / f"x{scale}")
        for history in histories:
            with tempfile.TemporaryDirectory(dir=folder) as own:
                grow_history(history, Path(own))


def grow_data(scale, parts, folder):
    """The parts of the pipeline on ``scale`` times the wines, in a copy of the project."""
    if not folder.exists():
        copy_of_project(folder)
        enlarge(folder, scale)
    stopped = set()
    for part in parts:
        command, needs = PARTS[part]
        lacking = stopped.intersection(needs)
        found = (
            {"stopped": f"needs {lacking.pop()}"}
            if lacking
            else measured(command, folder, folder / "hopsworks")
        )
        if "stopped" in found:
            stopped.add(part)
        keep("data", str(scale), part, found)


def copy_of_project(folder):
    """The project's programs, notebooks and data, without what they have made."""
    left_out = shutil.ignore_patterns(
        ".*", "__pycache__", "benchmarks", "tests", REPORTS.name, "model_finder_results"
    )
    shutil.copytree(ROOT, folder, ignore=left_out)
    (folder / REPORTS).mkdir()


def enlarge(folder, scale):
    """Puts ``scale`` times the wines into a copy of the project, and their checksums."""
    if scale == 1:
        return
    raw = dataset.read()
    chance = np.random.default_rng(scale)
    drawn = raw.sample((scale - 1) * len(raw), replace=True, random_state=scale)
    names = list(NAMES)
    noise = NOISE * raw[names].std().to_numpy() * chance.normal(size=(len(drawn), len(names)))
    drawn[names] = (drawn[names] + noise).clip(raw[names].min(), raw[names].max(), axis=1)
    drawn["free_sulfur_dioxide"] = drawn[["free_sulfur_dioxide", "total_sulfur_dioxide"]].min(
        axis=1
    )
    wines, code = pd.concat([raw, drawn]), folder / "wine" / "dataset.py"
    for file, checksum in dataset.SHA256.items():
        path, colour = folder / "dataset" / file, Path(file).stem.removeprefix("winequality-")
        wines.loc[wines["type"] == colour, [*names, "quality"]].to_csv(
            path, sep=";", index=False, float_format="%.7g"
        )
        ours = hashlib.sha256(path.read_bytes()).hexdigest()
        code.write_text(code.read_text().replace(checksum, ours))


def grow_history(history, folder):
    """The daily jobs and the monitor after a history of that many daily wines."""
    data = Path(os.environ.get("HOPSWORKS_LOCAL_ROOT") or ROOT / ".hopsworks").resolve()
    if not data.is_dir():
        sys.exit("error: no local Hopsworks here: run `make pipeline` first")
    before, here = folder / "before", folder / "run"
    shutil.copytree(data, before)
    put = f"from benchmarks.growth import put_history; put_history({history!r})"
    measured(["-c", put], ROOT, before)
    measured(["inference.py", "--recount"], ROOT, before)  # predicts and counts all of it
    runs = {name: [] for name in JOBS}
    for _ in range(REPEATS):
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(before, here)
        for name, command in JOBS.items():
            runs[name].append(measured(command, ROOT, here))
    for name, found in runs.items():
        keep("history", history, name, median(found))
    running = json.loads((here / TALLY).read_text())["all"]
    keep("history", history, RECOUNT, measured(["inference.py", "--recount"], ROOT, here))
    recounted = json.loads((here / TALLY).read_text())["all"]
    if running != recounted or np.sum(running) != int(history.split()[0]) + 1:
        raise AssertionError(f"{history}: the running counts {running} are not {recounted}")


def put_history(history):
    """Replaces the daily wines by a history, and removes all predictions of others."""
    project = connect()
    store = project.get_feature_store()
    real = features.read(store, features.WINE)
    for group in (features.DAILY, features.PREDICTION):
        if found := features.find(store, group):
            found.delete()
    wines = daily_wines(int(history.split()[0]), real[real["split"] == "train"])
    if history != DAY_BY_DAY:
        features.write(store, features.DAILY, wines)
        return
    import inference

    predictions = inference.predict(project, wines)
    tables = Path(os.environ["HOPSWORKS_LOCAL_ROOT"]) / "wine" / "tables"
    for number, day in enumerate(wines["day"]):
        features.write(store, features.DAILY, wines.iloc[[number]])
        features.write(store, features.PREDICTION, predictions.iloc[[number]])
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


def measured(command, folder, data):
    """Runs ``python *command`` on the local Hopsworks of ``data``: seconds, of all cores, peak MB.

    When it reaches a limit: {"stopped": which}. Raises RuntimeError with the end of what it said
    when it fails.
    """
    ours = ("HOPSWORKS_", "WINE_", "GITHUB_")  # never a cluster, whatever this shell leads to
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"HOPSWORKS_LOCAL_ROOT": str(data)}
    peak, used, stopped = 0, {}, None
    with tempfile.TemporaryFile("w+") as said:
        started = time.perf_counter()
        process = psutil.Popen(
            [sys.executable, *command], cwd=folder, env=env, stdout=said, stderr=said
        )
        while process.poll() is None:
            tree = [process, *process.children(recursive=True)]
            peak = max(peak, sum(resident(member, used) for member in tree))
            if time.perf_counter() - started > MOST_SECONDS:
                stopped = f"more than {MOST_SECONDS} s"
            elif peak > MOST_GB * 1e9:
                stopped = f"more than {MOST_GB} GB"
            if stopped:
                for member in tree:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        member.kill()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(0.1)
        seconds = time.perf_counter() - started
        if stopped:
            return {"stopped": stopped, "peak_mb": round(peak / 1e6)}
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}: {said.read()[-2000:]}")
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(sum(used.values()), 2),
        "peak_mb": round(peak / 1e6),
    }


def resident(process, used):
    """Resident memory of a process in bytes, 0 when it has just ended; notes the time it used."""
    with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
        used[process.pid] = sum(process.cpu_times()[:2])
        return process.memory_info().rss
    return 0


def median(cells):
    """The middle one of repeated measurements; the stopped one if one was stopped."""
    for cell in cells:
        if "stopped" in cell:
            return cell
    return {name: statistics.median(cell[name] for cell in cells) for name in cells[0]} | {
        "seconds_of_each": [cell["seconds"] for cell in cells]
    }


def keep(table, size, name, found):
    """One more cell into results/growth.json, and the tables and the picture anew."""
    print(f"{table} {size}: {name} {found}", flush=True)
    path = common.RESULTS / "growth.json"
    result = json.loads(path.read_text()) if path.is_file() else {"data": {}, "history": {}}
    result["machine"] = common.machine()
    result[table].setdefault(size, {})[name] = found
    common.keep("growth", result)
    by_part, by_job = tables(result)
    (common.RESULTS / "growth_data.md").write_text(common.markdown(by_part))
    (common.RESULTS / "growth.md").write_text(common.markdown(by_job))
    draw(result).savefig(common.RESULTS / "growth.png")


def tables(result):
    """Both tables as DataFrames."""
    data, history = result["data"], result["history"]
    floor = "start and login"
    rows = len(dataset.read())
    by_part = pd.DataFrame(
        {"part": part}
        | {f"{rows * s:,} wines": said(data.get(str(s), {}).get(part)) for s in SCALES}
        for part in PARTS
    )
    by_job = pd.DataFrame(
        {"daily wines so far": spoken(size)}
        | {
            name: said(history[size].get(name), history[size].get(floor) if name != floor else None)
            for name in (*JOBS, RECOUNT)
        }
        for size in HISTORIES
        if size in history
    )
    return by_part, by_job


def spoken(size):
    """The name of a history as text."""
    number, *how = size.split(" ", 1)
    return ", ".join([f"{int(number):,}", *how])


def said(cell, floor=None):
    """A cell as text."""
    if cell is None:
        return ""
    if "stopped" in cell:
        return cell["stopped"]
    times = f" ({cell['cpu_seconds'] / floor['cpu_seconds']:.1f} ×)" if floor else ""
    digits = 0 if cell["seconds"] >= 100 else 1
    return (
        f"{cell['seconds']:.{digits}f} s, {cell['cpu_seconds']:.{digits}f} s of CPU{times}, "
        f"{cell['peak_mb']:,.0f} MB"
    )


def draw(result):
    """Processor seconds by size, both axes logarithmic: the parts on the left, the daily jobs right."""
    colours = ("#8b1e3f", "#d1a827", "#3b3b3b", "#5b8c5a", "#9a9a9a")
    figure = Figure(figsize=(9, 3.8), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    rows = len(dataset.read())
    one_insert = [size for size in HISTORIES if size != DAY_BY_DAY]
    lines = [
        (left, result["data"], PARTS, [(str(scale), scale * rows) for scale in SCALES]),
        (right, result["history"], (*JOBS, RECOUNT), [(size, int(size)) for size in one_insert]),
    ]
    for axes, cells, names, sizes in lines:
        for name, colour in zip(names, colours, strict=True):
            found = {place: cells.get(size, {}).get(name, {}) for size, place in sizes}
            points = {
                place: cell["cpu_seconds"] for place, cell in found.items() if "seconds" in cell
            }
            if points:
                axes.plot([*points], [*points.values()], "o-", color=colour, label=name)
        axes.set(xscale="log", yscale="log", ylabel="processor seconds")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize=8)
    left.set(title="More wines to learn from", xlabel="wines in dataset/")
    right.set(title="More daily wines made so far", xlabel="daily wines")
    return figure


if __name__ == "__main__":
    main()

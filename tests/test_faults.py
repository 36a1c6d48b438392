"""Faults: parts killed, disks full, Hopsworks away, a damaged model, other time zones.

Each is done to real processes on its own copy of a pipeline's data; then the same commands run
again. docs/operations.md sums up what these tests prove.
"""

import contextlib
import json
import os
import random
import subprocess
import time

import pandas as pd
import psutil
import pytest

from tests.processes import FORGET_THE_DAYS, refused, succeeded, today
from tests.servers import Hopsworks
from wine import features, registry, serving
from wine.balance import balance
from wine.groups import BALANCED, DAILY, PREDICTION, WINE

pytestmark = pytest.mark.slow
DAYS = [f"2025-03-{day:02d}" for day in range(7, 13)]  # America's clocks change on the 9th
MAKE, PREDICT = ("daily.py", "--date", DAYS[-1], "--days", str(len(DAYS))), ("inference.py",)
PICTURES = ("confusion_matrix.png", "recent_wines.png")
IMAGES = "wine/files/Resources/images"


# -- pipelines to do it to, and what is left of them ----------------------------------------------


@pytest.fixture(scope="module")
def begun(pipeline_root, tmp_path_factory):
    """Pipelines with a served model: with no days, with no predictions, and undisturbed."""
    pipelines, before = {}, pipeline_root
    for name, command in (
        ("no days", ("-c", FORGET_THE_DAYS)),
        ("no predictions", MAKE),
        ("undisturbed", PREDICT),
    ):
        before = pipelines[name] = before.copy(tmp_path_factory.mktemp("begun") / "hopsworks")
        succeeded(before.run(*command))
    return pipelines


@pytest.fixture
def no_days(begun, tmp_path):
    return begun["no days"].copy(tmp_path / "hopsworks")


@pytest.fixture
def no_predictions(begun, tmp_path):
    return begun["no predictions"].copy(tmp_path / "hopsworks")


@pytest.fixture
def as_undisturbed(begun, reader):
    """Asserts that a pipeline left the daily rows and pictures of one that nothing disturbed."""

    def compare(pipeline, but=()):
        whole = begun["undisturbed"]
        left, expected = reader(pipeline), reader(whole)
        assert expected.read(DAILY)["wine_id"].tolist() == DAYS
        for group in (DAILY, PREDICTION):
            rows, wanted = (
                each.read(group).drop(columns=but, errors="ignore") for each in (left, expected)
            )
            pd.testing.assert_frame_equal(rows, wanted)
        for picture in PICTURES:
            drawn, wanted = (each.store / IMAGES / picture for each in (pipeline, whole))
            assert drawn.read_bytes() == wanted.read_bytes(), picture

    return compare


# -- moments to strike at -------------------------------------------------------------------------


def await_line(process, word):
    """Return the next line on stdout that has this word in it."""
    return next(line for line in process.stdout if word in line)


def seen(store, pattern):
    with contextlib.suppress(FileNotFoundError):  # one of them was just removed
        return {(path, path.stat().st_mtime_ns) for path in store.glob(pattern)}
    return set()


def until(process, pipeline, moment):
    """Wait until the moment: a pattern of files of which one appears, or a number of seconds after
    the process has logged in."""
    if isinstance(moment, float):
        await_line(process, "Hopsworks: ")
        time.sleep(moment)
        return
    before, end = seen(pipeline.store, moment), time.monotonic() + 600
    while process.poll() is None and time.monotonic() < end:
        if not seen(pipeline.store, moment) <= before:
            return
        time.sleep(0.003)
    process.kill()
    raise AssertionError(f"{moment} was not seen: {process.communicate()}")


def kill(pipeline, moment, *command, **options):
    """Run a program and kill it at a moment, as it writes to a table or a file."""
    unbuffered = {"PYTHONUNBUFFERED": "1"}
    with pipeline.start(*command, variables=unbuffered, **options) as process:
        until(process, pipeline, moment)
        # its local server and its worker processes, if it has any, die with it
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    assert process.returncode == -9, "it had ended before"


def ended(process):
    """Wait for a process; return it as ``subprocess.run`` does."""
    stdout, stderr = process.communicate(timeout=600)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


# -- the faults -----------------------------------------------------------------------------------


def test_daily_runs_that_are_killed(no_days, as_undisturbed):
    table = "wine/tables/daily_wine-*"
    moments = (
        table,
        f"{table}/**/*.parquet",
        f"{table}/_delta_log/*",
        random.Random(1).uniform(0, 0.5),
    )
    for moment, day in zip(moments, DAYS, strict=False):  # each has a day of its own to write
        kill(no_days, moment, "daily.py", "--date", day)
    succeeded(no_days.run(*MAKE))
    succeeded(no_days.run(*PREDICT))
    as_undisturbed(no_days)


def test_inference_runs_that_are_killed(no_days, as_undisturbed):
    table = "wine/tables/wine_prediction-*"
    for number, moment in enumerate((table, f"{table}/**/*.parquet", f"{table}/_delta_log/*")):
        succeeded(no_days.run("daily.py", "--date", DAYS[2 * number + 1], "--days", "2"))
        kill(no_days, moment, *PREDICT)
    for picture in PICTURES:
        kill(no_days, f"{IMAGES}/{picture}", *PREDICT)
    kill(no_days, random.Random(2).uniform(0, 0.5), *PREDICT)
    succeeded(no_days.run(*PREDICT))
    as_undisturbed(no_days)


UPLOAD = """
from wine import dataset, features
from wine.connection import connect
from wine.groups import BALANCED, WINE
from wine.balance import balance
from wine.prepare import distinct_wines
from wine.split import training_part
wines, store = distinct_wines(dataset.read()), connect().get_feature_store()
features.write(store, WINE, wines)
features.write(store, BALANCED, balance(training_part(wines)))
"""


def test_uploads_of_the_wines_that_are_killed(empty_pipeline, reader, wines, train, tmp_path):
    pipeline = empty_pipeline.copy(tmp_path / "hopsworks")
    for moment in ("wine/tables/wine-*", "wine/tables/wine_balanced-*/*.parquet"):
        kill(pipeline, moment, "-c", UPLOAD)
    succeeded(pipeline.run("-c", UPLOAD))
    hopsworks = reader(pipeline)
    for group, made in ((WINE, wines), (BALANCED, balance(train))):
        sent = made.sort_values(group.primary_key, ignore_index=True)
        stored = hopsworks.read(group)
        pd.testing.assert_frame_equal(stored[sent.columns], sent, check_dtype=False)


def test_searches_that_are_killed(begun, reader, tmp_path):
    pipeline = begun["undisturbed"].copy(tmp_path / "hopsworks")
    folder = pipeline.store / "finder"
    folder.mkdir()
    command = (pipeline.root / "model_finder.py", "--quick", "--only", "ridge")
    for moment in ("finder/**/output.pkl", "wine/files/Resources/model_finder/*"):
        kill(pipeline, moment, *command, cwd=folder)
    succeeded(pipeline.run(*command, cwd=folder))
    best = json.loads((folder / "model_finder_results/best.json").read_text())
    stored = features.download_text(reader(pipeline).project, "Resources/model_finder/best.json")
    assert json.loads(stored) == best
    board = json.loads((pipeline.root / "model_finder_results/leaderboard.json").read_text())
    ridge = next(row for row in board["rows"] if row["name"] == "ridge")
    assert all(best[key] == ridge[key] for key in ("name", "qwk", "accuracy", "rmse", "se"))


REGISTER = """
import tempfile
import pandas as pd
from wine import registry
from wine.connection import connect
project = connect()
with tempfile.TemporaryDirectory() as folder:
    files = registry.fetch(registry.served(project), folder)
    wines = pd.read_csv(f"{files}/wines.csv")
    again = registry.register(project, files, metrics={"cv_rmse": 0.7}, wines=wines, approved=True,
                              description="registered again")
print(f"registered version {again.version}")
"""


def test_registrations_that_are_killed(no_predictions, reader, as_undisturbed):
    home = "wine/files/Models/wine_quality/*"
    for moment in (home, f"{home}/Files/model.joblib", f"{home}/model_schema.json"):
        kill(no_predictions, moment, "-c", REGISTER)
    said = succeeded(no_predictions.run("-c", REGISTER))
    succeeded(no_predictions.run(*PREDICT))
    hopsworks = reader(no_predictions)
    registered = hopsworks.project.get_model_registry().get_models(serving.NAME)
    served = registry.served(hopsworks.project)
    assert f"registered version {served.version}\n" in said
    assert served.version == max(entry.version for entry in registered) > 1
    assert set(hopsworks.read(PREDICTION)["model_version"]) == {served.version}
    as_undisturbed(no_predictions, but=["model_version"])


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 16 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk]
    if subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield disk
    # lazy, since a server may still run there when something went wrong
    subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_full_disk(no_days, small_disk, as_undisturbed, tmp_path):
    small = no_days.copy(small_disk / "hopsworks")
    hopsworks, rest = Hopsworks(small), small_disk / "rest"
    for command, lost in ((MAKE, None), (PREDICT, None), (PREDICT, PICTURES[0])):
        if lost:
            (small.store / IMAGES / lost).unlink()
        with contextlib.suppress(OSError), open(rest, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        done = small.run(*command, variables=hopsworks.env | {"WINE_PATIENCE": "2"})
        rest.unlink()
        succeeded(small.run(*command, variables=hopsworks.env))
        line = refused(done)
        assert "disk is full" in line or "No space left" in line
        assert "Fix this and run again" in line
    hopsworks.kill()
    as_undisturbed(small.copy(tmp_path / "left"))


@pytest.mark.parametrize("returns", [True, False], ids=["comes back", "stays away"])
def test_hopsworks_is_killed(returns, no_days, as_undisturbed):
    hopsworks = Hopsworks(no_days)
    for command, moment in (
        (MAKE, "wine/tables/daily_wine-*"),
        (PREDICT, f"{IMAGES}/{PICTURES[0]}"),
    ):
        variables = hopsworks.env | ({} if returns else {"WINE_PATIENCE": "1"})
        process = no_days.start(*command, variables=variables)
        until(process, no_days, moment)
        hopsworks.kill()
        if returns:
            assert "trying again" in await_line(process, "Hopsworks: ConnectionError")
            hopsworks.start()
            succeeded(ended(process))
            continue
        assert "gave up after 1 s" in refused(ended(process))
        hopsworks.start()
        succeeded(no_days.run(*command, variables=hopsworks.env))
    hopsworks.kill()
    as_undisturbed(no_days)


def test_the_key_is_withdrawn_in_the_middle(no_days, as_undisturbed):
    hopsworks = Hopsworks(no_days)
    process = no_days.start(*MAKE, variables=hopsworks.env)
    until(process, no_days, "wine/tables/daily_wine-*")
    hopsworks.kill()
    hopsworks.start(key="0123456789abcdef.another")
    assert "refused the API key" in refused(ended(process), code=2)
    hopsworks.kill()
    succeeded(no_days.run(*MAKE))
    succeeded(no_days.run(*PREDICT))
    as_undisturbed(no_days)


def test_a_model_that_is_not_what_was_registered(no_predictions, as_undisturbed):
    (file,) = no_predictions.store.rglob("Models/**/model.joblib")
    content = file.read_bytes()
    file.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
    done = no_predictions.run(*PREDICT)
    assert "the model's model.joblib is not the one that was registered" in refused(done)
    assert "predicted" not in done.stdout
    file.write_bytes(content)
    succeeded(no_predictions.run(*PREDICT))
    as_undisturbed(no_predictions)


def test_time_zones(no_days, as_undisturbed):
    zones = ("Pacific/Kiritimati", "Etc/GMT+12")  # at any moment, it is another day in one of them
    succeeded(no_days.run(*MAKE, variables={"TZ": "America/Los_Angeles"}))
    succeeded(no_days.run(*PREDICT, variables={"TZ": zones[0]}))
    as_undisturbed(no_days)
    days = [today()]
    dry = [succeeded(no_days.run("daily.py", "--dry-run", variables={"TZ": zone})) for zone in zones]  # fmt: skip
    days.append(today())  # another one when it is midnight
    for said in dry:
        assert any(f"\n{day}  " in said for day in days), "the day is that of UTC"
        assert "dry run: 60 daily wines made" in said, "every day of the last sixty"


def test_two_runs_at_once(no_days, as_undisturbed):
    for command in (MAKE, PREDICT):
        for process in [no_days.start(*command) for _ in range(2)]:
            succeeded(ended(process))
    as_undisturbed(no_days)

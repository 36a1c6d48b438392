"""The stories behind docs/faults.md: what is done to a pipeline, by real processes.

Each is told on its own copy of a pipeline's data and returns that copy and what was said;
tests/test_faults.py looks at both.
"""

import contextlib
import functools
import os
import random
import subprocess
import time

import psutil

from tests.processes import FORGET_THE_DAYS, succeeded, today
from tests.servers import Hopsworks

DAYS = [f"2025-03-{day:02d}" for day in range(7, 13)]  # America's clocks change on the 9th
DAILY, INFERENCE = ("daily.py", "--date", DAYS[-1], "--days", str(len(DAYS))), ("inference.py",)
PICTURES = ("confusion_matrix.png", "recent_wines.png")
IMAGES = "wine/files/Resources/images"


class Data:
    """Pipelines to begin a story with: ``nothing``, ``no days``, ``no predictions`` and one that
    nothing disturbed."""

    def __init__(self, pipeline, empty, new_folder):
        self.new_folder, self.expected = new_folder, None
        self.stores = {"nothing": empty, "served": pipeline}
        for name, like, command in (
            ("no days", "served", ("-c", FORGET_THE_DAYS)),
            ("no predictions", "no days", DAILY),
            ("undisturbed", "no predictions", INFERENCE),
        ):
            self.stores[name] = self.copy(like)
            succeeded(self.stores[name].run(*command))

    def folder(self):
        return self.new_folder("fault")

    def copy(self, name):
        return self.stores[name].copy(self.folder() / "hopsworks")


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


def killed(pipeline, moment, *command, **options):
    """Run a program and kill it at a moment; returns its exit code."""
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
    return process.returncode


# -- the stories: what happens, each in a thread of its own ---------------------------------------


def daily_killed(data):
    pipeline = data.copy("no days")
    table = "wine/tables/daily_wine-*"
    moments = (
        table,
        f"{table}/**/*.parquet",
        f"{table}/_delta_log/*",
        random.Random(1).uniform(0, 0.5),
    )
    codes = [  # each has a day of its own to write
        killed(pipeline, moment, "daily.py", "--date", day)
        for moment, day in zip(moments, DAYS, strict=False)
    ]
    succeeded(pipeline.run(*DAILY))
    succeeded(pipeline.run(*INFERENCE))
    return pipeline, codes


def inference_killed(data):
    pipeline = data.copy("no days")
    table, codes = "wine/tables/wine_prediction-*", []
    for number, moment in enumerate((table, f"{table}/**/*.parquet", f"{table}/_delta_log/*")):
        succeeded(pipeline.run("daily.py", "--date", DAYS[2 * number + 1], "--days", "2"))
        codes.append(killed(pipeline, moment, *INFERENCE))
    for picture in PICTURES:
        codes.append(killed(pipeline, f"{IMAGES}/{picture}", *INFERENCE))
    codes.append(killed(pipeline, random.Random(2).uniform(0, 0.5), *INFERENCE))
    succeeded(pipeline.run(*INFERENCE))
    return pipeline, codes


def upload_killed(data):
    pipeline = data.copy("nothing")
    moments = ("wine/tables/wine-*", "wine/tables/wine_balanced-*/*.parquet")
    codes = [killed(pipeline, moment, "-c", UPLOAD) for moment in moments]
    succeeded(pipeline.run("-c", UPLOAD))
    return pipeline, codes


def finder_killed(data):
    pipeline = data.copy("undisturbed")
    folder = pipeline.store / "finder"
    folder.mkdir()
    command = (pipeline.root / "model_finder.py", "--quick", "--only", "ridge")
    moments = ("finder/**/output.pkl", "wine/files/Resources/model_finder/*")
    codes = [killed(pipeline, moment, *command, cwd=folder) for moment in moments]
    succeeded(pipeline.run(*command, cwd=folder))
    return pipeline, codes


def registering_killed(data):
    pipeline = data.copy("no predictions")
    home = "wine/files/Models/wine_quality/*"
    moments = (home, f"{home}/Files/model.joblib", f"{home}/model_schema.json")
    codes = [killed(pipeline, moment, "-c", REGISTER) for moment in moments]
    said = succeeded(pipeline.run("-c", REGISTER))
    succeeded(pipeline.run(*INFERENCE))
    return pipeline, codes, said


def disk_full(data):
    if os.geteuid() != 0:
        return "only root may mount a small disk"
    folder = data.folder()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder]
    if subprocess.run(mounting, capture_output=True).returncode:
        return "mounting a small disk is not allowed here"
    try:
        small = data.stores["no days"].copy(folder / "hopsworks")
        hopsworks, rest = Hopsworks(small), folder / "rest"

        def full_then_free(*command):
            with contextlib.suppress(OSError), open(rest, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            done = small.run(*command, variables=hopsworks.env | {"WINE_PATIENCE": "2"})
            rest.unlink()
            succeeded(small.run(*command, variables=hopsworks.env))
            return done

        daily, inference = full_then_free(*DAILY), full_then_free(*INFERENCE)
        (small.store / IMAGES / PICTURES[0]).unlink()
        upload = full_then_free(*INFERENCE)
        hopsworks.kill()
        return small.copy(data.folder() / "hopsworks"), daily, inference, upload
    finally:
        # lazy, since a server may still run there when something went wrong
        subprocess.run(["umount", "--lazy", folder], check=True)


def hopsworks_away(data, returns):
    """Hopsworks is killed in the middle of an insert and of an upload, and returns or stays away."""
    pipeline = data.copy("no days")
    hopsworks = Hopsworks(pipeline)
    done = []
    for command, moment in (
        (DAILY, "wine/tables/daily_wine-*"),
        (INFERENCE, f"{IMAGES}/{PICTURES[0]}"),
    ):
        variables = hopsworks.env | ({} if returns else {"WINE_PATIENCE": "1"})
        process = pipeline.start(*command, variables=variables)
        until(process, pipeline, moment)
        hopsworks.kill()
        if returns:
            assert "trying again" in await_line(process, "Hopsworks: ConnectionError")
            hopsworks.start()
        stdout, stderr = process.communicate(timeout=600)
        done.append(subprocess.CompletedProcess(command, process.returncode, stdout, stderr))
        if not returns:
            hopsworks.start()
            succeeded(pipeline.run(*command, variables=hopsworks.env))
    hopsworks.kill()
    return pipeline, done


def await_line(process, word):
    """The next line on stdout that has this word in it."""
    return next(line for line in process.stdout if word in line)


def key_withdrawn(data):
    pipeline = data.copy("no days")
    hopsworks = Hopsworks(pipeline)
    process = pipeline.start(*DAILY, variables=hopsworks.env)
    until(process, pipeline, "wine/tables/daily_wine-*")
    hopsworks.kill()
    hopsworks.start(key="0123456789abcdef.another")
    stdout, stderr = process.communicate(timeout=600)
    hopsworks.kill()
    succeeded(pipeline.run(*DAILY))
    succeeded(pipeline.run(*INFERENCE))
    return pipeline, subprocess.CompletedProcess(DAILY, process.returncode, stdout, stderr)


def model_spoilt(data):
    pipeline = data.copy("no predictions")
    (file,) = pipeline.store.rglob("Models/**/model.joblib")
    content = file.read_bytes()
    file.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
    done = pipeline.run(*INFERENCE)
    file.write_bytes(content)
    succeeded(pipeline.run(*INFERENCE))
    return pipeline, done


def odd_time_zones(data):
    pipeline = data.copy("no days")
    zones = ("Pacific/Kiritimati", "Etc/GMT+12")  # at any moment, it is another day in one of them
    succeeded(pipeline.run(*DAILY, variables={"TZ": "America/Los_Angeles"}))
    succeeded(pipeline.run(*INFERENCE, variables={"TZ": "Pacific/Kiritimati"}))
    days = [today()]
    dry = [pipeline.run("daily.py", "--dry-run", variables={"TZ": zone}) for zone in zones]
    days.append(today())  # another one when it is midnight
    return pipeline, days, [succeeded(done) for done in dry]


def twice_at_once(data):
    pipeline = data.copy("no days")
    done = []
    for command in (DAILY, INFERENCE):
        both = [pipeline.start(*command) for _ in range(2)]
        done.append([(process.communicate(timeout=600), process.returncode) for process in both])
    return pipeline, done


STORIES = {
    story.__name__: story
    for story in (
        daily_killed, inference_killed, upload_killed, finder_killed, registering_killed,
        disk_full, key_withdrawn, model_spoilt, odd_time_zones, twice_at_once,
    )
}  # fmt: skip
STORIES["hopsworks_comes_back"] = functools.partial(hopsworks_away, returns=True)
STORIES["hopsworks_stays_away"] = functools.partial(hopsworks_away, returns=False)

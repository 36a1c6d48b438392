"""The stories behind docs/faults.md: what is done to a pipeline, by real processes.

Each is told on its own copy of a pipeline's data and returns that copy and what was said;
tests/test_faults.py looks at both.
"""

import contextlib
import json
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


FORGET_THE_MODEL = """
from wine import serving
from wine.connection import connect
for entry in connect().get_model_registry().get_models(serving.NAME):
    entry.delete()
"""
UPLOAD = """
from wine import dataset, features
from wine.connection import connect
from wine.groups import BALANCED, WINE
from wine.prepare import prepare
prepared, store = prepare(dataset.read()), connect().get_feature_store()
features.write(store, WINE, prepared.wines)
features.write(store, BALANCED, prepared.balanced)
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
CHANGE_COLUMNS = """
import sys, warnings
from wine import features, groups
from wine.connection import connect
group, change = getattr(groups, sys.argv[1]), sys.argv[2]
store = connect().get_feature_store()
warnings.simplefilter("ignore")
there = features.find(store, group)
rows = there.read()
there.delete(force=True)  # its feature view, too
if change.startswith("-"):
    rows = rows.drop(columns=change[1:])
elif change.startswith("+"):
    rows[change[1:]] = 1.5
else:
    rows[change] = rows[change].astype(str)
new = store.create_feature_group(name=group.name, version=1, primary_key=[group.primary_key],
    event_time=group.event_time, online_enabled=False, time_travel_format="DELTA")
new.insert(rows)
"""
OFF_CLOCK = """
import datetime, sys, types
import daily
days, *sys.argv[1:] = sys.argv[1:]
class Off(datetime.datetime):
    @classmethod
    def now(cls, zone=None):
        return datetime.datetime.now(zone) + datetime.timedelta(days=int(days))
daily.datetime = types.SimpleNamespace(**{**vars(datetime), "datetime": Off})
daily.run(daily.main)
"""


def changed(store, pattern, before):
    """Whether a file or folder of this pattern is new or another since ``before``."""
    return not seen(store, pattern) <= before


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
        if changed(pipeline.store, moment, before):
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


def hopsworks_comes_back(data):
    pipeline = data.copy("no days")
    hopsworks = Hopsworks(pipeline)
    done = []
    for command, moment in (
        (DAILY, "wine/tables/daily_wine-*"),
        (INFERENCE, f"{IMAGES}/{PICTURES[0]}"),
    ):
        process = pipeline.start(*command, variables=hopsworks.env)
        until(process, pipeline, moment)
        hopsworks.kill()
        assert "trying again" in await_line(process, "Hopsworks: ConnectionError")
        hopsworks.start()
        done.append((process.communicate(timeout=600), process.returncode))
    hopsworks.kill()
    return pipeline, done


def await_line(process, word):
    """The next line on stdout that has this word in it."""
    return next(line for line in process.stdout if word in line)


def hopsworks_stays_away(data):
    pipeline = data.copy("no days")
    hopsworks = Hopsworks(pipeline)
    done = []
    for command, moment in (
        (DAILY, "wine/tables/daily_wine-*"),
        (INFERENCE, f"{IMAGES}/{PICTURES[0]}"),
    ):
        variables = hopsworks.env | {"WINE_PATIENCE": "1"}
        process = pipeline.start(*command, variables=variables)
        until(process, pipeline, moment)
        hopsworks.kill()
        stdout, stderr = process.communicate(timeout=600)
        done.append(subprocess.CompletedProcess(command, process.returncode, stdout, stderr))
        hopsworks.start()
        succeeded(pipeline.run(*command, variables=hopsworks.env))
    hopsworks.kill()
    return pipeline, done


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


def truncate(content):
    return content[:-100]


def alter(content):
    return content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]


def with_another_cut(content):
    spec = json.loads(content)
    spec["cuts"][2] += 0.1
    return json.dumps(spec).encode()


MODELS = {
    "model.joblib is cut short": ("model.joblib", truncate),
    "one bit of model.joblib is altered": ("model.joblib", alter),
    "wines.csv is missing": ("wines.csv", None),
    "spec.json is cut short": ("spec.json", truncate),
    "one number of spec.json is altered": ("spec.json", with_another_cut),
}


def model_spoilt(data):
    pipeline = data.copy("no predictions")
    done = {}
    for fault, (name, change) in MODELS.items():
        (file,) = pipeline.store.rglob(f"Models/**/{name}")
        content = file.read_bytes()
        file.write_bytes(change(content)) if change else file.unlink()
        done[fault] = pipeline.run(*INFERENCE)
        file.write_bytes(content)
    succeeded(pipeline.run(*INFERENCE))
    return pipeline, done


def no_model(data):
    pipeline = data.copy("no predictions")
    succeeded(pipeline.run("-c", FORGET_THE_MODEL))
    return pipeline.run(*INFERENCE)


def columns_changed(data, group, change, *command):
    pipeline = data.copy("undisturbed")
    succeeded(pipeline.run("-c", CHANGE_COLUMNS, group, change))
    before = seen(pipeline.store, "wine/tables/**/*")
    done = pipeline.run(*command)
    return done, seen(pipeline.store, "wine/tables/**/*") == before


def odd_time_zones(data):
    pipeline = data.copy("no days")
    zones = ("Pacific/Kiritimati", "Etc/GMT+12")  # at any moment, it is another day in one of them
    succeeded(pipeline.run(*DAILY, variables={"TZ": "America/Los_Angeles"}))
    succeeded(pipeline.run(*INFERENCE, variables={"TZ": "Pacific/Kiritimati"}))
    days = [today()]
    dry = [pipeline.run("daily.py", "--dry-run", variables={"TZ": zone}) for zone in zones]
    days.append(today())  # another one when it is midnight
    return pipeline, days, [succeeded(done) for done in dry]


def clock_wrong(data):
    pipeline = data.copy("undisturbed")
    said = []
    for number, off in enumerate(("1", "-10"), start=1):
        succeeded(pipeline.run("-c", OFF_CLOCK, off, "--date", f"2025-04-{number:02d}"))
        said.append(succeeded(pipeline.run(*INFERENCE)))
    return pipeline, said


def twice_at_once(data):
    pipeline = data.copy("no days")
    done = []
    for command in (DAILY, INFERENCE):
        both = [pipeline.start(*command) for _ in range(2)]
        done.append([(process.communicate(timeout=600), process.returncode) for process in both])
    return pipeline, done


NEXT = ("daily.py", "--date", "2025-04-01")
COLUMNS = {
    "wine lacks a column": ("WINE", "-ph", *NEXT),
    "a column of wine is text": ("WINE", "quality", *NEXT),
    "daily_wine lacks a column": ("DAILY", "-source_id", *NEXT),
    "daily_wine has a column too many": ("DAILY", "+note", *NEXT),
    "a column of wine_prediction is text": ("PREDICTION", "predicted_score", *INFERENCE),
}
STORIES = {
    story.__name__: (story,)
    for story in (
        daily_killed, inference_killed, upload_killed, finder_killed, registering_killed,
        disk_full, hopsworks_comes_back, hopsworks_stays_away, key_withdrawn, model_spoilt,
        no_model, odd_time_zones, clock_wrong, twice_at_once,
    )
}  # fmt: skip
STORIES |= {fault: (columns_changed, *how) for fault, how in COLUMNS.items()}

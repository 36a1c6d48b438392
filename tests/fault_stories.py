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

from hopsworks_local import client_env

DAYS = [f"2025-03-{day:02d}" for day in range(7, 13)]  # America's clocks change on the 9th
DAILY, INFERENCE = ("daily.py", "--date", DAYS[-1], "--days", str(len(DAYS))), ("inference.py",)
PICTURES = ("confusion_matrix.png", "recent_wines.png", "tally.json")
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
            well(self.stores[name].run(*command))

    def folder(self):
        return self.new_folder("fault")

    def copy(self, name):
        return self.stores[name].copy(self.folder() / "hopsworks")


FORGET_THE_DAYS = """
import warnings
from wine import features
from wine.connection import connect
project = connect()
warnings.simplefilter("ignore")
for group in (features.DAILY, features.PREDICTION):
    features.find(project.get_feature_store(), group).delete()
project.get_dataset_api().remove("Resources/images")
"""
FORGET_THE_MODEL = """
from wine import model
from wine.connection import connect
for entry in connect().get_model_registry().get_models(model.NAME):
    entry.delete()
"""
UPLOAD = """
import numpy as np
from wine import dataset, features
from wine.balance import balance
from wine.connection import connect
from wine.split import locked_part
wines = dataset.clean(dataset.read())
wines["group_id"] = dataset.near_duplicate_groups(wines)
wines["split"] = np.where(locked_part(wines), "test", "train")
store = connect().get_feature_store()
features.write(store, features.WINE, wines)
features.write(store, features.BALANCED, balance(wines[wines["split"] == "train"]))
"""
REGISTER = """
import tempfile
import pandas as pd
from wine import model
from wine.connection import connect
project = connect()
with tempfile.TemporaryDirectory() as folder:
    files = model.download(model.served(project), folder)
    wines = pd.read_csv(f"{files}/wines.csv")
    again = model.register(project, files, metrics={"cv_qwk": 0.5}, wines=wines, approved=True,
                           description="registered again")
print(f"registered version {again.version}")
"""
CHANGE_COLUMNS = """
import sys, warnings
from wine import features
from wine.connection import connect
group, change = getattr(features, sys.argv[1]), sys.argv[2]
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
import datetime, importlib, sys, types
name, days, *sys.argv[1:] = sys.argv[1:]
class Off(datetime.datetime):
    @classmethod
    def now(cls, zone=None):
        return datetime.datetime.now(zone) + datetime.timedelta(days=int(days))
program = importlib.import_module(name)
program.datetime = types.SimpleNamespace(**{**vars(datetime), "datetime": Off})
program.run(program.main)
"""
SERVER = """
import sys, threading
from pathlib import Path
from hopsworks_local.server import App, launch
from hopsworks_local.state import Folder
root, port, key = sys.argv[1:]
app = App(Folder(Path(root), "wine"), "wine", None)
app.api_key = key
print(launch(app, int(port)).server_address[1], flush=True)
threading.Event().wait()
"""


class Hopsworks:
    """A local Hopsworks that can be killed, and started again at the same port with its key.

    A cluster keeps its keys; ``hopsworks_local`` makes one at every start, so it is told this.
    """

    def __init__(self, pipeline, key="0123456789abcdef.of-these-tests"):
        self.pipeline, self.port = pipeline, 0
        self.start(key)
        self.env = client_env("127.0.0.1", self.port, "wine", key)

    def start(self, key="0123456789abcdef.of-these-tests"):
        self.process = self.pipeline.start("-c", SERVER, self.pipeline.store, self.port, key)
        self.port = int(self.process.stdout.readline())

    def kill(self):
        self.process.kill()
        self.process.wait()


def changed(store, pattern, before):
    """Whether a file or folder of this pattern is new or another since ``before``."""
    return not seen(store, pattern) <= before


def seen(store, pattern):
    with contextlib.suppress(FileNotFoundError):  # one of them was just removed
        return {(path, path.stat().st_mtime_ns) for path in store.glob(pattern)}
    return set()


def until(process, pipeline, moment):
    """Wait until the moment: a number of seconds, or a pattern of files of which one appears."""
    before = seen(pipeline.store, moment) if isinstance(moment, str) else None
    end = time.monotonic() + (60 if before is not None else moment)
    while process.poll() is None and time.monotonic() < end:
        if before is not None and changed(pipeline.store, moment, before):
            return
        time.sleep(0.003)
    assert before is None, f"{moment} was not seen: {process.communicate()}"


def killed(pipeline, moment, *command, **options):
    """Run a program and kill it at a moment; returns its exit code."""
    with pipeline.start(*command, start_new_session=True, **options) as process:
        until(process, pipeline, moment)
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):  # worker processes, if it had any
            os.killpg(process.pid, 9)
    return process.returncode


def well(process):
    """What a process said, if it ended well and without a word on stderr."""
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout


# -- the stories: what happens, each in a thread of its own ---------------------------------------


def daily_killed(data):
    pipeline = data.copy("no days")
    table = "wine/tables/daily_wine-*"
    moments = (
        table,
        f"{table}/**/*.parquet",
        f"{table}/_delta_log/*",
        random.Random(1).uniform(0, 1),
    )
    codes = [  # each has a day of its own to write
        killed(pipeline, moment, "daily.py", "--date", day)
        for moment, day in zip(moments, DAYS, strict=False)
    ]
    well(pipeline.run(*DAILY))
    well(pipeline.run(*INFERENCE))
    return pipeline, codes


def inference_killed(data):
    pipeline = data.copy("no days")
    table, codes = "wine/tables/wine_prediction-*", []
    for number, moment in enumerate((table, f"{table}/**/*.parquet", f"{table}/_delta_log/*")):
        well(pipeline.run("daily.py", "--date", DAYS[2 * number + 1], "--days", "2"))
        codes.append(killed(pipeline, moment, *INFERENCE))
    for picture in PICTURES:
        codes.append(killed(pipeline, f"{IMAGES}/{picture}", *INFERENCE, "--recount"))
    codes.append(killed(pipeline, random.Random(2).uniform(0, 1), *INFERENCE))
    well(pipeline.run(*INFERENCE))
    return pipeline, codes


def upload_killed(data):
    pipeline = data.copy("nothing")
    moments = ("wine/tables/wine-*", "wine/tables/wine_balanced-*/*.parquet")
    codes = [killed(pipeline, moment, "-c", UPLOAD) for moment in moments]
    well(pipeline.run("-c", UPLOAD))
    return pipeline, codes


def finder_killed(data):
    pipeline = data.copy("undisturbed")
    folder = pipeline.store / "finder"
    folder.mkdir()
    command = (pipeline.root / "model_finder.py", "--quick", "--only", "ridge")
    moments = ("finder/**/output.pkl", "wine/files/Resources/model_finder/*")
    codes = [killed(pipeline, moment, *command, cwd=folder) for moment in moments]
    well(pipeline.run(*command, cwd=folder))
    return pipeline, codes


def registering_killed(data):
    pipeline = data.copy("no predictions")
    home = "wine/files/Models/wine_quality/*"
    moments = (home, f"{home}/Files/model.joblib", f"{home}/model_schema.json")
    codes = [killed(pipeline, moment, "-c", REGISTER) for moment in moments]
    said = well(pipeline.run("-c", REGISTER))
    well(pipeline.run(*INFERENCE))
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
        rest = folder / "rest"

        def full(*command):
            with contextlib.suppress(OSError), open(rest, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            done = small.run(*command, variables={"WINE_PATIENCE": "2"})
            rest.unlink()
            return done

        daily = full(*DAILY)
        well(small.run(*DAILY))
        inference = full(*INFERENCE)
        well(small.run(*INFERENCE))
        (small.store / IMAGES / "tally.json").unlink()
        upload = full(*INFERENCE)
        well(small.run(*INFERENCE))
        return small.copy(data.folder() / "hopsworks"), daily, inference, upload
    finally:
        subprocess.run(["umount", folder], check=True)


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
        done.append((process.communicate(timeout=60), process.returncode))
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
        stdout, stderr = process.communicate(timeout=60)
        done.append(subprocess.CompletedProcess(command, process.returncode, stdout, stderr))
        hopsworks.start()
        well(pipeline.run(*command, variables=hopsworks.env))
    hopsworks.kill()
    return pipeline, done


def key_withdrawn(data):
    pipeline = data.copy("no days")
    hopsworks = Hopsworks(pipeline)
    process = pipeline.start(*DAILY, variables=hopsworks.env)
    until(process, pipeline, "wine/tables/daily_wine-*")
    hopsworks.kill()
    hopsworks.start(key="0123456789abcdef.another")
    stdout, stderr = process.communicate(timeout=60)
    hopsworks.kill()
    well(pipeline.run(*DAILY))
    well(pipeline.run(*INFERENCE))
    return pipeline, subprocess.CompletedProcess(DAILY, process.returncode, stdout, stderr)


def truncate(content):
    return content[:-100]


def alter(content):
    return content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]


def of_other_version(content):
    spec = json.loads(content)
    spec["versions"]["sklearn"] = "1.2.3"
    return json.dumps(spec).encode()


MODELS = {
    "model.joblib is cut short": ("model.joblib", truncate),
    "one bit of model.joblib is altered": ("model.joblib", alter),
    "wines.csv is missing": ("wines.csv", None),
    "spec.json is cut short": ("spec.json", truncate),
    "the model was made with another scikit-learn": ("spec.json", of_other_version),
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
    well(pipeline.run(*INFERENCE))
    return pipeline, done


def no_model(data):
    pipeline = data.copy("no predictions")
    well(pipeline.run("-c", FORGET_THE_MODEL))
    return pipeline.run(*INFERENCE)


def columns_changed(data, group, change, *command):
    pipeline = data.copy("undisturbed")
    well(pipeline.run("-c", CHANGE_COLUMNS, group, change))
    before = seen(pipeline.store, "wine/tables/**/*")
    done = pipeline.run(*command)
    return done, seen(pipeline.store, "wine/tables/**/*") == before


def odd_time_zones(data):
    pipeline = data.copy("no days")
    zones = ("Pacific/Kiritimati", "Etc/GMT+12")  # at any moment, it is another day in one of them
    dry = [well(pipeline.run("daily.py", "--dry-run", variables={"TZ": zone})) for zone in zones]
    well(pipeline.run(*DAILY, variables={"TZ": "America/Los_Angeles"}))
    well(pipeline.run(*INFERENCE, variables={"TZ": "Pacific/Kiritimati"}))
    return pipeline, dry


def clock_wrong(data):
    pipeline = data.copy("undisturbed")
    said = []
    for daily, inference in (("1", "0"), ("-10", "0"), ("0", "10"), ("0", "0")):
        day = f"2025-04-{len(said) + 1:02d}"
        well(pipeline.run("-c", OFF_CLOCK, "daily", daily, "--date", day))
        said.append(well(pipeline.run("-c", OFF_CLOCK, "inference", inference)))
    return pipeline, said


def twice_at_once(data):
    pipeline = data.copy("no days")
    done = []
    for command in (DAILY, INFERENCE):
        both = [pipeline.start(*command) for _ in range(2)]
        done.append([(process.communicate(timeout=60), process.returncode) for process in both])
    return pipeline, done


NEXT = ("daily.py", "--date", "2025-04-01")
COLUMNS = {
    "wine lacks a column": ("WINE", "-ph", *NEXT),
    "a column of wine is text": ("WINE", "quality", *NEXT),
    "daily_wine lacks a column": ("DAILY", "-source_id", *NEXT),
    "daily_wine has a column too many": ("DAILY", "+note", *NEXT),
    "a column of wine_prediction is text": ("PREDICTION", "expected", *INFERENCE),
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

"""What the test files share: the real wines, and one run of the whole pipeline."""

import contextlib
import datetime
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from unittest.mock import patch  # for the environment only; the client is never replaced

import hypothesis
import pytest
from filelock import FileLock

import hopsworks_local
from tests.processes import copy_project, shell
from wine import dataset, features
from wine import train as train_module
from wine.candidates import BY_NAME
from wine.connection import connect
from wine.groups import WINE
from wine.prepare import distinct_wines
from wine.split import folds, training_part

hypothesis.settings.register_profile("shared machine", deadline=None)  # seconds say nothing there
hypothesis.settings.load_profile("shared machine")
# fixtures that start programs, servers or a browser
SYSTEM = {"empty_pipeline", "empty_server", "reader", "server", "project", "browser"}
SYSTEM |= {"github", "hub", "small"}
# What takes long must not be begun last. The process that gets test_daily runs the pipeline; the
# others have files that do without it until test_days.
LONGEST_FIRST = (
    "test_faults", "test_bad_input", "test_daily", "test_train", "test_contract", "test_monitor",
    "test_predictor_service", "test_predictor", "test_server", "test_live", "test_days",
    "test_setup", "test_pipeline",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Mark what `make check` leaves out; the files that take longest come first."""
    place = {name: number for number, name in enumerate(LONGEST_FIRST)}
    for item in items:
        if SYSTEM & set(item.fixturenames) or "packages" in item.path.parts:
            item.add_marker(pytest.mark.system)
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="session")
def raw():
    """UCI's 6,497 rows as published. Shared: copy before changing."""
    return dataset.read()


@pytest.fixture(scope="session")
def wines(raw):
    """Every distinct wine with its group and split, as initialize.ipynb makes them."""
    return distinct_wines(raw)


@pytest.fixture(scope="session")
def train(wines):
    """The training wines, numbered from 0."""
    return training_part(wines)


@pytest.fixture(scope="session")
def fold_numbers(train):
    """The folds of the training wines, ints (2, n)."""
    return folds(train)


CHOSEN = {"name": "ridge", "members": [], "finished": "2026-11-23 10:00 UTC"}


@pytest.fixture(scope="session")
def trained(wines):
    """A Training of ridge on a thousand wines, evaluated and fitted as wine.train does it."""
    wines = wines.sample(1000, random_state=0).sort_values("wine_id", ignore_index=True)
    test = wines[wines["split"] == "test"].reset_index(drop=True)
    data = train_module.Data(BY_NAME["ridge"], CHOSEN, wines, training_part(wines), test, None)
    return train_module.run(data)


@dataclass(frozen=True)
class Pipeline:
    """A copy of the project with a local Hopsworks of its own, away from the checkout.

    ``root`` is the copy's folder, ``store`` the local Hopsworks' data folder, ``env`` the
    variables that its programs run with and ``stages`` the finished processes by name, with
    ``returncode``, ``stdout`` and ``stderr``.
    """

    root: Path
    store: Path
    env: dict
    stages: dict = field(default_factory=dict)

    def start(self, *command, cwd=None, variables=None, **options):
        """Start ``python *command`` in the copy's folder; returns the Popen object."""
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=cwd or self.root,
            env=self.env | (variables or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def run(self, *command, timeout=300, **options):
        """Run ``python *command`` to its end, whatever that is; returns the finished process."""
        process = self.start(*command, **options)
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    @staticmethod
    def make(*command):
        """The command that runs make with this environment in place of .venv."""
        return ("make", "INSTALL=:", f"BIN={Path(sys.executable).parent}", *command)

    def summary(self):
        """What ``make pipeline`` kept of its run."""
        return json.loads((self.root / "reports/summary.json").read_text())

    def day(self):
        """The day on which the pipeline ran: yesterday when it is midnight."""
        return datetime.date.fromisoformat(self.summary()["last_wine"]["wine_id"])

    def copy(self, folder):
        """The same project with a copy of the local Hopsworks in ``folder``, to be spoilt."""
        # the server of a program that has just ended may still be closing its metadata file
        until = time.monotonic() + 10
        while any(self.store.glob("*/hopsworks.sqlite-*")) and time.monotonic() < until:
            time.sleep(0.02)
        shutil.copytree(self.store, folder)
        env = self.env | {"HOPSWORKS_LOCAL_ROOT": str(folder)}
        return replace(self, store=Path(folder), env=env)


@pytest.fixture(scope="session")
def empty_pipeline(tmp_path_factory):
    """A copy of the project's files as they are now; nothing has run, and there is no data."""
    root = tmp_path_factory.mktemp("wein größe")  # a path that people have
    copy_project(root)
    store = tmp_path_factory.mktemp("wein größe daten")
    return Pipeline(root, store, shell() | {"HOPSWORKS_LOCAL_ROOT": str(store)})


@pytest.fixture(scope="session")
def empty_server(tmp_path_factory):
    """A local Hopsworks with nothing in it, to be left so."""
    with hopsworks_local.start(tmp_path_factory.mktemp("empty"), "wine") as server:
        yield server


@pytest.fixture(scope="session")
def pipeline_root(empty_pipeline, tmp_path_factory):
    """The whole pipeline, run once by the README's command: a Pipeline after ``make pipeline``.

    What the five parts write lies below ``root`` (model_finder_results/, reports/; temporary/ has
    what they left in the folder for temporary files) and in the local Hopsworks of ``store``;
    ``stages`` has "make pipeline", and "daily.py too early", which ran before anything was there.
    Where tests run in several processes, one runs the pipeline and each has a copy.

    Everything downstream may read it and run programs that change nothing in it; a test that
    does change or spoil something takes ``pipeline_root.copy(folder)``.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    stages, made = shared / "stages.pickle", ("reports", "model_finder_results", "temporary")
    with FileLock(shared / "pipeline.lock"):
        if not stages.is_file():
            done = run_pipeline(empty_pipeline, shared / "hopsworks")
            for folder in made:
                shutil.copytree(empty_pipeline.root / folder, shared / folder)
            stages.write_bytes(pickle.dumps(done))
    for folder in made:
        shutil.copytree(shared / folder, empty_pipeline.root / folder, dirs_exist_ok=True)
    store = tmp_path_factory.mktemp("hopsworks") / "data"
    shutil.copytree(shared / "hopsworks", store)
    env = empty_pipeline.env | {"HOPSWORKS_LOCAL_ROOT": str(store)}
    return replace(empty_pipeline, store=store, env=env, stages=pickle.loads(stages.read_bytes()))


def run_pipeline(pipeline, store):
    """Run ``make pipeline`` on a new local Hopsworks; returns the finished processes by name."""
    temporary = pipeline.root / "temporary"
    temporary.mkdir()
    env = pipeline.env | {"HOPSWORKS_LOCAL_ROOT": str(store), "TMPDIR": str(temporary)}
    early = replace(pipeline, env=env).run("daily.py")
    done = subprocess.run(
        pipeline.make("pipeline"),
        cwd=pipeline.root,
        env=env,
        timeout=1800,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {"daily.py too early": early, "make pipeline": done}


class Reader:
    """A pipeline's Hopsworks, through the client and a server of its own."""

    def __init__(self, env):
        self.env = env
        with patch.dict(os.environ, env):
            self.project = connect()
        self.store = self.project.get_feature_store()

    def run(self, program, *arguments):
        """Run a script's ``main`` in this process; return what it printed."""
        with (
            patch.dict(os.environ, self.env),
            contextlib.redirect_stdout(io.StringIO()) as printed,
        ):
            program.main([str(argument) for argument in arguments], standalone_mode=False)
        return printed.getvalue()

    def read(self, group):
        return features.read(self.store, group)

    def delete(self, *groups):
        """Delete feature groups, as a user would."""
        with warnings.catch_warnings(action="ignore"):
            for group in groups:
                features.find(self.store, group).delete()


@pytest.fixture
def reader():
    """Opens a pipeline's Hopsworks, as a Reader; all are closed when the test ends."""
    import hopsworks

    servers = []

    def read(pipeline):
        servers.append(hopsworks_local.start(pipeline.store, "wine"))
        return Reader(servers[-1].env)

    yield read
    if servers:
        hopsworks.logout()
    for server in servers:
        server.stop()


@pytest.fixture
def young(empty_pipeline, wines, reader, tmp_path):
    """A pipeline whose wines are uploaded and whose days are yet to come."""
    pipeline = empty_pipeline.copy(tmp_path / "young")
    features.write(reader(pipeline).store, WINE, wines)
    return pipeline

"""What the test files share: the real wines, and one run of the whole pipeline."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from wine import dataset
from wine.split import locked_part

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def raw():
    """UCI's 6,497 rows as published. Shared: copy before changing."""
    return dataset.read()


@pytest.fixture(scope="session")
def wines(raw):
    """Every distinct wine with its group and split, as initialize.ipynb makes them."""
    wines = dataset.clean(raw)
    wines["group_id"] = dataset.near_duplicate_groups(wines)
    wines["split"] = np.where(locked_part(wines), "test", "train")
    return wines


@pytest.fixture(scope="session")
def train(wines):
    """The training wines, numbered from 0."""
    return wines[wines["split"] == "train"].reset_index(drop=True)


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

    def stage(self, name, *command, code=0):
        """Run a stage of the pipeline and keep what it said; it must end with ``code``."""
        done = self.stages[name] = self.run(*command)
        assert done.returncode == code, f"{name} ended with {done.returncode}:\n{done.stderr}"

    def copy(self, folder):
        """The same project with a copy of the local Hopsworks in ``folder``, to be spoilt."""
        shutil.copytree(self.store, folder)
        env = self.env | {"HOPSWORKS_LOCAL_ROOT": str(folder)}
        return replace(self, store=Path(folder), env=env)


def notebook(name):
    """The command that runs a notebook from top to bottom and keeps it, executed, as HTML."""
    return (
        *("-m", "nbconvert", "--execute", "--to", "html", name),
        *("--output-dir", "reports", "--KernelManager.transport=ipc"),
    )


@pytest.fixture(scope="session")
def empty_pipeline(tmp_path_factory):
    """A copy of the project's files as they are now; nothing has run, and there is no data."""
    root = tmp_path_factory.mktemp("project")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for file in listed.stdout.splitlines():
        if (REPOSITORY / file).is_file():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / file, root / file)
    store = tmp_path_factory.mktemp("hopsworks")
    ours = ("HOPSWORKS_", "WINE_", "GITHUB_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return Pipeline(root, store, env | {"HOPSWORKS_LOCAL_ROOT": str(store)})


@pytest.fixture(scope="session")
def pipeline_root(empty_pipeline, tmp_path_factory):
    """The whole pipeline, run once: a Pipeline whose five parts ran as processes of their own.

    Notebooks are executed from top to bottom, in the order initialize.ipynb, model_finder.py
    --quick, daily.py, train.ipynb, inference.py; what they write lies below ``root``
    (model_finder_results/, reports/) and in the local Hopsworks of ``store``. Two more stages,
    "daily.py too early" and "inference.py too early", ran before what they need was there.

    Everything downstream may read it and run programs that change nothing in it; a test that
    does change or spoil something takes ``pipeline_root.copy(folder)``.
    """
    store = tmp_path_factory.mktemp("hopsworks")
    pipeline = replace(
        empty_pipeline,
        store=store,
        env=empty_pipeline.env | {"HOPSWORKS_LOCAL_ROOT": str(store)},
        stages={},
    )
    pipeline.stage("daily.py too early", "daily.py", code=1)
    pipeline.stage("initialize.ipynb", *notebook("initialize.ipynb"))
    pipeline.stage("daily.py", "daily.py")
    pipeline.stage("inference.py too early", "inference.py", code=1)
    pipeline.stage("model_finder.py", "model_finder.py", "--quick")
    pipeline.stage("train.ipynb", *notebook("train.ipynb"))
    pipeline.stage("inference.py", "inference.py")
    return pipeline

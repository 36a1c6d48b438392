"""How long it takes to set this up: beside pip, and to the end of `make pipeline` on every Python here.

    python -m benchmarks.setup             about half an hour; needs the package index

Installs requirements.txt three times in turn, into a new environment with an empty cache each time:
as install.sh does, and with `python -m venv` and `pip install --no-deps`. Then `make pipeline` runs in a fresh
clone of the commit on each of Python 3.11, 3.12 and 3.13 that is here, with uv's own cache as it is
on this machine. PYTHONS="path ..." says where those are, TURNS=1 installs once. Seconds are of the
clock; on a machine that does other things, too, CPU seconds say more. Writes
results/setup.{json,md}.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import pandas as pd

from benchmarks import common

TURNS = int(os.environ.get("TURNS") or 3)


def main():
    """Measure both, in temporary folders."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("HOPSWORKS_", "WINE_", "GITHUB_", "PYTHON"))
    }
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        pipelines = [pipeline(folder, python, env) for python in pythons()]
        seconds: dict[str, list] = {"install.sh": [], "pip": []}
        installed = {}
        for turn in range(TURNS):
            for tool, measured in seconds.items():
                print(f"{tool}, {turn + 1} of {TURNS}", flush=True)
                project = clone(folder / f"{tool} {turn}")
                measured.append(set_up(tool, project, env | caches(folder / "caches")))
                installed[tool] = packages(project)
                shutil.rmtree(project)
                shutil.rmtree(folder / "caches", ignore_errors=True)  # pip may keep nothing
        pinned = pins()
        result = {
            "machine": common.machine(),
            "seconds": seconds,
            "median": {
                tool: {kind: median(one[kind] for one in measured) for kind in measured[0]}
                for tool, measured in seconds.items()
            },
            "packages": len(installed["install.sh"]),
            "packages_not_pinned": {
                tool: sorted(map("==".join, there.items() - pinned))
                for tool, there in installed.items()
            },
            "pipelines": pipelines,
        }
    common.keep("setup", result, table_of(result))


def clone(folder):
    """A fresh clone of the commit that is checked out."""
    subprocess.run(["git", "clone", "-q", common.ROOT, folder], check=True)
    return folder


def caches(folder):
    """Variables that give pip and uv empty caches."""
    return {"UV_CACHE_DIR": str(folder / "uv"), "PIP_CACHE_DIR": str(folder / "pip")}


def set_up(tool, project, env):
    """The seconds that it takes to install requirements.txt into a project's new .venv."""
    pip = ".venv/bin/python -m pip install --quiet --disable-pip-version-check"
    script = {
        "install.sh": "sh install.sh requirements.txt",
        "pip": f"{sys.executable} -m venv .venv && {pip} --no-deps -r requirements.txt && "
        f"{pip} --no-deps -e packages/hopsworks-local -e .",
    }[tool]
    return timed(["sh", "-c", script], project, env | {"PYTHON": sys.executable})


def timed(command, folder, env):
    """Run a command that must succeed; return its seconds. What it says goes to the screen."""
    started, before = time.monotonic(), os.times()
    subprocess.run(command, cwd=folder, env=env, check=True)
    after = os.times()
    used = sum(after[2:4]) - sum(before[2:4])  # by the command and what it started
    return {"clock": round(time.monotonic() - started, 1), "processor": round(used, 1)}


def packages(project):
    """The packages of a project's environment, {name: version}, without its own two and pip."""
    command = [project / ".venv/bin/python", "-m", "pip", "list", "--format=json"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    own = {"wine-quality", "hopsworks-local", "pip"}
    there = {
        row["name"].lower().replace("_", "-").replace(".", "-"): row["version"] for row in listed
    }
    return {name: version for name, version in there.items() if name not in own}


def pins():
    """What requirements.txt and requirements-install.txt pin, as pairs of name and version."""
    lines = "".join(
        (common.ROOT / f"requirements{kind}.txt").read_text() for kind in ("", "-install")
    ).splitlines()
    pairs = (
        line.split(" ")[0].split("==") for line in lines if "==" in line and line[0] not in " #"
    )
    return {(name.partition("[")[0], version) for name, version in pairs}


def pythons():
    """The Pythons to run the pipeline on: those that are here and start."""
    named = os.environ.get("PYTHONS", "").split()
    there = [name for name in ("python3.11", "python3.12", "python3.13") if shutil.which(name)]
    return named or [
        name for name in there if not subprocess.run([name, "-V"], capture_output=True).returncode
    ]


def pipeline(folder, python, env):
    """One fresh clone, and ``make pipeline`` in it: seconds, and what came out."""
    print(f"make pipeline, {python}", flush=True)
    project = clone(folder / f"pipeline {Path(python).name}")
    seconds = timed(["make", "pipeline", f"PYTHON={python}"], project, env)
    summary = json.loads((project / "reports/summary.json").read_text())
    version = subprocess.run(
        [project / ".venv/bin/python", "-V"], check=True, capture_output=True, text=True
    ).stdout.split()[1]
    shutil.rmtree(project)
    return {
        "python": version,
        "seconds": seconds,
        "seconds_after_installation": summary["seconds"],
        "model": summary["model"]["name"],
        "qwk": {part: round(summary["metrics"][part]["qwk"], 4) for part in ("cv", "test")},
    }


def table_of(result):
    """What was measured, a line each."""
    rows = [
        (
            f"{tool}: {result['packages']} packages, nothing cached",
            f"{seconds['clock']:.0f} s, {seconds['processor']:.0f} s of CPU time",
        )
        for tool, seconds in result["median"].items()
    ]
    rows += [
        (
            f"make pipeline on Python {run['python']}, packages cached",
            f"{run['seconds']['clock']:.0f} s, {run['seconds']['processor']:.0f} s of CPU time; QWK {run['qwk']['test']:.3f} on the test set",
        )
        for run in result["pipelines"]
    ]
    return pd.DataFrame(rows, columns=["what", "measured"])


if __name__ == "__main__":
    main()

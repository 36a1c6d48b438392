"""How long a job of daily.yml takes, start to end, and how much it installs.

    make pipeline                     the local Hopsworks whose data is copied
    python -m benchmarks.daily_job    about two minutes

Does what a job's steps do, in a new environment in a temporary folder, against a copy of the
local Hopsworks' data: make the environment, install requirements-daily.txt from wheels that lie
on the disk already, as with a warm cache, and run daily.py for the day before the last sixty, which has no wine yet,
or inference.py, which predicts that wine, against a local server that is reached as a cluster is. Writes results/daily_job.json; seconds are of the clock.
"""

import datetime
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hopsworks_local
from benchmarks import common
from daily import MAX_DAYS


def main():
    """Measure both jobs, one after the other."""
    data = common.hopsworks_data()
    missing = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=MAX_DAYS)
    jobs = {"daily.py": ["--date", str(missing)], "inference.py": []}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        shutil.copytree(data, folder / "data")
        env = common.local_env(folder / "data")
        # not pip's own cache: an index can forbid it, and then a second download is measured
        wheels = folder / "wheels"
        get = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        downloading, _ = timed(
            [*get, "--no-deps", "-r", "requirements-daily.txt", "-w", wheels], env
        )
        warm = env | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
        with hopsworks_local.start(folder / "data", "wine") as server:
            warm |= server.env
            measured = {
                name: job(folder / name, [name, *options], warm) for name, options in jobs.items()
            }
        result = {
            "machine": common.machine(),
            "jobs": measured,
            "download_seconds_when_cold": downloading,
            "download_mb": common.size_mb(wheels),
            "installed_mb": common.size_mb(folder / "daily.py"),
            "packages": common.packages(folder / "daily.py"),
        }
    common.keep("daily_job", result)


def job(folder, command, env):
    """The seconds of a job's steps: the environment in ``folder``, and the script in it."""
    making, _ = timed([sys.executable, "-m", "venv", folder], env)
    pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    installing, _ = timed([*pip, "--no-deps", "-r", "requirements-daily.txt"], env)
    running, said = timed([folder / "bin/python", *command], env)
    if "saved 1 " not in said:
        sys.exit(f"error: {' '.join(command)} had not one wine to save:\n{said}")
    install = round(making + installing, 1)
    return {"install": install, "run": running, "whole": round(install + running, 1)}


def timed(command, env):
    """Run a command of the project; its seconds and what it printed."""
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=common.ROOT, env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    return round(time.monotonic() - started, 1), done.stdout


if __name__ == "__main__":
    main()

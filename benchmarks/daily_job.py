"""How long a job of daily.yml takes, start to end, and how much it installs.

    python -m benchmarks.daily_job          add --all for the comparison, which downloads 1.5 GB or so

Does what a job's steps do, in a new environment in a temporary folder, against a copy of the
local Hopsworks' data (run `make pipeline` first): make the environment, install
requirements-daily.txt from wheels that lie on the disk already, as with a warm cache, and run
daily.py or inference.py. With --all it also measures requirements.txt, the whole project,
installed in its place. Writes results/daily_job.json.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import common

ROOT = Path(__file__).resolve().parents[1]


def main():
    data = Path(os.environ.get("HOPSWORKS_LOCAL_ROOT") or ROOT / ".hopsworks").resolve()
    if not data.is_dir():
        sys.exit("error: no local Hopsworks here: run `make pipeline` first")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        env = os.environ | {"HOPSWORKS_LOCAL_ROOT": str(folder / "data")}
        shutil.copytree(data, folder / "data")
        # not pip's own cache: an index can forbid it, and then a second download is measured
        wheels = folder / "wheels"
        get = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
        downloading = timed([*get, "-r", "requirements-daily.txt", "-w", wheels], env)
        warm = env | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels)}
        install(folder / "warm", "requirements-daily.txt", warm)
        result = {
            "machine": common.machine(),
            "jobs": {name: job(folder / name, name, warm) for name in ("daily.py", "inference.py")},
            "download_seconds_when_cold": downloading,
            "download_mb": size_mb(wheels),
            "installed_mb": size_mb(folder / "warm"),
            "packages": packages(folder / "warm"),
        }
        shutil.rmtree(folder / "warm")
        if "--all" in sys.argv:
            seconds = install(folder / "all", "requirements.txt", env)
            result["requirements.txt"] = {
                "install_seconds_cold": seconds,
                "installed_mb": size_mb(folder / "all"),
                "packages": packages(folder / "all"),
            }
    common.keep("daily_job", result)
    print(json.dumps(result, indent=2))


def job(folder, script, env):
    """The seconds of a job's steps: the environment, and the script."""
    installing = install(folder, "requirements-daily.txt", env)
    seconds = timed([folder / "bin/python", script], env)
    shutil.rmtree(folder)
    return {"install": installing, "run": seconds, "whole": round(installing + seconds, 1)}


def install(folder, requirements, env):
    making = timed([sys.executable, "-m", "venv", folder], env)
    pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check"]
    return round(making + timed([*pip, "-r", requirements], env), 1)


def timed(command, env):
    start = time.monotonic()
    subprocess.run(command, cwd=ROOT, env=env, check=True)
    return round(time.monotonic() - start, 1)


def size_mb(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(path.stat().st_size for path in files) / 1e6)


def packages(folder):
    listed = subprocess.run(
        [folder / "bin/pip", "list", "--format=json", "--disable-pip-version-check"],
        check=True,
        capture_output=True,
        text=True,
    )
    return len(json.loads(listed.stdout))


if __name__ == "__main__":
    main()

"""Processes of the project: its files to run them in, what they must have said, and their day."""

import datetime
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
FORGET_THE_DAYS = """
import warnings
from wine import features
from wine.groups import DAILY, PREDICTION
from wine.connection import connect
project = connect()
warnings.simplefilter("ignore")
for group in (DAILY, PREDICTION):
    features.find(project.get_feature_store(), group).delete()
project.get_dataset_api().remove("Resources/images")
"""


def today():
    """The day, in UTC as all dates are; asked each time, since tests may run over midnight."""
    return datetime.datetime.now(datetime.UTC).date()


def away_from_midnight(seconds):
    """Wait for the next day (UTC) if fewer seconds than these are left of this one."""
    now = datetime.datetime.now(datetime.UTC)
    midnight = (now + datetime.timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    left = (midnight - now).total_seconds()
    if left < seconds:
        time.sleep(left + 1)


def shell():
    """Return this process's variables without the project's own and those of make.

    A make that is started by make inherits the latter, and prints the folders that it enters.
    """
    ours = ("HOPSWORKS_", "WINE_", "GITHUB_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def take_ctrl_c():
    """Let a new process be ended by Ctrl-C, as ``preexec_fn`` of Popen.

    A shell that runs the tests in the background makes them ignore it, and processes inherit that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def copy_project(folder):
    """Copy the working copy's files as they are now, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    for file in listed.stdout.splitlines():
        if (REPOSITORY / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / file, folder / file)


def succeeded(process):
    """What a process said, if it ended well and without a word on stderr."""
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout


def refused(process, code=1):
    """The one line that a process said on stderr; it must have ended with ``code``."""
    assert process.returncode == code, process.stderr
    (line,) = process.stderr.splitlines()
    assert line.startswith("error: ")
    return line

"""The first two minutes: installing, and what make says; on a small copy, with one package."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from apps import run
from tests.processes import REPOSITORY, copy_project, shell, take_ctrl_c
from tests.servers import port_of, reserved
from wine import connection
from wine.errors import BadInput

HERE = f"python3.{sys.version_info.minor}"
BASE = str(Path(sys.base_prefix) / "bin" / HERE)
OLD = [  # where a Python 3.10 may be
    shutil.which("python3.10", path="/usr/bin:/usr/local/bin"),
    *Path.home().glob(".pyenv/versions/3.10.*/bin/python3.10"),
    *Path("/opt/hostedtoolcache/Python").glob("3.10.*/x64/bin/python3.10"),
]


@pytest.fixture
def small(tmp_path):
    """The project in a folder with a space and an umlaut; of all packages it needs only click."""
    root = tmp_path / "wein größe"
    copy_project(root)
    text = (root / "requirements.txt").read_text()
    (root / "requirements.txt").write_text(re.search(r"^click==(.|\n    )*\n", text, re.M)[0])
    return root


def install(root, **variables):
    """Run install.sh, as make does, with these variables besides this machine's."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHON"}
    return subprocess.run(
        ["sh", root / "install.sh", "requirements.txt"],
        cwd=root.parent,
        env=env | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        timeout=300,
    )


def installed(done, root):
    """Assert that an installation went well and that what was installed works from any folder."""
    assert done.returncode == 0, done.stderr
    names = "import click, wine, hopsworks_local; print(wine.__file__)"
    python = subprocess.run(
        [root / ".venv/bin/python", "-c", names], cwd="/", capture_output=True, text=True
    )
    assert python.stdout == f"{root}/wine/__init__.py\n", python.stderr


def refused(done, root):
    """The one line on stderr of an installation that was refused before anything was made."""
    assert done.returncode == 2
    assert done.stdout == ""
    assert not (root / ".venv").exists()
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def command(path, text):
    """An executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def python_310():
    old = next((str(path) for path in OLD if path), None)
    if old is None:
        pytest.skip("no Python 3.10 is here")
    return old


def test_python_310_is_refused_in_one_line(small):
    line = refused(install(small, PYTHON=python_310()), small)
    assert "is not Python 3.11, 3.12 or 3.13: install one" in line


def test_a_python_that_is_not_there_is_refused_in_one_line(small):
    line = refused(install(small, PYTHON="python9"), small)
    assert line.startswith("error: python9 is not Python 3.11, 3.12 or 3.13: install one")


def test_a_machine_with_only_an_old_python_is_told_what_to_install(small, tmp_path):
    bin = tmp_path / "bin"
    for name in ("sh", "dirname", "cat", "head"):
        command(bin / name, f'exec {shutil.which(name)} "$@"')
    command(bin / "python3", f'exec {python_310()} "$@"')
    command(bin / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    line = refused(install(small, PATH=bin), small)
    assert line.startswith("error: no Python 3.11, 3.12 or 3.13 is here: install one")


def test_a_python_without_venv_is_refused_in_one_line(small, tmp_path):
    """As Debian's is without its package python3-venv."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/ensurepip.py").write_text("raise ImportError('not installed')\n")
    broken = command(tmp_path / "bin/python", f'PYTHONPATH={tmp_path}/broken exec {BASE} "$@"')
    line = refused(install(small, PYTHON=broken), small)
    assert "has no venv module: install it (Debian and Ubuntu: apt install python3" in line


@pytest.mark.slow
def test_a_second_run_installs_nothing_and_a_moved_project_is_installed_again(small):
    done = install(small, PYTHON=BASE)
    installed(done, small)
    assert done.stdout.startswith("installing requirements.txt into .venv, with Python 3.")
    again = install(small)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")

    moved = small.rename(small.parent / "moved")
    done = install(moved, PYTHON=BASE)
    installed(done, moved)
    assert done.stdout.startswith("this .venv cannot be used: making it again\n")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["dead", "without pip", "of Python 3.10", "no environment"])
def test_a_venv_that_cannot_be_used_is_made_again(small, fault):
    python = python_310() if fault == "of Python 3.10" else BASE
    options = [] if fault in ("dead", "no environment") else ["--without-pip"]
    subprocess.run([python, "-m", "venv", *options, small / ".venv"], check=True)
    if fault == "dead":
        (small / ".venv/bin/python").unlink()
        (small / ".venv/bin/python").symlink_to("/removed/python3.11")
    if fault == "no environment":  # its python is a link to the machine's own
        (small / ".venv/pyvenv.cfg").unlink()
    done = install(small, PYTHON=BASE, PIP_REQUIRE_VIRTUALENV="1")
    installed(done, small)
    assert "this .venv cannot be used: making it again\n" in done.stdout


@pytest.mark.slow
def test_an_installation_that_failed_does_not_spoil_the_next(small):
    right = (small / "requirements.txt").read_text()
    (small / "requirements.txt").write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", right))
    done = install(small, PYTHON=BASE)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: the installation failed (see above)")
    (small / "requirements.txt").write_text(right)
    installed(install(small), small)


@pytest.mark.parametrize("name", ["clean", "reset"])
def test_clean_keeps_the_data_and_reset_removes_them(small, name):
    for folder in (".venv", ".hopsworks", "reports", "model_finder_results"):
        (small / folder).mkdir()
    done = subprocess.run(["make", "-s", name], cwd=small, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    left = {path.name for path in small.iterdir()}
    assert not {".venv", "reports", "model_finder_results"} & left
    assert (".hopsworks" in left) == (name == "clean")
    assert ("data in .hopsworks stay" in done.stdout) == (name == "clean")


def test_make_alone_lists_the_commands():
    done = subprocess.run(["make"], cwd=REPOSITORY, env=shell(), capture_output=True, text=True)
    listed = [line.split()[0] for line in done.stdout.splitlines()]
    assert listed[:6] == ["help", "pipeline", "apps", "check", "test", "test-all"]
    assert {"bench", "lock", "clean", "reset"} < set(listed)


def test_without_a_key_and_without_the_local_hopsworks_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "hopsworks_local", None)
    connection.local_server.cache_clear()
    with pytest.raises(BadInput) as error:
        connection.local_server()
    assert str(error.value).startswith("HOPSWORKS_API_KEY is not set, and the local Hopsworks is")
    command = str(error.value).partition("run: ")[2]
    assert command == f"pip install --no-deps -e '{REPOSITORY}/packages/hopsworks-local'"
    assert (REPOSITORY / "packages/hopsworks-local/pyproject.toml").is_file()


def test_the_dev_containers_commands_are_those_that_tests_run():
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"] == "make pipeline"  # run by tests/conftest.py
    assert container["postAttachCommand"] == "make apps"  # run below
    makefile = (REPOSITORY / "Makefile").read_text()
    ports = [int(port) for port in re.findall(r"^\w+_PORT \?= (\d+)$", makefile, re.M)]
    assert (
        container["forwardPorts"] == ports == [int(port) for port in container["portsAttributes"]]
    )


@pytest.fixture
def make_apps():
    """Starts ``make apps``, with ports, as a group of processes that is ended as a whole."""
    started = []

    def start(pipeline, predictor, monitor):
        process = subprocess.Popen(
            pipeline.make("apps", f"PREDICTOR_PORT={predictor}", f"MONITOR_PORT={monitor}"),
            cwd=pipeline.root,
            env=pipeline.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=take_ctrl_c,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def test_make_apps_says_where_both_are_and_ctrl_c_ends_them(make_apps, pipeline_root):
    with reserved() as one, reserved() as other:
        predictor, monitor = port_of(one), port_of(other)
        process = make_apps(pipeline_root, predictor, monitor)
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines == [
            f"predictor  http://127.0.0.1:{predictor}\n",
            f"monitor    http://127.0.0.1:{monitor}\n",
            "Ctrl-C ends them.\n",
        ]
        titles = {predictor: "How good is this wine?", monitor: "How well are the daily wines"}
        for port, title in titles.items():
            assert title in requests.get(f"http://127.0.0.1:{port}", timeout=30).text
        os.killpg(process.pid, signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        assert stdout == ""
        assert "Traceback" not in stderr
        assert [line for line in stderr.splitlines() if not line.startswith("make: ")] == []
        for port in titles:
            with pytest.raises(requests.ConnectionError):
                requests.get(f"http://127.0.0.1:{port}", timeout=5)


def test_make_apps_refuses_a_port_that_is_taken_in_one_line(make_apps, empty_pipeline):
    with reserved() as taken, reserved() as free:
        taken.listen()
        port = port_of(taken)
        process = make_apps(empty_pipeline, port, port_of(free))
        stdout, stderr = process.communicate(timeout=60)
    assert stdout == ""
    line, of_make = stderr.splitlines()
    assert line.startswith(f"error: port {port} of the predictor cannot be used (")
    assert line.endswith(f"make apps PREDICTOR_PORT={port + 10}")
    assert of_make.startswith("make: *** ")


def test_one_port_for_both_apps_is_refused():
    with pytest.raises(BadInput, match="both apps have port 7861: choose another"):
        run.main(["--predictor-port", "7861"], standalone_mode=False)


def test_make_apps_before_make_pipeline_says_so(make_apps, empty_pipeline):
    nowhere = replace(empty_pipeline, env=empty_pipeline.env | {"HOPSWORKS_LOCAL_ROOT": "nowhere"})
    with reserved() as one, reserved() as other:
        process = make_apps(nowhere, port_of(one), port_of(other))
        stdout, stderr = process.communicate(timeout=60)
    assert stdout == ""
    assert stderr.splitlines()[0] == (
        f"error: no local Hopsworks in {nowhere.root}/nowhere: run make pipeline first"
    )

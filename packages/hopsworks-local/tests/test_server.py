"""The server as a process: starting, sharing a folder, ending; what the user is told."""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from hopsworks.client.exceptions import FeatureStoreException, RestAPIError
from hopsworks_common.client.exceptions import ProjectException

import hopsworks_local
from hopsworks_local.state import Folder

pytestmark = pytest.mark.system
ONE = pd.DataFrame({"id": [1], "x": [0.5]})
REPOSITORY = Path(hopsworks_local.__file__).parent.parent


def alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def gone(pid: int, seconds: float = 60) -> bool:
    """Whether the process ends within that time."""
    end = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(pid)


def heard(capfd: Any, *texts: str) -> str:
    """What was said on standard error, once all of the texts are in it: they come from a thread."""
    output, until = "", time.monotonic() + 60
    while not all(text in output for text in texts) and time.monotonic() < until:
        output += capfd.readouterr().err
        time.sleep(0.01)
    return output


def fill(project: Any, name: str = "g") -> Any:
    """A feature group with one row."""
    group = project.get_feature_store().create_feature_group(name, 1, primary_key=["id"])
    group.insert(ONE)
    return group


def test_starting_and_stopping(tmp_path: Path, logged_in: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOPSWORKS_LOCAL_ROOT", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HOPSWORKS_LOCAL_PROJECT", "other")
    monkeypatch.setenv("NO_PROXY", "example.org")
    server = hopsworks_local.start()
    assert server.env["HOPSWORKS_PROJECT"] == "other"
    assert server.env["NO_PROXY"].split(",") == ["example.org", "127.0.0.1", "localhost"]
    certificates = Path(server.env["HOPSWORKS_CERT_FOLDER"])
    with logged_in(server.env):
        assert certificates.stat().st_mode & 0o777 == 0o700
    assert not certificates.exists(), "the client removes them"
    server.stop()
    assert not alive(server.pid)
    server.stop()  # once more does no harm
    files = (tmp_path / "elsewhere" / "other").glob("hopsworks*")
    assert [file.name for file in files] == ["hopsworks.sqlite"], "all metadata is in one file"


def test_a_proxy_is_not_asked(server: Any, logged_in: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with logged_in(server.env) as project:
        assert project.get_feature_store().name == "local_featurestore"


def test_a_failed_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RuntimeError, match="cannot be used") as caught:
        hopsworks_local.start(tmp_path / "file")
    assert "Traceback" not in str(caught.value)


def test_two_servers_share_a_folder(tmp_path: Path, logged_in: Any) -> None:
    with hopsworks_local.start(tmp_path) as first, hopsworks_local.start(tmp_path) as second:
        assert first.env["HOPSWORKS_API_KEY"] != second.env["HOPSWORKS_API_KEY"]
        with logged_in(first.env) as project:
            fill(project)
        with logged_in(second.env) as project:
            group = project.get_feature_store().get_feature_group("g", 1)
            group.insert(ONE.assign(id=2))
        first.stop()
        with logged_in(second.env) as project:
            assert len(project.get_feature_store().get_feature_group("g", 1).read()) == 2


def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import hopsworks_local, sys, time\n"
        f"print(hopsworks_local.start({str(tmp_path)!r}).pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    pid = int(parent.stdout.readline())
    assert alive(pid)
    parent.kill()
    parent.wait()
    assert gone(pid)


def test_a_fork_that_lives_on_does_not_hold_it(tmp_path: Path) -> None:
    program = (
        "import hopsworks_local, os, signal, time\n"
        f"server = hopsworks_local.start({str(tmp_path)!r})\n"
        "fork = os.fork()\n"
        "if not fork:\n    time.sleep(60)\n    os._exit(0)\n"
        "try:\n    signal.alarm(10)\n    server.stop()\n    print('stopped')\n"
        "finally:\n    os.kill(fork, signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout == "stopped\n"


def test_exec_runs_one_command(tmp_path: Path) -> None:
    program = "import os, sys; sys.exit(40 + len(os.environ['HOPSWORKS_PROJECT']))"
    command = ["-m", "hopsworks_local", "exec", "--root", str(tmp_path), "--", sys.executable]
    done = subprocess.run([sys.executable, *command, "-c", program], cwd=REPOSITORY)
    assert done.returncode == 40 + len("local")
    missing = subprocess.run(
        [sys.executable, *command[:-1], "no-such-command"], cwd=REPOSITORY, capture_output=True
    )
    assert missing.returncode == 1
    assert b"no-such-command" in missing.stderr
    assert b"Traceback" not in missing.stderr


def executing(root: Path, program: str) -> subprocess.Popen[str]:
    """`exec` of a Python program, in a process group of its own, once it says that it is ready."""
    command = [sys.executable, "-m", "hopsworks_local", "exec", "--root", str(root), "--"]
    running = subprocess.Popen(
        [*command, sys.executable, "-uc", program],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert running.stdout.readline() == "ready\n"
    return running


def test_exec_leaves_ctrl_c_to_the_command(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "try:\n    print('ready'); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(1); print('tidied'); sys.exit(7)\n"
    )
    running = executing(tmp_path, program)
    os.killpg(running.pid, signal.SIGINT)
    output, errors = running.communicate(timeout=20)
    assert (running.returncode, output, errors) == (7, "tidied\n", "")


def test_exec_hands_an_order_to_end_on(tmp_path: Path) -> None:
    program = "import os, time; print('ready'); print(os.getpid()); time.sleep(60)"
    running = executing(tmp_path, program)
    command = int(running.stdout.readline())
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=20)
    assert (running.returncode, errors) == (128 + signal.SIGTERM, "")
    assert not alive(command)


def test_a_server_that_hangs_at_its_start_is_ended(tmp_path: Path, monkeypatch: Any) -> None:
    Folder(tmp_path, "local").close()
    db = sqlite3.connect(tmp_path / "local" / "hopsworks.sqlite", isolation_level=None)
    db.execute("BEGIN EXCLUSIVE")  # the next server waits for this
    monkeypatch.setattr(hopsworks_local, "START_SECONDS", 1)
    with pytest.raises(RuntimeError, match="not ready within 1 s"):
        hopsworks_local.start(tmp_path)
    db.close()


def test_stop_waits_for_the_last_words(tmp_path: Path, monkeypatch: Any) -> None:
    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            time.sleep(0.3)
            return super().write(text)

    server = hopsworks_local.start(tmp_path)
    monkeypatch.setattr(sys, "stderr", Slow())
    answer = requests.post(
        f"{server.url}/hopsworks-api/api/project/1/featurestores/1/featuregroups",
        json={"name": "g", "timeTravelFormat": "DELTA", "onlineEnabled": True, "ttl": 60},
        headers={"Authorization": f"ApiKey {server.env['HOPSWORKS_API_KEY']}"},
        verify=False,
        timeout=9,
    )
    assert answer.status_code == 201
    server.stop()
    assert sys.stderr.getvalue().count("\n") == 3, "online_enabled, ttl, and no key"


def test_serve_keeps_its_key_in_a_private_file(tmp_path: Path) -> None:
    place = socket.socket()  # bound and never listening: nobody else is given its port
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    port = place.getsockname()[1]
    file = tmp_path / f"serve-{port}.env"
    file.touch(0o644)  # left there by someone else
    command = [sys.executable, "-u", "-m", "hopsworks_local", "serve", "--root", str(tmp_path)]
    command += ["--port", str(port)]
    serving = subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        output = [serving.stdout.readline()]
        while "Ctrl-C" not in output[-1]:
            output.append(serving.stdout.readline())
        assert file.stat().st_mode & 0o777 == 0o600
        key = file.read_text().split('HOPSWORKS_API_KEY="')[1].split('"')[0]
        assert len(key) > 60
        assert key not in "".join(output)
        (link,) = re.findall(r"https:\S+/login\?token=\S+", "".join(output))
        page = requests.get(link, verify=False, timeout=9)
        assert (page.status_code, page.url) == (200, f"https://127.0.0.1:{port}/")
        assert key not in Path(f"/proc/{serving.pid}/cmdline").read_text()
        program = "import hopsworks; print(hopsworks.login().name)"
        shell = f". '{file}' && '{sys.executable}' -c '{program}'"
        done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "local", done.stderr
    finally:
        place.close()
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 0
    assert not file.exists()


def test_the_key_is_on_no_command_line_and_the_folder_is_private(server: Any) -> None:
    key = server.env["HOPSWORKS_API_KEY"]
    assert key not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert key not in Path(f"/proc/{server.pid}/environ").read_text()


def test_the_data_folder_is_the_owners(root: Path, server: Any) -> None:
    assert (root / "local").stat().st_mode & 0o077 == 0


# -- damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["log", "data"])
def test_a_damaged_table_is_named(server: Any, logged_in: Any, damage: str) -> None:
    with logged_in(server.env) as project:
        group = fill(project, f"broken_{damage}")
        table = Path(group.location)
        files = table.glob("_delta_log/*.json" if damage == "log" else "*.parquet")
        for file in files:
            file.write_bytes(b"{ no")
        with pytest.raises(FeatureStoreException, match=f"broken_{damage}_1"):
            group.read()
        with pytest.raises(RestAPIError, match=f"broken_{damage}_1") as caught:
            group.compute_statistics()
        assert caught.value.error_code == 270009
        assert len(fill(project, f"whole_{damage}").read()) == 1, "the rest still works"


def test_training_files_that_cannot_be_written(tmp_path: Path, logged_in: Any) -> None:
    """A bound on the size of the server's files stands for a full disk."""
    with hopsworks_local.start(tmp_path) as server, logged_in(server.env) as project:
        group = fill(project)
        group.insert(pd.DataFrame({"id": range(300_000), "x": 0.5}))
        view = project.get_feature_store().create_feature_view("v", group.select_all())
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (2**21, 2**21))
        with pytest.raises(RestAPIError, match="File too large") as caught:
            view.create_training_data(data_format="csv")
        assert (caught.value.error_code, caught.value.response.status_code) == (120000, 500)
        assert [*(tmp_path / "local" / "staging").iterdir()] == []


def test_a_client_that_stops_reading_is_no_failure(
    tmp_path: Path, logged_in: Any, capfd: Any
) -> None:
    many = pd.DataFrame({"id": range(300_000), "x": 0.5})
    with hopsworks_local.start(tmp_path) as server, logged_in(server.env) as project:
        group = fill(project, "many")
        group.insert(many)
        capfd.readouterr()
        with group.select_all().read_batches() as batches:
            next(iter(batches))
        assert len(group.read()) == len(many), "the server goes on"
    output = capfd.readouterr().err
    assert "Traceback" not in output
    assert "No data found" not in output


# -- what needs a login of its own -----------------------------------------------------------------


def test_a_wrong_key_or_project_is_refused(server: Any, logged_in: Any, capfd: Any) -> None:
    """The client itself says "Could not find project" to both; the cause and the server say more."""
    prefix = server.env["HOPSWORKS_API_KEY"].split(".")[0]
    for variable, value, code in (
        ("HOPSWORKS_API_KEY", "nonsense", 320012),
        ("HOPSWORKS_API_KEY", f"{prefix}.wrong", 320012),
        ("HOPSWORKS_API_KEY", "other.key", 320013),
        ("HOPSWORKS_PROJECT", "elsewhere", 150004),
    ):
        with (
            pytest.raises(ProjectException) as caught,
            logged_in({**server.env, variable: value}),
        ):
            pass
        cause = caught.value.__cause__
        assert (cause.error_code, cause.response.status_code) == (
            code,
            404 if code == 150004 else 401,
        )
        output = heard(capfd, "--any-")
        for text in (cause.user_message, output):
            assert "HOPSWORKS_API_KEY of the program that started this server" in text
            assert "its project is 'local'" in text
        assert server.env["HOPSWORKS_API_KEY"] not in output


def test_any_key_and_any_project(tmp_path: Path) -> None:
    """A program with a key and a project name of its own runs unchanged."""
    program = """
import hopsworks, pandas as pd
project = hopsworks.login(project="Theirs", api_key_value="abc")
assert project.name == "Theirs", project.name
store = project.get_feature_store()
assert store.name == "theirs_featurestore"
g, h = (store.create_feature_group(name, 1, primary_key=["id"]) for name in "gh")
for group in (g, h):
    group.insert(pd.DataFrame({"id": [1], "x": [2]}))
assert list(g.select_all().join(h.select(["x"])).read()) == ["id", "theirs_g_1_x", "theirs_h_1_x"]
project.get_dataset_api().upload(__file__, "/Projects/Theirs/Resources/code")
assert hopsworks.login().name == "local", "the environment's"
store = hopsworks.login().get_feature_store("their_other_featurestore")
assert len(store.get_feature_group("g", 1).read()) == 1
"""
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "hopsworks_local", "exec", "--root", str(tmp_path / "data")]
    run = [sys.executable, "-W", "ignore", str(tmp_path / "program.py")]
    anyone = subprocess.run(
        [*command, "--any-key", "--any-project", "--", *run], capture_output=True, text=True
    )
    assert anyone.returncode == 0, anyone.stderr
    assert (tmp_path / "data" / "local" / "files" / "Resources" / "code" / "program.py").exists()


def test_coercions_are_said_once(server: Any, capfd: Any, logged_in: Any) -> None:
    with logged_in(server.env) as project:
        fs = project.get_feature_store()
        stream = fs.create_feature_group("stream", 1, primary_key=["id"], stream=True)
        stream.insert(ONE)
        fs.create_feature_group("online", 1, primary_key=["id"], online_enabled=True).insert(ONE)
        fs.create_feature_group("keyless", 1).insert(ONE)
        plain = fs.create_feature_group("plain", 1, primary_key=["id"], time_travel_format="NONE")
        plain.insert(ONE)
        plain.insert(ONE.assign(x=2.5))
        assert plain.read().x.tolist() == [2.5]
        plain.enable_ttl(60)
        assert len(stream.read()) == 1
        assert len(fs.get_feature_group("stream", 1).read()) == 1
    texts = (
        "Feature group stream version 1: stream",
        "Feature group online version 1: online_enabled",
        "Feature group keyless version 1 has no primary key",
        "Feature group plain version 1: time_travel_format=None",
        "Feature group plain version 1: ttl has no effect",
    )
    output = heard(capfd, *texts)
    assert [output.count(text) for text in texts] == [1] * 5

"""What both apps share: the connection to Hopsworks, told in words, and nothing left behind."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.apps.conftest import APPS
from tests.servers import port_of, reserved

TELL = """
import live
try:
    print("connected to", live.connect().name)
except Exception as error:
    print(live.in_words(error))
"""
WAIT = """
import time, live
live.SLOW_SECONDS = 1
reading = live.Live(lambda project, last: None, seconds=60)
while not reading.now().trouble:
    time.sleep(0.1)
print(reading.now().trouble)
"""


@pytest.mark.parametrize("file", ["live.py", "look.py"])
def test_both_apps_hold_the_same_file(file):
    assert (APPS / "monitor" / file).read_bytes() == (APPS / "predictor" / file).read_bytes()


def test_every_way_not_to_connect_is_told_in_a_sentence(empty_pipeline, empty_server):
    """Each is a process of its own, all at once: the client is imported in every one of them."""
    with reserved() as unused, socket.create_server(("127.0.0.1", 0)) as silent:
        cases = [
            ({}, TELL, "connected to wine"),
            ({"HOPSWORKS_API_KEY": ""}, TELL, "HOPSWORKS_API_KEY is not set."),
            (
                {"HOPSWORKS_API_KEY": "a.b"},
                TELL,
                "127.0.0.1 refused the API key: check HOPSWORKS_API_KEY and its scopes.",
            ),
            ({"HOPSWORKS_PORT": str(port_of(unused))}, TELL, "127.0.0.1 cannot be reached."),
            ({"HOPSWORKS_PROJECT": "beer"}, TELL, "127.0.0.1 has no project beer for this key: check HOPSWORKS_PROJECT."),
            (
                {"HOPSWORKS_PORT": str(port_of(silent))},
                WAIT,
                "127.0.0.1 has not answered for 1 seconds.",
            ),
        ]  # fmt: skip
        started = [
            subprocess.Popen(
                [sys.executable, "-c", program],
                cwd=APPS / "monitor",
                env=empty_pipeline.env | empty_server.env | variables,
                stdout=subprocess.PIPE,
                text=True,
            )
            for variables, program, _ in cases
        ]
        try:
            told = [process.communicate(timeout=120)[0].splitlines()[-1] for process in started]
        finally:
            for process in started:
                process.kill()
    assert told == [said for _, _, said in cases]


def test_an_ended_app_leaves_no_certificate_behind(start_app, empty_server, tmp_path):
    """Spaces are stopped by SIGTERM. The certificates' folder holds the key to all data."""
    started = {}
    for name in ("monitor", "predictor"):
        (tmp_path / name).mkdir()
        started[name] = start_app(name, TMPDIR=str(tmp_path / name), **empty_server.env)
    for name, app in started.items():
        app.wait()
        until = time.monotonic() + 30
        while not list((tmp_path / name).glob("hopsworks-*/client_key.pem")):
            assert time.monotonic() < until, app.output
            time.sleep(0.1)
        assert app.stop() == 128 + signal.SIGTERM
        assert list((tmp_path / name).iterdir()) == []

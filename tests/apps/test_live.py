"""What both apps share: the connection to Hopsworks, told in words, and nothing left behind."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from playwright.sync_api import expect

from tests.apps.conftest import load, space
from tests.servers import port_of, reserved
from wine import connection

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
GIVE_UP = """
import hopsworks, live, os, time
live.GIVE_UP_SECONDS = 5
reading = live.Live(lambda project, last: project.name, seconds=1)
while not reading.now().rounds:
    time.sleep(0.1)
trouble = reading.now().trouble
os.environ["HOPSWORKS_PORT"] = os.environ["RIGHT_PORT"]
while not reading.now().value:
    time.sleep(0.1)
print(trouble, "Then it is", reading.now().value)
"""


def test_the_apps_know_the_public_host_of_the_pipeline():
    assert load("monitor", "live").PUBLIC_HOST == connection.PUBLIC_HOST


@pytest.mark.parametrize("app", ["monitor", "predictor"])
def test_the_page_and_the_readme_name_the_same_variables(app):
    page, readme = (
        set(re.findall(r"HOPSWORKS_\w+", (space(app) / file).read_text()))
        for file in ("templates/nothing.html", "README.md")
    )
    assert page == readme


def test_a_page_links_to_what_has_an_address(monkeypatch, tmp_path):
    links = load("predictor", "links")
    always = [("Data (UCI)", links.DATA), ("Paper (Cortez et al. 2009)", links.PAPER)]
    assert links.links("predictor") == always
    monkeypatch.setattr(links, "FILE", tmp_path / "links.json")  # as publishing writes it
    known = {"monitor": "https://hub/monitor", "predictor": "https://hub/me"}
    links.FILE.write_text(json.dumps(known | {"repository": "https://git/wine"}))
    monkeypatch.setenv("REPOSITORY_URL", "https://git/mine")
    monkeypatch.setenv("MODEL_CARD_URL", "javascript:alert(1)")
    assert links.links("predictor") == [
        ("The monitor", "https://hub/monitor"), ("Source code", "https://git/mine"), *always,
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", ["a minute", "0", "nan", "86401"])
def test_a_wrong_refresh_time_is_one_clear_line(monkeypatch, capsys, seconds):
    monkeypatch.setenv("REFRESH_SECONDS", seconds)
    with pytest.raises(SystemExit) as ended:
        load("monitor", "live").refresh_seconds()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        f"error: REFRESH_SECONDS is {seconds!r}: give seconds from 1 to 86400\n"
    )


@pytest.mark.parametrize("app", ["monitor", "predictor"])
def test_importing_an_app_starts_no_thread_and_takes_no_signal(app):
    before = threading.enumerate(), signal.getsignal(signal.SIGTERM)
    module, live = load(app, "app"), load(app, "live")
    blocks = module.build(live.Live(lambda project, last: None, 60, log_in=lambda: None))
    assert len(blocks.fns) > 2
    assert (threading.enumerate(), signal.getsignal(signal.SIGTERM)) == before


def test_while_the_first_answer_is_awaited_nothing_is_called_wrong():
    look, live = load("monitor", "look"), load("monitor", "live")
    said = look.nothing(live.State(), "Nothing to show yet")
    assert "Still connecting to Hopsworks" in said
    assert "Not connected" not in said


def test_every_visitor_is_told_at_once_that_the_first_answer_is_awaited(
    start_app, open_page, empty_server
):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = start_app("monitor", **empty_server.env | {"HOPSWORKS_PORT": str(port_of(silent))})
        first, *others = [open_page(app.wait().url) for _ in range(3)]
        told = re.compile("Still connecting to Hopsworks|has not answered for")
        expect(first.locator("#head")).to_contain_text(told, timeout=25_000)
        for page in others:
            expect(page.locator("#head")).to_contain_text(
                told, timeout=12_000
            )  # 30 and 45 s, one by one


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
                "127.0.0.1 has not answered for N seconds.",
            ),
            (
                {"HOPSWORKS_PORT": str(port_of(silent)), "RIGHT_PORT": empty_server.env["HOPSWORKS_PORT"]},
                GIVE_UP,
                "127.0.0.1 did not answer within 5 seconds. Then it is wine",
            ),
        ]  # fmt: skip
        started = [
            subprocess.Popen(
                [sys.executable, "-c", program],
                cwd=space("monitor"),
                env=empty_pipeline.env | empty_server.env | variables,
                stdout=subprocess.PIPE,
                text=True,
            )
            for variables, program, _ in cases
        ]
        try:
            told = [process.communicate(timeout=600)[0].splitlines()[-1] for process in started]
        finally:
            for process in started:
                process.kill()
    told = [re.sub(r"for \d+ seconds", "for N seconds", line) for line in told]
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

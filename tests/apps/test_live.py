"""What both apps share: the links, the connection to Hopsworks in words, and nothing left behind."""

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

from tests.apps.conftest import load, opened, space
from tests.servers import port_of, reserved
from wine import connection

CONNECT = """
import json, live, os, sys, time

first, *others = json.loads(sys.argv[1])
for variables in ({}, first, *others):
    kept = dict(os.environ)
    os.environ.update(variables)
    try:
        print("connected to", live.connect().name)
    except Exception as error:
        print(live.in_words(error))
    os.environ.clear()
    os.environ.update(kept)

os.environ["HOPSWORKS_PORT"] = sys.argv[2]  # where nothing answers
live.SLOW_SECONDS, live.GIVE_UP_SECONDS = 1, 4
reading = live.Live(lambda project, last: project.name, seconds=1)
while not reading.now().trouble:
    time.sleep(0.05)
print(reading.now().trouble)
while not reading.now().rounds:
    time.sleep(0.05)
trouble = reading.now().trouble
os.environ["HOPSWORKS_PORT"] = kept["HOPSWORKS_PORT"]
while not reading.now().value:
    time.sleep(0.05)
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
    threads, handler = {*threading.enumerate()}, signal.getsignal(signal.SIGTERM)
    module, live = load(app, "app"), load(app, "live")
    blocks = module.build(live.Live(lambda project, last: None, 60, log_in=lambda: None))
    assert len(blocks.fns) > 2
    assert {*threading.enumerate()} <= threads  # an earlier test's may have ended meanwhile
    assert signal.getsignal(signal.SIGTERM) == handler


def test_before_the_first_answer_nothing_is_called_wrong():
    look, live = load("monitor", "look"), load("monitor", "live")
    html = look.nothing(live.State(), "Nothing to show yet")
    assert "Still connecting to Hopsworks" in html
    assert "Not connected" not in html


def test_every_visitor_sees_at_once_that_the_app_is_connecting(open_page):
    connected = threading.Event()
    with opened("monitor", lambda project, last: None, log_in=connected.wait, first=5) as url:
        pages = [open_page(url) for _ in range(3)]
        opening = time.monotonic()
        for page in pages:
            expect(page.locator("#head")).to_have_text("Still connecting to Hopsworks …")
        assert time.monotonic() - opening < 9, "10 and 15 s, one by one"
        connected.set()


def test_every_failure_to_connect_is_a_sentence(empty_pipeline, empty_server):
    """In one process of its own, into which the client is imported once."""
    with reserved() as unused, socket.create_server(("127.0.0.1", 0)) as silent:
        cases = [
            ({"HOPSWORKS_API_KEY": ""}, "HOPSWORKS_API_KEY is not set."),
            (
                {"HOPSWORKS_API_KEY": "a.b"},
                "127.0.0.1 refused the API key: check HOPSWORKS_API_KEY and its scopes.",
            ),
            ({"HOPSWORKS_PORT": str(port_of(unused))}, "127.0.0.1 cannot be reached."),
            (
                {"HOPSWORKS_PROJECT": "beer"},
                "127.0.0.1 has no project beer for this key: check HOPSWORKS_PROJECT.",
            ),
        ]
        variables = json.dumps([variables for variables, _ in cases])
        done = subprocess.run(
            [sys.executable, "-c", CONNECT, variables, str(port_of(silent))],
            cwd=space("monitor"),
            env=empty_pipeline.env | empty_server.env,
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    lines = [
        line for line in done.stdout.splitlines() if line.startswith(("127", "H", "connected"))
    ]
    assert [re.sub(r"than \d+ seconds", "than N seconds", line) for line in lines] == [
        "connected to wine",
        *(text for _, text in cases),
        "127.0.0.1 has not answered for more than N seconds.",
        "127.0.0.1 did not answer within 4 seconds. Then it is wine",
    ]


def test_a_slow_read_is_not_done_twice():
    live, reads = load("monitor", "live"), []

    def read(project, last):
        reads.append(last)
        time.sleep(0.5)

    reading = live.Live(read, 60, lambda: None).start()
    while not reads:
        time.sleep(0.01)
    while reading.now().rounds == 0:  # pages that look while it goes on
        time.sleep(0.05)
    time.sleep(0.2)
    assert len(reads) == 1

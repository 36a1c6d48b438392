"""The connection: refusals are one line, transient trouble is retried for a limited time."""

import json
import socket
import time

import pyarrow.flight
import pytest
import requests
from deltalake.exceptions import CommitFailedError
from hopsworks.client.exceptions import RestAPIError

from tests.processes import refused
from tests.servers import Hopsworks, port_of, reserved
from wine import retry
from wine.errors import BadInput, WineError
from wine.retry import OVERTAKEN, call, is_transient, patience

NO_WINES = "error: no feature group wine in Hopsworks (127.0.0.1, project wine): run initialize.ipynb first"


@pytest.fixture(autouse=True)
def no_retries_yet(monkeypatch):
    """Each test has all of its patience: a program's is one for all that it does."""
    monkeypatch.setattr(retry, "_retry_seconds_used", 0.0)


@pytest.fixture
def daily(empty_pipeline, empty_server):
    """Runs daily.py with the server's variables and others; returns the finished process."""

    def run(**variables):
        return empty_pipeline.run("daily.py", variables=empty_server.env | variables, timeout=60)

    return run


def test_a_host_that_is_away_ends_with_1_and_one_line_within_the_patience(daily):
    started = time.monotonic()
    with reserved() as place:
        done = daily(HOPSWORKS_PORT=str(port_of(place)), WINE_PATIENCE="2")
    assert time.monotonic() - started < 20
    assert "gave up after 2 s" in refused(done)
    assert "run again later" in done.stderr


@pytest.mark.slow
def test_a_host_that_never_answers_ends_with_1_and_one_line_within_the_patience(daily):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        done = daily(HOPSWORKS_PORT=str(port_of(silent)), WINE_PATIENCE="2")
    assert time.monotonic() - started < 25
    assert "did not answer within 12 s" in refused(done)


def test_a_short_outage_is_retried(empty_pipeline, tmp_path):
    hopsworks = Hopsworks(empty_pipeline.copy(tmp_path / "away"))
    hopsworks.kill()
    away = hopsworks.env | {"PYTHONUNBUFFERED": "1"}
    process = empty_pipeline.start("daily.py", variables=away)
    assert "trying again in" in process.stdout.readline()
    hopsworks.start()
    stdout, stderr = process.communicate(timeout=60)
    hopsworks.kill()
    assert "Hopsworks: 127.0.0.1, project wine\n" in stdout
    assert stderr == f"{NO_WINES}\n"


def rest_error(status, **content):
    response = requests.Response()
    response.status_code, response._content = status, json.dumps(content).encode()
    response.request = requests.Request("GET", "https://127.0.0.1/").prepare()
    return RestAPIError("https://127.0.0.1/", response)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (requests.ConnectionError(), True),
        (requests.Timeout(), True),
        (requests.exceptions.SSLError(), False),
        (CommitFailedError(), True),
        (pyarrow.flight.FlightUnavailableError("away"), True),
        (rest_error(429), True),
        (rest_error(500), True),
        (rest_error(503), True),
        (rest_error(501), False),
        (rest_error(507), False),
        (rest_error(400), False),
        (rest_error(401), False),
        (rest_error(404), False),
        (rest_error(400, errorCode=270088), False),
        *((rest_error(400, errorCode=code), True) for code in OVERTAKEN),
        (ValueError(), False),
        (WineError("missing"), False),
    ],
)
def test_what_can_pass_by_waiting(error, passes):
    assert is_transient(error) is passes
    wrapped = RuntimeError("wrapped by the client")
    wrapped.__cause__ = error
    assert is_transient(wrapped) is passes


def failing(times, error):
    """A function that fails a few times, then returns how often it was called."""
    calls = []

    def function():
        calls.append(1)
        if len(calls) <= times:
            raise error
        return len(calls)

    return function


def test_a_call_is_tried_again_while_trouble_passes_and_says_so(capsys):
    assert call(failing(1, requests.ConnectionError("no route\nto host"))) == 2
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("Hopsworks: ConnectionError: no route; trying again in")


def test_a_refusal_is_raised_at_once():
    function = failing(1, rest_error(401))
    with pytest.raises(RestAPIError):
        call(function)
    assert function() == 2


def test_the_patience_is_one_for_all_calls(monkeypatch):
    trouble = requests.ConnectionError("away")
    assert call(failing(1, trouble)) == 2
    assert retry._retry_seconds_used >= 0.5, "the shortest pause"
    monkeypatch.setenv("WINE_PATIENCE", "2")  # enough for the longest first pause, 1.5 s
    monkeypatch.setattr(retry, "_retry_seconds_used", 1.6)
    function = failing(1, trouble)
    with pytest.raises(WineError, match="gave up after 2 s"):
        call(function)
    monkeypatch.setattr(retry, "_retry_seconds_used", 0.0)
    assert call(function) == 2, "earlier calls used nothing"


def test_what_a_call_prints_is_kept_off_the_screen_and_what_it_returns_is_not(capsys):
    assert call(lambda: print("a banner") or 42) == 42
    assert call(dict, a=1) == {"a": 1}
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 120), ("", 120), ("0", 0), ("2.5", 2.5), ("3600", 3600)]
)
def test_patience_is_given_in_seconds(monkeypatch, text, seconds):
    monkeypatch.delenv("WINE_PATIENCE", raising=False)
    if text is not None:
        monkeypatch.setenv("WINE_PATIENCE", text)
    assert patience() == seconds


@pytest.mark.parametrize("text", ["abc", "-1", "3601", "nan", "inf", " ", "1e9"])
def test_a_patience_that_is_none_is_refused(monkeypatch, text):
    monkeypatch.setenv("WINE_PATIENCE", text)
    with pytest.raises(BadInput, match="WINE_PATIENCE"):
        patience()

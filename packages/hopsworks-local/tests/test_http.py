"""Requests that the client never sends: raw sockets, nonsense in JSON, HEAD, idle connections."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

import hopsworks_local
from hopsworks_local import server as server_module
from hopsworks_local.flight import certificate


def insecure() -> ssl.SSLContext:
    """Any certificate will do."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def exchange(server: Any, sent: bytes) -> bytes:
    """What the server answers until it closes the connection, which it must do soon."""
    address = ("127.0.0.1", int(server.env["HOPSWORKS_PORT"]))
    with (
        socket.create_connection(address, timeout=9) as plain,
        insecure().wrap_socket(plain) as tls,
    ):
        tls.sendall(sent)
        answer = b""
        while received := tls.recv(65536):
            answer += received
    return answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[ HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n", 404),
        (b"GET /hopsworks-api/api/variables/versions HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_odd_requests_are_answered_and_closed(server: Any, sent: bytes, status: int) -> None:
    assert exchange(server, sent).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a":' * 1_100 + b"1" + b"}" * 1_100, 400),
        (b"[" * 1_100 + b"]" * 1_100, 400),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
        (b'{"a":' * 990 + b"1" + b"}" * 990, 422),
        (b'{"a": 1e999}', 400),
        (b'{"a": [-1e999]}', 400),
        (b'{"a": NaN}', 400),
        (b'{"a": "\\ud800"}', 400),
        (b"\xff", 400),
        (b'{"a": 1e300}', 422),
    ],
)
def test_json_that_could_not_be_answered(api: Any, body: bytes, status: int) -> None:
    assert api("POST", "featurestores/1/featuregroups", body).status_code == status


def test_head_of_a_file_has_no_body(app: Any, api: Any, web: Any) -> None:
    (app.folder.files / "Resources" / "f").write_bytes(b"content")
    web.post("/login", data={"key": app.api_key})
    for method, body in (("HEAD", b""), ("GET", b"content")):
        for answer in (
            api(method, "dataset/download/with_auth/Resources%2Ff"),
            web.request(method, "/p/1/files/Resources/f"),
        ):
            assert answer.headers["Content-Length"] == "7"
            assert answer.content == body


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("PATCH", "modelregistries/1/models/x_1", "changing a saved model"),
        ("POST", "modelregistries/1/models/huggingface", "hf_download"),
        ("GET", "dataset/tags/all/Resources", "tags of files"),
        ("DELETE", "dataset/tags/schema/owner/Resources", "tags of files"),
        ("PUT", "jobs/mine", "(create_job)"),
        ("POST", "kafka/topics", "Kafka"),
        ("PUT", "serving", "Model.deploy"),
        ("GET", "no/such/thing", "GET /no/such/thing"),
        ("GET", "modelregistries/" + "9" * 5000 + "/models", "Not supported"),
    ],
)
def test_what_is_not_there_is_refused_by_name(api: Any, method: str, path: str, words: str) -> None:
    answer = api(method, path, {})
    assert answer.status_code == 501
    assert words in answer.json()["usrMsg"]
    assert "\n" not in answer.json()["usrMsg"]


def test_an_unexpected_failure_tells_nothing(app: Any, api: Any, monkeypatch: Any) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("internal")

    monkeypatch.setattr(app.folder, "all", fail)
    answer = api("GET", "jobs")
    assert (answer.status_code, answer.json()["errorCode"]) == (500, 120000)
    assert "internal" not in answer.text


@pytest.mark.system
def test_idle_connections_do_not_starve_the_server(tmp_path: Path) -> None:
    """More connections than the process may have files, and nobody says anything."""
    with hopsworks_local.start(tmp_path) as server, contextlib.ExitStack() as idle:
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (100, 100))
        address = ("127.0.0.1", int(server.env["HOPSWORKS_PORT"]))
        for _ in range(150):
            idle.enter_context(socket.create_connection(address, timeout=9))
        process = psutil.Process(server.pid)
        before = sum(process.cpu_times()[:2])
        time.sleep(1)
        assert sum(process.cpu_times()[:2]) - before < 0.3, "it does not spin"
        idle.close()
        versions = f"{server.url}/hopsworks-api/api/variables/versions"
        assert requests.get(versions, verify=False, timeout=20).ok


def test_connections_have_a_bound(app: Any, monkeypatch: Any) -> None:
    """The one above the bound is closed; when another ends, there is room again."""
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 3)
    context = server_module._tls_context(*certificate())
    address = ("127.0.0.1", server_module._serve(app, 0, context))

    def answer(stack: contextlib.ExitStack) -> bytes:
        plain = stack.enter_context(socket.create_connection(address, timeout=9))
        tls = stack.enter_context(insecure().wrap_socket(plain))
        with contextlib.suppress(ConnectionError):
            tls.sendall(b"GET /hopsworks-api/api/variables/versions HTTP/1.1\r\nHost: x\r\n\r\n")
            return tls.recv(100)
        return b""

    with contextlib.ExitStack() as held:
        assert [answer(held)[:12] for _ in range(4)] == [b"HTTP/1.1 200"] * 3 + [b""]
    with contextlib.ExitStack() as held:
        assert answer(held).startswith(b"HTTP/1.1 200")


def test_an_answer_does_not_wait_for_an_acknowledgement(server: Any) -> None:
    """Without TCP_NODELAY each answer takes 40 ms."""
    with requests.Session() as session:
        session.verify, session.trust_env = False, False
        url, took = f"{server.url}/hopsworks-api/api/variables/versions", []
        for _ in range(20):
            begin = time.monotonic()
            session.get(url, timeout=9)
            took.append(time.monotonic() - begin)
    assert min(took) < 0.03

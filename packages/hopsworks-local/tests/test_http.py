"""Requests that the client never sends: raw sockets, nonsense in JSON, HEAD and HTTP/1.0."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import pytest
import requests


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


def test_an_address_that_is_none(server: Any) -> None:
    answer = exchange(server, b"GET http://[ HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"The address is malformed" in answer


def test_http_1_0_ends_with_its_answer(server: Any) -> None:
    answer = exchange(server, b"GET /hopsworks-api/api/variables/versions HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a":' * 600 + b"1" + b"}" * 600, 400),
        (b"[" * 600 + b"]" * 600, 400),
        (b'{"a":' * 190 + b"1" + b"}" * 190, 200),
        (b'{"a": 1e999}', 400),
        (b'{"a": [-1e999]}', 400),
        (b'{"a": 1e300}', 200),
    ],
)
def test_json_that_could_not_be_answered(
    rest: Any, make_group: Any, body: bytes, status: int
) -> None:
    import pandas as pd

    group = make_group(pd.DataFrame({"id": [1]}))
    assert rest("POST", f"featuregroups/{group.id}/commits", body).status_code == status


def test_head_of_a_file_has_no_body(server: Any, rest: Any, name: str) -> None:
    fields = {"flowFilename": name, "flowChunkNumber": "1", "flowTotalChunks": "1"}
    parts = {k: (None, v) for k, v in fields.items()} | {"file": ("f", b"content")}
    assert rest("POST", "dataset/upload/Resources", files=parts).ok
    key = {"key": server.env["HOPSWORKS_API_KEY"]}
    login = requests.post(f"{server.url}/login", key, allow_redirects=False, verify=False)
    cookie = "Cookie: " + login.headers["Set-Cookie"].split(";")[0]
    for method, body in (("HEAD", b""), ("GET", b"content")):
        request = f"{method} /p/1/files/Resources/{name} HTTP/1.1\r\n{cookie}\r\nConnection: close"
        head, _, sent = exchange(server, f"{request}\r\n\r\n".encode()).partition(b"\r\n\r\n")
        assert b"Content-Length: 7" in head
        assert sent == body
    rest("DELETE", f"dataset/Resources%2F{name}")


def test_changing_a_saved_model_is_refused_by_name(rest: Any) -> None:
    answer = rest("PATCH", "modelregistries/1/models/x_1", {"framework": "TORCH"})
    assert answer.status_code == 501
    assert "changing a saved model" in answer.json()["usrMsg"]

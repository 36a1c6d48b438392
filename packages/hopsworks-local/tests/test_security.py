"""Who gets in, and that nobody gets out of the project's files."""

from __future__ import annotations

import re
import socket
import ssl
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from pyarrow import flight

import hopsworks_local.server  # noqa: F401  (registers every route)
from hopsworks_local import protocol

CANARY = "canary-that-must-not-leak"


@pytest.fixture(scope="module")
def api(server: Any) -> str:
    """The address of the REST API."""
    return f"{server.url}/hopsworks-api/api"


@pytest.fixture(scope="module")
def credentials(server: Any, api: str) -> Any:
    """The certificates, and where Flight listens."""
    headers = {"Authorization": f"ApiKey {server.env['HOPSWORKS_API_KEY']}"}

    def get(path: str) -> Any:
        return requests.get(f"{api}/{path}", headers=headers, verify=False, timeout=9).json()

    domain = get("variables/loadbalancer_external_domain_feature_query")["successMessage"]
    return get("project/1/credentials"), f"grpc+tls://{domain.split('/')[0]}"


def test_it_listens_on_the_loopback_address_only(server: Any) -> None:
    listening = [
        c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"
    ]
    assert len(listening) == 2
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_every_call_needs_the_key(api: str) -> None:
    routes = {(m, "/".join(p)) for m, p, _ in protocol._ROUTES}
    assert len(routes) > 60
    for method, pattern in routes:
        path = re.sub(r"\{\w+:int\}", "1", re.sub(r"\{\w+\}", "x", pattern))
        middle = "" if path.startswith(("variables", "project")) else "project/1/"
        for place in (f"{middle}{path}", f"project/1/featurestores/1/{path}"):
            answer = requests.request(method, f"{api}/{place}", verify=False, timeout=9)
            if place != "variables/versions":
                assert answer.status_code == 401, (method, place)
                assert answer.json()["errorCode"] == 200003
                assert answer.headers["WWW-Authenticate"]


def test_flight_needs_the_certificate_and_a_handle_of_this_server(credentials: Any) -> None:
    pem, address = credentials
    stranger = flight.FlightClient(address, tls_root_certs=pem["caChain"])
    with pytest.raises((flight.FlightError, OSError)):
        list(stranger.do_action(flight.Action("healthcheck", b"")))
    client = flight.FlightClient(
        address,
        tls_root_certs=pem["caChain"],
        cert_chain=pem["clientCert"],
        private_key=pem["clientKey"],
    )
    assert list(client.do_action(flight.Action("healthcheck", b""))) == []
    for ticket in (b"SELECT 1", b"x" * 43, b"\xff"):
        with pytest.raises(flight.FlightUnauthenticatedError, match="not prepared here"):
            client.do_get(flight.Ticket(ticket)).read_all()
    with pytest.raises(flight.FlightUnauthorizedError):
        list(client.list_flights())


@pytest.mark.parametrize(
    "path",
    [
        "..", "../secret", "Resources/../../hopsworks.sqlite", "/etc/passwd", "Resources/..",
        "/Projects/local/../../../secret", "/Projects/other/Resources", "Resources/link",
        "Resources/link/secret", "Resources/a\0b", "Resources/" + "x" * 300, "Resources/" + "x/" * 3000,
        ".hopsworks.sqlite", "Resources/%2e%2e/%2e%2e/hopsworks.sqlite", "..\\secret",
    ],
)  # fmt: skip
def test_no_path_leaves_the_project(rest: Any, root: Path, path: str) -> None:
    (root / "secret").write_text(CANARY)
    link = root / "local" / "files" / "Resources" / "link"
    if not link.is_symlink():
        link.symlink_to(root)
    try:
        address = requests.utils.quote(path, safe="")
        upload = {"files": {"file": ("f", b"x")}}
        for answer in (
            rest("GET", f"dataset/{address}"),
            rest("GET", f"dataset/{address}?action=listing"),
            rest("GET", f"dataset/download/with_auth/{address}"),
            rest("POST", f"dataset/{address}/x?action=create"),
            rest("POST", f"dataset/Resources?action=move&destination_path={address}"),
            rest("POST", f"dataset/upload/{address}", **upload),
        ):
            assert 400 <= answer.status_code < 500 or answer.status_code == 501
            assert CANARY not in answer.text
        rest("DELETE", f"dataset/{address}")
        assert (root / "secret").read_text() == CANARY
        assert (root / "local" / "hopsworks.sqlite").exists()
        assert link.is_symlink()
    finally:
        link.unlink(missing_ok=True)


def test_bodies_have_bounds(rest: Any, api: str, server: Any) -> None:
    key = {"Authorization": f"ApiKey {server.env['HOPSWORKS_API_KEY']}"}
    url = f"{api}/project/1/featurestores/1/featuregroups"
    for length, status in (("999999999999", 413), ("-1", 400), ("x", 400), (str(17 * 2**20), 413)):
        prepared = requests.Request("POST", url, headers=key).prepare()
        prepared.headers["Content-Length"] = length
        with requests.Session() as session:
            session.trust_env = False
            assert session.send(prepared, verify=False, timeout=9).status_code == status
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    assert rest("POST", "featuregroups", deep).status_code == 400
    logic = '{"type": "AND", "leftLogic": ' * 500 + "{}" + "}" * 500
    assert 400 <= rest("PUT", "../query", logic.encode()).status_code <= 501


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/login", 413),
        ("/hopsworks-api/api/variables/versions", 413),
        ("/hopsworks-api/api/project", 401),
        ("/%68opsworks-api/api/project", 401),
        ("//hopsworks-api/api/project", 401),
        ("https://x/hopsworks-api/api/project", 401),
    ],
)
def test_without_the_key_no_megabytes_are_read(server: Any, target: str, status: int) -> None:
    """Only the head is sent: a server that would read the body waits for it."""
    head = f"POST {target} HTTP/1.1\r\nContent-Length: 5000\r\nContent-Type: multipart/form-data"
    address = ("127.0.0.1", int(server.env["HOPSWORKS_PORT"]))
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(address, timeout=9) as plain,
        context.wrap_socket(plain) as tls,
    ):
        tls.sendall(f"{head}\r\n\r\n".encode())
        assert tls.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"flowTotalChunks": "10001", "flowChunkNumber": "10001"}, 110042),
        ({"flowChunkNumber": "0"}, 110042),
        ({"flowChunkNumber": "2"}, 110042),
        ({"flowTotalChunks": "x"}, 110042),
        ({"flowFilename": "../f"}, 110042),
        ({"flowFilename": ".."}, 110042),
        ({"flowTotalSize": "7"}, 110043),
    ],
)
def test_uploads_that_do_not_add_up(rest: Any, changed: dict[str, str], code: int) -> None:
    fields = {
        "flowFilename": "never", "flowChunkNumber": "1", "flowTotalChunks": "1", "flowTotalSize": "3",
    }  # fmt: skip
    parts = {k: (None, v) for k, v in {**fields, **changed}.items()} | {"file": ("f", b"abc")}
    answer = rest("POST", "dataset/upload/Resources", files=parts)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert rest("GET", "dataset/Resources%2Fnever").status_code == 400


def test_chunks_of_an_interrupted_upload_do_not_mix_with_the_next(
    rest: Any, datasets: Any, name: str, tmp_path: Path
) -> None:
    """A client was killed after its second chunk; a file of the same size follows."""
    old = {
        "flowFilename": name, "flowChunkNumber": "2", "flowTotalChunks": "3", "flowTotalSize": "25",
    }  # fmt: skip
    parts = {k: (None, v) for k, v in old.items()} | {"file": ("f", b"OLD OLD OL")}
    assert rest("POST", "dataset/upload/Resources", files=parts).ok
    (tmp_path / name).write_bytes(b"new new new new new new !")
    datasets.upload(str(tmp_path / name), "Resources", chunk_size=10, simultaneous_chunks=1)
    assert datasets.read_content(f"/Resources/{name}").content == b"new new new new new new !"
    datasets.remove(f"Resources/{name}")

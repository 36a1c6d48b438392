"""Who gets in, and that nobody gets out of the project's files."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyarrow import flight

from hopsworks_local import protocol
from hopsworks_local.web import application

CANARY = "canary-that-must-not-leak"


@pytest.fixture(scope="module")
def credentials(server: Any) -> Any:
    """The certificates, and where Flight listens."""
    import requests

    headers = {"Authorization": f"ApiKey {server.env['HOPSWORKS_API_KEY']}"}

    def get(path: str) -> Any:
        url = f"{server.url}/hopsworks-api/api/{path}"
        return requests.get(url, headers=headers, verify=False, timeout=9).json()

    domain = get("variables/loadbalancer_external_domain_feature_query")["successMessage"]
    return get("project/1/credentials"), f"grpc+tls://{domain.split('/')[0]}"


def test_it_listens_on_the_loopback_address_only(server: Any) -> None:
    listening = [
        c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"
    ]
    assert len(listening) == 2
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_every_call_needs_the_key(web: Any) -> None:
    routes = {(method, pattern) for method, pattern, _ in protocol.ROUTES}
    assert len(routes) > 60
    for method, pattern in routes:
        path = re.sub(r"\{\w+:int\}", "1", re.sub(r"\{\w+(:path)?\}", "x", pattern))
        middle = "" if path.startswith(("variables", "project")) else "project/1/"
        for place in (f"{middle}{path}", f"project/1/featurestores/1/{path}"):
            answer = web.request(method, f"/hopsworks-api/api/{place}")
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
def test_no_path_leaves_the_project(app: Any, api: Any, path: str) -> None:
    from urllib.parse import quote

    root = app.folder.path.parent
    (root / "secret").write_text(CANARY)
    link = app.folder.files / "Resources" / "link"
    if not link.is_symlink():
        link.symlink_to(root)
    try:
        address = quote(path, safe="")
        fields = {"flowFilename": "f", "flowChunkNumber": "1", "flowTotalChunks": "1"}
        for answer in (
            api("GET", f"dataset/{address}"),
            api("GET", f"dataset/{address}?action=listing"),
            api("GET", f"dataset/download/with_auth/{address}"),
            api("POST", f"dataset/{address}/x?action=create"),
            api("POST", f"dataset/Resources?action=move&destination_path={address}"),
            api("POST", f"dataset/upload/{address}", data=fields, files={"file": ("f", b"x")}),
        ):
            assert 400 <= answer.status_code < 500 or answer.status_code == 501
            assert CANARY not in answer.text
        api("DELETE", f"dataset/{address}")
        assert (root / "secret").read_text() == CANARY
        assert sorted(p.name for p in root.iterdir()) == ["local", "secret"]
        assert app.folder.database.exists()
        assert link.is_symlink()
    finally:
        link.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("target", "length", "keyed", "status"),
    [
        ("/login", "5000", False, 413),
        ("/hopsworks-api/api/variables/versions", "5000", False, 413),
        ("/hopsworks-api/api/project", "5000", False, 401),
        ("//hopsworks-api/api/project", "5000", False, 401),
        ("https://x/hopsworks-api/api/project", "5000", False, 413),
        ("/hopsworks-api/api/project", "999999999999", True, 413),
        ("/hopsworks-api/api/project", "9" * 400, True, 413),
        ("/hopsworks-api/api/project", str(17 * 2**20), True, 413),
    ],
)
def test_what_is_refused_is_not_read(
    app: Any, target: str, length: str, keyed: bool, status: int
) -> None:
    headers = [(b"content-length", length.encode())]
    if keyed:
        headers.append((b"authorization", f"ApiKey {app.api_key}".encode()))
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body is read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": target, "headers": headers}
    scope |= {"query_string": b"", "raw_path": target.encode(), "root_path": "", "scheme": "https"}
    # in a thread: a browser's tests, in the same process, leave an event loop running in this one
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, application(app)(scope, receive, send)).result()
    assert sent[0]["status"] == status
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_body_that_is_longer_than_allowed_is_not_read_on(web: Any) -> None:
    def endless() -> Any:
        for _ in range(10):
            yield b"x" * 4000

    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = web.post("/login", content=endless(), headers=form)
    assert answer.status_code == 413


def test_an_encoded_address_needs_the_key_too(web: Any) -> None:
    assert web.get("/%68opsworks-api/api/project").status_code == 401


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"flowTotalChunks": "10001", "flowChunkNumber": "10001"}, 110042),
        ({"flowChunkNumber": "0"}, 110042),
        ({"flowChunkNumber": "2"}, 110042),
        ({"flowTotalChunks": "x"}, 110042),
        ({"flowFilename": "../f"}, 110042),
        ({"flowFilename": ".."}, 110042),
        ({"flowFilename": ""}, 110042),
        ({"flowTotalSize": "7"}, 110043),
    ],
)
def test_uploads_that_do_not_add_up(api: Any, changed: dict[str, str], code: int) -> None:
    fields = {
        "flowFilename": "never", "flowChunkNumber": "1", "flowTotalChunks": "1", "flowTotalSize": "3",
    }  # fmt: skip
    answer = api(
        "POST",
        "dataset/upload/Resources",
        data={**fields, **changed},
        files={"file": ("f", b"abc")},
    )
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert api("GET", "dataset/Resources%2Fnever").status_code == 400


def test_secrets_are_only_in_the_answer_to_who_asks(app: Any, api: Any, web: Any) -> None:
    value = "a-value-nobody-may-see"
    below = "/hopsworks-api/api/users/secrets"
    headers = {"Authorization": f"ApiKey {app.api_key}"}
    output: list[str] = []
    app._say = output.append
    created = web.post(below, json={"name": "token", "secret": value}, headers=headers)
    again = web.post(below, json={"name": "token", "secret": value}, headers=headers)
    assert (created.status_code, again.status_code) == (201, 409)
    listed = web.get(below, headers=headers)
    assert listed.json()["items"][0]["name"] == "token"
    web.post("/login", data={"key": app.api_key})
    pages = [web.get(address) for address in ("/", "/p/1/files", "/p/1")]
    for answer in (created, again, listed, *pages):
        assert value not in answer.text
    assert value in web.get(f"{below}/token", headers=headers).text
    assert value not in "".join(output)
    assert web.get(f"{below}/token").status_code == 401
    for file in Path(app.folder.path).glob("hopsworks.sqlite*"):
        assert file.stat().st_mode & 0o077 == 0, file

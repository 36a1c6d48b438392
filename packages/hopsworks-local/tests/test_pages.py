"""The pages behind the addresses that the client prints."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
from starlette.testclient import TestClient

from hopsworks_local.pages import shown
from hopsworks_local.web import application

GROUP = {
    "name": "jobbed",
    "version": 1,
    "type": "cachedFeaturegroupDTO",
    "timeTravelFormat": "DELTA",
    "features": [{"name": "id", "type": "bigint", "primary": True}],
}
PIXEL = bytes.fromhex("89504e470d0a1a0a") + b"not really a picture"


@pytest.fixture
def browser(app: Any, web: Any) -> Any:
    """A session that has given the key."""
    answer = web.post("/login", data={"key": app.api_key})
    assert (answer.status_code, answer.url.path) == (200, "/")
    cookie = answer.history[0].headers["Set-Cookie"]
    assert cookie.endswith("; HttpOnly; Path=/; SameSite=lax; Secure")
    return web


def test_every_page_asks_for_the_key_first(app: Any, web: Any) -> None:
    for path in ("/", "/p/1", "/p/1/fs/1/fg/1", "/p/1/files", "/p/1/files/Resources", "/nowhere"):
        answer = web.get(path)
        assert answer.status_code == 401
        assert 'type="password"' in answer.text
        assert "HOPSWORKS_API_KEY" in answer.text, "it says where the key is"
    for key in ("", "wrong", "a.b"):
        answer = web.post("/login", data={"key": key})
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
        assert 'type="password"' in answer.text, "one can try again"
    web.cookies.set("session-None", "x" * 43)
    assert web.get("/").status_code == 401


def test_the_printed_link_opens_the_pages(app: Any, web: Any) -> None:
    assert web.get("/login?token=" + "x" * 43).status_code == 401
    assert web.get("/login").status_code == 401
    answer = web.get(f"/login?token={app.page_token}")
    assert (answer.status_code, answer.url.path) == (200, "/")
    api = "/hopsworks-api/api/project"
    assert web.get(api, headers={"Authorization": f"ApiKey {app.page_token}"}).status_code == 401


def test_two_servers_on_one_machine_keep_their_cookies_apart(app: Any) -> None:
    first, second = (
        TestClient(application(app), f"https://127.0.0.1:{port}") for port in (8001, 8002)
    )
    first.get(f"/login?token={app.page_token}")
    assert [*first.cookies] == ["session-8001"]
    assert first.get("/").status_code == 200
    second.cookies.update(first.cookies)
    assert second.get("/").status_code == 401


def test_a_cookie_opens_no_api(browser: Any) -> None:
    assert browser.get("/hopsworks-api/api/project").status_code == 401
    assert browser.delete("/p/1/files/Resources").status_code == 405


def test_values_are_written_for_people() -> None:
    assert shown(0.123456789) == "0.1235"
    assert shown(2.0) == "2"
    assert shown(0.0000123456) == "1.23e-05"
    assert shown(datetime(2024, 3, 1, 7, 5, 9, 123456, UTC)) == "2024-03-01 07:05:09"
    assert [shown(v) for v in (None, 7, True, float("nan"))] == ["", "7", "True", "nan"]


def test_the_printed_addresses_show_something(
    server: Any, capsys: Any, make_group: Any, make_view: Any, make_model: Any, tmp_path: Path
) -> None:
    browser = requests.Session()
    browser.verify, browser.trust_env = False, False
    assert browser.get(server.pages).url == f"{server.url}/"
    evil = "<script>alert(1)</script>"
    group = make_group(
        pd.DataFrame({"id": [1, 2], "text": [evil, "b"]}), description="d<b>escription"
    )
    make_view(group.select_all(), labels=["text"], description="of a view")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "plot.png").write_bytes(PIXEL)
    make_model(metrics={"kappa": 2 / 3}, description="of a model")
    printed = dict.fromkeys(re.findall(r"https://127\S+", capsys.readouterr().out))
    assert len(printed) == 3
    pages = [browser.get(address) for address in printed]
    assert [p.status_code for p in pages] == [200] * 3
    for page, words in zip(
        pages,
        (
            ["2 rows", "bigint", "d&lt;b&gt;escription", "&lt;script&gt;", "Commits"],
            ["of a view", "label", group.name],
            ["of a model", "kappa", "0.6667", "Files/weights.bin", "<img"],
        ),
        strict=True,
    ):
        assert [w for w in words if w not in page.text] == []
        assert "<script" not in page.text
        assert "width=device-width" in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert page.headers["Cache-Control"] == "no-store"
    source = re.search(r'<img src="([^"]+)"', pages[2].text)[1]
    picture = browser.get(server.url + source)
    assert (picture.content, picture.headers["Content-Type"]) == (PIXEL, "image/png")
    for link in set(re.findall(r'href="(/[^"]+)"', browser.get(f"{server.url}/p/1").text)):
        assert browser.get(server.url + link).status_code == 200


def test_files_are_listed_and_downloaded(app: Any, browser: Any) -> None:
    home = app.folder.files / "Resources" / "pages"
    home.mkdir()
    (home / "page.html").write_text("<script>alert(1)</script>")
    assert "page.html" in browser.get("/p/1/files/Resources/pages").text
    answer = browser.get("/p/1/files/Resources/pages/page.html")
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert browser.get("/p/1/files/Resources/pages/nothing").status_code == 400


def test_addresses_of_secrets_and_jobs(app: Any, api: Any, browser: Any) -> None:
    created = api("POST", "featurestores/1/featuregroups", GROUP).json()
    page = browser.get("/p/1/jobs/named/jobbed_1_offline_fg_materialization/executions")
    assert (page.status_code, page.url.path) == (200, f"/p/1/fs/1/fg/{created['id']}")
    assert browser.get("/p/1/jobs/named/none_1/executions").status_code == 404
    app.folder.add("secret", "token", 1, {"value": "hidden-value", "visibility": "PRIVATE"})
    page = browser.get("/account/secrets")
    assert "token" in page.text
    assert "hidden-value" not in page.text


def test_pages_of_what_is_not_there(browser: Any) -> None:
    for path in ("/p/1/fs/1/fg/7", "/p/1/fs/1/fv/x/version/1", "/p/1/models/x/1", "/p/2", "/x"):
        assert browser.get(path).status_code == 404
    assert browser.get("/p/1/files/..%2f..%2fhopsworks.sqlite").status_code == 400

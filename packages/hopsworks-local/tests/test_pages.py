"""The pages behind the addresses that the client prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

PIXEL = bytes.fromhex("89504e470d0a1a0a") + b"not really a picture"


@pytest.fixture
def browser(server: Any) -> requests.Session:
    """A session that has given the key."""
    session = requests.Session()
    session.verify, session.trust_env = False, False
    answer = session.post(f"{server.url}/login", data={"key": server.env["HOPSWORKS_API_KEY"]})
    assert answer.url == f"{server.url}/"
    cookie = next(iter(session.cookies))
    assert cookie.secure
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"
    return session


def test_every_page_asks_for_the_key_first(server: Any) -> None:
    for path in ("/", "/p/1", "/p/1/fs/1/fg/1", "/p/1/files", "/p/1/files/Resources", "/nowhere"):
        answer = requests.get(server.url + path, verify=False, timeout=9)
        assert answer.status_code == 401
        assert 'type="password"' in answer.text
    for key in ("", "wrong", "a.b"):
        answer = requests.post(f"{server.url}/login", data={"key": key}, verify=False, timeout=9)
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
    cookie = {"session": "x" * 43}
    assert requests.get(server.url, cookies=cookie, verify=False, timeout=9).status_code == 401


def test_a_cookie_opens_no_api(server: Any, browser: Any) -> None:
    assert browser.get(f"{server.url}/hopsworks-api/api/project").status_code == 401
    assert browser.delete(f"{server.url}/p/1/files/Resources").status_code == 405


def test_the_printed_addresses_show_something(
    server: Any,
    browser: Any,
    capsys: Any,
    make_group: Any,
    make_view: Any,
    make_model: Any,
    datasets: Any,
    tmp_path: Path,
) -> None:
    evil = "<script>alert(1)</script>"
    group = make_group(
        pd.DataFrame({"id": [1, 2], "text": [evil, "b"]}), description="d<b>escription"
    )
    make_view(group.select_all(), labels=["text"], description="of a view")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "plot.png").write_bytes(PIXEL)
    make_model(metrics={"kappa": 0.5}, description="of a model")
    printed = dict.fromkeys(re.findall(r"https://127\S+", capsys.readouterr().out))
    assert len(printed) == 3
    pages = [browser.get(address) for address in printed]
    assert [p.status_code for p in pages] == [200] * 3
    for page, words in zip(
        pages,
        (
            ["2 rows", "bigint", "d&lt;b&gt;escription", "&lt;script&gt;", "Commits"],
            ["of a view", "label", group.name],
            ["of a model", "kappa", "0.5", "Files/weights.bin", "<img"],
        ),
        strict=True,
    ):
        assert [w for w in words if w not in page.text] == []
        assert "<script" not in page.text
        assert "width=device-width" in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    source = re.search(r'<img src="([^"]+)"', pages[2].text)[1]
    picture = browser.get(server.url + source)
    assert (picture.content, picture.headers["Content-Type"]) == (PIXEL, "image/png")
    for link in set(re.findall(r'href="(/[^"]+)"', browser.get(f"{server.url}/p/1").text)):
        assert browser.get(server.url + link).status_code == 200


def test_files_are_listed_and_downloaded(
    server: Any, browser: Any, datasets: Any, name: str, tmp_path: Path
) -> None:
    (tmp_path / "page.html").write_text("<script>alert(1)</script>")
    datasets.mkdir(f"Resources/{name}")
    datasets.upload(str(tmp_path / "page.html"), f"Resources/{name}")
    home = f"{server.url}/p/1/files/Resources/{name}"
    assert "page.html" in browser.get(home).text
    answer = browser.get(f"{home}/page.html")
    assert answer.headers["Content-Disposition"] == "attachment"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert browser.get(f"{home}/nothing").status_code == 400
    datasets.remove(f"Resources/{name}")


def test_pages_of_what_is_not_there(server: Any, browser: Any, make_group: Any) -> None:
    for path in ("/p/1/fs/1/fg/7", "/p/1/fs/1/fv/x/version/1", "/p/1/models/x/1", "/p/2", "/x"):
        assert browser.get(server.url + path).status_code == 404
    assert browser.get(f"{server.url}/p/1/files/..%2f..%2fhopsworks.sqlite").status_code == 400

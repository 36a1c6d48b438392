"""Uploads in pieces, full disks, files that vanish, links."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

import hopsworks_local


@pytest.fixture
def send(rest: Any, name: str) -> Iterator[Callable[..., requests.Response]]:
    """Sends one chunk of the file Resources/{name}, whose chunks have ten bytes."""

    def chunk(number: int, total: int, content: bytes) -> requests.Response:
        fields = {
            "flowFilename": name,
            "flowChunkNumber": str(number),
            "flowTotalChunks": str(total),
            "flowTotalSize": str(10 * total),
        }
        parts = {k: (None, v) for k, v in fields.items()} | {"file": ("f", content)}
        return rest("POST", "dataset/upload/Resources", files=parts)

    yield chunk
    rest("DELETE", f"dataset/Resources%2F{name}")


@pytest.fixture
def content(rest: Any, name: str) -> Callable[[], bytes | None]:
    """The file Resources/{name}, if it is there."""

    def get() -> bytes | None:
        answer = rest("GET", f"dataset/download/with_auth/Resources%2F{name}")
        return answer.content if answer.ok else None

    return get


OLD, NEW = b"old old ol", b"new new ne"


def asked(rest: Any, name: str) -> bool:
    """What every client does before it uploads a file."""
    return rest("GET", f"dataset/Resources%2F{name}").ok


def test_asking_for_a_file_does_not_disturb_its_upload(
    rest: Any, send: Any, content: Any, name: str
) -> None:
    assert send(1, 3, NEW).ok
    assert send(2, 3, NEW).ok
    assert not asked(rest, name)
    assert send(3, 3, NEW).ok
    assert content() == NEW * 3


def test_an_upload_that_was_quiet_is_forgotten(
    rest: Any, root: Path, send: Any, content: Any, name: str
) -> None:
    assert send(1, 2, OLD).ok
    for part in (root / "local" / "staging").glob("*/*/*.part"):
        os.utime(part, (time.time() - 60,) * 2)
    assert not asked(rest, name)
    assert send(2, 2, NEW).ok
    assert content() is None
    assert send(1, 2, NEW).ok
    assert content() == NEW * 2


def test_an_upload_that_starts_anew_at_once_does_not_mix(
    rest: Any, send: Any, content: Any, name: str
) -> None:
    for number in (1, 2, 4):
        assert send(number, 4, OLD).ok
    time.sleep(0.05)  # the clock of a file system has ticks
    assert not asked(rest, name)
    for number in (1, 3, 2):
        assert send(number, 4, NEW).ok
        assert content() is None
    assert send(4, 4, NEW).ok
    assert content() == NEW * 4


def test_what_is_removed_is_no_part_of_a_later_upload(
    rest: Any, send: Any, content: Any, name: str
) -> None:
    assert send(1, 2, OLD).ok
    assert rest("DELETE", f"dataset/Resources%2F{name}").ok
    assert send(2, 2, NEW).ok
    assert content() is None
    assert send(1, 2, NEW).ok
    assert content() == NEW * 2


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """A bound on the size of the server's files stands for a full disk."""
    mega = 2**20
    with hopsworks_local.start(tmp_path) as server, requests.Session() as session:
        session.headers["Authorization"] = f"ApiKey {server.env['HOPSWORKS_API_KEY']}"
        session.verify, session.trust_env = False, False
        dataset = f"{server.url}/hopsworks-api/api/project/1/dataset"
        home, staging = tmp_path / "local" / "files" / "Resources", tmp_path / "local" / "staging"
        (home / "folder").mkdir()
        (home / "folder" / "big").write_bytes(bytes(2 * mega))
        (home / "big").write_bytes(bytes(2 * mega))
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (mega, mega))

        def chunk(number: int, total: int, size: int) -> requests.Response:
            fields = {"flowFilename": "f", "flowChunkNumber": number, "flowTotalChunks": total}
            parts = {k: (None, str(v)) for k, v in fields.items()} | {"file": ("f", bytes(size))}
            parts["flowTotalSize"] = (None, str(total * size))
            return session.post(f"{dataset}/upload/Resources", files=parts)

        def copy(what: str) -> requests.Response:
            target = "destination_path=Resources%2Fcopy"
            return session.post(f"{dataset}/Resources%2F{what}?action=copy&{target}")

        for failing in (
            lambda: chunk(1, 1, 2 * mega),
            lambda: [chunk(n, 2, 3 * mega // 4) for n in (1, 2)][-1],
            lambda: copy("big"),
            lambda: copy("folder"),
        ):
            answer = failing()
            assert answer.status_code == 500
            assert "File too large" in answer.json()["usrMsg"]
            assert list(staging.iterdir()) == []
        assert sorted(p.name for p in home.iterdir()) == ["big", "folder"]


def test_files_that_vanish_while_they_are_read(rest: Any, root: Path, name: str) -> None:
    folder = root / "local" / "files" / "Resources" / name
    folder.mkdir()
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            for i in range(100):
                (folder / str(i)).touch()
            for i in range(100):
                (folder / str(i)).unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for i in range(300):
            listed = rest("GET", f"dataset/Resources%2F{name}?action=listing&sort_by=ID:asc")
            assert listed.status_code == 200
            for path in ("dataset/", "dataset/download/with_auth/"):
                found = rest("GET", f"{path}Resources%2F{name}%2F{i % 100}")
                assert found.ok or found.json()["errorCode"] == 110018
    finally:
        done.set()
        thread.join()
    rest("DELETE", f"dataset/Resources%2F{name}")


def test_a_copy_follows_no_link(rest: Any, root: Path, name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not of this project")
    home = root / "local" / "files" / "Resources"
    (home / name).mkdir()
    (home / name / "link").symlink_to(tmp_path / "secret")
    target = f"Resources%2F{name}2"
    assert rest("POST", f"dataset/Resources%2F{name}?action=copy&destination_path={target}").ok
    assert not rest("GET", f"dataset/download/with_auth/{target}%2Flink").ok
    assert (home / f"{name}2" / "link").is_symlink()
    for path in (f"Resources%2F{name}", target):
        rest("DELETE", f"dataset/{path}")

"""Uploads in pieces, full disks, files that vanish, links."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

import hopsworks_local


def keyed(server: hopsworks_local.Server) -> requests.Session:
    """A session that has the key of one server of several."""
    session = requests.Session()
    session.headers["Authorization"] = f"ApiKey {server.env['HOPSWORKS_API_KEY']}"
    session.verify, session.trust_env = False, False
    return session


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
    with hopsworks_local.start(tmp_path) as server, keyed(server) as session:
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


@contextlib.contextmanager
def churning(change: Callable[[], None]) -> Iterator[None]:
    """The change is made over and over, as another program would."""
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            change()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def touch_and_unlink(folder: Path) -> None:
    """A hundred files come and go."""
    for i in range(100):
        (folder / str(i)).touch()
    for i in range(100):
        (folder / str(i)).unlink()


def test_files_that_vanish_while_they_are_read(rest: Any, root: Path, name: str) -> None:
    folder = root / "local" / "files" / "Resources" / name
    folder.mkdir()
    with churning(lambda: touch_and_unlink(folder)):
        for i in range(300):
            listed = rest("GET", f"dataset/Resources%2F{name}?action=listing&sort_by=ID:asc")
            assert listed.status_code == 200
            for path in ("dataset/", "dataset/download/with_auth/"):
                found = rest("GET", f"{path}Resources%2F{name}%2F{i % 100}")
                assert found.ok or found.json()["errorCode"] == 110018
    rest("DELETE", f"dataset/Resources%2F{name}")


def test_files_that_vanish_while_they_are_copied(rest: Any, root: Path, name: str) -> None:
    folder = root / "local" / "files" / "Resources" / name
    folder.mkdir()
    with churning(lambda: touch_and_unlink(folder)):
        for _ in range(30):
            target = f"Resources%2F{name}2"
            copy = rest("POST", f"dataset/Resources%2F{name}?action=copy&destination_path={target}")
            assert copy.status_code in (204, 409)
            assert str(root) not in copy.text
            rest("DELETE", f"dataset/{target}")
    rest("DELETE", f"dataset/Resources%2F{name}")


def test_a_folder_whose_parent_comes_and_goes(rest: Any, root: Path, name: str) -> None:
    parent = root / "local" / "files" / "Resources" / name

    def change() -> None:
        parent.mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            (parent / "f").rmdir()
        with contextlib.suppress(OSError):
            parent.rmdir()

    with churning(change):
        for _ in range(400):
            made = rest("POST", f"dataset/Resources%2F{name}%2Ff?action=create")
            assert made.status_code in (201, 400, 422)
    rest("DELETE", f"dataset/Resources%2F{name}")


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """No server may begin a transaction meanwhile."""
    db = sqlite3.connect(root / "local" / "hopsworks.sqlite", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.close()


@pytest.mark.parametrize("action", ["move", "copy"])
def test_what_comes_after_the_look_is_not_replaced(
    rest: Any, root: Path, name: str, action: str
) -> None:
    source, target = (root / "local" / "files" / "Resources" / n for n in (name, f"{name}2"))
    source.write_text("mine")
    path = f"dataset/Resources%2F{name}?action={action}&destination_path=Resources%2F{name}2"
    with ThreadPoolExecutor(1) as pool, locked(root):
        answer = pool.submit(rest, "POST", path)
        time.sleep(0.3)
        target.write_text("of another")
    assert answer.result().json()["errorCode"] == 110012
    assert (source.read_text(), target.read_text()) == ("mine", "of another")
    for place in (source, target):
        place.unlink()


def test_two_deletions_of_a_model_at_once(server: Any, rest: Any, root: Path, name: str) -> None:
    home = root / "local" / "files" / "Models" / name
    (home / "1").mkdir(parents=True)
    models = "modelregistries/1/models"
    id = rest("PUT", f"{models}/{name}_1", {"name": name, "version": 1}).json()["id"]
    with hopsworks_local.start(root) as other, ThreadPoolExecutor(2) as pool, locked(root):
        path = f"hopsworks-api/api/project/1/{models}/{id}"
        both = [(keyed(s), f"{s.url}/{path}") for s in (server, other)]
        answers = [pool.submit(session.delete, url) for session, url in both]
        time.sleep(0.3)
    assert sorted(a.result().status_code for a in answers) == [204, 404]
    assert not home.exists()


def test_a_missing_staging_folder_hides_no_failure(
    rest: Any, root: Path, make_group: Any, name: str, tmp_path: Path
) -> None:
    import pandas as pd

    group = make_group(pd.DataFrame({"id": [1]}))
    file = root / "local" / "files" / "Resources" / name
    file.write_text("x")
    for method, path, place in (
        ("POST", f"featuregroups/{group.id}/clear", Path(group.location)),
        ("DELETE", f"dataset/Resources%2F{name}", file),
    ):
        assert place.exists()
        (root / "local" / "staging").rename(tmp_path / method)
        assert rest(method, path).ok
        assert not place.exists()


def test_chunks_of_two_servers_do_not_mix(tmp_path: Path) -> None:
    with hopsworks_local.start(tmp_path) as first, hopsworks_local.start(tmp_path) as second:

        def chunk(server: hopsworks_local.Server, number: int, content: bytes) -> int:
            fields = {"flowFilename": "f", "flowChunkNumber": str(number), "flowTotalChunks": "2"}
            fields["flowTotalSize"] = "20"
            parts = {k: (None, v) for k, v in fields.items()} | {"file": ("f", content)}
            url = f"{server.url}/hopsworks-api/api/project/1/dataset/upload/Resources"
            return keyed(server).post(url, files=parts).status_code

        file = tmp_path / "local" / "files" / "Resources" / "f"
        assert chunk(first, 1, OLD) == chunk(second, 2, NEW) == 200
        assert not file.exists()
        assert chunk(first, 2, OLD) == 200
        assert chunk(second, 1, NEW) == 400
        assert file.read_bytes() == OLD * 2


def test_a_pipe_is_no_file(rest: Any, root: Path, name: str) -> None:
    home = root / "local" / "files" / "Resources" / name
    home.mkdir()
    os.mkfifo(home / "pipe")
    for path in (f"Resources%2F{name}", f"Resources%2F{name}%2Fpipe"):
        target = f"destination_path=Resources%2F{name}2"
        copy = rest("POST", f"dataset/{path}?action=copy&{target}")
        assert copy.json()["errorCode"] == 110038
    read = rest("GET", f"dataset/download/with_auth/Resources%2F{name}%2Fpipe")
    assert read.json()["errorCode"] == 110038
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

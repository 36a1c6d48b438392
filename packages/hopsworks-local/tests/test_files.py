"""Uploads in pieces, full disks, files that vanish, links."""

from __future__ import annotations

import contextlib
import os
import resource
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.testclient import TestClient

import hopsworks_local
from hopsworks_local import files
from hopsworks_local.app import App
from hopsworks_local.state import Folder
from hopsworks_local.web import application


def keyed(server: hopsworks_local.Server) -> requests.Session:
    """A session that has the key of one server of several."""
    session = requests.Session()
    session.headers["Authorization"] = f"ApiKey {server.env['HOPSWORKS_API_KEY']}"
    session.verify, session.trust_env = False, False
    return session


@pytest.fixture
def home(app: App) -> Path:
    """The dataset Resources."""
    return app.folder.files / "Resources"


@pytest.fixture
def send(api: Any, name: str) -> Callable[..., Any]:
    """Sends one chunk of the file Resources/{name}, whose chunks have ten bytes."""

    def chunk(number: int, total: int, content: bytes, folder: str = "Resources") -> Any:
        fields = {
            "flowFilename": name,
            "flowChunkNumber": str(number),
            "flowTotalChunks": str(total),
            "flowTotalSize": str(10 * total),
        }
        path = f"dataset/upload/{folder.replace('/', '%2F')}"
        return api("POST", path, data=fields, files={"file": ("f", content)})

    return chunk


@pytest.fixture
def content(home: Path, name: str) -> Callable[[], bytes | None]:
    """The file Resources/{name}, if it is there."""
    return lambda: (home / name).read_bytes() if (home / name).exists() else None


OLD, NEW = b"old old ol", b"new new ne"


def asked(api: Any, name: str) -> bool:
    """What every client does before it uploads a file."""
    return api("GET", f"dataset/Resources%2F{name}").is_success


def test_asking_for_a_file_does_not_disturb_its_upload(
    api: Any, send: Any, content: Any, name: str
) -> None:
    assert send(1, 3, NEW).is_success
    assert send(2, 3, NEW).is_success
    assert not asked(api, name)
    assert send(3, 3, NEW).is_success
    assert content() == NEW * 3


def test_an_upload_that_was_quiet_is_forgotten(
    api: Any, app: App, send: Any, content: Any, name: str
) -> None:
    assert send(1, 2, OLD).is_success
    for part in app.folder.staging.glob("*/*/*.part"):
        os.utime(part, (time.time() - 60,) * 2)
    assert not asked(api, name)
    assert send(2, 2, NEW).is_success
    assert content() is None
    assert send(1, 2, NEW).is_success
    assert content() == NEW * 2


def test_an_upload_that_restarts_at_once_does_not_mix(
    api: Any, send: Any, content: Any, name: str
) -> None:
    for number in (1, 2, 4):
        assert send(number, 4, OLD).is_success
    time.sleep(0.05)  # the clock of a file system has ticks
    assert not asked(api, name)
    for number in (1, 3, 2):
        assert send(number, 4, NEW).is_success
        assert content() is None
    assert send(4, 4, NEW).is_success
    assert content() == NEW * 4


def test_what_is_removed_is_no_part_of_a_later_upload(
    api: Any, send: Any, content: Any, name: str
) -> None:
    assert send(1, 2, OLD).is_success
    assert api("DELETE", f"dataset/Resources%2F{name}").is_success
    assert send(2, 2, NEW).is_success
    assert content() is None
    assert send(1, 2, NEW).is_success
    assert content() == NEW * 2


def test_an_upload_makes_its_folder_below_a_dataset(
    api: Any, send: Any, home: Path, name: str
) -> None:
    assert send(1, 1, NEW, f"Resources/{name}/a/b").is_success
    assert (home / name / "a" / "b" / name).read_bytes() == NEW
    assert send(1, 1, NEW, f"/Projects/local/Resources/{name}/c").is_success
    for number in (1, 2):
        assert send(number, 2, NEW, f"Resources/{name}/d/e").is_success
    assert (home / name / "d" / "e" / name).read_bytes() == NEW * 2
    mkdir = api("POST", f"dataset/Resources%2F{name}%2Fx%2Fy?action=create")
    assert (mkdir.status_code, mkdir.json()["errorCode"]) == (422, 120001), "mkdir is not recursive"
    for folder in ("Nowhere", "Nowhere/a", f"Resources/{name}/a/b/{name}", ""):
        answer = send(1, 1, NEW, folder)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, 110011), folder
    assert not (home.parent / "Nowhere").exists()


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


def vanishing(monkeypatch: Any, change: Callable[[Path], None]) -> None:
    """Between a request's look and its act, another program changes what it looked at."""
    look = files.existing

    def existing(request: Any, path: str) -> Path:
        place = look(request, path)
        change(place)
        return place

    monkeypatch.setattr(files, "existing", existing)


def test_a_file_that_vanishes_while_it_is_read(
    api: Any, home: Path, name: str, monkeypatch: Any
) -> None:
    vanishing(monkeypatch, Path.unlink)
    for path in ("dataset/", "dataset/download/with_auth/"):
        (home / name).write_text("x")
        answer = api("GET", f"{path}Resources%2F{name}")
        assert (answer.status_code, answer.json()["errorCode"]) == (400, 110018)


def test_a_file_that_vanishes_while_its_folder_is_listed(
    api: Any, home: Path, name: str, monkeypatch: Any
) -> None:
    (home / name).mkdir()
    for file in ("a", "b"):
        (home / name / file).touch()
    result = list((home / name).iterdir())
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(result))
    (home / name / "a").unlink()
    answer = api("GET", f"dataset/Resources%2F{name}?action=listing").json()
    assert [i["attributes"]["name"] for i in answer["items"]] == ["b"]


@pytest.mark.parametrize("action", ["copy", "move"])
def test_what_vanishes_while_it_is_copied(
    app: App, api: Any, home: Path, name: str, monkeypatch: Any, action: str
) -> None:
    (home / name).mkdir()
    vanishing(monkeypatch, Path.rmdir)
    target = f"destination_path=Resources%2F{name}2"
    answer = api("POST", f"dataset/Resources%2F{name}?action={action}&{target}")
    assert answer.status_code == 400
    assert str(app.folder.path) not in answer.text
    assert not (home / f"{name}2").exists()
    assert list(app.folder.staging.iterdir()) == []


def test_a_folder_becomes_a_file_before_it_is_read(
    api: Any, home: Path, name: str, monkeypatch: Any
) -> None:
    def change(place: Path) -> None:
        place.rmdir()
        place.touch()

    (home / name).mkdir()
    vanishing(monkeypatch, change)
    answer = api("GET", f"dataset/Resources%2F{name}?action=listing")
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 110039)


def test_a_folder_that_vanishes_before_an_upload_is_named(
    api: Any, send: Any, home: Path, name: str, monkeypatch: Any
) -> None:
    name_it = files._name

    def name_late(app: App, source: Path, target: Path) -> None:
        target.parent.rmdir()
        name_it(app, source, target)

    monkeypatch.setattr(files, "_name", name_late)
    answer = send(1, 1, NEW, f"Resources/{name}")
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 110018)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """No server may begin a transaction meanwhile."""
    db = sqlite3.connect(folder / "hopsworks.sqlite", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.close()


@pytest.mark.parametrize("action", ["move", "copy"])
def test_what_comes_after_the_look_is_not_replaced(
    app: App, api: Any, home: Path, name: str, action: str
) -> None:
    source, target = home / name, home / f"{name}2"
    source.write_text("mine")
    path = f"dataset/Resources%2F{name}?action={action}&destination_path=Resources%2F{name}2"
    with ThreadPoolExecutor(1) as pool, locked(app.folder.path):
        answer = pool.submit(api, "POST", path)
        time.sleep(0.3)
        target.write_text("of another")
    assert answer.result().json()["errorCode"] == 110012
    assert (source.read_text(), target.read_text()) == ("mine", "of another")


def test_two_deletions_of_a_model_at_once(app: App, api: Any, name: str) -> None:
    """Two servers share the folder."""
    home = app.folder.files / "Models" / name
    (home / "1").mkdir(parents=True)
    models = "modelregistries/1/models"
    id = api("PUT", f"{models}/{name}_1", {"name": name, "version": 1}).json()["id"]
    other = App(Folder(app.folder.path.parent, "local"), "local")
    stranger = TestClient(application(other), headers={"Authorization": f"ApiKey {other.api_key}"})
    path = f"{models}/{id}"
    with ThreadPoolExecutor(2) as pool, locked(app.folder.path):
        answers = [
            pool.submit(api, "DELETE", path),
            pool.submit(stranger.delete, f"/hopsworks-api/api/project/1/{path}"),
        ]
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


@pytest.mark.system
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


def test_a_pipe_is_no_file(api: Any, home: Path, name: str) -> None:
    home = home / name
    home.mkdir()
    os.mkfifo(home / "pipe")
    for path in (f"Resources%2F{name}", f"Resources%2F{name}%2Fpipe"):
        target = f"destination_path=Resources%2F{name}2"
        copy = api("POST", f"dataset/{path}?action=copy&{target}")
        assert copy.json()["errorCode"] == 110038
    read = api("GET", f"dataset/download/with_auth/Resources%2F{name}%2Fpipe")
    assert read.json()["errorCode"] == 110038
    api("DELETE", f"dataset/Resources%2F{name}")


def test_a_copy_follows_no_link(api: Any, home: Path, name: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not of this project")
    (home / name).mkdir()
    (home / name / "link").symlink_to(tmp_path / "secret")
    target = f"Resources%2F{name}2"
    assert api(
        "POST", f"dataset/Resources%2F{name}?action=copy&destination_path={target}"
    ).is_success
    assert not api("GET", f"dataset/download/with_auth/{target}%2Flink").is_success
    assert (home / f"{name}2" / "link").is_symlink()
    for path in (f"Resources%2F{name}", target):
        api("DELETE", f"dataset/{path}")

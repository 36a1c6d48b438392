"""The data folder: what is damaged is named, and nothing is removed for it. All in this process."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import hopsworks_local
from hopsworks_local.app import App
from hopsworks_local.protocol import ApiError
from hopsworks_local.state import Folder, FolderError
from hopsworks_local.web import application

GROUP = {
    "name": "g",
    "version": 1,
    "timeTravelFormat": "DELTA",
    "features": [{"name": "id", "type": "bigint", "primary": True}],
}


def filled(root: Path) -> Folder:
    """An open folder with a group and the folder of its table."""
    folder = Folder(root, "local")
    folder.add("featuregroup", "g", 1, {"table": "g-1"})
    (folder.tables / "g-1").mkdir()
    return folder


def as_killed(root: Path) -> None:
    """Leave the folder as a killed server does: its last writes are in the -wal only."""
    folder = filled(root / "running")
    shutil.copytree(folder.path, root / "local")
    folder.close()
    assert (root / "local" / "hopsworks.sqlite-wal").stat().st_size


def whole(root: Path) -> bool:
    """Whether the group and its table are there."""
    folder = Folder(root, "local")
    result = folder.get("featuregroup", "g", 1) is not None and (folder.tables / "g-1").is_dir()
    folder.close()
    return result


def test_a_damaged_metadata_file_is_named(tmp_path: Path) -> None:
    filled(tmp_path).close()
    database = tmp_path / "local" / "hopsworks.sqlite"
    content = database.read_bytes()
    for damage in (b"this is no database" * 100, content[:4096] + b"\xff" * (len(content) - 4096)):
        database.write_bytes(damage)
        with pytest.raises(FolderError, match=r"hopsworks\.sqlite is damaged"):
            Folder(tmp_path, "local")


def test_after_an_orderly_end_all_metadata_is_in_one_file(tmp_path: Path) -> None:
    filled(tmp_path).close()
    assert [p.name for p in (tmp_path / "local").glob("hopsworks*")] == ["hopsworks.sqlite"]
    assert whole(tmp_path)


@pytest.mark.parametrize("lost", ["hopsworks.sqlite", "hopsworks.sqlite-wal"])
def test_without_its_metadata_no_table_is_removed(tmp_path: Path, lost: str) -> None:
    if lost.endswith("-wal"):
        as_killed(tmp_path)
    else:
        filled(tmp_path).close()
    file = tmp_path / "local" / lost
    file.rename(tmp_path / lost)
    for _ in range(2):
        with pytest.raises(FolderError, match=r"hopsworks\.sqlite is missing or empty"):
            Folder(tmp_path, "local")
    (tmp_path / lost).rename(file)
    assert whole(tmp_path)


def test_a_wal_without_its_file_is_kept(tmp_path: Path) -> None:
    as_killed(tmp_path)
    home = tmp_path / "local"
    (home / "hopsworks.sqlite").rename(tmp_path / "aside")
    wal = (home / "hopsworks.sqlite-wal").read_bytes()
    for make in (lambda: None, (home / "hopsworks.sqlite").touch):
        make()
        with pytest.raises(FolderError, match="missing or empty"):
            Folder(tmp_path, "local")
        assert (home / "hopsworks.sqlite-wal").read_bytes() == wal
    (tmp_path / "aside").rename(home / "hopsworks.sqlite")
    assert whole(tmp_path)


def test_a_staged_file_that_vanishes_stops_no_start(tmp_path: Path) -> None:
    Folder(tmp_path, "local").close()
    (tmp_path / "local" / "staging" / "gone").symlink_to("nowhere")
    Folder(tmp_path, "local").close()


def test_a_folder_of_another_version_says_so(tmp_path: Path) -> None:
    Folder(tmp_path, "local").close()
    with sqlite3.connect(tmp_path / "local" / "hopsworks.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(FolderError, match="has format 99"):
        Folder(tmp_path, "local")


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot be used"):
        Folder(tmp_path / "file", "local")
    with pytest.raises(ValueError, match="illegal project name"):
        hopsworks_local.start(tmp_path, project="../up")


def test_damage_at_run_time_is_an_error_not_a_crash(app: App, api: Callable[..., Any]) -> None:
    assert api("POST", "featurestores/1/featuregroups", GROUP).status_code == 201
    with sqlite3.connect(app.folder.database) as db:
        db.execute("UPDATE entity SET doc = '{'")
    answer = api("GET", "featurestores/1/featuregroups/g?version=1")
    assert (answer.status_code, answer.json()["errorCode"]) == (500, 120005)
    assert "hopsworks.sqlite" in answer.json()["usrMsg"]
    with sqlite3.connect(app.folder.database) as db:
        db.execute("DELETE FROM entity")


def test_an_illegal_project_is_not_taken(tmp_path: Path) -> None:
    output: list[str] = []
    app = App(Folder(tmp_path, "local"), "local", any_key=True, any_project=True, say=output.append)
    for name in ("a__b", "..", "a" * 30, ""):
        with pytest.raises(ApiError):
            app.enter(name)
    with pytest.raises(ApiError):
        app.check_key("ApiKey ")
    assert len(output) == 5
    assert "--any" not in "".join(output), "they are on already"
    assert app.project == "local"
    app.enter("theirs")
    assert app.project == "theirs"


def test_training_dataset_quota(tmp_path: Path) -> None:
    app = App(Folder(tmp_path, "local"), "local", 1, any_key=True, say=lambda text: None)
    web = TestClient(application(app), "https://127.0.0.1", headers={"Authorization": "ApiKey x"})
    store = "/hopsworks-api/api/project/1/featurestores/1"
    group = web.post(f"{store}/featuregroups", json=GROUP).json()
    query = {"leftFeatureGroup": group, "leftFeatures": group["features"]}
    assert web.post(f"{store}/featureview", json={"name": "v", "query": query}).is_success
    datasets = f"{store}/featureview/v/version/1/trainingdatasets"
    sent = {"trainingDatasetType": "IN_MEMORY_TRAINING_DATASET"}
    assert web.post(datasets, json=sent).status_code == 201
    refused = web.post(datasets, json=sent)
    assert (refused.status_code, refused.json()["errorCode"]) == (500, 270186)
    assert "quota reached" in refused.json()["usrMsg"]
    assert web.delete(datasets).is_success
    assert web.post(datasets, json=sent).status_code == 201

"""The metadata of one data folder, in SQLite.

A transaction is either wholly in the file or not at all, also after a kill; several servers may
share the folder, because SQLite locks it. Tables and files lie beside it as plain folders.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 1  # raise it when a data folder of the old form can no longer be read
DATASETS = ("Deployments", "Jupyter", "Logs", "Models", "Resources")  # what a new project has

_SCHEMA = """
CREATE TABLE entity (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never reused: the client caches by id
    kind TEXT NOT NULL,                    -- featuregroup, featureview, trainingdataset, model
    owner INTEGER NOT NULL,                -- a training dataset's feature view, else 0
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    created INTEGER NOT NULL,              -- milliseconds since 1970
    doc TEXT NOT NULL,
    UNIQUE (kind, owner, name, version)
);
CREATE TABLE item (                        -- tags and statistics of an entity
    entity INTEGER NOT NULL REFERENCES entity ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (entity, kind, name)
);
"""


class FolderError(RuntimeError):
    """The data folder cannot be used: damaged, of another version, or not writable."""


def discard(path: Path) -> None:
    """Remove a file or a folder, as far as it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@dataclass(frozen=True)
class Entity:
    """A feature group, feature view, training dataset or model version."""

    id: int
    kind: str
    owner: int
    name: str
    version: int
    created: int
    doc: dict[str, Any]


class Exists(Exception):
    """An entity of this kind, name and version is already there."""


class Folder:
    """One project's data folder: `hopsworks.sqlite`, `tables/`, `files/` and `staging/`."""

    def __init__(self, root: Path, project: str):
        """Open or create the folder of `project` under `root`; FolderError says what is wrong."""
        self.path = (root / project).resolve()
        self.tables, self.files = self.path / "tables", self.path / "files"
        self.staging = self.path / "staging"
        self.database = self.path / "hopsworks.sqlite"
        self._lock = threading.RLock()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
            # The -wal is read first: a server that has just made this folder fills the other file first.
            if _size(self.path / f"{self.database.name}-wal") and not _size(self.database):
                raise FolderError(
                    f"The metadata file {self.database} is missing or empty, but its -wal is there: "
                    "put the file back beside it. Without the file, SQLite would delete the -wal."
                )
            self.database.touch(mode=0o600)
            self.database.chmod(0o600)
            self._db = sqlite3.connect(
                self.database, timeout=60, isolation_level=None, check_same_thread=False
            )
            try:
                self._open()
            except FolderError:
                self._db.close()
                raise
            for folder in (self.tables, self.staging, *(self.files / name for name in DATASETS)):
                folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
        except (sqlite3.OperationalError, OSError) as e:  # a full disk, no right to write
            raise FolderError(f"The data folder {self.path} cannot be used: {e}") from e
        except sqlite3.DatabaseError as e:
            raise FolderError(f"The metadata file {self.database} is damaged: {e}") from e

    def _open(self) -> None:
        execute = self._db.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            version = execute("PRAGMA user_version").fetchone()[0]
            if version == 0 and not execute("SELECT 1 FROM sqlite_master").fetchone():
                if self.tables.is_dir() and any(self.tables.iterdir()):
                    # The sweep would remove every table of what looks like a new folder.
                    raise FolderError(
                        f"The metadata file {self.database} is missing or empty, but {self.tables} "
                        "has tables: put the file back with its -wal, or move the tables away."
                    )
                for statement in _SCHEMA.split(";\n"):
                    execute(statement)
                # The client caches models under a shared folder by id: start every data folder at
                # its own random number, so that no two folders ever give out the same id.
                first = secrets.randbelow(2**31)
                execute("INSERT INTO sqlite_sequence VALUES ('entity', ?)", (first,))
                execute(f"PRAGMA user_version = {FORMAT}")
            elif version != FORMAT:
                raise FolderError(
                    f"The data folder {self.path} has format {version}; this version of "
                    f"hopsworks_local reads format {FORMAT} only."
                )
        problem = execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise FolderError(f"The metadata file {self.database} is damaged: {problem}")

    def _sweep(self) -> None:
        """Remove tables that no feature group owns, which a kill during a deletion leaves.

        The row is written before the client can make its folder and removed before the folder is,
        so no group needs a folder without a row. Staged files are removed after a day.
        """
        with self.transaction():
            owned = {e.doc["table"] for e in self.all("featuregroup")}
            orphans = [p for p in self.tables.iterdir() if p.name not in owned]
        stale, yesterday = [], time.time() - 86400
        for path in self.staging.iterdir():
            with contextlib.suppress(FileNotFoundError):  # another server's upload may just end
                if path.lstat().st_mtime < yesterday:
                    stale.append(path)
        for path in orphans + stale:
            discard(path)

    def close(self) -> None:
        """Move all metadata into the one main file, and close it, before the process ends.

        The lock is kept, so that a request that still runs does not find the file closed.
        """
        if self._lock.acquire(timeout=5):
            with contextlib.suppress(sqlite3.Error):  # what is committed stays in the -wal
                self._db.execute("PRAGMA busy_timeout = 1000")
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                self._db.close()

    @contextlib.contextmanager
    def aside(self) -> Iterator[Path]:
        """Yield a new path in staging/; it is removed at the end, also after a failure."""
        self.staging.mkdir(exist_ok=True)  # a FileNotFoundError is then about the block's own files
        place = self.staging / uuid.uuid4().hex
        try:
            yield place
        finally:
            discard(place)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of the block or none of it; nests."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # on a full disk SQLite may have rolled back already
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    # -- entities ------------------------------------------------------------------------------

    def _entities(self, where: str, *values: Any) -> list[Entity]:
        columns = "id, kind, owner, name, version, created, doc"
        rows = self._rows(f"SELECT {columns} FROM entity WHERE {where} ORDER BY id", *values)
        try:
            return [
                Entity(id, kind, owner, name, version, created, json.loads(doc))
                for id, kind, owner, name, version, created, doc in rows
            ]
        except ValueError as e:
            raise sqlite3.DatabaseError(f"an entry is not JSON ({e})") from e

    def all(self, kind: str, owner: int = 0) -> list[Entity]:
        """Return every entity of a kind, oldest first."""
        return self._entities("kind = ? AND owner = ?", kind, owner)

    def versions(self, kind: str, name: str, owner: int = 0) -> list[Entity]:
        """Return every version of a name."""
        return self._entities("kind = ? AND owner = ? AND name = ?", kind, owner, name)

    def get(self, kind: str, name: str, version: int, owner: int = 0) -> Entity | None:
        """Return the entity of that name and version, or None."""
        entities = self._entities(
            "kind = ? AND owner = ? AND name = ? AND version = ?", kind, owner, name, version
        )
        return entities[0] if entities else None

    def by_id(self, kind: str, id: int) -> Entity | None:
        """Return the entity of that id, or None."""
        entities = self._entities("kind = ? AND id = ?", kind, id)
        return entities[0] if entities else None

    def count(self, kind: str) -> int:
        """Return how many entities of a kind there are, of all owners."""
        return int(self._rows("SELECT count(*) FROM entity WHERE kind = ?", kind)[0][0])

    def add(
        self, kind: str, name: str, version: int | None, doc: dict[str, Any], owner: int = 0
    ) -> Entity:
        """Store a new entity; without a version it gets the highest one left plus one.

        Raises Exists when that name and version are taken.
        """
        with self.transaction():
            if version is None:
                version = 1 + max((e.version for e in self.versions(kind, name, owner)), default=0)
            created = time.time_ns() // 1_000_000
            values = (kind, owner, name, version, created, json.dumps(doc))
            try:
                cursor = self._db.execute(
                    "INSERT INTO entity (kind, owner, name, version, created, doc)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    values,
                )
            except sqlite3.IntegrityError:
                raise Exists from None
            return Entity(cursor.lastrowid or 0, kind, owner, name, version, created, doc)

    def update(self, id: int, doc: dict[str, Any]) -> None:
        """Replace the document of an entity."""
        self._rows("UPDATE entity SET doc = ? WHERE id = ?", json.dumps(doc), id)

    def remove(self, id: int) -> None:
        """Delete an entity with its tags, its statistics and the entities it owns."""
        with self.transaction():
            self._rows("DELETE FROM entity WHERE owner = ? AND owner > 0", id)
            self._rows("DELETE FROM entity WHERE id = ?", id)

    # -- tags and statistics ---------------------------------------------------------------------

    def items(self, entity: int, kind: str) -> dict[str, Any]:
        """Return the tags (or statistics) of an entity, by name."""
        rows = self._rows(
            "SELECT name, value FROM item WHERE entity = ? AND kind = ? ORDER BY name", entity, kind
        )
        return {name: json.loads(value) for name, value in rows}

    def set_item(self, entity: int, kind: str, name: str, value: Any) -> None:
        """Attach a tag (or statistics), replacing one of the same name."""
        text = json.dumps(value)
        self._rows("INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?)", entity, kind, name, text)

    def drop_item(self, entity: int, kind: str, name: str) -> None:
        """Remove a tag (or statistics), if it is there."""
        self._rows(
            "DELETE FROM item WHERE entity = ? AND kind = ? AND name = ?", entity, kind, name
        )

"""The dataset API: the project's files, as plain files below the data folder's `files/`."""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import TYPE_CHECKING, Any, BinaryIO

from starlette.datastructures import UploadFile
from starlette.responses import StreamingResponse

from .protocol import ApiError, Reply, Request, http_error, illegal, route, unsupported

if TYPE_CHECKING:
    from .app import App

MAX_CHUNKS = 10_000
MAX_LISTING = 10_000
QUIET_SECONDS = 10
_TOP_LEVEL = re.compile(r"(?!.*__)(?!.*\.$)[-_a-zA-Z0-9.]{2,88}")
_RESERVED = ("Projects", "download", "upload", "tags")
_SERVER = uuid.uuid4().hex
# Guards the staged chunks. Take it before a transaction, never inside one.
_chunks = threading.Lock()


def resolve(app: App, path: str) -> Path:
    """Return the place of a project path such as `Resources/a.csv` or `/Projects/local/Resources/a.csv`.

    Nothing leaves the project: `..`, another project, a null byte and links are refused.
    """
    parts = [p for p in path.split("/") if p not in ("", ".")]
    if parts[:1] == ["Projects"] and len(parts) > 1:  # the name of no dataset
        if parts[1:2] != [app.project]:
            raise ApiError(110011, f"There is no dataset {path!r} in this project.")
        parts = parts[2:]
    if len(path) > 1000:
        raise ApiError(110011, "The path is too long.")
    if ".." in parts or "\0" in path or any(len(os.fsencode(p)) > 255 for p in parts):
        raise ApiError(110011, f"Illegal path {path!r}.")
    place = app.folder.files
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise ApiError(110011, f"Illegal path {path!r}: it is a link.")
    return place


def _dataset(app: App, place: Path) -> Path:
    """Return the top-level dataset of a place, which must exist."""
    if place == app.folder.files:
        return place
    top = app.folder.files / place.relative_to(app.folder.files).parts[0]
    if not top.is_dir():
        raise ApiError(110011, f"There is no dataset {top.name!r}.")
    return top


def existing(request: Request, path: str) -> Path:
    """Return the place of a path that must exist: 110011 without its dataset, 110018 below one."""
    place = resolve(request.app, path)
    _dataset(request.app, place)
    if not place.exists():
        _asked(request.app, place)
        raise _missing(path)
    return place


def _missing(path: str) -> ApiError:
    return ApiError(110018, f"There is no file or folder {path!r}.")


def _refuse_taken(target: Path) -> None:
    if target.exists():
        raise ApiError(110012, f"{target.name!r} already exists.")


def _name(app: App, source: Path, target: Path) -> None:
    """Move a complete file to its name, or refuse when the name is taken: a bare rename would replace
    that file. Every rename is in a transaction, which locks out other servers on the folder."""
    with app.folder.transaction():
        _refuse_taken(target)
        os.rename(source, target)


def listing(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return what is in a folder, without links and without what is removed meanwhile."""
    places = []
    for place in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            places.append((place, place.lstat()))
    return [(place, stat) for place, stat in places if not S_ISLNK(stat.st_mode)]


def _inode(app: App, place: Path, stat: os.stat_result) -> dict[str, Any]:
    folder = S_ISDIR(stat.st_mode)
    relative = place.relative_to(app.folder.files).as_posix()
    top = "/" not in relative
    return {
        **({"id": stat.st_ino, "name": relative, "datasetType": "DATASET"} if top else {}),
        "type": "datasetDTO" if top else "inodeDTO",
        "permission": "EDITABLE" if top else None,
        "zipState": "NONE",
        "attributes": {
            "id": stat.st_ino,
            "name": place.name,
            "path": f"/Projects/{app.project}/{relative}",
            "dir": folder,
            "size": 0 if folder else stat.st_size,
            "owner": app.user["username"],
            "permission": "rwxrwx---",
            "modificationTime": int(stat.st_mtime * 1000),
            "underConstruction": False,
        },
    }


# -- tags, downloads and uploads come first: the addresses below match theirs, too ---------------


@route("GET", "dataset/tags/{path:path}")
@route("PUT", "dataset/tags/{path:path}")
@route("DELETE", "dataset/tags/{path:path}")
def refuse_tags(request: Request, path: str) -> Any:
    """Refuse the tags of files."""
    raise unsupported("tags of files (dataset_api.add, get_tags and delete)")


@route("GET", "dataset/download/with_auth/{path:path}")
def download(request: Request, path: str) -> StreamingResponse:
    """`download` and `read_content`, streamed."""
    place = existing(request, path)
    try:
        if not S_ISREG(place.stat().st_mode):
            raise ApiError(110038, f"{path!r} is not a file.")
        stream = place.open("rb")
    except IsADirectoryError:  # since we looked
        raise ApiError(110038, f"{path!r} is not a file.") from None
    except FileNotFoundError:  # removed since it was found
        raise _missing(path) from None
    size = os.fstat(stream.fileno()).st_size
    return StreamingResponse(
        _pieces(stream, size),
        headers={"Content-Length": str(size)},
        media_type="application/octet-stream",
    )


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Read as many bytes as were there when the file was opened."""
    with stream:
        while size > 0 and (piece := stream.read(min(size, 2**20))):
            yield piece
            size -= len(piece)


@dataclass(frozen=True)
class Chunk:
    """One request of an upload."""

    name: str
    content: BinaryIO
    number: int
    total: int
    size: int | None  # of the whole file


def _read_chunk(request: Request) -> Chunk:
    """Read the form of an upload; 110042 for what does not add up."""
    if request.form is None:
        raise http_error(415, "An upload must be multipart/form-data with a boundary.")
    fields = {k: v for k, v in request.form.items() if isinstance(v, str)}
    file, name = request.form.get("file"), fields.get("flowFilename")
    if not isinstance(file, UploadFile) or not name:
        raise ApiError(110042, "The upload needs flowFilename and file.")

    def number(field: str) -> int:
        text = fields.get(field, "")
        if not re.fullmatch(r"[0-9]{1,15}", text):
            raise ApiError(110042, f"The upload field {field} must be a number.")
        return int(text)

    chunk, total = number("flowChunkNumber"), max(number("flowTotalChunks"), 1)
    if not 1 <= chunk <= total <= MAX_CHUNKS or name in (".", "..") or "/" in name:
        raise ApiError(110042, "Illegal chunk number, number of chunks or file name.")
    size = number("flowTotalSize") if "flowTotalSize" in fields else None
    return Chunk(name, file.file, chunk, total, size)


@route("POST", "dataset/upload/{path:path}")
def upload(request: Request, path: str) -> Any:
    """`upload`, one chunk. Chunks come in any order, several at once.

    Each is staged; the request with the last one joins them and moves the file into place, so a
    file is there completely or not at all. Server, name and size identify the chunks of a file: two
    programs that upload one name and size at the same moment through one server can mix.
    """
    app, chunk = request.app, _read_chunk(request)
    folder = resolve(app, path)
    if _dataset(app, folder) == app.folder.files:
        raise ApiError(110011, f"{path!r} is not a folder to upload to.")
    target = resolve(app, f"{path}/{chunk.name}")
    _refuse_taken(target)
    try:
        folder.mkdir(parents=True, exist_ok=True)  # as on a cluster, below a dataset that is there
    except (FileExistsError, NotADirectoryError):
        raise ApiError(110011, f"{path!r} is not a folder to upload to.") from None
    with app.folder.aside() as whole:
        with whole.open("wb") as out:
            shutil.copyfileobj(chunk.content, out, 2**20)
        size = whole.stat().st_size if chunk.size is None else chunk.size
        if chunk.total == 1:
            _publish(app, whole, target, size)
            return None
        staged = _staged(app, target) / f"{size}-{chunk.total}"
        with _chunks:
            _refuse_taken(target)  # an earlier chunk of this number may have completed it meanwhile
            staged.mkdir(parents=True, exist_ok=True)
            part = staged / f"{chunk.number}.part"
            if part.exists() and not filecmp.cmp(part, whole, shallow=False):
                _forget_older(staged)
            os.replace(whole, part)
            chunks = [staged / f"{i}.part" for i in range(1, chunk.total + 1)]
            if all(c.exists() for c in chunks):
                try:
                    _join(chunks, whole)
                    _publish(app, whole, target, size)
                finally:
                    shutil.rmtree(staged.parent, ignore_errors=True)
    return None


def _staged(app: App, target: Path) -> Path:
    """Return the folder of a file's chunks, one for each server: the lock on chunks is this process's."""
    return app.folder.staging / hashlib.sha256(os.fsencode(f"{_SERVER}{target}")).hexdigest()


def _asked(app: App, target: Path) -> None:
    """Remove the chunks of an interrupted upload: the client asks whether a file exists before it
    uploads it. Another program may ask during an upload, so recent chunks stay."""
    staged = _staged(app, target)
    if not staged.is_dir():
        return
    with _chunks, contextlib.suppress(FileNotFoundError):  # they may just have been joined
        newest = max((p.stat().st_mtime for p in staged.glob("*/*.part")), default=0)
        if newest < time.time() - QUIET_SECONDS:
            shutil.rmtree(staged, ignore_errors=True)
        else:
            (staged / "asked").touch()


def _forget_older(staged: Path) -> None:
    """Remove the chunks that came before the client last asked for the file: when a chunk comes again
    with other bytes, they are of an earlier upload that was interrupted."""
    with contextlib.suppress(FileNotFoundError):
        asked = (staged.parent / "asked").stat().st_mtime_ns
        for part in staged.glob("*.part"):
            if part.stat().st_mtime_ns < asked:
                part.unlink()


def _join(chunks: list[Path], whole: Path) -> None:
    with whole.open("wb") as out:
        for chunk in chunks:
            with chunk.open("rb") as part:
                shutil.copyfileobj(part, out, 2**20)


def _publish(app: App, whole: Path, target: Path, size: int) -> None:
    """Move an uploaded file to its name, if it is complete."""
    try:
        if whole.stat().st_size != size:
            raise ApiError(
                110043,
                f"{target.name}: the received data does not have the size that was announced.",
            )
        with whole.open("rb") as file:
            os.fsync(file.fileno())
        _name(app, whole, target)
    except (FileNotFoundError, NotADirectoryError):
        raise ApiError(110018, f"The folder of {target.name} is gone.") from None


# -- folders -------------------------------------------------------------------------------------


@route("GET", "dataset")
@route("GET", "dataset/{path:path}")
def get(request: Request, path: str = "") -> Any:
    """`exists`, `get` and, with action=listing, `list`."""
    place = existing(request, path)
    try:
        if (request.arg("action") or "stat").lower() != "listing":
            stat = place.stat()
            return _inode(request.app, place, stat) if place != request.app.folder.files else {}
        places = listing(place)
    except NotADirectoryError:
        raise ApiError(110039, f"{path!r} is not a folder.") from None
    except FileNotFoundError:  # removed since it was found
        raise _missing(path) from None
    key, _, direction = (request.arg("sort_by") or "ID:asc").partition(":")
    by_name = key.upper() == "NAME"
    places.sort(
        key=lambda f: (f[0].name.lower() if by_name else f[1].st_ctime_ns, f[0].name),
        reverse=direction.lower() == "desc",
    )
    offset = max(request.number("offset", 0) or 0, 0)
    limit = request.number("limit", MAX_LISTING) or MAX_LISTING
    if limit < 0:
        raise illegal("The limit must not be negative.")
    page = places[offset : offset + min(limit, MAX_LISTING)]
    return {"count": len(places), "items": [_inode(request.app, p, s) for p, s in page]}


@route("POST", "dataset/{path:path}")
def act(request: Request, path: str) -> Reply:
    """`mkdir`, `copy` and `move`."""
    action = (request.arg("action") or "").lower()
    if action == "create":
        return _create(request, path)
    if action in ("copy", "move"):
        return _transfer(request, path, action)
    raise unsupported(f"dataset_api.{action or 'post'}()")


def _create(request: Request, path: str) -> Reply:
    app, place = request.app, resolve(request.app, path)
    if place == app.folder.files:
        raise ApiError(110011, "A dataset needs a name.")
    if (request.arg("type") or "DATASET").upper() != "DATASET":
        raise ApiError(110001, "Only folders of type DATASET can be created.")
    top_level = place.parent == app.folder.files
    if top_level and (not _TOP_LEVEL.fullmatch(place.name) or place.name in _RESERVED):
        raise ApiError(110028, f"Illegal dataset name {place.name!r}.")
    if not top_level:
        _dataset(app, place)
    try:
        with app.folder.transaction():
            place.mkdir()
            stat = place.stat()
    except FileExistsError:
        code = 110012 if top_level else 110047
        raise ApiError(code, f"{path!r} already exists.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise illegal(f"The parent folder of {path!r} does not exist.") from None
    return Reply(201, _inode(app, place, stat))


def _transfer(request: Request, path: str, action: str) -> Reply:
    source = existing(request, path)
    target_path = request.arg("destination_path") or ""
    target = resolve(request.app, target_path)
    top = _dataset(request.app, target)
    if source.parent == request.app.folder.files or target in (top, request.app.folder.files):
        raise ApiError(110011, "A top-level dataset cannot be copied, moved or replaced.")
    _refuse_taken(target)
    if not target.parent.is_dir() or source in target.parents:
        raise illegal(f"The folder of {target_path!r} does not exist, or is inside its source.")
    try:
        if action == "move":
            _name(request.app, source, target)
        else:  # copied aside first: a kill leaves no half copy under the target's name
            with request.app.folder.aside() as copy:
                _copy(source, copy)
                _name(request.app, copy, target)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        if not source.exists():  # removed since it was found
            raise _missing(path) from None
        raise http_error(409, f"{path!r} or its destination was changed meanwhile.") from None
    except shutil.SpecialFileError:  # a pipe, which somebody put into the data folder
        raise ApiError(
            110038, f"{path!r} is not a file or folder, or contains such a thing."
        ) from None
    return Reply(204)


def _copy(source: Path, target: Path) -> None:
    """Copy a file, a link as a link, or a folder. shutil.copytree would continue when something
    vanishes, and report it at the end with the server's own paths."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir()
        for place in source.iterdir():
            _copy(place, target / place.name)
    else:
        shutil.copyfile(source, target, follow_symlinks=False)


@route("DELETE", "dataset/{path:path}")
def remove(request: Request, path: str) -> Reply:
    """`remove`. A missing path below an existing dataset is no error."""
    if (request.arg("action") or "").lower() == "unshare":
        raise unsupported("dataset_api.unshare()")
    app, place = request.app, resolve(request.app, path)
    _dataset(app, place)
    if place == app.folder.files:
        raise ApiError(110011, "The project itself cannot be removed.")
    with _chunks:
        shutil.rmtree(_staged(app, place), ignore_errors=True)
    # Renamed first, so that a kill never leaves a part of it.
    nothing = contextlib.suppress(FileNotFoundError, NotADirectoryError)
    with app.folder.aside() as gone, app.folder.transaction(), nothing:
        os.rename(place, gone)
    return Reply(204)

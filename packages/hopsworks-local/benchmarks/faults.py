"""Kill a local Hopsworks server, its client, or both, at random moments, and check what is left.

    python benchmarks/faults.py [--kills 300] [--seed 11] [--minutes M]

A worker process makes calls through the ordinary client without pause: inserts, upserts, new feature
groups, overwrites, uploads in chunks, descriptions, training datasets, and model saves in a second
thread. It notes every call before and after in a file. After each `kill -9` the campaign starts again
what was killed and checks every call since the last check: what was acknowledged must be there and
whole; what was interrupted must be there wholly or not at all, and must not be in the way. At the end
all calls are checked once more, which is counted apart. Takes half an hour to an hour; writes
`results/faults.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

import hopsworks_local
from common import keep, parser

BATCH = 50  # rows of one insert
CHUNK = 100_000  # bytes of one chunk of an upload


def content(number: int) -> bytes:
    """Return the bytes of upload or model `number`: four chunks, different for every number."""
    return random.Random(number).randbytes(3 * CHUNK + 5_000)


# -- the worker -------------------------------------------------------------------------------------


def frame(first: int, batch: int) -> pd.DataFrame:
    """Return the rows of one insert."""
    return pd.DataFrame({"id": range(first, first + BATCH), "batch": batch})


class Worker:
    """Makes calls until one fails; then waits for the settings of the next server on stdin."""

    def __init__(self, notes: Path, seed: int):
        self.notes, self.chance = notes.open("a"), random.Random(seed)
        self.number = seed * 100_000
        self.lock = threading.Lock()
        self.folder = Path(tempfile.mkdtemp(dir=notes.parent))

    def note(self, **doc: Any) -> None:
        """Write one line, before anything else happens."""
        with self.lock:
            self.notes.write(json.dumps(doc) + "\n")
            self.notes.flush()

    def attempt(self, kind: str, **detail: Any) -> None:
        """Make one call; note its beginning and its end."""
        with self.lock:
            self.number += 1
            number = self.number
        self.note(begin=number, kind=kind, **detail)
        getattr(self, kind)(number, **detail)
        self.note(done=number)

    def run(self) -> None:
        """Work with one server after the other."""
        import hopsworks

        for line in sys.stdin:
            os.environ.update(json.loads(line))
            try:
                self.project = hopsworks.login()
                self.store = self.project.get_feature_store()
                self.datasets = self.project.get_dataset_api()
                self.group = self.store.get_or_create_feature_group(
                    "rows", version=1, primary_key=["id"]
                )
                if self.group.id is None:
                    self.attempt("insert")
                self.note(ready=True)
                saver = threading.Thread(target=self.save_models, daemon=True)
                saver.start()
                kinds = ["insert", "insert", "upsert", "create", "upload", "upload", "replace"]
                kinds += ["describe", "overwrite", "register"]
                while True:
                    self.attempt(self.chance.choice(kinds))
            except Exception as e:
                self.note(failed=f"{type(e).__name__}: {str(e)[:200]}")

    def save_models(self) -> None:
        """Save one model after the other; the client sleeps for five seconds in each."""
        with contextlib.suppress(Exception):
            while True:
                self.attempt("save")

    def insert(self, number: int) -> None:
        self.group.insert(frame(number * BATCH, number))

    def upsert(self, number: int) -> None:
        self.group.insert(frame(-BATCH, number))

    def create(self, number: int) -> None:
        group = self.store.create_feature_group(f"g{number}", version=1, primary_key=["id"])
        group.insert(frame(0, number))

    def overwrite(self, number: int) -> None:
        group = self.store.get_or_create_feature_group("over", version=1, primary_key=["id"])
        group.insert(frame(0, number), overwrite=True)

    def describe(self, number: int) -> None:
        self.store.get_feature_group("rows", 1).update_description(str(number))

    def register(self, number: int) -> None:
        group = self.store.get_feature_group("rows", 1)
        view = self.store.get_or_create_feature_view("view", group.select_all(), version=1)
        view.training_data(description=str(number))

    def upload(self, number: int, name: str | None = None) -> None:
        file = self.folder / (name or f"f{number}")
        file.write_bytes(content(number))
        self.datasets.upload(str(file), "Resources", overwrite=bool(name), chunk_size=CHUNK)
        file.unlink()

    def replace(self, number: int) -> None:
        self.upload(number, "replaced")

    def save(self, number: int) -> None:
        folder = self.folder / f"m{number}"
        folder.mkdir()
        for part in ("a", "b"):
            (folder / part).write_bytes(content(number))
        registry = self.project.get_model_registry()
        registry.python.create_model("model", description=str(number)).save(str(folder))


# -- the checks --------------------------------------------------------------------------------------


class Campaign:
    """Starts server and worker, kills them, and compares the notes with what is there."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.chance = folder, random.Random(seed)
        self.notes = folder / "notes.jsonl"
        self.notes.touch()
        self.seed = seed
        self.read = 0  # how far the notes have been read
        self.kills: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self.interrupted: Counter[str] = Counter()
        self.failures: list[str] = []
        self.replaced: set[int] = set()  # every `replace` that was begun
        self.overwritten: set[int] = set()  # and every `overwrite`
        self.open_saves: dict[int, dict[str, Any]] = {}
        self.start_server()
        self.start_worker()

    def start_server(self) -> None:
        self.server = hopsworks_local.start(self.folder / "data")

    def start_worker(self) -> None:
        self.seed += 1
        command = [sys.executable, __file__, "--worker", str(self.notes), "--seed", str(self.seed)]
        self.worker = subprocess.Popen(
            command,
            env={k: v for k, v in os.environ.items() if not k.startswith("HOPSWORKS_")},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def until(self, key: str) -> None:
        """Wait until the worker has noted `key`."""
        end = time.monotonic() + 600
        while not any(key in doc for doc in self.peek()):
            if time.monotonic() > end or (self.worker.poll() is not None):
                raise RuntimeError(f"the worker noted no {key!r}: {self.peek()[-3:]}")
            time.sleep(0.02)

    def peek(self) -> list[dict[str, Any]]:
        """Return the notes since the last check, without a last line that a kill cut short."""
        lines = self.notes.read_bytes()[self.read :].split(b"\n")[:-1]
        return [json.loads(line) for line in lines if line.startswith(b"{")]

    def check(self, kind: str, true: bool, what: str) -> None:
        self.checks[kind] += 1
        if not true:
            self.failures.append(f"{kind}: {what}")

    def round(self) -> None:
        """Let them work, kill, start again, check."""
        settings = json.dumps(self.server.env)
        assert self.worker.stdin
        self.worker.stdin.write(settings + "\n")
        self.worker.stdin.flush()
        self.until("ready")
        # Now and then long enough for a model save, in which the client sleeps for five seconds.
        time.sleep(self.chance.random() * self.chance.choice([0.9] * 9 + [8]))
        victim = self.chance.choices(["server", "client", "both"], [0.6, 0.25, 0.15])[0]
        self.kills[victim] += 1
        if victim != "client":
            os.kill(self.server.pid, 9)
        if victim != "server":
            self.worker.kill()
            self.worker.wait()
            with self.notes.open("a") as notes:
                notes.write("\n")  # ends a line that the kill cut short
        else:
            self.until("failed")
        if victim != "client":
            self.server.stop()
            self.start_server()
        self.verify(worker_dead=victim != "server")
        if victim != "server":
            self.start_worker()

    def verify(self, worker_dead: bool) -> None:
        """Check every call since the last check, in a new login."""
        import hopsworks

        docs = self.peek()
        self.read = self.notes.stat().st_size
        done = {d["done"] for d in docs if "done" in d}
        calls = {d["begin"]: d for d in docs if "begin" in d}
        # A model save may still sleep in its thread when the rest has failed: it is checked later.
        calls |= self.open_saves
        self.replaced |= {n for n, call in calls.items() if call["kind"] == "replace"}
        self.overwritten |= {n for n, call in calls.items() if call["kind"] == "overwrite"}
        self.open_saves = {
            n: d
            for n, d in calls.items()
            if d["kind"] == "save" and n not in done and not worker_dead
        }
        environment = dict(os.environ)
        os.environ.update(self.server.env)
        try:
            project = hopsworks.login()
            self.store = project.get_feature_store()
            self.datasets, self.registry = project.get_dataset_api(), project.get_model_registry()
            self.rows = self.table("rows")
            for number, call in calls.items():
                if number in self.open_saves:
                    continue
                if number not in done:
                    self.interrupted[call["kind"]] += 1
                getattr(self, f"verify_{call['kind']}")(number, number in done)
        finally:
            with contextlib.suppress(Exception):
                hopsworks.logout()
            os.environ.clear()
            os.environ.update(environment)

    def table(self, name: str) -> Any:
        """Return the rows of a feature group; an empty frame when it has none yet."""
        import pyarrow as pa

        empty = pd.DataFrame({"id": [], "batch": []})
        group = self.store.get_feature_group(name, 1)
        if group is None:
            return empty
        try:
            with group.select_all().read_batches() as batches:
                read = list(batches)
        except Exception as e:
            if "nothing was inserted yet" in str(e):
                return empty
            raise
        return pa.Table.from_batches(read).to_pandas() if read else empty

    def verify_insert(self, number: int, done: bool) -> None:
        count = int((self.rows.batch == number).sum())
        self.check(
            "insert", count == BATCH or (count == 0 and not done), f"{count} of {BATCH} rows"
        )

    def verify_upsert(self, number: int, done: bool) -> None:
        batches = set(self.rows.batch[self.rows.id < 0])
        newest = max([0, *batches])
        whole = len(batches) <= 1 and int((self.rows.id < 0).sum()) in (0, BATCH)
        self.check("upsert", whole and (newest >= number or not done), f"batches {batches}")

    def verify_create(self, number: int, done: bool) -> None:
        name = f"g{number}"
        count = len(self.table(name))
        self.check("create", count == BATCH or (count == 0 and not done), f"{count} rows in {name}")
        group = self.store.get_feature_group(name, 1)
        if group is not None and count == 0:
            # Only its metadata is there: it must be usable, not in the way.
            group.insert(frame(0, number))
            self.check("create", len(self.table(name)) == BATCH, f"{name} cannot be filled")

    def verify_overwrite(self, number: int, done: bool) -> None:
        """Check for one whole batch, not older than what was acknowledged. The client empties the
        group before it writes, so an interrupted call may leave none."""
        batches = Counter(self.table("over").batch)
        if not batches:
            self.check(
                "overwrite", not done or max(self.overwritten) > number, "the group is empty"
            )
        else:
            true = list(batches.values()) == [BATCH] and (max(batches) >= number or not done)
            self.check("overwrite", true, f"batches {batches}")

    def verify_describe(self, number: int, done: bool) -> None:
        text = self.store.get_feature_group("rows", 1).description
        self.check("describe", int(text or 0) >= number or not done, f"description {text}")

    def verify_register(self, number: int, done: bool) -> None:
        view = self.store.get_feature_view("view", 1)
        texts = [d.description for d in view.get_training_datasets()] if view else []
        self.check("register", str(number) in texts or not done, f"{number} is not in {texts[-3:]}")

    def file(self, path: str) -> bytes | None:
        """Return what a file holds, or None without a file."""
        if not self.datasets.exists(path):
            return None
        read: bytes = self.datasets.read_content(f"/{path}").content
        return read

    def verify_upload(self, number: int, done: bool) -> None:
        read = self.file(f"Resources/f{number}")
        true = read == content(number) or (read is None and not done)
        self.check("upload", true, f"{read and len(read)} bytes of f{number}")

    def verify_replace(self, number: int, done: bool) -> None:
        """Check for a whole file, not older than what was acknowledged. The client removes the old
        file before it sends the new one, so an interrupted call may leave none."""
        read = self.file("Resources/replaced")
        begun = [n for n in self.replaced if content(n) == read]
        if read is None:
            self.check("replace", not done or max(self.replaced) > number, "the file is gone")
        else:
            true = bool(begun) and (begun[0] >= number or not done)
            self.check("replace", true, f"{len(read)} bytes of {begun or 'nothing sent'}")

    def verify_save(self, number: int, done: bool) -> None:
        models = [m for m in self.registry.get_models("model") if m.description == str(number)]
        self.check("save", bool(models) or not done, f"model {number} is not there")
        for model in models:
            home = f"Models/model/{model.version}/Files"
            files = [self.file(f"{home}/{part}") for part in ("a", "b")]
            self.check(
                "save",
                files == [content(number)] * 2,
                f"model {number} is registered without its files",
            )


def campaign(kills: int, seed: int, minutes: float = math.inf) -> dict[str, Any]:
    """Run that many rounds, or fewer in that time; return the counts and what failed."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(io.StringIO()):
            run = Campaign(Path(name), seed)
            for _ in range(kills):
                if time.monotonic() - begin > 60 * minutes:
                    break
                run.round()
            run.worker.kill()
            run.worker.wait()
            run.server.stop()
            after_kills, interrupted = run.checks, run.interrupted
            # The whole history once more: nothing acknowledged was lost since.
            run.checks, run.interrupted = Counter(), Counter()
            run.start_server()
            run.read, run.open_saves = 0, {}
            run.verify(worker_dead=True)
            run.server.stop()
    return {
        "kills": sum(run.kills.values()),
        "killed": dict(run.kills),
        "seed": seed,
        "calls interrupted": dict(sorted(interrupted.items())),
        "checks": sum(after_kills.values()),
        "checked": dict(sorted(after_kills.items())),
        "checks at the end": sum(run.checks.values()),
        "checked at the end": dict(sorted(run.checks.items())),
        "failures": run.failures,
        "seconds": round(time.monotonic() - begin, 1),
    }


def main() -> None:
    """Run, write the result, and end with 1 if anything failed."""
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=300)
    options.add_argument("--seed", type=int, default=11)
    options.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--minutes", type=float, default=math.inf, help="end after this time")
    args = options.parse_args()
    if args.worker:
        Worker(args.worker, args.seed).run()
        return
    result = campaign(args.kills, args.seed, args.minutes)
    keep(args.results, "faults", result)
    raise SystemExit(bool(result["failures"]))


if __name__ == "__main__":
    main()

"""Measure how fast a local Hopsworks is, beside its floor: delta-rs and plain files called directly.

    python benchmarks/speed.py [--repeats 5]

Every figure is the median of the repeats, in seconds. The floor of an operation is the same work on
the same data in the same run without client and server. Reads are measured with `read_batches()`,
the client's streaming read, and with `read()`, which adds an animation of up to half a second.
Writes `results/speed.json` and `.md`.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import hopsworks_local
from common import keep, parser

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MODEL_BYTES = 20_000_000


def frame(rows: int) -> pd.DataFrame:
    """Return thirteen columns: a key, a text, eleven measurements."""
    chance = np.random.default_rng(rows)
    measured = {f"x{i}": chance.random(rows) for i in range(11)}
    return pd.DataFrame(
        {"id": np.arange(rows), "kind": [f"kind {i % 7}" for i in range(rows)], **measured}
    )


def median(
    repeats: int, work: Callable[[], Any], prepare: Callable[[], Any] | None = None
) -> float:
    """Return the median time of some work; `prepare` runs before each repeat."""
    times = []
    for _ in range(repeats):
        if prepare:
            prepare()
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


class Floor:
    """The same table, without client and server."""

    def __init__(self, folder: Path, data: pd.DataFrame):
        self.path, self.data = str(folder / "floor"), data

    def insert(self) -> None:
        import pyarrow as pa
        from deltalake import write_deltalake

        write_deltalake(self.path, pa.Table.from_pandas(self.data, preserve_index=False))

    def clear(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def upsert(self, some: pd.DataFrame) -> None:
        import pyarrow as pa
        from deltalake import DeltaTable

        merge = DeltaTable(self.path).merge(
            pa.Table.from_pandas(some, preserve_index=False), "s.id == t.id", "s", "t"
        )
        merge.when_matched_update_all().when_not_matched_insert_all().execute()

    def read(self, where: str = "") -> pd.DataFrame:
        import pyarrow as pa
        from deltalake import DeltaTable, QueryBuilder

        builder = QueryBuilder().register("t", DeltaTable(self.path))
        reader = pa.RecordBatchReader.from_stream(builder.execute(f"SELECT * FROM t {where}"))
        result: pd.DataFrame = reader.read_all().to_pandas()
        return result


def rows(query: Any) -> pd.DataFrame:
    """Return a streaming read as a frame."""
    import pyarrow as pa

    with query.read_batches() as batches:
        result: pd.DataFrame = pa.Table.from_batches(list(batches)).to_pandas()
        return result


def tables(project: Any, folder: Path, size: int, repeats: int) -> dict[str, Any]:
    """Measure insert, upsert, read and filter with one number of rows."""
    store, data = project.get_feature_store(), frame(size)
    floor = Floor(folder, data)
    some = data.sample(min(1_000, size), random_state=1).assign(kind="new")
    groups: list[Any] = []

    def new() -> None:
        if groups:
            groups.pop().delete()
        groups.append(store.create_feature_group(f"b{size}", 1, primary_key=["id"]))

    times: dict[str, Any] = {
        "insert": (
            median(repeats, lambda: groups[0].insert(data), new),
            median(repeats, floor.insert, floor.clear),
        )
    }
    group = groups[0]
    where = f"WHERE id < {size // 100}"
    part = group.filter(group["id"] < size // 100)
    times |= {
        "read_batches": (
            median(repeats, lambda: rows(group.select_all())),
            median(repeats, floor.read),
        ),
        "read": (median(repeats, group.read), median(repeats, floor.read)),
        "filter": (median(repeats, lambda: rows(part)), median(repeats, lambda: floor.read(where))),
        "upsert": (
            median(repeats, lambda: group.insert(some)),
            median(repeats, lambda: floor.upsert(some)),
        ),
    }
    group.delete()
    floor.clear()
    return {name: cell(seconds, least) for name, (seconds, least) in times.items()}


def cell(seconds: float, floor: float) -> dict[str, float]:
    """Return one line of the result."""
    return {
        "seconds": round(seconds, 4),
        "floor": round(floor, 4),
        "ratio": round(seconds / floor, 2),
    }


def models(project: Any, folder: Path, repeats: int) -> dict[str, Any]:
    """Measure saving 20 MB (the client sleeps for five seconds in it) and downloading them; the floor
    is a copy."""
    source = folder / "model"
    source.mkdir()
    (source / "weights").write_bytes(np.random.default_rng(1).bytes(MODEL_BYTES))
    registry = project.get_model_registry()
    saved: list[Any] = []

    def save() -> None:
        saved.append(registry.python.create_model("benchmark", description="b"))
        saved[-1].save(str(source))

    copies = iter(range(1000))
    copy = median(repeats, lambda: shutil.copytree(source, folder / f"c{next(copies)}"))
    times = {
        "model save, 20 MB, without the client's 5 s": median(min(repeats, 3), save) - 5,
        "model download, 20 MB": median(
            repeats, lambda: saved[0].download(str(folder / f"d{next(copies)}"))
        ),
    }
    return {name: cell(seconds, copy) for name, seconds in times.items()}


def processes(repeats: int) -> dict[str, float]:
    """Measure start until ready, stop, login, and an empty interpreter."""
    starts, stops, logins = [], [], []
    import hopsworks

    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as name:
            begin = time.perf_counter()
            server = hopsworks_local.start(name)
            starts.append(time.perf_counter() - begin)
            os.environ.update(server.env)
            begin = time.perf_counter()
            hopsworks.login()
            logins.append(time.perf_counter() - begin)
            hopsworks.logout()
            begin = time.perf_counter()
            server.stop()
            stops.append(time.perf_counter() - begin)
    bare = median(repeats, lambda: subprocess.run([sys.executable, "-c", "pass"]))
    times = {"server start": starts, "server stop": stops, "login": logins}
    return {k: round(statistics.median(v), 4) for k, v in times.items()} | {
        "a bare Python process": round(bare, 4)
    }


def peak(pid: int) -> float:
    """Return the largest resident memory of a process so far, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1000, 1)


def measure(repeats: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Measure everything; each size has a new server, so that the peak memory is that size's."""
    import hopsworks

    result: dict[str, Any] = {
        "repeats": repeats,
        "process": processes(repeats),
        "rows": {},
        "server_peak_mb": {},
    }
    for size in sizes:
        with (
            tempfile.TemporaryDirectory() as name,
            hopsworks_local.start(Path(name) / "data") as server,
        ):
            os.environ.update(server.env)
            project = hopsworks.login()
            result["server_peak_mb"].setdefault("idle", peak(server.pid))
            result["rows"][str(size)] = tables(project, Path(name), size, repeats)
            result["server_peak_mb"][f"{size:,} rows"] = peak(server.pid)
            if size == sizes[0]:
                result["models"] = models(project, Path(name), repeats)
            hopsworks.logout()
    return result


def table(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    lines = [
        "Made by `python benchmarks/speed.py`; medians of "
        f"{result['repeats']} runs in seconds, on {os.cpu_count()} cores.",
        "",
        "| rows | operation | client and server | floor | ratio |",
        "|---:|---|---:|---:|---:|",
    ]
    cells = [
        (f"{int(size):,}", name, o)
        for size, operations in result["rows"].items()
        for name, o in operations.items()
    ]
    cells += [("", name, o) for name, o in result["models"].items()]
    lines += [
        f"| {size} | {name} | {o['seconds']:.3f} | {o['floor']:.3f} | {o['ratio']:.2f} |"
        for size, name, o in cells
    ]
    lines += ["", "| process | seconds |", "|---|---:|"]
    lines += [f"| {name} | {value:.3f} |" for name, value in result["process"].items()]
    lines += ["", "| the server's peak memory | MB |", "|---|---:|"]
    lines += [f"| {name} | {value:.0f} |" for name, value in result["server_peak_mb"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write both files."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    args = options.parse_args()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        result = measure(args.repeats, SIZES)
    keep(args.results, "speed", result)
    (args.results / "speed.md").write_text(table(result))


if __name__ == "__main__":
    main()

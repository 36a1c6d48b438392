"""The Delta table of a feature group, which the client itself writes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from .protocol import ApiError, http_error, unsupported
from .state import Entity

if TYPE_CHECKING:
    from .app import App

BATCH_ROWS = 65_536
BUFFER_BYTES = 65_536  # of each column that is read
_DELTA_TYPES = {
    **{t: t for t in ("float", "double", "boolean", "string", "date", "binary")},
    **{"tinyint": "byte", "smallint": "short", "int": "integer", "bigint": "long"},
    "timestamp": "timestamp_ntz",
}


class NoData(Exception):
    """A feature group has no table yet, or one that cannot be read; the text names it."""


class NoTable(NoData):
    """A feature group has no table yet."""


def location(app: App, group: Entity) -> str:
    """Return the folder of the table. It is stored relative, so a data folder can be moved."""
    return str(app.folder.tables / group.doc["table"])


def open_table(app: App, group: Entity, as_of: int | None = None) -> Any:
    """Return the table of a group, now or as it was at a time in milliseconds; NoData if none."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    try:
        table = DeltaTable(location(app, group))
        if as_of is not None:
            table.load_as_version(_version_at(table, group, as_of))
        return table
    except TableNotFoundError:
        raise NoTable(no_data(app, [group], "nothing was inserted yet.")) from None
    except ApiError:
        raise
    except Exception as e:
        raise NoData(no_data(app, [group], f"its table cannot be read. {_first_line(e)}")) from e


def _version_at(table: Any, group: Entity, as_of: int) -> int:
    """Return the version of a table at a time, by the commit times that `commit_details` shows: the
    modification times of the log's files, which delta-rs would take, change when a folder is copied."""
    versions: list[int] = [e["version"] for e in table.history() if e["timestamp"] <= as_of]
    if not versions:
        moment = datetime.fromtimestamp(as_of / 1000, UTC)
        raise ApiError(
            270118,
            f"No commits found for feature group {group.name!r} version {group.version} until "
            f"{moment:%Y-%m-%d %H:%M:%S} UTC.",
        )
    return max(versions)


def _first_line(e: BaseException) -> str:
    """Return what an engine says, without its backtrace."""
    return str(e).partition("\n")[0]


def no_data(app: App, groups: Sequence[Entity], why: str) -> str:
    """Say why groups have no data. "No data found" is the one beginning of an error text that the
    client hands on to its user."""
    names = ", ".join(f"{app.project}.{g.name}_{g.version}" for g in groups)
    return f"No data found for featuregroup {names}: {why}"


@contextlib.contextmanager
def reading(app: App, *groups: Entity) -> Iterator[None]:
    """Turn what goes wrong while tables are read into NoData, which names their groups."""
    try:
        yield
    except (NoData, ApiError):
        raise
    except Exception as e:
        raise NoData(no_data(app, groups, f"it cannot be read. {_first_line(e)}")) from e


def dataset(app: App, group: Entity, as_of: int | None = None) -> Any:
    """Return the live files of a table as an Arrow dataset, the oldest insert first."""
    import pyarrow as pa
    import pyarrow.dataset as ds
    from pyarrow import fs

    table = open_table(app, group, as_of)
    files = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    local = fs.LocalFileSystem()
    parquet = ds.ParquetFileFormat()
    schema = pa.schema(table.schema().to_arrow())
    defaults = {f["name"]: f.get("defaultValue") for f in group.doc["features"]}
    for i, field in enumerate(schema):
        if (text := defaults.get(field.name)) is not None:
            schema = schema.set(i, field.with_metadata({"default": text}))
    fragments = [
        parquet.make_fragment(
            os.path.join(location(app, group), unquote(file["path"])),
            local,
            _partition(file, schema),
        )
        for file in reversed(files)  # the log's newest come first
    ]
    return ds.FileSystemDataset(fragments, schema, parquet, local)


def with_default(column: Any, field: Any) -> Any:
    """Return a column, or an expression of one, with its feature's default value in place of null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = (field.metadata or {}).get(b"default")
    if text is None:
        return column
    return pc.coalesce(column, pa.scalar(text.decode()).cast(field.type))


def _partition(file: dict[str, Any], schema: Any) -> Any:
    """Return the values of the partition columns, which are not in the files, as an expression."""
    import pyarrow as pa
    import pyarrow.compute as pc

    expression = None
    for key, value in file.items():
        if key.startswith("partition."):
            name = key.removeprefix("partition.")
            column = pc.field(name)
            equals = column == pa.scalar(value, schema.field(name).type)
            is_value = column.is_null() if value is None else equals
            expression = is_value if expression is None else expression & is_value
    return expression


def scan(data: Any, names: Sequence[str], condition: Any = None) -> Iterator[Any]:
    """Yield the rows of a dataset that meet a condition, as record batches of these columns.

    Its own scanner would hold whole row groups, each a million rows; here a file is decoded in
    pieces. Files and row groups that cannot have such rows are left out.
    """
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    for fragment in data.get_fragments(filter=condition):
        groups = None
        if condition is not None:
            groups = [
                group.id for group in fragment.subset(condition, schema=data.schema).row_groups
            ]
        values = ds.get_partition_keys(fragment.partition_expression)
        with pq.ParquetFile(fragment.path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
            stored = [name for name in names if name in file.schema_arrow.names]
            for batch in file.iter_batches(BATCH_ROWS, row_groups=groups, columns=stored):
                piece = _completed(batch, names, data.schema, values)
                yield piece if condition is None else piece.filter(condition)


def _completed(batch: Any, names: Sequence[str], schema: Any, values: dict[str, Any]) -> Any:
    """Return a piece of a file with the partition's values, and nulls in columns added since; a
    default value takes the place of nulls."""
    import pyarrow as pa

    columns = []
    for name in names:
        field = schema.field(name)
        if name in batch.schema.names:
            column = batch[name].cast(field.type)
        else:
            column = pa.repeat(pa.scalar(values.get(name), field.type), len(batch))
        columns.append(with_default(column, field))
    return pa.record_batch(columns, pa.schema([schema.field(name) for name in names]))


def column_table(data: Any, names: Sequence[str]) -> Any:
    """Return columns of a dataset as a table."""
    import pyarrow as pa

    schema = pa.schema([data.schema.field(name) for name in names])
    return pa.Table.from_batches(scan(data, names), schema)


def history(app: App, group: Entity) -> list[dict[str, Any]]:
    """Return the commits of a group, newest first, read from the Delta log itself.

    The log is the truth: a client killed between its write and its report loses no commit.
    """
    table, commits = open_table(app, group), []
    with reading(app, group):
        entries = table.history()
    for entry in entries:
        metrics, time = entry.get("operationMetrics", {}), entry["timestamp"]
        if entry.get("operation") not in ("WRITE", "MERGE"):
            continue
        inserted = metrics.get("num_added_rows", metrics.get("num_target_rows_inserted", 0))
        moment = datetime.fromtimestamp(time / 1000, UTC)
        commits.append(
            {
                "commitID": time,
                "commitTime": time,
                "commitDateString": moment.strftime("%Y%m%d%H%M%S%f")[:-3],
                "rowsInserted": inserted,
                "rowsUpdated": metrics.get("num_target_rows_updated", 0),
                "rowsDeleted": metrics.get("num_target_rows_deleted", 0),
            }
        )
    return commits


def _delta_type(kind: str) -> Any:
    """Return a Hopsworks type as Delta Lake's, or raise 501."""
    from deltalake.schema import ArrayType, PrimitiveType

    if kind in _DELTA_TYPES:
        return PrimitiveType(_DELTA_TYPES[kind])
    if kind.startswith("decimal"):
        return PrimitiveType(kind.replace(" ", ""))
    if kind.startswith("array<"):
        return ArrayType(_delta_type(kind[len("array<") : -1].strip()), contains_null=True)
    raise unsupported(f"a new column of type {kind!r}")


def create_table(app: App, group: Entity) -> None:
    """Make the table of a group, without rows."""
    from deltalake import DeltaTable, Field, Schema

    fields = [Field(f["name"], _delta_type(f["type"])) for f in group.doc["features"]]
    # the property that the client sets when it makes a table
    properties = {"delta.enableChangeDataFeed": "true"}
    DeltaTable.create(location(app, group), Schema(fields), configuration=properties)


def add_columns(app: App, group: Entity, features: list[dict[str, Any]]) -> None:
    """Make appended features columns of the table, before they are in the metadata: a feature
    without its column would make every read of the group fail."""
    from deltalake import Field
    from deltalake.exceptions import DeltaError

    if not features:
        return
    try:
        table = open_table(app, group)
    except NoTable:  # the first insert makes it, with every column
        return
    new = [Field(f["name"], _delta_type(f["type"])) for f in features]
    there = {field.name: field for field in table.schema().fields}
    for field in new:  # there already if an earlier call was killed between table and metadata
        if field.name in there and there[field.name].type != field.type:
            raise ApiError(270114, f"The table has a column {field.name!r} of another type.")
    if missing := [field for field in new if field.name not in there]:
        try:
            table.alter.add_columns(missing)
        except DeltaError as e:  # another writer was faster
            raise http_error(409, f"The table could not be changed: {_first_line(e)}") from None


def drop_table(app: App, group: Entity) -> None:
    """Remove the table. It is renamed first, so that a kill never leaves a part of it."""
    with app.folder.aside() as gone, contextlib.suppress(FileNotFoundError):
        os.rename(location(app, group), gone)

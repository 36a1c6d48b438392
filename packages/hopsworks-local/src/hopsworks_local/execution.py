"""Runs a query: the Delta tables' live files as Arrow datasets, joined, filtered and streamed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from . import joins
from .expressions import Builder, arrow_type, balanced, common_type, other_feature
from .protocol import ApiError
from .query import Condition, Node, Query, Selected
from .state import Entity
from .tables import BATCH_ROWS, column_table, dataset, reading, scan, with_default

if TYPE_CHECKING:
    from .app import App


@dataclass(frozen=True)
class Column:
    """A column of a query's result."""

    source: int
    feature: str
    name: str


def feature(group: Entity, name: str) -> dict[str, Any]:
    """Return the feature of that name, or raise 400/270082."""
    for item in group.doc["features"]:
        if item["name"] == name:
            result: dict[str, Any] = item
            return result
    raise ApiError(
        270082,
        f"The feature {name!r} is not in feature group {group.name!r} version {group.version}.",
    )


def source_of(groups: tuple[Entity, ...], name: str, owner: int | None) -> int:
    """Return which group of a query has the feature that a filter names."""
    for i, group in enumerate(groups):
        if owner == group.id:
            feature(group, name)
            return i
        if owner is None and name in [f["name"] for f in group.doc["features"]]:
            return i
    raise ApiError(270082, f"The filter's feature {name!r} is not in the query.")


@dataclass(frozen=True)
class Plan:
    """A query that can be run: checked, with the groups that it reads."""

    query: Query
    groups: tuple[Entity, ...]
    columns: tuple[Column, ...]

    @property
    def point_in_time(self) -> bool:
        """Return whether each left row is joined with the latest right row that is not later."""
        return bool(self.query.joins) and all(g.doc["eventTime"] for g in self.groups)

    def kind(self, source: int, name: str) -> str:
        """Return the Hopsworks type of a feature."""
        return str(feature(self.groups[source], name)["type"])

    def resolve(self, other: dict[str, Any]) -> int:
        """Return the source of a feature that a condition compares with."""
        return source_of(self.groups, other["name"], other["featureGroupId"])

    def __str__(self) -> str:
        """Return what is read, for the user who prints a query."""
        names = [f"{group.name}_{group.version}" for group in self.groups]
        kinds = [join.kind for join in self.query.joins]
        joined = "".join(f" {k} JOIN {n}" for k, n in zip(kinds, names[1:], strict=True))
        return f"{', '.join(c.name for c in self.columns)} FROM {names[0]}{joined}"


def run(app: App, plan: Plan) -> tuple[Any, Iterator[Any]]:
    """Return the schema and the record batches of a plan. NoData when a table cannot be read."""
    with reading(app, *plan.groups):
        run = _Joined(app, plan) if plan.query.joins else _Single(app, plan)
        schema = run.schema

    def batches() -> Iterator[Any]:
        left = plan.query.limit
        with reading(app, *plan.groups):
            for batch in run.batches():
                if left is not None:
                    batch = batch.slice(0, left)
                    left -= len(batch)
                if len(batch):
                    yield batch
                if left == 0:
                    return

    return schema, batches()


def first_rows(app: App, group: Entity, rows: int) -> tuple[int, list[str], list[Any]]:
    """Return how many rows a group has, its columns and its first rows."""
    columns = tuple(Column(0, f["name"], f["name"]) for f in group.doc["features"])
    selected = tuple(Selected(column.name) for column in columns)
    plan = Plan(Query(group.id, selected, limit=rows), (group,), columns)
    schema, batches = run(app, plan)
    shown = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
    return dataset(app, group).count_rows(), schema.names, shown


def _uses(node: Node, plan: Plan) -> Iterator[tuple[int, str]]:
    """Yield the columns that a filter needs."""
    if not isinstance(node, Condition):
        for part in node.parts:
            yield from _uses(part, plan)
        return
    yield node.source, node.feature
    if node.operator not in ("IN", "LIKE") and (other := other_feature(node.value)):
        yield plan.resolve(other), other["name"]


class _Run:
    """What both ways to run a plan share."""

    def __init__(self, app: App, plan: Plan):
        self.plan = plan
        queries = zip(plan.groups, plan.query.parts(), strict=True)
        self.datasets = [dataset(app, group, query.as_of) for group, query in queries]

    @cached_property
    def schema(self) -> Any:
        """Return the schema of the result."""
        columns = self.plan.columns
        fields = [self.datasets[c.source].schema.field(c.feature) for c in columns]
        return pa.schema([f.with_name(c.name) for f, c in zip(fields, columns, strict=True)])

    def reference(self, source: int, name: str) -> Any:
        """Return a column as an expression, of the type that the metadata says."""
        kind = arrow_type(self.plan.kind(source, name))
        stored = self.datasets[source].schema.field(name)
        column = with_default(pc.field(self.name(source, name)), stored)
        return column if kind is None or stored.type == kind else column.cast(kind)

    def name(self, source: int, name: str) -> str:
        """Return what a column is called while the query runs."""
        raise NotImplementedError

    def filter(self) -> Any:
        """Return the filter as an expression, or None."""
        builder = Builder(self.reference, self.plan.kind, self.plan.resolve)
        conditions = [builder.build(node) for node in self.plan.query.conditions()]
        return balanced(lambda a, b: a & b, conditions) if conditions else None


class _Single(_Run):
    """One group: its files are scanned one after the other, and nothing is kept."""

    def name(self, source: int, name: str) -> str:
        return name

    def batches(self) -> Iterator[Any]:
        """Yield the filtered rows of each file."""
        shown = [column.feature for column in self.plan.columns]
        needed = dict.fromkeys(shown)
        for node in self.plan.query.conditions():
            needed |= dict.fromkeys(name for _, name in _uses(node, self.plan))
        for batch in scan(self.datasets[0], list(needed), self.filter()):
            columns = [batch[name] for name in shown]
            yield pa.record_batch(columns, schema=self.schema)


class _Joined(_Run):
    """Several groups: each is held in memory, with the columns that are needed; the result is put
    together in pieces."""

    def name(self, source: int, name: str) -> str:
        return f"{source}:{name}"

    @cached_property
    def tables(self) -> list[Any]:
        """Return the columns of each group that the result, the filter and the joins need."""
        plan = self.plan
        needed = {(c.source, c.feature) for c in plan.columns}
        for node in plan.query.conditions():
            needed |= set(_uses(node, plan))
        for i, join in enumerate(plan.query.joins, 1):
            needed |= {(0, left) for left, _ in join.on} | {(i, right) for _, right in join.on}
        if plan.point_in_time:
            needed |= {(i, group.doc["eventTime"]) for i, group in enumerate(plan.groups)}
        return [
            column_table(data, sorted(name for i, name in needed if i == source)).combine_chunks()
            for source, data in enumerate(self.datasets)
        ]

    def batches(self) -> Iterator[Any]:
        """Yield the rows of the join, taken by their positions."""
        positions, condition = self._positions(), self.filter()
        names = [self.name(c.source, c.feature) for c in self.plan.columns]
        for start in range(0, len(positions[0]), BATCH_ROWS):
            columns = {
                self.name(source, field.name): with_default(
                    table[field.name].take(rows.slice(start, BATCH_ROWS)), field
                )
                for source, (table, rows) in enumerate(zip(self.tables, positions, strict=True))
                for field in table.schema
            }
            piece = pa.table(columns)
            if condition is not None:
                piece = piece.filter(condition)
            yield from pa.table([piece[n] for n in names], schema=self.schema).to_batches()

    def _positions(self) -> list[Any]:
        """Return for each source the row that is in each row of the result."""
        positions = [pa.array(np.arange(len(self.tables[0])))]
        for source in range(1, len(self.tables)):
            by, right = self._join(source, positions[0])
            positions = [*(rows.take(by) for rows in positions), right]
        return positions

    def _join(self, source: int, rows: Any) -> tuple[Any, Any]:
        """Join the left rows `rows` with one more source."""
        join = self.plan.query.joins[source - 1]
        if join.kind == "CROSS":
            return joins.cross_join(len(rows), len(self.tables[source]))
        pairs = [self._key(source, rows, *pair) for pair in join.on]
        left, right = [a for a, _ in pairs], [b for _, b in pairs]
        if not self.plan.point_in_time:
            return joins.equi_join(left, right, join.kind)
        times = (self.plan.groups[i].doc["eventTime"] for i in (0, source))
        left_time, right_time = self._key(source, rows, *times)
        matches = joins.asof_join(left, left_time, right, right_time)
        if join.kind == "LEFT":
            return pa.array(np.arange(len(rows))), matches
        return joins.kept(matches), matches.drop_null()

    def _key(self, source: int, rows: Any, left: str, right: str) -> tuple[Any, Any]:
        """Return both sides of a key in one type."""
        kinds = self.plan.kind(0, left), self.plan.kind(source, right)
        kind = common_type(*kinds) or kinds[0]
        a, b = self.tables[0][left].take(rows), self.tables[source][right]
        return a.cast(arrow_type(kind), safe=False), b.cast(arrow_type(kind), safe=False)

"""A query as it is kept: ids and names only, in dataclasses that never change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

Doc: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Condition:
    """A feature compared with a value: `value` is text, as it arrives, until the query runs."""

    source: int  # 0 for the left group, then 1, 2, ... in the order of the joins
    feature: str
    operator: str
    value: str


@dataclass(frozen=True)
class And:
    """All of its parts hold."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """At least one of its parts holds."""

    parts: tuple[Node, ...]


Node: TypeAlias = Condition | And | Or


@dataclass(frozen=True)
class Selected:
    """A feature of the result; `qualified` names it after its project, group and version."""

    name: str
    qualified: bool = False


@dataclass(frozen=True)
class Join:
    """Another group to the right of the first: `on` pairs a left feature with a right one."""

    query: Query
    kind: str
    prefix: str | None
    on: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Query:
    """A selection of one group, with joins to others; the filter is of the joined rows."""

    group: int
    features: tuple[Selected, ...]
    joins: tuple[Join, ...] = ()
    filter: Node | None = None
    limit: int | None = None
    as_of: int | None = None

    def parts(self) -> tuple[Query, ...]:
        """Return the query of each source: this one, then one for each join."""
        return (self, *(join.query for join in self.joins))

    def conditions(self) -> Iterator[Node]:
        """Yield the filters that a row of the result meets, those of the right sides too."""
        if self.filter is not None:
            yield self.filter
        for source, join in enumerate(self.joins, 1):
            if join.query.filter is not None:
                yield moved(join.query.filter, source)


def both(first: Node | None, second: Node | None) -> Node | None:
    """Join two filters, either of which may be absent."""
    return combined("AND", (first, second)) if first and second else first or second


def combined(kind: str, parts: tuple[Node, ...]) -> Node:
    """Return `AND` or `OR` of some filters; parts of the same kind are merged, so that a chain
    of conditions, however long, is one flat list."""
    cls = And if kind == "AND" else Or
    flat: list[Node] = []
    for part in parts:
        flat += part.parts if isinstance(part, cls) else [part]
    return cls(tuple(flat))


def moved(node: Node, source: int) -> Node:
    """Return a filter of a join's own query as one of the joined rows."""
    if isinstance(node, Condition):
        return replace(node, source=source)
    return replace(node, parts=tuple(moved(part, source) for part in node.parts))


# -- to and from the metadata ----------------------------------------------------------------------


def node_to_doc(node: Node | None) -> Doc | None:
    """Return a filter as JSON."""
    if node is None:
        return None
    if isinstance(node, Condition):
        doc = {"source": node.source, "feature": node.feature}
        return {**doc, "condition": node.operator, "value": node.value}
    word = "and" if isinstance(node, And) else "or"
    return {word: [node_to_doc(part) for part in node.parts]}


def node_from_doc(doc: Doc | None) -> Node | None:
    """Return the filter that `node_to_doc` wrote."""
    if doc is None:
        return None
    for word in ("and", "or"):
        if word in doc:
            parts = (node_from_doc(part) for part in doc[word])
            return combined(word.upper(), tuple(part for part in parts if part))
    return Condition(doc["source"], doc["feature"], doc["condition"], doc["value"])


def to_doc(query: Query) -> Doc:
    """Return a query as JSON, without the time of `as_of`: a feature view reads the rows of today."""
    return {
        "group": query.group,
        "features": [{"name": f.name, "qualified": f.qualified} for f in query.features],
        "filter": node_to_doc(query.filter),
        "joins": [
            {
                "query": to_doc(join.query),
                "type": join.kind,
                "prefix": join.prefix,
                "on": [list(pair) for pair in join.on],
            }
            for join in query.joins
        ],
        "limit": query.limit,
    }


def from_doc(doc: Doc) -> Query:
    """Return the query that `to_doc` wrote."""
    joins = (
        Join(
            from_doc(join["query"]),
            join["type"],
            join["prefix"],
            tuple((left, right) for left, right in join["on"]),
        )
        for join in doc["joins"]
    )
    features = (Selected(f["name"], f["qualified"]) for f in doc["features"])
    return Query(
        doc["group"],
        tuple(features),
        tuple(joins),
        node_from_doc(doc["filter"]),
        doc["limit"],
    )

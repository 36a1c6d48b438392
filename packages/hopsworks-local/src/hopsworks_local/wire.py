"""Queries on the wire: the client's JSON to a checked query, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .execution import Column, Plan, feature, source_of
from .expressions import check, common_type, other_feature
from .groups import EVENT_TIME_TYPES, STORE_ID, check_name, full, group_by_id
from .protocol import ApiError, Request, illegal, route, take, unsupported
from .query import And, Condition, Join, Node, Query, Selected, combined
from .state import Entity
from .tables import open_table

if TYPE_CHECKING:
    from .app import App

_JOINS = ("INNER", "LEFT", "RIGHT", "FULL", "CROSS")
MAX_TIME = 253_402_300_800_000  # milliseconds: the year 10,000

Groups = tuple[Entity, ...]


# -- reading ---------------------------------------------------------------------------------------


def parse(request: Request, dto: Any, nested: bool = False) -> Query:
    """Return a query as the client sends it, checked."""
    for key, call in (("lookback", "A query with lookback"), ("spine", "A query with spine_df")):
        if take(dto, key, dict, None) is not None:
            raise unsupported(call)
    if take(dto, "leftFeatureGroupStartTime", (int, str), None):
        raise unsupported("Query.as_of(exclude_until=...) and Query.pull_changes")
    group = _group(request, take(dto, "leftFeatureGroup", dict))
    joins = take(dto, "joins", list, [])
    if joins and nested:
        raise unsupported("Joining a query that is itself a join (nested joins)")
    query = Query(
        group.id,
        tuple(_selected(group, item) for item in take(dto, "leftFeatures", list, [])),
        tuple(_parse_join(request, group, join) for join in joins),
        limit=take(dto, "limit", int, None),
        as_of=take(dto, "leftFeatureGroupEndTime", int, None),
    )
    if (query.limit or 0) < 0 or not 0 <= (query.as_of or 0) < MAX_TIME:
        raise illegal("The limit or the time of the query is out of range.")
    logic = take(dto, "filter", dict, None)
    if logic is None:
        return query
    node = parse_filter(sources(request, query), logic)
    return Query(query.group, query.features, query.joins, node, query.limit, query.as_of)


def _group(request: Request, dto: Any) -> Entity:
    """Return the group that a query reads. The client names by id; a group that was never saved
    or written has none."""
    id = take(dto, "id", int, None)
    if id is None:
        name, version = take(dto, "name", str, ""), take(dto, "version", int, None)
        raise ApiError(
            270009,
            f"There is no feature group {name!r} version {version}: it is created by its first "
            "insert, or by save().",
        )
    return group_by_id(request, id)


def _selected(group: Entity, dto: Any) -> Selected:
    name = take(dto, "name", str)
    feature(group, name)
    return Selected(name, take(dto, "useFullyQualifiedName", bool, False))


def _parse_join(request: Request, left: Entity, dto: Any) -> Join:
    query = parse(request, take(dto, "query", dict), nested=True)
    if query.limit is not None:
        raise unsupported("Joining a query that has a limit")
    right = group_by_id(request, query.group)
    kind = take(dto, "type", str, "INNER").upper()
    if kind not in _JOINS:
        raise unsupported(f"Query.join(join_type={kind!r})")
    prefix = take(dto, "prefix", str, None)
    if prefix:
        check_name(prefix, 270165, "join prefix")
    return Join(query, kind, prefix, _pairs(left, right, kind, dto))


def _pairs(left: Entity, right: Entity, kind: str, dto: Any) -> tuple[tuple[str, str], ...]:
    """Return the features to join on: those given, or the primary keys that both groups have."""
    on, left_on, right_on = (
        [take(f, "name", str) for f in take(dto, key, list, [])]
        for key in ("on", "leftOn", "rightOn")
    )
    if len(left_on) != len(right_on):
        raise ApiError(270097, "left_on and right_on must have the same length.")
    if on:
        left_on = right_on = on
    if not left_on and kind != "CROSS":
        keys = {f["name"] for f in right.doc["features"] if f["primary"]}
        left_on = [f["name"] for f in left.doc["features"] if f["primary"] and f["name"] in keys]
        right_on = left_on
        if not left_on:
            raise ApiError(
                270096,
                f"Feature groups {left.name!r} and {right.name!r} share no primary key to join on.",
            )
    for a, b in zip(left_on, right_on, strict=True):
        kinds = feature(left, a)["type"], feature(right, b)["type"]
        if common_type(*kinds) is None:
            raise illegal(
                f"The features {left.name}.{a} of type {kinds[0]} and {right.name}.{b} of type "
                f"{kinds[1]} cannot be joined on."
            )
    return tuple(zip(left_on, right_on, strict=True))


def sources(request: Request, query: Query) -> Groups:
    """Return the groups that a query reads: the left one, then one for each join."""
    return tuple(group_by_id(request, part.group) for part in query.parts())


def parse_filter(groups: Groups, logic: Any) -> Node:
    """Return a tree of filters, without recursion: a chain is as deep as it has conditions."""
    operands: list[tuple[str, list[Condition | int]]] = []
    open_nodes = [logic]
    for dto in open_nodes:  # grows meanwhile; a part comes after the node that it is in
        kind, parts = take(dto, "type", str, ""), list[Condition | int]()
        for side in ("left", "right"):
            if (condition := take(dto, f"{side}Filter", dict, None)) is not None:
                parts.append(_parse_condition(groups, condition))
            if (nested := take(dto, f"{side}Logic", dict, None)) is not None:
                parts.append(len(open_nodes))
                open_nodes.append(nested)
        if len(parts) != {"SINGLE": 1, "AND": 2, "OR": 2}.get(kind):
            raise ApiError(270139, f"Malformed filter: {kind!r} with {len(parts)} operands.")
        operands.append((kind, parts))
    nodes: dict[int, Node] = {}
    for i in reversed(range(len(operands))):
        kind, parts = operands[i]
        done = tuple(nodes.pop(part) if isinstance(part, int) else part for part in parts)
        nodes[i] = done[0] if kind == "SINGLE" else combined(kind, done)
    return nodes[0]


def _parse_condition(groups: Groups, dto: Any) -> Condition:
    given = take(dto, "feature", dict)
    name = take(given, "name", str)
    source = source_of(groups, name, take(given, "featureGroupId", int, None))
    operator, value = take(dto, "condition", str), take(dto, "value", str, None)
    if value is None:
        if operator != "EQUALS":  # a cluster writes `x <> NULL`, which no row passes
            raise unsupported("A filter with None that is not == None")
        operator, value = "IN", "[null]"  # as a cluster: `x IS NULL`
    condition = Condition(source, name, operator, value)
    other, other_kind = other_feature(condition.value), None
    if other is not None and condition.operator not in ("IN", "LIKE"):
        right = source_of(
            groups, take(other, "name", str), take(other, "featureGroupId", int, None)
        )
        other_kind = feature(groups[right], other["name"])["type"]
    check(condition, feature(groups[source], name)["type"], other_kind)
    return condition


def qualified(app: App, group: Entity, name: str) -> str:
    """Return the name of a column that would be ambiguous, as the client builds it."""
    return f"{app.project.lower()}_{group.name}_{group.version}_{name}"


def output(app: App, groups: Groups, query: Query) -> tuple[Column, ...]:
    """Return the columns of a query's result.

    A right-hand join key is dropped when the left side selects a column of the same name. Columns
    that still have one name are prefixed with their project, group and version.
    """
    columns: list[Column] = []
    left = {f.name for f in query.features if not f.qualified}
    for i, part in enumerate(query.parts()):
        prefix = (query.joins[i - 1].prefix or "") if i else ""
        keys = [right for _, right in query.joins[i - 1].on] if i else []
        for item in part.features:
            name = prefix + item.name
            if item.qualified:
                name = qualified(app, groups[i], item.name)
            elif item.name in keys and name in left:
                continue
            columns.append(Column(i, item.name, name))
    names = [column.name for column in columns]
    return tuple(
        column
        if names.count(column.name) == 1
        else Column(
            column.source, column.feature, qualified(app, groups[column.source], column.feature)
        )
        for column in columns
    )


def plan(request: Request, query: Query) -> Plan:
    """Return a query as it can be run."""
    groups = sources(request, query)
    prepared = Plan(query, groups, output(request.app, groups, query))
    names = [column.name for column in prepared.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise illegal(f"The query has two columns {twice[0]!r}; give the joins different prefixes.")
    if not names:
        raise illegal("The query selects no feature.")
    if prepared.point_in_time:
        _check_point_in_time(prepared)
    for group, part in zip(groups, query.parts(), strict=True):
        if part.as_of is not None:
            open_table(request.app, group, part.as_of)  # 404 before its first commit
    return prepared


def _check_point_in_time(prepared: Plan) -> None:
    times = [group.doc["eventTime"] for group in prepared.groups]
    left = prepared.kind(0, times[0])
    for source, join in enumerate(prepared.query.joins, 1):
        if join.kind not in ("INNER", "LEFT"):
            raise unsupported(f"A point-in-time join with join_type={join.kind!r}")
        right = prepared.kind(source, times[source])
        if common_type(left, right) is None:
            raise illegal(f"Event times of types {left} and {right} cannot be compared.")


@route("PUT", "featurestores/query")
def construct(request: Request) -> Any:
    """`read()` and every other read, first call: the answer names a plan that Arrow Flight will run.

    The payload is a random handle, so that nobody can send the Flight server another query.
    """
    prepared = plan(request, parse(request, request.json()))
    return {
        "query": str(prepared),
        "onDemandFeatureGroups": [],
        "hudiCachedFeatureGroups": [],
        "hqsPayload": json.dumps(request.app.remember(prepared)),
        "hqsPayloadSignature": "local",
    }


# -- writing ---------------------------------------------------------------------------------------


def to_wire(request: Request, query: Query) -> dict[str, Any]:
    """Return a stored query as the client expects it; 404/270009 when a group is gone."""
    groups = sources(request, query)
    return _wire(request.app, groups, query, groups, 0)


def _wire(app: App, groups: Groups, query: Query, scope: Groups, at: int) -> dict[str, Any]:
    group = groups[at]
    return {
        "featureStoreId": STORE_ID,
        "featureStoreName": app.feature_store,
        "leftFeatureGroup": full(app, group),
        "leftFeatures": [
            {
                **feature(group, item.name),
                "featureGroupId": group.id,
                "useFullyQualifiedName": item.qualified,
            }
            for item in query.features
        ],
        "filter": _wire_filter(scope, query.filter) if query.filter else None,
        "limit": query.limit,
        "hiveEngine": True,
        "joins": [
            {
                "query": _wire(app, groups, join.query, (groups[i],), i),
                "leftOn": [{"name": a, "featureGroupId": groups[0].id} for a, _ in join.on],
                "rightOn": [{"name": b, "featureGroupId": groups[i].id} for _, b in join.on],
                "on": [],
                "type": join.kind,
                "prefix": join.prefix,
            }
            for i, join in enumerate(query.joins, 1)
        ],
    }


def _wire_filter(groups: Groups, node: Node) -> dict[str, Any]:
    """Return a filter as the client's tree, in which each node has two parts: as flat as can be."""
    if isinstance(node, Condition):
        return {"type": "SINGLE", "leftFilter": _wire_condition(groups, node)}
    half = (len(node.parts) + 1) // 2
    logic: dict[str, Any] = {"type": "AND" if isinstance(node, And) else "OR"}
    for side, parts in (("left", node.parts[:half]), ("right", node.parts[half:])):
        part = parts[0] if len(parts) == 1 else type(node)(parts)
        if isinstance(part, Condition):
            logic[f"{side}Filter"] = _wire_condition(groups, part)
        else:
            logic[f"{side}Logic"] = _wire_filter(groups, part)
    return logic


def _wire_condition(groups: Groups, condition: Condition) -> dict[str, Any]:
    group = groups[condition.source]
    return {
        "feature": {**feature(group, condition.feature), "featureGroupId": group.id},
        "condition": condition.operator,
        "value": condition.value,
    }


def time_window(group: Entity, start: int | None, end: int | None) -> Iterable[Condition]:
    """Yield the conditions of an event-time window: start inclusive, end exclusive.

    The bounds are milliseconds; for a timestamp they are cut to whole seconds, as the backend does.
    """
    for bound, operator in ((start, "GREATER_THAN_OR_EQUAL"), (end, "LESS_THAN")):
        if bound is None:
            continue
        event_time = group.doc["eventTime"]
        if event_time is None:
            raise ApiError(270172, f"The feature group {group.name!r} has no event time.")
        kind = feature(group, event_time)["type"]
        assert kind in EVENT_TIME_TYPES
        try:
            moment = datetime(1970, 1, 1) + timedelta(milliseconds=bound)
        except OverflowError:
            raise illegal(f"The time {bound} is out of range.") from None
        texts = {"bigint": str(bound), "date": f"{moment:%Y-%m-%d}"}
        yield Condition(0, event_time, operator, texts.get(kind, f"{moment:%Y-%m-%d %H:%M:%S}"))

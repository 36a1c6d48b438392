"""Queries: from the client's JSON to a checked form, to SQL, to a stream of record batches.

A query is kept as {group, features, filter, joins, limit, asOf} with ids and names only. Names are
checked against the metadata and quoted, values are turned into typed literals, so nothing that a
client sends can become SQL.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from .groups import (
    EVENT_TIME_TYPES,
    STORE_ID,
    NoData,
    check_name,
    full,
    group_by_id,
    open_table,
)
from .protocol import ApiError, Request, illegal, parse_json, route, take, unsupported
from .state import Entity

_OPERATORS = {
    "GREATER_THAN_OR_EQUAL": ">=",
    "GREATER_THAN": ">",
    "NOT_EQUALS": "!=",
    "EQUALS": "=",
    "LESS_THAN_OR_EQUAL": "<=",
    "LESS_THAN": "<",
}
_JOINS = ("INNER", "LEFT", "RIGHT", "FULL", "CROSS")
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_AGGREGATES = {"min": "min", "max": "max", "sum": "sum", "avg": "mean", "stddev_pop": "stdDev"}
_STATISTICS_TYPES = {
    **dict.fromkeys(_INTEGERS, "Integral"),
    **dict.fromkeys(("float", "double"), "Fractional"),
    **{"string": "String", "boolean": "Boolean"},
}
MAX_FILTER_DEPTH = 100
MAX_TIME = 253_402_300_800_000  # milliseconds: the year 10,000


# -- reading a query from the wire ---------------------------------------------------------------


def column(group: Entity, name: str) -> dict[str, Any]:
    """The feature of that name, or 400/270082."""
    for feature in group.doc["features"]:
        if feature["name"] == name:
            return feature
    raise ApiError(
        270082,
        f"The feature {name!r} is not in feature group {group.name!r} version {group.version}.",
    )


def parse(request: Request, dto: Any, depth: int = 0) -> dict[str, Any]:
    """A query as the client sends it, checked, in the form that is stored."""
    for key, call in (("lookback", "A query with lookback"), ("spine", "A query with spine_df")):
        if take(dto, key, dict, None) is not None:
            raise unsupported(call)
    if take(dto, "leftFeatureGroupStartTime", (int, str), None):
        raise unsupported("Query.as_of(exclude_until=...) and Query.pull_changes")
    group = group_by_id(request, take(take(dto, "leftFeatureGroup", dict), "id", int))
    features = []
    for feature in take(dto, "leftFeatures", list, []):
        name = take(feature, "name", str)
        column(group, name)
        features.append(
            {"name": name, "qualified": take(feature, "useFullyQualifiedName", bool, False)}
        )
    joins = take(dto, "joins", list, [])
    if joins and depth:
        raise unsupported("Joining a query that is itself a join (nested joins)")
    query = {
        "group": group.id,
        "features": features,
        "joins": [_parse_join(request, group, j) for j in joins],
        "limit": take(dto, "limit", int, None),
        "asOf": take(dto, "leftFeatureGroupEndTime", int, None),
        "filter": None,
    }
    if (query["limit"] or 0) < 0 or not 0 <= (query["asOf"] or 0) < MAX_TIME:
        raise illegal("The limit or the time of the query is out of range.")
    logic = take(dto, "filter", dict, None)
    query["filter"] = parse_filter(sources(request, query), logic) if logic else None
    return query


def _parse_join(request: Request, left: Entity, dto: Any) -> dict[str, Any]:
    query = parse(request, take(dto, "query", dict), depth=1)
    right = group_by_id(request, query["group"])
    kind = take(dto, "type", str, "INNER").upper()
    if kind not in _JOINS:
        raise unsupported(f"Query.join(join_type={kind!r})")
    prefix = take(dto, "prefix", str, None)
    if prefix:
        check_name(prefix, 270165, "join prefix")

    def names(key: str) -> list[str]:
        return [take(f, "name", str) for f in take(dto, key, list, [])]

    on, left_on, right_on = names("on"), names("leftOn"), names("rightOn")
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
        column(left, a), column(right, b)
    return {
        "query": query,
        "type": kind,
        "prefix": prefix,
        "on": [list(pair) for pair in zip(left_on, right_on, strict=True)],
    }


def sources(request: Request, query: dict[str, Any]) -> list[Entity]:
    """The groups a query reads: the left one, then one for each join."""
    return [
        group_by_id(request, q["group"]) for q in (query, *(j["query"] for j in query["joins"]))
    ]


def parse_filter(groups: list[Entity], logic: Any, depth: int = 0) -> dict[str, Any]:
    """A tree of filters as {and|or: [...]} and {source, feature, condition, value}."""
    if depth > MAX_FILTER_DEPTH:
        raise ApiError(270139, "The filter is nested too deeply.")
    kind = take(logic, "type", str, "")
    parts = []
    for key in ("leftFilter", "rightFilter"):
        if (found := take(logic, key, dict, None)) is not None:
            parts.append(_parse_condition(groups, found))
    for key in ("leftLogic", "rightLogic"):
        if (found := take(logic, key, dict, None)) is not None:
            parts.append(parse_filter(groups, found, depth + 1))
    if len(parts) != {"SINGLE": 1, "AND": 2, "OR": 2}.get(kind):
        raise ApiError(270139, f"Malformed filter: {kind!r} with {len(parts)} operands.")
    return parts[0] if kind == "SINGLE" else {kind.lower(): parts}


def _source_of(groups: list[Entity], feature: dict[str, Any]) -> int:
    """Which group of the query a filter's feature belongs to."""
    name, owner = take(feature, "name", str), take(feature, "featureGroupId", int, None)
    for i, group in enumerate(groups):
        if owner is None and name in (f["name"] for f in group.doc["features"]):
            return i
        if owner == group.id:
            column(group, name)
            return i
    raise ApiError(270082, f"The filter's feature {name!r} is not in the query.")


def _parse_condition(groups: list[Entity], dto: dict[str, Any]) -> dict[str, Any]:
    feature = take(dto, "feature", dict)
    source = _source_of(groups, feature)
    condition = take(dto, "condition", str)
    if dto.get("value") is None:
        raise unsupported("A filter that compares a feature with None")
    found = {
        "source": source,
        "feature": feature["name"],
        "condition": condition,
        "value": take(dto, "value", str),
    }
    _condition_sql(groups, found)  # refuses now what could not be executed later
    return found


# -- SQL -----------------------------------------------------------------------------------------


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _ref(source: int, name: str) -> str:
    """How a column of a source is called inside the SQL."""
    return _quote(f"{source}:{name}")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _bad_value(value: Any, kind: str) -> ApiError:
    return ApiError(270139, f"The filter value {value!r} does not fit a feature of type {kind}.")


def _timestamp(value: str) -> datetime:
    if re.fullmatch(r"-?\d{1,15}", value):
        return datetime(1970, 1, 1) + timedelta(milliseconds=int(value))
    found = datetime.fromisoformat(value)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def literal(value: str, kind: str) -> str:
    """A filter value, which arrives as text, as a typed SQL literal of the feature's type."""
    try:
        if kind in _INTEGERS and re.fullmatch(r"[+-]?\d{1,19}", value):
            if abs(int(value)) >= 2**63:
                raise ValueError
            return f"CAST({int(value)} AS BIGINT)"
        if kind in (*_INTEGERS, "float", "double") or kind.startswith("decimal"):
            if not math.isfinite(number := float(Decimal(value))):
                raise ValueError
            return f"CAST({_text(repr(number))} AS {'FLOAT' if kind == 'float' else 'DOUBLE'})"
        if kind == "boolean":
            return {"true": "TRUE", "false": "FALSE"}[value.lower()]
        if kind == "timestamp":
            return f"TIMESTAMP '{_timestamp(value):%Y-%m-%d %H:%M:%S.%f}'"
        if kind == "date":
            return f"DATE '{date.fromisoformat(value[:10])}'"
        if kind == "string":
            return _text(value)
    except (ValueError, KeyError, InvalidOperation, OverflowError):
        pass
    raise _bad_value(value, kind)


def _like(pattern: str) -> str:
    """A LIKE pattern as a regular expression: the engine's own LIKE fails on text columns."""
    parts = {"%": ".*", "_": "."}
    return "(?s)^" + "".join(parts.get(c) or re.escape(c) for c in pattern) + "$"


def _condition_sql(groups: list[Entity], node: dict[str, Any]) -> str:
    feature = column(groups[node["source"]], node["feature"])
    left, kind = _ref(node["source"], feature["name"]), feature["type"]
    value = node["value"]
    if node["condition"] == "LIKE":
        if kind != "string":
            raise _bad_value(value, kind)
        return f"regexp_like({left}, {_text(_like(value))})"
    if node["condition"] == "IN":
        try:
            values = parse_json(value)
        except ApiError:
            raise _bad_value(value, kind) from None
        values = values if isinstance(values, list) else [values]
        if not values or any(not isinstance(v, (str, int, float)) for v in values):
            raise _bad_value(value, kind)
        return f"{left} IN ({', '.join(literal(str(v), kind) for v in values)})"
    if node["condition"] not in _OPERATORS:
        raise ApiError(270139, f"Unknown filter condition {node['condition']!r}.")
    if (other := _other_feature(value)) is not None:
        source = _source_of(groups, other)
        column(groups[source], other["name"])
        return f"{left} {_OPERATORS[node['condition']]} {_ref(source, other['name'])}"
    return f"{left} {_OPERATORS[node['condition']]} {literal(value, kind)}"


def _other_feature(value: str) -> dict[str, Any] | None:
    """The feature that a filter such as `fg.a > fg.b` compares with; it arrives as JSON text."""
    if not value.startswith("{"):
        return None
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and {"name", "featureGroupId"} <= set(found) else None


def filter_sql(groups: list[Entity], node: dict[str, Any]) -> str:
    """The condition of a WHERE clause."""
    for word in ("and", "or"):
        if word in node:
            return "(" + f" {word.upper()} ".join(filter_sql(groups, n) for n in node[word]) + ")"
    return _condition_sql(groups, node)


def qualified(app: Any, group: Entity, feature: str) -> str:
    """The name of a key that a view does not select, as the client expects it."""
    return f"{app.project}_{group.name}_{group.version}_{feature}"


def output(app: Any, groups: list[Entity], query: dict[str, Any]) -> list[tuple[int, str, str]]:
    """The columns of a query's result: source, feature, name.

    A right-hand join key is dropped when the left side selects a column of the same name.
    """
    columns, left_names = [], set()
    for i, part in enumerate((query, *(j["query"] for j in query["joins"]))):
        join = query["joins"][i - 1] if i else {"prefix": None, "on": []}
        for feature in part["features"]:
            name = (join["prefix"] or "") + feature["name"]
            if feature["qualified"]:
                name = qualified(app, groups[i], feature["name"])
            elif i and feature["name"] in [on[1] for on in join["on"]] and name in left_names:
                continue
            if not i:
                left_names.add(name)
            columns.append((i, feature["name"], name))
    names = [name for _, _, name in columns]
    if twice := sorted({n for n in names if names.count(n) > 1}):
        # A cluster prefixes such columns by itself, in a way that is not documented.
        raise unsupported(f"a query with two columns {twice[0]!r}; give the join a prefix")
    return columns


def to_sql(request: Request, query: dict[str, Any]) -> str:
    """One SELECT over the tables g0, g1, ... in which every column is called `source:feature`.

    With event times on both sides a join is point-in-time correct: of the right rows with the same
    keys that are not later than the left row, the latest; as the backend, over RANK.
    """
    groups = sources(request, query)
    point_in_time = bool(query["joins"]) and all(g.doc["eventTime"] for g in groups)

    def table(i: int) -> str:
        names = [f["name"] for f in groups[i].doc["features"]]
        columns = ", ".join(f"{_quote(n)} AS {_ref(i, n)}" for n in names)
        return f"SELECT {columns} FROM g{i}"

    where = [query["filter"]] if query["filter"] else []
    where += [
        _shifted(j["query"]["filter"], i)
        for i, j in enumerate(query["joins"], 1)
        if j["query"]["filter"]
    ]
    sql = f"({table(0)})"
    for i, join in enumerate(query["joins"], 1):
        on = [f"{_ref(0, a)} = {_ref(i, b)}" for a, b in join["on"]]
        if not point_in_time:
            clause = f" ON {' AND '.join(on)}" if on else ""
            sql = f"{sql} {join['type']} JOIN ({table(i)}){clause}"
            continue
        if join["type"] not in ("INNER", "LEFT"):
            raise unsupported(f"A point-in-time join with join_type={join['type']!r}")
        left_time, time = (_ref(n, groups[n].doc["eventTime"]) for n in (0, i))
        condition = " AND ".join([*on, f"{time} <= {left_time}"])
        ranked = (
            f"SELECT *, RANK() OVER (PARTITION BY row{i} ORDER BY {time} DESC) AS rank{i} FROM "
            f"(SELECT *, row_number() OVER () AS row{i} FROM {sql}) "
            f"{join['type']} JOIN ({table(i)}) ON {condition}"
        )
        sql = f"(SELECT * FROM ({ranked}) WHERE rank{i} = 1)"
    columns = [f"{_ref(i, f)} AS {_quote(n)}" for i, f, n in output(request.app, groups, query)]
    sql = f"SELECT {', '.join(columns)} FROM {sql}"
    if where:
        sql += " WHERE " + " AND ".join(filter_sql(groups, node) for node in where)
    return sql if query["limit"] is None else f"{sql} LIMIT {query['limit']}"


def _shifted(node: dict[str, Any], source: int) -> dict[str, Any]:
    """The filter of a joined query, whose source 0 is source `source` of the whole query."""
    for word in ("and", "or"):
        if word in node:
            return {word: [_shifted(n, source) for n in node[word]]}
    return {**node, "source": source}


# -- execution -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """A query ready to run: its SQL and, for each table name in it, the group and the time."""

    sql: str
    groups: list[Entity]
    as_of: list[int | None]


def plan(request: Request, query: dict[str, Any]) -> Plan:
    """Prepare a query; only plans made here are ever executed."""
    groups = sources(request, query)
    if not output(request.app, groups, query):
        raise ApiError(270180, "The query selects no features.")
    parts = (query, *(j["query"] for j in query["joins"]))
    return Plan(to_sql(request, query), groups, [p["asOf"] for p in parts])


def run(app: Any, plan: Plan) -> tuple[Any, Iterator[Any]]:
    """The schema of a plan's result and its record batches, one at a time as they are read."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    builder = QueryBuilder()
    for i, (group, as_of) in enumerate(zip(plan.groups, plan.as_of, strict=True)):
        builder.register(f"g{i}", open_table(app, group, as_of))
    names = ", ".join(f"{g.name}_{g.version}" for g in plan.groups)
    try:
        reader = pa.RecordBatchReader.from_stream(builder.execute(plan.sql))
    except BaseException as e:  # the engine's panics are no Exceptions
        raise NoData(f"No data found for featuregroup {names}: it cannot be read. {e}") from e
    schema = pa.schema([pa.field(f.name, _plain(f.type)) for f in reader.schema])

    def batches() -> Iterator[Any]:
        try:
            for batch in reader:
                yield batch.cast(schema)
        except GeneratorExit:  # the client stopped reading
            raise
        except BaseException as e:
            raise NoData(f"No data found for featuregroup {names}: it cannot be read. {e}") from e

    return schema, batches()


def _plain(kind: Any) -> Any:
    """The engine's view types as the plain types that were written."""
    import pyarrow as pa

    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain(f.type)) for f in kind])
    return kind


def describe(app: Any, group: Entity) -> list[dict[str, Any]]:
    """Descriptive statistics of a group's columns, as the client reads them."""
    import pyarrow as pa

    fields = ["count(*)"]
    wanted = group.doc["statisticsConfig"]["columns"]
    features = [f for f in group.doc["features"] if f["name"] in wanted or not wanted]
    numbers = (*_INTEGERS, "float", "double")
    for feature in features:
        name = _quote(feature["name"])
        plain = "<" not in feature["type"]
        fields += [f"count({name})", f"count(DISTINCT {name})" if plain else "NULL"]
        number = f"CAST({name} AS DOUBLE)" if feature["type"] in numbers else "NULL"
        fields += [f"{f}({number})" if number != "NULL" else "NULL" for f in _AGGREGATES]
    sql = ", ".join(f"{field} AS c{i}" for i, field in enumerate(fields))
    schema, batches = run(app, Plan(f"SELECT {sql} FROM g0", [group], [None]))
    table = pa.Table.from_batches(batches, schema)
    total, *values = (column[0].as_py() for column in table.columns)
    described = []
    for i, feature in enumerate(features):
        present, distinct, *numeric = values[i * 7 : i * 7 + 7]
        described.append(
            {
                "featureName": feature["name"],
                "featureType": _STATISTICS_TYPES.get(feature["type"], "Unknown"),
                "count": total,
                "completeness": present / total if total else 0.0,
                "numNonNullValues": present,
                "numNullValues": total - present,
                "approxNumDistinctValues": distinct,
                **dict(zip(_AGGREGATES.values(), numeric, strict=True)),
            }
        )
    return described


@route("PUT", "featurestores/query")
def construct(request: Request) -> Any:
    """Every read begins here: the answer names a plan that Arrow Flight will run.

    The payload is a random handle, so nobody can send the Flight server SQL of his own.
    """
    prepared = plan(request, parse(request, request.json()))
    return {
        "query": prepared.sql,
        "onDemandFeatureGroups": [],
        "hudiCachedFeatureGroups": [],
        "hqsPayload": request.app.remember(prepared),
        "hqsPayloadSignature": "local",
    }


# -- back to the wire ----------------------------------------------------------------------------


def to_wire(request: Request, query: dict[str, Any]) -> dict[str, Any]:
    """A stored query as the client expects it; 404/270009 when a group is gone."""
    groups = sources(request, query)
    return _wire(request.app, groups, query, groups, 0)


def _wire(
    app: Any, groups: list[Entity], query: dict[str, Any], scope: list[Entity], at: int
) -> dict[str, Any]:
    group = groups[at]
    return {
        "featureStoreId": STORE_ID,
        "featureStoreName": f"{app.project}_featurestore",
        "leftFeatureGroup": full(app, group),
        "leftFeatures": [
            {
                **column(group, f["name"]),
                "featureGroupId": group.id,
                "useFullyQualifiedName": f["qualified"],
            }
            for f in query["features"]
        ],
        "leftFeatureGroupEndTime": query["asOf"],
        "filter": _wire_filter(scope, query["filter"]) if query["filter"] else None,
        "limit": query["limit"],
        "hiveEngine": True,
        "joins": [
            {
                "query": _wire(app, groups, join["query"], [groups[i]], i),
                "leftOn": [{"name": a, "featureGroupId": groups[0].id} for a, _ in join["on"]],
                "rightOn": [{"name": b, "featureGroupId": groups[i].id} for _, b in join["on"]],
                "on": [],
                "type": join["type"],
                "prefix": join["prefix"],
            }
            for i, join in enumerate(query["joins"], 1)
        ],
    }


def _wire_filter(groups: list[Entity], node: dict[str, Any], top: bool = True) -> dict[str, Any]:
    for word in ("and", "or"):
        if word in node:
            logic: dict[str, Any] = {"type": word.upper()}
            for side, part in zip(("left", "right"), node[word], strict=True):
                nested = "and" in part or "or" in part
                logic[side + ("Logic" if nested else "Filter")] = _wire_filter(groups, part, False)
            return logic
    group = groups[node["source"]]
    found = {
        "feature": {**column(group, node["feature"]), "featureGroupId": group.id},
        "condition": node["condition"],
        "value": node["value"],
    }
    return {"type": "SINGLE", "leftFilter": found} if top else found


def time_window(group: Entity, start: int | None, end: int | None) -> list[dict[str, Any]]:
    """The conditions of an event-time window: start inclusive, end exclusive.

    The bounds are milliseconds; for a timestamp they are cut to whole seconds, as the backend does.
    """
    conditions = []
    for bound, condition in ((start, "GREATER_THAN_OR_EQUAL"), (end, "LESS_THAN")):
        if bound is None:
            continue
        event_time = group.doc["eventTime"]
        if event_time is None:
            raise ApiError(270172, f"The feature group {group.name!r} has no event time.")
        kind = column(group, event_time)["type"]
        assert kind in EVENT_TIME_TYPES
        try:
            moment = datetime(1970, 1, 1) + timedelta(milliseconds=bound)
        except OverflowError:
            raise illegal(f"The time {bound} is out of range.") from None
        value = {"bigint": str(bound), "date": f"{moment:%Y-%m-%d}"}.get(
            kind, f"{moment:%Y-%m-%d %H:%M:%S}"
        )
        conditions.append(
            {"source": 0, "feature": event_time, "condition": condition, "value": value}
        )
    return conditions


def both(first: dict[str, Any] | None, second: dict[str, Any] | None) -> dict[str, Any] | None:
    """Two filters, either of which may be absent, as one."""
    return {"and": [first, second]} if first and second else first or second

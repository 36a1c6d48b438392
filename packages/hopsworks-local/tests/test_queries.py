"""The query engine on its own: any filter against pandas, any join against DuckDB.

No server and no client: the query is built from the JSON that a client sends, and run.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import hopsworks_local.web  # noqa: F401  (registers every route)
from hopsworks_local import execution, wire
from hopsworks_local.app import App
from hopsworks_local.protocol import ApiError, Request
from hopsworks_local.state import Entity, Folder

KINDS = {
    "tiny": ("tinyint", pa.int8()),
    "small": ("smallint", pa.int16()),
    "num": ("int", pa.int32()),
    "big": ("bigint", pa.int64()),
    "real": ("float", pa.float32()),
    "dbl": ("double", pa.float64()),
    "dec": ("decimal(6,2)", pa.decimal128(6, 2)),
    "flag": ("boolean", pa.bool_()),
    "txt": ("string", pa.string()),
    "day": ("date", pa.date32()),
    "ts": ("timestamp", pa.timestamp("us")),
}
NUMBERS = ("tiny", "small", "num", "big", "real", "dbl", "dec")
TEXTS = [
    "",
    " ",
    "a",
    "A",
    "ab",
    "a b",
    "a'b",
    'a"b',
    "a\\b",
    "50%",
    "a_b",
    "%",
    "é",
    "日本",
    "a\nb",
    "{}",
]
DAYS = [date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
MOMENTS = [datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(2024, 3, 1), datetime(2024, 3, 1, 12, 0, 0, 1)]  # fmt: skip
VALUES: dict[str, list[Any]] = {
    "tiny": [-128, -1, 0, 1, 2, 127],
    "small": [-32768, -1, 0, 1, 2, 300],
    "num": [-(2**31), -1, 0, 1, 2, 2**31 - 1],
    "big": [-(2**63), -1, 0, 1, 2, 2**53 + 1, 2**63 - 1],
    "real": [-1.5, -0.0, 0.0, 0.1, 2.0, math.inf, math.nan],
    "dbl": [-1.5, -0.0, 0.0, 0.1, 2.0, 1e300, -math.inf, math.nan],
    "dec": [Decimal("-9999.99"), Decimal("0.00"), Decimal("0.10"), Decimal("2.00")],
    "flag": [True, False],
    "txt": TEXTS,
    "day": DAYS,
    "ts": MOMENTS,
}
ASKED: dict[str, list[Any]] = {
    **VALUES,
    **{
        n: [*VALUES[n], True, -1000, 0.5, -0.5, 1.5, 2.5, 1e10, 10**20, -(10**20)]
        for n in NUMBERS[:4]
    },
    "real": [-1.5, 0.0, 0.1, 2, 5, math.inf],
    "dbl": [-1.5, 0.0, 0.1, 2, 5, 1e300, -math.inf],
    "dec": [-9999.99, 0, 0.1, 0.105, 2, 1e6, -1e6],
    "flag": [True, False, 1, 0],
    "day": [*DAYS, datetime(2024, 2, 29, 1), date(2000, 1, 1)],
}
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "EQUALS": lambda a, b: a == b,
    "NOT_EQUALS": lambda a, b: a != b,
    "LESS_THAN": lambda a, b: a < b,
    "LESS_THAN_OR_EQUAL": lambda a, b: a <= b,
    "GREATER_THAN": lambda a, b: a > b,
    "GREATER_THAN_OR_EQUAL": lambda a, b: a >= b,
}


class Store:
    """Feature groups made without a client."""

    def __init__(self, root: Path):
        self.app = App(Folder(root, "local"), "local")
        self.count = 0

    def group(self, *tables: pa.Table, kinds: dict[str, str], **options: Any) -> Entity:
        """Make a group of one or more inserts."""
        self.count += 1
        doc = {
            "features": [
                {"name": n, "type": k, "primary": n in options.get("keys", ())}
                for n, k in kinds.items()
            ],
            "eventTime": options.get("event_time"),
            "table": f"g{self.count}",
        }
        group = self.app.folder.add("featuregroup", f"g{self.count}", 1, doc)
        for table in tables:
            write_deltalake(
                str(self.app.folder.tables / doc["table"]),
                table,
                mode="append",
                partition_by=options.get("partition_by"),
            )
        return group

    def read(self, dto: dict[str, Any]) -> pa.Table:
        """Parse and run a query."""
        request = Request(self.app, {}, b"")
        plan = wire.plan(request, wire.parse(request, dto))
        schema, batches = execution.run(self.app, plan)
        return pa.Table.from_batches(batches, schema)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A data folder."""
    return Store(tmp_path_factory.mktemp("queries"))


def select(group: Entity, *names: str, **more: Any) -> dict[str, Any]:
    """A query as the client sends it."""
    names = names or tuple(f["name"] for f in group.doc["features"])
    return {"leftFeatureGroup": {"id": group.id}, "leftFeatures": [{"name": n} for n in names], **more}  # fmt: skip


def where(group: Entity, name: str, condition: str, value: Any) -> dict[str, Any]:
    """A filter as the client sends it."""
    feature = {"name": name, "featureGroupId": group.id}
    return {"feature": feature, "condition": condition, "value": str(value)}


def single(condition: dict[str, Any]) -> dict[str, Any]:
    """A logic of one filter."""
    return {"type": "SINGLE", "leftFilter": condition}


# -- filters ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """400 rows over every type, each value often, with nulls."""
    chance = random.Random(1)
    return pd.DataFrame(
        {n: pd.Series([None if chance.random() < 0.15 else chance.choice(values) for _ in range(400)], dtype=object)
         for n, values in VALUES.items()}
    ).assign(row=range(400))  # fmt: skip


@pytest.fixture(scope="module")
def everything(store: Store, rows: pd.DataFrame) -> Entity:
    """A group of these rows, written in four inserts."""
    names = {n: t for n, (_, t) in KINDS.items()} | {"row": pa.int64()}
    arrays = [pa.array([None if v is None else v for v in rows[n]], t) for n, t in names.items()]
    table = pa.table(arrays, names=list(names))
    kinds = {n: k for n, (k, _) in KINDS.items()} | {"row": "bigint"}
    return store.group(*(table.slice(i, 100) for i in range(0, 400, 100)), kinds=kinds)


def stored(name: str, value: Any) -> Any:
    """A value as its column holds it."""
    return float(np.float32(value)) if name == "real" else value


def exact(name: str, value: Any) -> Any:
    """A value that a condition asks for, without rounding."""
    if name in NUMBERS[:4] or name == "dec":
        return Decimal(value) if isinstance(value, bool) else Decimal(str(value))
    if name == "day" and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    return stored(name, value)


def holds(name: str, test: Callable[[Any], bool], rows: pd.DataFrame) -> pd.Series:
    """Which rows have a value that passes a test; null passes none."""
    return rows[name].map(lambda v: v is not None and bool(test(exact(name, v)))).astype(bool)


def like(pattern: str, text: str) -> bool:
    """LIKE, by dynamic programming."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(like(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and like(pattern[1:], text[1:])


@st.composite
def conditions(draw: Any) -> Callable[[Entity, pd.DataFrame], tuple[dict[str, Any], pd.Series]]:
    """A condition, as the client sends it and as pandas answers it."""
    name = draw(st.sampled_from(list(KINDS)))
    kind = draw(st.sampled_from(["compare", "compare", "isin", "like", "features"]))
    if kind == "like":
        pattern = draw(
            st.text(alphabet=["%", "_", "a", "b", "\\", "'", "A", "\n", "é", "."], max_size=4)
        )
        return lambda group, rows: (where(group, "txt", "LIKE", pattern), holds("txt", lambda v: like(pattern, v), rows))  # fmt: skip
    if kind == "isin":
        values = draw(st.lists(st.sampled_from([v for v in ASKED[name] if not (isinstance(v, float) and math.isinf(v))]), min_size=1, max_size=6))  # fmt: skip
        text = json.dumps([v if isinstance(v, (bool, int, float, str)) else str(v) for v in values if v == v] or [1])  # fmt: skip
        asked = [exact(name, v) for v in values if v == v] or [exact(name, 1)]
        if name == "dbl" or name == "real" or all(v == v for v in values):
            return lambda group, rows: (where(group, name, "IN", text), holds(name, lambda v: v in asked, rows))  # fmt: skip
    if kind == "features" and name in NUMBERS:
        other = draw(st.sampled_from(NUMBERS))
        word = draw(st.sampled_from(list(COMPARE)))

        def both(group: Entity, rows: pd.DataFrame) -> tuple[dict[str, Any], pd.Series]:
            value = json.dumps({"name": other, "featureGroupId": group.id})
            wide = (
                float if name != other and {name, other} & {"real", "dbl", "dec"} else lambda v: v
            )
            pairs = zip(rows[name], rows[other], strict=True)
            mask = [None not in (a, b) and bool(COMPARE[word](wide(stored(name, a)), wide(stored(other, b)))) for a, b in pairs]  # fmt: skip
            return where(group, name, word, value), pd.Series(mask)

        return both
    word = draw(st.sampled_from(list(COMPARE)))
    value = draw(st.sampled_from([v for v in ASKED[name] if v == v]))
    asked_value = exact(name, value)
    return lambda group, rows: (where(group, name, word, value), holds(name, lambda v: COMPARE[word](v, asked_value), rows))  # fmt: skip


trees = st.recursive(
    conditions(),
    lambda part: st.tuples(st.sampled_from(["AND", "OR"]), part, part),
    max_leaves=25,
)


def built(tree: Any, group: Entity, rows: pd.DataFrame) -> tuple[dict[str, Any], pd.Series]:
    """A tree as the client sends it and as pandas answers it."""
    if callable(tree):
        condition, mask = tree(group, rows)
        return single(condition), mask
    word, left, right = tree
    (a, x), (b, y) = built(left, group, rows), built(right, group, rows)
    return {"type": word, "leftLogic": a, "rightLogic": b}, x & y if word == "AND" else x | y


def answers_as_pandas(tree: Any, store: Store, everything: Entity, rows: pd.DataFrame) -> None:
    logic, mask = built(tree, everything, rows)
    result = store.read(select(everything, "row", filter=logic))["row"].to_pylist()
    assert result == rows["row"][mask].tolist()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=trees)
def test_any_filter_answers_as_pandas(
    tree: Any, store: Store, everything: Entity, rows: pd.DataFrame
) -> None:
    answers_as_pandas(tree, store, everything, rows)


@pytest.mark.slow
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=trees)
def test_thousands_of_filters_answer_as_pandas(
    tree: Any, store: Store, everything: Entity, rows: pd.DataFrame
) -> None:
    answers_as_pandas(tree, store, everything, rows)


@pytest.mark.parametrize("word", ["AND", "OR", "both"])
@pytest.mark.parametrize("length", [1, 24, 300, 900])
def test_chains_of_conditions(
    store: Store, everything: Entity, rows: pd.DataFrame, word: str, length: int
) -> None:
    logic = single(where(everything, "row", "GREATER_THAN_OR_EQUAL", 0))
    mask = rows["row"] >= 0
    for i in range(length):
        kind = ("AND", "OR")[i % 2] if word == "both" else word
        condition = where(everything, "row", "NOT_EQUALS", i)
        logic = {"type": kind, "leftLogic": logic, "rightFilter": condition}
        test = rows["row"] != i
        mask = mask & test if kind == "AND" else mask | test
    result = store.read(select(everything, "row", filter=json.loads(json.dumps(logic))))
    assert result["row"].to_pylist() == rows["row"][mask].tolist()


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 100, 10_000])
@pytest.mark.parametrize("kind", ["text", "number"])
def test_isin_of_many(store: Store, count: int, kind: str) -> None:
    values: list[Any] = list(range(0, 3 * count, 3))
    if kind == "text":
        values = [f"id '{v}'" for v in values]
    every = [*values, *(["other"] if kind == "text" else [1])]
    column = pa.array(every)
    group = store.group(pa.table({"v": column}), kinds={"v": "string" if kind == "text" else "bigint"})  # fmt: skip
    result = store.read(select(group, filter=single(where(group, "v", "IN", json.dumps(values)))))
    assert result["v"].to_pylist() == values


@pytest.mark.parametrize("name", KINDS)
def test_null_is_equal_to_none(
    store: Store, everything: Entity, rows: pd.DataFrame, name: str
) -> None:
    known = VALUES[name][0]
    for value, mask in (
        (None, rows[name].map(lambda v: v is None)),
        (json.dumps([str(known), None]), rows[name].map(lambda v: v is None or v == known)),
    ):
        condition = {**where(everything, name, "IN" if value else "EQUALS", ""), "value": value}
        result = store.read(select(everything, "row", filter=single(condition)))
        assert result["row"].to_pylist() == rows["row"][mask].tolist()
    with pytest.raises(ApiError, match="None"):
        store.read(select(everything, filter=single({**condition, "condition": "NOT_EQUALS", "value": None})))  # fmt: skip


REFUSED = [
    ("tiny", "EQUALS", "abc"),
    ("big", "LESS_THAN", "nan"),
    ("big", "EQUALS", "1_000"),
    ("dbl", "EQUALS", ""),
    ("dbl", "EQUALS", "nan"),
    ("dec", "EQUALS", "x"),
    ("flag", "EQUALS", "2"),
    ("day", "EQUALS", "soon"),
    ("ts", "LESS_THAN", "2024-13-01"),
    ("txt", "IN", "[1, 2]"),
    ("num", "IN", "[]"),
    ("num", "IN", '["a"]'),
    ("num", "LIKE", "1%"),
    ("num", "BETWEEN", "1"),
]


@pytest.mark.parametrize(("name", "word", "value"), REFUSED)
def test_what_does_not_fit_is_refused_when_asked(
    store: Store, everything: Entity, name: str, word: str, value: str
) -> None:
    with pytest.raises(ApiError, match=name) as caught:
        store.read(select(everything, filter=single(where(everything, name, word, value))))
    assert caught.value.code == 270139
    if word in ("EQUALS", "LESS_THAN"):
        assert KINDS[name][0] in caught.value.message


@pytest.mark.parametrize(
    ("a", "b"), [("txt", "num"), ("num", "txt"), ("flag", "num"), ("day", "txt"), ("ts", "big")]
)
def test_features_of_types_that_cannot_be_compared(
    store: Store, everything: Entity, a: str, b: str
) -> None:
    value = json.dumps({"name": b, "featureGroupId": everything.id})
    with pytest.raises(ApiError, match=KINDS[b][0]):
        store.read(select(everything, filter=single(where(everything, a, "EQUALS", value))))


def test_rows_come_oldest_insert_first(store: Store) -> None:
    inserts = [pa.table({"id": [i], "part": [f"p {i % 2}/ä%"]}) for i in range(12)]
    kinds = {"id": "bigint", "part": "string"}
    for partition in (None, ["part"]):
        group = store.group(*inserts, kinds=kinds, partition_by=partition)
        assert store.read(select(group))["id"].to_pylist() == list(range(12))
    result = store.read(
        select(group, "id", filter=single(where(group, "part", "EQUALS", "p 1/ä%")))
    )
    assert result["id"].to_pylist() == [1, 3, 5, 7, 9, 11]
    assert store.read(select(group, limit=3))["id"].to_pylist() == [0, 1, 2]


# -- joins -----------------------------------------------------------------------------------------


def joined(left: Entity, right: Entity, on: list[tuple[str, str]], **more: Any) -> dict[str, Any]:
    """A query of all columns of two groups, the right ones with a prefix."""
    join = {
        "query": select(right),
        "leftOn": [{"name": a} for a, _ in on],
        "rightOn": [{"name": b} for _, b in on],
        "prefix": "r_",
        **more,
    }
    return select(left, joins=[join])


def plain(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows in an order that does not depend on the engine."""
    return sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)


keys = st.lists(st.tuples(st.sampled_from([1, 2, 3, None]), st.sampled_from(["a", "b", None])), max_size=12)  # fmt: skip


def side(pairs: list[Any], times: list[Any] | None = None) -> pa.Table:
    """A table of two keys and the row's number."""
    columns: dict[str, Any] = {
        "k": pa.array([k for k, _ in pairs], pa.int64()),
        "t": pa.array([t for _, t in pairs], pa.string()),
        "n": pa.array(range(len(pairs)), pa.int64()),
    }
    if times is not None:
        columns["at"] = pa.array(times[: len(pairs)], pa.timestamp("us"))
    return pa.table(columns)


SIDE = {"k": "bigint", "t": "string", "n": "bigint"}


@pytest.mark.parametrize("kind", ["INNER", "LEFT", "RIGHT", "FULL", "CROSS"])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(a=keys, b=keys)
def test_joins_answer_as_duckdb(kind: str, a: Any, b: Any, store: Store) -> None:
    left, right = side(a), side(b)
    groups = store.group(left, kinds=SIDE), store.group(right, kinds=SIDE)
    on = [] if kind == "CROSS" else [("k", "k"), ("t", "t")]
    result = store.read(joined(*groups, on=on, type=kind))
    clause = "" if kind == "CROSS" else "ON l.k = r.k AND l.t = r.t"
    asked = f'SELECT l.*, r.k, r.t, r.n FROM "left" l {kind} JOIN "right" r {clause}'
    with duckdb.connect() as db:
        db.register("left", left)
        db.register("right", right)
        expected = db.execute(asked).to_arrow_table()
    assert plain(result.rename_columns(list("abcdef"))) == plain(expected.rename_columns(list("abcdef")))  # fmt: skip
    if kind in ("INNER", "LEFT"):
        assert result["n"].to_pylist() == sorted(result["n"].to_pylist())


times = st.lists(
    st.sampled_from([None, *(datetime(2024, 1, 1) + timedelta(hours=h) for h in range(5))]),
    min_size=12,
    max_size=12,
)


@pytest.mark.parametrize("kind", ["INNER", "LEFT"])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(a=keys, b=keys, at=times, then=times)
def test_point_in_time_joins_answer_as_duckdb(
    kind: str, a: Any, b: Any, at: Any, then: Any, store: Store
) -> None:
    left, right = side(a, at), side(b, then)
    kinds = SIDE | {"at": "timestamp"}
    groups = [store.group(t, kinds=kinds, event_time="at") for t in (left, right)]
    result = store.read(joined(*groups, on=[("k", "k")], type=kind))
    asked = (
        f'SELECT l.n, r.at FROM "left" l ASOF {kind} JOIN "right" r ON l.k = r.k AND l.at >= r.at'
    )
    with duckdb.connect() as db:
        db.register("left", left)
        db.register("right", right)
        expected = db.execute(asked).to_arrow_table()
    assert plain(result.select(["n", "r_at"])) == plain(expected.rename_columns(["n", "r_at"]))
    # of several right rows at one moment, it is the last
    numbers = dict(zip(right["n"].to_pylist(), zip(b, then, strict=False), strict=True))
    for number, moment, key in zip(*(result[c].to_pylist() for c in ("r_n", "r_at", "r_k")), strict=True):  # fmt: skip
        if number is not None:
            same = [n for n, ((k, _), t) in numbers.items() if (k, t) == (key, moment)]
            assert number == max(same)


def test_ties_of_a_point_in_time_join_add_no_rows(store: Store) -> None:
    at = [datetime(2024, 1, 2)] * 3
    left = store.group(
        pa.table({"a": [1, 2, 3], "at": at}),
        kinds={"a": "bigint", "at": "timestamp"},
        event_time="at",
    )
    right = store.group(
        pa.table({"a": [1, 1, 2, 2, 3], "b": [1, 2, 1, 2, 1], "at": [datetime(2024, 1, 1)] * 5}),
        kinds={"a": "bigint", "b": "bigint", "at": "timestamp"},
        event_time="at",
    )
    result = store.read(joined(left, right, on=[("a", "a")], type="LEFT"))
    assert result["a"].to_pylist() == [1, 2, 3]
    assert result["r_b"].to_pylist() == [2, 2, 1]


def test_keys_of_two_types_and_columns_of_any_type(store: Store) -> None:
    left = store.group(
        pa.table({"a": pa.array([1, 2, 3], pa.int32()), "list": [[1], None, [2, 3]]}),
        kinds={"a": "int", "list": "array<bigint>"},
    )
    right = store.group(
        pa.table({"b": [3, 1, 1], "map": [{"x": 1}, {"x": 2}, None]}),
        kinds={"b": "bigint", "map": "struct<x:bigint>"},
    )
    result = store.read(joined(left, right, on=[("a", "b")], type="INNER"))
    assert result.to_pydict() == {
        "a": [1, 1, 3],
        "list": [[1], [1], [2, 3]],
        "r_b": [1, 1, 3],
        "r_map": [{"x": 2}, None, {"x": 1}],
    }
    text = store.group(pa.table({"b": ["1"]}), kinds={"b": "string"})
    with pytest.raises(ApiError, match=r"g\d+\.a of type int and g\d+\.b of type string"):
        store.read(joined(left, text, on=[("a", "b")]))


def test_two_columns_of_one_name_are_told_apart_by_their_groups(store: Store) -> None:
    table = pa.table({"id": [1], "x": [2]})
    kinds = {"id": "bigint", "x": "bigint"}
    left, right = (store.group(table, kinds=kinds, keys=["id"]) for _ in range(2))
    query = joined(left, right, on=[("id", "id")], prefix=None)
    assert store.read(query).column_names == [
        "id",
        f"local_{left.name}_1_x",
        f"local_{right.name}_1_x",
    ]


def test_filters_after_a_join_see_both_sides(store: Store) -> None:
    left = store.group(pa.table({"id": [1, 2, 3], "x": [1, 5, 9]}), kinds={"id": "bigint", "x": "bigint"})  # fmt: skip
    right = store.group(pa.table({"id": [1, 2, 3], "y": [5, 5, 5]}), kinds={"id": "bigint", "y": "bigint"})  # fmt: skip
    query = joined(left, right, on=[("id", "id")], type="LEFT")
    value = json.dumps({"name": "y", "featureGroupId": right.id})
    query["filter"] = single(where(left, "x", "GREATER_THAN_OR_EQUAL", value))
    assert store.read(query)["id"].to_pylist() == [2, 3]
    query["joins"][0]["query"]["filter"] = single(where(right, "y", "GREATER_THAN", 5))
    assert store.read(query)["id"].to_pylist() == []


def test_a_group_without_an_id_was_never_saved(store: Store) -> None:
    with pytest.raises(ApiError, match="created by its first insert") as caught:
        store.read({"leftFeatureGroup": {"name": "wine", "version": 1}, "leftFeatures": []})
    assert (caught.value.code, caught.value.status) == (270009, 404)

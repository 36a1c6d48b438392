"""Filters as Arrow compute expressions.

`check` refuses, before anything is read, a value that does not fit its feature's type; `build` then
makes the expression. The types are Hopsworks' own names, as the metadata has them.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from .protocol import ApiError, parse_json
from .query import And, Condition, Node

Expression: TypeAlias = Any  # pyarrow.compute.Expression; pyarrow has no types
Reference: TypeAlias = Callable[[int, str], Expression]
KindOf: TypeAlias = Callable[[int, str], str]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "GREATER_THAN_OR_EQUAL": operator.ge,
    "GREATER_THAN": operator.gt,
    "NOT_EQUALS": operator.ne,
    "EQUALS": operator.eq,
    "LESS_THAN_OR_EQUAL": operator.le,
    "LESS_THAN": operator.lt,
}
INTEGERS = {"tinyint": pa.int8(), "smallint": pa.int16(), "int": pa.int32(), "bigint": pa.int64()}
FLOATS = {"float": pa.float32(), "double": pa.float64()}
TYPES = {
    **INTEGERS,
    **FLOATS,
    "boolean": pa.bool_(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_FAMILIES = {
    **dict.fromkeys((*INTEGERS, *FLOATS, "decimal"), "number"),
    **dict.fromkeys(("date", "timestamp"), "time"),
    **{"boolean": "boolean", "string": "text"},
}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", re.IGNORECASE | re.ASCII)
_MILLISECONDS = re.compile(r"-?\d{1,15}", re.ASCII)
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_EPOCH = datetime(1970, 1, 1)


def arrow_type(kind: str) -> Any:
    """Return the Arrow type of a Hopsworks type that can be compared, or None."""
    if decimal := _DECIMAL.fullmatch(kind):
        precision, scale = int(decimal[1]), int(decimal[2])
        return pa.decimal128(precision, scale) if 1 <= precision <= 38 else None
    return TYPES.get(kind)


def family(kind: str) -> str | None:
    """Return what a type can be compared with: "number", "time", "text", "boolean" or None."""
    return _FAMILIES.get(kind.partition("(")[0])


def common_type(a: str, b: str) -> str | None:
    """Return the type in which values of two types can be compared, or None."""
    if family(a) is None or family(a) != family(b):
        return None
    if a == b:
        return a
    if family(a) == "time":
        return "timestamp"
    return "bigint" if a in INTEGERS and b in INTEGERS else "double"


# -- values ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bound:
    """The largest value of a type that is not above what was given; None if all are above it.

    `exact` says that it is what was given. So `x < 2.5` is `x <= 2` for an integer, and no value
    is ever rounded to one that it is not.
    """

    value: Any
    exact: bool = True


def _clamped(number: Decimal, scale: int, low: Decimal, high: Decimal) -> _Bound:
    if number < low:
        return _Bound(None, False)
    if number > high:
        return _Bound(high, False)
    step = Decimal(1).scaleb(-scale)
    floor = number.quantize(step, ROUND_FLOOR, Context(prec=400))
    return _Bound(floor, floor == number)


def _number(text: str) -> Decimal:
    if text.lower() in ("true", "false"):  # 1 and 0, as in Python and in SQL
        return Decimal(_BOOLEANS[text.lower()])
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _moment(text: str) -> datetime:
    if _MILLISECONDS.fullmatch(text):
        return _EPOCH + timedelta(milliseconds=int(text))
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _float(text: str, kind: str) -> float:
    number = float(text) if text.lower() in ("inf", "-inf") else float(_number(text))
    return float(pa.scalar(number, FLOATS[kind]).as_py()) + 0.0  # -0.0 is 0.0


def _bound(text: str, kind: str) -> _Bound:
    """Return a value, which arrives as text, in a type; ValueError when it does not fit."""
    if kind in INTEGERS:
        bits = INTEGERS[kind].bit_width - 1
        bound = _clamped(_number(text), 0, Decimal(-(2**bits)), Decimal(2**bits - 1))
        return _Bound(None if bound.value is None else int(bound.value), bound.exact)
    if kind in FLOATS:
        return _Bound(_float(text, kind))
    if decimal := _DECIMAL.fullmatch(kind):
        scale = int(decimal[2])
        high = (Decimal(10) ** int(decimal[1]) - 1).scaleb(-scale, Context(prec=400))
        return _clamped(_number(text), scale, -high, high)
    if kind == "boolean" and text.lower() in _BOOLEANS:
        return _Bound(_BOOLEANS[text.lower()])
    if kind == "timestamp":
        return _Bound(_moment(text))
    if kind == "date":
        moment = datetime.fromisoformat(text)
        return _Bound(moment.date(), moment.time() == time.min)
    if kind == "string":
        return _Bound(text)
    raise ValueError(text)


def _refuse(condition: Condition, kind: str, value: object, why: str = "") -> ApiError:
    text = repr(value)
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    reason = why or f"it is of type {kind}, which {shown} does not fit"
    return ApiError(270139, f"The filter on the feature {condition.feature!r}: {reason}.")


def _bounds(condition: Condition, kind: str) -> tuple[list[_Bound], bool]:
    """Return the values of an `isin`, and whether null is one of them."""
    try:
        values = parse_json(condition.value)
    except ApiError:
        raise _refuse(condition, kind, condition.value) from None
    values = values if isinstance(values, list) else [values]
    if not values:
        raise _refuse(condition, kind, values, "isin needs at least one value")
    bounds = []
    for value in values:
        if value is None:
            continue
        fits = isinstance(value, str) if kind == "string" else isinstance(value, (str, int, float))
        if not fits:
            raise _refuse(condition, kind, value)
        bounds.append(_one(condition, kind, str(value)))
    return bounds, None in values


def _one(condition: Condition, kind: str, text: str) -> _Bound:
    try:
        return _bound(text, kind)
    except (ValueError, OverflowError, ArithmeticError, pa.ArrowInvalid):
        raise _refuse(condition, kind, text) from None


def other_feature(value: str) -> dict[str, Any] | None:
    """Return the feature that a filter such as `fg.a > fg.b` compares with; it arrives as JSON."""
    if not value.startswith("{"):
        return None
    try:
        doc = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return doc if isinstance(doc, dict) and {"name", "featureGroupId"} <= set(doc) else None


# -- conditions ------------------------------------------------------------------------------------


def check(condition: Condition, kind: str, other_kind: str | None) -> None:
    """Refuse a condition that its feature's type does not allow; `other_kind` is the type of the
    feature that it is compared with, if it is."""
    if arrow_type(kind) is None:
        raise _refuse(condition, kind, None, f"a feature of type {kind} cannot be filtered")
    if condition.operator == "LIKE":
        if kind != "string":
            raise _refuse(condition, kind, None, f"like needs a text, and it is of type {kind}")
    elif condition.operator == "IN":
        _bounds(condition, kind)
    elif condition.operator not in OPERATORS:
        raise _refuse(condition, kind, None, f"unknown condition {condition.operator!r}")
    elif other_kind is None:
        _one(condition, kind, condition.value)
    elif common_type(kind, other_kind) is None:
        why = f"it is of type {kind} and cannot be compared with one of type {other_kind}"
        raise _refuse(condition, kind, None, why)


def _like(pattern: str) -> str:
    """Return a LIKE pattern as a regular expression; Arrow's own LIKE mishandles backslashes."""
    parts = {"%": ".*", "_": "."}
    return r"(?s)\A" + "".join(parts.get(c) or re.escape(c) for c in pattern) + r"\z"


def _compare(column: Expression, word: str, bound: _Bound, kind: Any) -> Expression:
    """Compare a column with a bound; see `_Bound` for values between two of the type's own."""
    if bound.value is None:  # below all that there are
        return column.is_valid() if word[:2] in ("GR", "NO") else pc.scalar(False)
    value = pa.scalar(bound.value, kind)
    if bound.exact:
        return OPERATORS[word](column, value)
    if word == "EQUALS":
        return pc.scalar(False)
    if word == "NOT_EQUALS":
        return column.is_valid()
    return column > value if word.startswith("GREATER") else column <= value


class Builder:
    """Builds expressions: `reference` gives a column, `kind_of` a feature's type and `resolve` the
    source of a feature that a condition compares with."""

    def __init__(
        self, reference: Reference, kind_of: KindOf, resolve: Callable[[dict[str, Any]], int]
    ):
        self._reference, self._kind_of, self._resolve = reference, kind_of, resolve

    def build(self, node: Node) -> Expression:
        """Return a filter as an expression."""
        if isinstance(node, Condition):
            return self._condition(node)
        join = operator.and_ if isinstance(node, And) else operator.or_
        return balanced(join, [self.build(part) for part in node.parts])

    def _column(self, source: int, feature: str) -> Expression:
        """Return a column for comparing. Adding zero to a float makes -0.0 equal to 0.0 also for
        `isin`, and keeps Parquet's statistics, which leave out NaN, from deciding about a file."""
        column, kind = self._reference(source, feature), self._kind_of(source, feature)
        return pc.add(column, pa.scalar(0.0, FLOATS[kind])) if kind in FLOATS else column

    def _condition(self, condition: Condition) -> Expression:
        column = self._column(condition.source, condition.feature)
        kind = self._kind_of(condition.source, condition.feature)
        if condition.operator == "LIKE":
            return pc.match_substring_regex(column, _like(condition.value))
        if condition.operator == "IN":
            bounds, null = _bounds(condition, kind)
            values = [bound.value for bound in bounds if bound.exact]
            matches = column.isin(pa.array(values, arrow_type(kind)))
            return matches | column.is_null() if null else matches
        other = other_feature(condition.value)
        if other is None:
            bound = _one(condition, kind, condition.value)
            return _compare(column, condition.operator, bound, arrow_type(kind))
        source = self._resolve(other)
        right, right_kind = (
            self._column(source, other["name"]),
            self._kind_of(source, other["name"]),
        )
        if kind != right_kind:
            common = arrow_type(common_type(kind, right_kind) or kind)
            column, right = column.cast(common, safe=False), right.cast(common, safe=False)
        return OPERATORS[condition.operator](column, right)


def balanced(join: Callable[[Any, Any], Any], parts: Sequence[Expression]) -> Expression:
    """Join expressions in pairs, then the pairs: 300 conditions are nine deep, not 300."""
    level = list(parts)
    while len(level) > 1:
        pairs = [join(*level[i : i + 2]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0]

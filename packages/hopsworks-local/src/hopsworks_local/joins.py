"""Joins as positions: which row of each side makes up each row of the result.

Only keys and row numbers are joined, so any type can be in the columns, and the rows can be put
back in the order of the left side.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Positions: TypeAlias = Any  # pyarrow.Int64Array; null where a side has no row
Keys: TypeAlias = list[Any]  # pyarrow.ChunkedArray, one for each column of the key

_KINDS = {"INNER": "inner", "LEFT": "left outer", "RIGHT": "right outer", "FULL": "full outer"}
MAX_CROSS_ROWS = 50_000_000


def equi_join(left: Keys, right: Keys, kind: str) -> tuple[Positions, Positions]:
    """Join on equal keys with Acero; null equals nothing. The rows come in the left side's order."""
    names = [f"k{i}" for i in range(len(left))]
    sides = []
    for row, keys in (("l", left), ("r", right)):
        numbers = pa.array(np.arange(len(keys[0])))
        sides.append(pa.table([*keys, numbers], names=[*names, row]))
    joined = sides[0].join(sides[1], names, join_type=_KINDS[kind]).select(["l", "r"])
    joined = joined.sort_by([("l", "ascending"), ("r", "ascending")]).combine_chunks()
    return _array(joined["l"]), _array(joined["r"])


def cross_join(left_rows: int, right_rows: int) -> tuple[Positions, Positions]:
    """Join every row with every row."""
    if left_rows * right_rows > MAX_CROSS_ROWS:
        raise ValueError(f"a cross join may have {MAX_CROSS_ROWS:,} rows")
    left = np.repeat(np.arange(left_rows), right_rows)
    return pa.array(left), pa.array(np.tile(np.arange(right_rows), left_rows))


def asof_join(left: Keys, left_time: Any, right: Keys, right_time: Any) -> Positions:
    """Return for each left row the latest right row with the same keys that is not later; of several
    at the same time the last. This is DuckDB's ASOF JOIN."""
    rows = len(left_time)
    codes = _codes(left, right)
    times = pa.chunked_array([*left_time.chunks, *right_time.chunks], left_time.type)
    if pa.types.is_date(times.type):
        times = times.cast(pa.timestamp("us"))
    known = np.asarray(times.is_valid()) & (codes >= 0)
    times = np.asarray(times.cast(pa.int64()).fill_null(0))
    # Right before left, so that a right row of the same moment is not later; the sort is stable.
    is_left = np.arange(len(codes)) < rows
    order = np.lexsort((is_left, times, codes))
    order = order[known[order]]
    places = np.arange(len(order))
    latest = np.maximum.accumulate(np.where(is_left[order], -1, places))
    row = order[np.maximum(latest, 0)]
    matched = is_left[order] & (latest >= 0) & (codes[row] == codes[order])
    matches = np.full(rows, -1, dtype=np.int64)
    matches[order[matched]] = row[matched] - rows
    return pa.array(matches, mask=matches < 0)


def _codes(left: Keys, right: Keys) -> Any:
    """Return a number for each distinct key of both sides, left rows first; -1 where one is null."""
    codes: Any = 0
    unknown: Any = False
    for a, b in zip(left, right, strict=True):
        both = pa.chunked_array([*a.chunks, *b.chunks], a.type).combine_chunks()
        encoded = _array(both).dictionary_encode()
        indices = np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)
        unknown = unknown | (indices < 0)
        codes = codes * (len(encoded.dictionary) + 1) + indices
        codes = np.unique(codes, return_inverse=True)[1]
    return np.where(unknown, -1, codes)


def _array(column: Any) -> Any:
    """Return a column as one array."""
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return column


def kept(positions: Positions) -> Positions:
    """Return the places of the positions that are not null."""
    return pa.array(np.flatnonzero(np.asarray(pc.is_valid(positions))))

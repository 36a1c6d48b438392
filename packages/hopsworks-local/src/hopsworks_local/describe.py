"""Descriptive statistics of a feature group, as the client reads them.

One column at a time is held in memory; correlations hold the numbers of all columns.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .expressions import FLOATS, INTEGERS
from .state import Entity
from .tables import column_table, dataset, reading

if TYPE_CHECKING:
    from .app import App

_TYPES = {
    **dict.fromkeys(INTEGERS, "Integral"),
    **dict.fromkeys(FLOATS, "Fractional"),
    **{"string": "String", "boolean": "Boolean"},
}
_BINS = 20  # as Deequ, which computes a cluster's statistics
_PERCENTS = [(i + 1) / 100 for i in range(100)]


def describe(app: App, group: Entity) -> list[dict[str, Any]]:
    """Return the statistics that the group's settings ask for, one document for each feature."""
    settings, data = group.doc["statisticsConfig"], dataset(app, group)
    columns = settings["columns"]
    features = [f for f in group.doc["features"] if f["name"] in columns or not columns]
    related: dict[str, Any] = {}
    with reading(app, group):
        if settings["correlations"]:
            numbers = [f["name"] for f in features if _is_number(f)]
            related = _correlations(column_table(data, numbers), numbers)
        return [_feature(data, feature, settings, related) for feature in features]


def _is_number(feature: dict[str, Any]) -> bool:
    return feature["type"] in INTEGERS or feature["type"] in FLOATS


def _feature(
    data: Any, feature: dict[str, Any], settings: dict[str, Any], related: dict[str, Any]
) -> dict[str, Any]:
    name = feature["name"]
    column = column_table(data, [name])[name]
    total, present = len(column), len(column) - column.null_count
    doc = {
        "featureName": name,
        "featureType": _TYPES.get(feature["type"], "Unknown"),
        "count": total,
        "completeness": present / total if total else 0.0,
        "numNonNullValues": present,
        "numNullValues": column.null_count,
    }
    extended: dict[str, Any] = {}
    if not pa.types.is_nested(column.type):
        doc["approxNumDistinctValues"] = pc.count_distinct(column).as_py()
        if settings["exactUniqueness"] and present:
            doc.update(_uniqueness(column.drop_null()))
        if settings["histograms"] and present:
            extended["histogram"] = _histogram(column.drop_null(), _is_number(feature))
    if _is_number(feature):
        doc.update(_numbers(column))
    if name in related:
        extended["correlations"] = related[name]
    return {**doc, "extendedStatistics": json.dumps(extended)} if extended else doc


def _finite(column: Any) -> Any:
    """Return a column's numbers as doubles, without NaN and infinity, which JSON does not have.
    Integers above 2**53 are rounded."""
    numbers = column.cast(pa.float64(), safe=False).drop_null()
    return numbers.filter(pc.is_finite(numbers))


def _numbers(column: Any) -> dict[str, Any]:
    numbers = _finite(column)
    if not len(numbers):
        return {}
    return {
        "min": pc.min(numbers).as_py(),
        "max": pc.max(numbers).as_py(),
        "sum": pc.sum(numbers).as_py(),
        "mean": pc.mean(numbers).as_py(),
        "stdDev": pc.stddev(numbers).as_py(),
        "percentiles": pc.quantile(numbers, q=_PERCENTS).to_pylist(),
    }


def _uniqueness(column: Any) -> dict[str, Any]:
    counts = np.asarray(column.value_counts().field("counts"), dtype=float)
    shares = counts / counts.sum()
    return {
        "exactNumDistinctValues": len(counts),
        "distinctness": len(counts) / counts.sum(),
        "uniqueness": float((counts == 1).sum() / counts.sum()),
        "entropy": float(-(shares * np.log(shares)).sum()),
    }


def _histogram(column: Any, is_number: bool) -> list[dict[str, Any]]:
    """Return twenty bins of equal width, or the twenty most frequent values."""
    if is_number:
        numbers = np.asarray(_finite(column))
        if not len(numbers):
            return []
        counts, edges = np.histogram(numbers, _BINS)
        labels = [f"{a:.6g} to {b:.6g}" for a, b in pairwise(edges)]
        pairs = list(zip(labels, counts.tolist(), strict=True))
    else:
        frequent = sorted(column.value_counts().to_pylist(), key=lambda row: -row["counts"])
        pairs = [(str(row["values"]), row["counts"]) for row in frequent[:_BINS]]
    return [{"value": v, "count": n, "ratio": n / len(column)} for v, n in pairs]


def _correlations(table: Any, names: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return Pearson's correlation of each two features, of the rows that have both."""
    matrix = table.to_pandas().astype(float).corr()
    return {
        name: [
            {"column": other, "correlation": float(matrix.loc[name, other])}
            for other in names
            if not np.isnan(matrix.loc[name, other])
        ]
        for name in names
    }

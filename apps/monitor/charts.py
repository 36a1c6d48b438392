"""The two charts as Vega-Lite specifications, which Gradio's own pages draw.

page.css colours the named marks, so that they follow dark mode.
"""

import json
from typing import Any

from gradio.components.plot import PlotData

LINE = "#c04a6e"  # stands out on a light and on a dark page
CROSS = "M-.7-.7L.7.7M.7-.7L-.7.7"


def agreement(
    points: list[dict[str, Any]],
    expected: float | None,
    unseen: float | None,
    changes: list[dict[str, Any]],
) -> PlotData:
    """Return the chart of the agreement over time.

    ``points`` are dicts with ``day``, ``share``, the share of the latest wines with the same grade,
    what chance explains (``low``, ``high``) and ``agree``, ``range`` and ``version`` as texts;
    ``expected`` and ``unseen`` are shares or None; ``changes`` is as of ``_versions``.
    """
    x, points = _days(points), _dated(points)
    shares = [point[key] for point in points for key in ("share", "low") if key in point]
    lowest = min([*shares, *(share for share in (expected, unseen) if share is not None)])
    scale = {"domain": [max(0, int(lowest * 10 - 1) / 10), 1], "nice": False, "zero": False}
    y = {"field": "share", "type": "quantitative", "scale": scale}
    y["axis"] = {"title": None, "format": ".0%", "tickCount": 5}
    layers = []
    if expected is not None:
        band = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}
        layers.append({"name": "band", "mark": {"type": "area", "aria": False}, "encoding": band})
    for name, share in (("expected", expected), ("unseen", unseen)):
        if share is not None:
            layers.append(_rule(name, [{"at": share}], {"y": y | {"field": "at"}}))
    tips = _tips(agree="same grade", range="expected", version="model version")
    line = {
        "type": "line",
        "color": LINE,
        "point": {"color": LINE, "size": 60 if len(points) <= 100 else 14},
    }
    encoding = {"x": x, "y": y, "tooltip": tips}
    layers += [*_versions(changes, x), {"name": "share", "mark": line, "encoding": encoding}]
    text = (
        f"The share of daily wines with the same grade, by day: {points[-1]['agree']} at the end."
    )
    return _chart(points, layers, 240, text)


def wines(rows: list[dict[str, Any]], changes: list[dict[str, Any]]) -> PlotData:
    """Return the chart of daily wines: ``rows`` are dicts with day, colour, grades and score.

    ``changes`` is as of ``_versions``.
    """
    rows = _dated(rows)
    x, y = _days(rows), {"type": "quantitative", "scale": {"domain": [2.6, 9.4], "nice": False}}
    y["axis"] = {"title": None, "values": [*range(3, 10)], "format": "d"}
    fields = ("colour", "reference grade", "predicted grade", "predicted score", "model version")
    tips = _tips(**{field: field for field in fields})
    size = 180 if len(rows) <= 40 else 70 if len(rows) <= 100 else 22
    layers = _versions(changes, x)
    for name, field, shape, part in (
        ("red", "reference grade", "circle", [r for r in rows if r["colour"] == "red"]),
        ("white", "reference grade", "circle", [r for r in rows if r["colour"] == "white"]),
        ("cross", "predicted grade", CROSS, [r for r in rows if "predicted grade" in r]),
    ):
        if part:  # an empty layer would have no text for screen readers
            mark = {"type": "point", "shape": shape, "size": size}
            encoding = {"x": x, "y": y | {"field": field}, "tooltip": tips}
            layers.append(
                {"name": name, "data": {"values": part}, "mark": mark, "encoding": encoding}
            )
    text = f"{len(rows)} daily wines by day, with reference grade and predicted grade."
    return _chart([], layers, 280, text)


def _versions(changes: list[dict[str, Any]], x: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the layers that mark new model versions: ``changes`` are dicts with day and version."""
    if not changes:
        return []
    rule = _rule("version", changes, {"x": x})
    note = {"type": "text", "align": "left", "dx": 5, "y": 8, "text": {"expr": "datum.version"}}
    return [rule, rule | {"name": "version_text", "mark": note | {"aria": False}}]


def _dated(values: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return values with their day as ``date``, a text: a temporal field is shown in local time."""
    return [value | {"date": value["day"]} for value in values]


def _days(values: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the axis of days; a long one names months."""
    axis: dict[str, Any]
    axis = {"title": None, "format": "%b %Y" if len(values) > 100 else "%-d %b", "grid": False}
    axis |= {"tickCount": 5, "labelOverlap": "greedy", "labelSeparation": 12}
    # days are dates, whatever the reader's time zone
    return {
        "field": "day",
        "type": "temporal",
        "axis": axis,
        "scale": {"type": "utc", "padding": 14},
    }


def _rule(name: str, values: list[dict[str, Any]], encoding: dict[str, Any]) -> dict[str, Any]:
    """Return a layer of lines across a chart; the page has them in words, too."""
    mark = {"type": "rule", "aria": False}
    return {"name": name, "data": {"values": values}, "mark": mark, "encoding": encoding}


def _tips(**titles: str) -> list[dict[str, str]]:
    """Return the tooltip: the day, and fields by their titles."""
    fields = {"date": "day", **titles}
    return [{"field": f, "type": "nominal", "title": t} for f, t in fields.items()]


def _chart(
    values: list[dict[str, Any]], layers: list[dict[str, Any]], height: int, text: str
) -> PlotData:
    """Return a chart as wide as the page, with ``text`` for screen readers."""
    specification = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "description": text,
        "data": {"values": values},
        "layer": layers,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": "transparent",
        "config": {
            "font": "system-ui, sans-serif",
            "axis": {"labelFontSize": 12, "domain": False, "ticks": False, "labelPadding": 6},
            "text": {"fontSize": 12},
            "view": {"stroke": None},
        },
        "usermeta": {"embedOptions": {"renderer": "svg", "actions": False}},
    }
    return PlotData(type="altair", plot=json.dumps(specification))

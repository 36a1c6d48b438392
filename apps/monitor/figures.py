"""The monitor's pictures, drawn as SVG: they scale, follow dark mode and carry their own text.

Text scales too, so page.css makes it larger where the window is small, and there is room for that.
"""

import math
from html import escape

import numpy as np
from history import GRADES

CELL = 46
LINE = 19  # between the lines of a curve's notes


def confusion(counts):
    """Counts (7, 7) as a matrix: fixed grades, shaded by the share of each label."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = []
    for (row, column), count in np.ndenumerate(counts):
        x, y = 60 + column * CELL, 12 + row * CELL
        cells.append(
            f'<rect x="{x}" y="{y}" width="{CELL - 3}" height="{CELL - 3}" rx="7" class="'
            f'{"cell agree" if row == column else "cell"}"/><rect x="{x}" y="{y}" width="{CELL - 3}"'
            f' height="{CELL - 3}" rx="7" class="shade" fill-opacity="{share[row, column]:.2f}"/>'
        )
        if count:
            tone = "over" if share[row, column] > 0.7 else "under"  # either can be read there
            cells.append(_text(x + 21.5, y + 21.5, _short(count), f"count {tone}"))
    for place, grade in enumerate(GRADES):
        cells.append(_text(46, 33.5 + place * CELL, grade, "tick"))
        cells.append(_text(81.5 + place * CELL, 12 + 7 * CELL + 11, grade, "tick"))
    agree = int(counts.trace())
    said = f"Confusion matrix of {counts.sum():,} daily wines; {agree:,} agree with their label."
    return _svg(
        390, 376, "confusion", said,
        "".join(cells)
        + _text(222, 365, "predicted grade", "axis")
        + '<text class="axis" text-anchor="middle" transform="translate(16 172) rotate(-90)">label</text>',
    )  # fmt: skip


def recent(wines):
    """The latest wines by day: label as a ring, expected grade as a dash, prediction as a cross."""
    width, height, left, right = 640, 262, 42, 36
    step = (width - left - right) / max(len(wines), 8)
    dated = math.ceil(100 / step)  # every so many wines get their date below: it is 80 wide at most
    parts = []
    for grade in GRADES:
        y = _grade_y(grade)
        parts.append(
            f'<path class="grid" d="M{left} {y} H{width - 8}"/>{_text(18, y, grade, "tick")}'
        )
    for place, wine in enumerate(wines.itertuples()):
        x = left + step * (place + 0.5)
        parts.append(
            f'<circle class="label {escape(wine.type)}" cx="{x:.1f}" cy="{_grade_y(wine.quality)}" r="7"/>'
        )
        if wine.predicted == wine.predicted:  # not NaN
            y, e = _grade_y(wine.predicted), _grade_y(wine.expected)
            parts.append(f'<path class="cross" d="M{x - 4:.1f} {y - 4} l8 8 m0 -8 l-8 8"/>')
            parts.append(f'<path class="dash" d="M{x - 8:.1f} {e:.1f} h16"/>')
        if (len(wines) - 1 - place) % dated == 0:
            parts.append(_text(x, height - 14, f"{wine.day:%d %b}", "tick"))
    said = f"The latest {len(wines)} daily wines with label, prediction and expected grade, by day."
    return _svg(width, height, "recent", said, "".join(parts))


def curve(days, values, *, name, promises, band=None, low=0.0):
    """A score over time, with what was promised as dashed lines.

    ``promises`` are pairs (text, value); ``band`` is a pair: where chance alone may take it.
    """
    width, height, left, right, top, bottom = 480, 176, 54, 136, 14, 142
    first, last = days.iloc[0], days.iloc[-1]
    span = max((last - first).days, 1)

    def x(day):
        return left + (width - left - right) * (day - first).days / span

    def y(value):
        return bottom - (bottom - top) * (min(max(value, low), 1) - low) / (1 - low)

    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1) if low == 0 else (low, (1 + low) / 2, 1):
        parts.append(f'<path class="grid" d="M{left} {y(tick):.1f} H{width - right}"/>')
        parts.append(
            _text(
                left - 8, y(tick), f"{tick:.0%}" if name != "QWK" else f"{tick:.2g}", "tick", "end"
            )
        )
    if band:
        parts.append(
            f'<rect class="band" x="{left}" y="{y(band[1]):.1f}" width="{width - left - right}" '
            f'height="{y(band[0]) - y(band[1]):.1f}"/>'
        )
    heights = []
    for place, (text, value) in enumerate(promises):
        parts.append(
            f'<path class="promise p{place}" d="M{left} {y(value):.1f} H{width - right}"/>'
        )
        spot = y(value)
        while any(abs(spot - other) < LINE for other in heights):
            spot += LINE
        heights.append(spot)
        parts.append(_text(width - right + 8, spot, text, "note", "start"))
    known = values.notna()
    points = [
        f"{x(day):.1f} {y(value):.1f}"
        for day, value in zip(days[known], values[known], strict=True)
    ]
    if len(points) > 1:
        parts.append(f'<path class="line" d="M{" L".join(points)}"/>')
    if points:
        cx, cy = points[-1].split()
        parts.append(f'<circle class="end" cx="{cx}" cy="{cy}" r="4"/>')
    parts.append(_text(left, height - 14, f"{first:%d %b %Y}", "tick", "start"))
    if last > first:
        parts.append(_text(width - right, height - 14, f"{last:%d %b %Y}", "tick", "end"))
    now = f"now {values[known].iloc[-1]:.2f}" if points else "not defined yet"
    said = f"{name} over time, {now}; " + ", ".join(
        f"{text} {value:.2f}" for text, value in promises
    )
    return _svg(width, height, "curve", said, "".join(parts))


def spread(sample, reference, decimals, said):
    """Two distributions over one another: the reference as an area, the sample as a line."""
    low, high = np.quantile(reference, [0.002, 0.998])
    low, high = min(low, sample.min()), max(high, sample.max())
    shapes = []
    for values, bins, shape in ((reference, 32, "area"), (sample, 16, "steps")):
        heights = np.histogram(values, bins=bins, range=(low, high))[0].astype(float)
        heights = 58 - 52 * heights / max(heights.max(), 1)
        width = 200 / bins
        steps = " ".join(f"H{width * (place + 1):.1f} V{h:.1f}" for place, h in
                         enumerate([*heights[1:], 58]))  # fmt: skip
        shapes.append(f'<path class="{shape}" d="M0 58 V{heights[0]:.1f} {steps}"/>')
    ends = _text(0, 69, f"{low:.{decimals}f}", "tick", "start")
    ends += _text(200, 69, f"{high:.{decimals}f}", "tick", "end")
    return _svg(200, 78, "spread", said, "".join(shapes) + ends)


def _grade_y(grade):
    return 20 + (9 - grade) * 33


def _short(count):
    return f"{count:,}" if count < 10_000 else f"{count / 1000:,.0f}k"


def _text(x, y, text, kind, anchor="middle"):
    """A text that begins, has its middle or ends at x, whatever its size; its middle is at y."""
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
        f'dominant-baseline="central">{escape(str(text))}</text>'
    )


def _svg(width, height, kind, said, content):
    return (
        f'<svg class="figure {kind}" role="img" aria-label="{escape(said)}" '
        f'viewBox="0 0 {width} {height}" style="max-width: {width * 1.2:.0f}px">{content}</svg>'
    )

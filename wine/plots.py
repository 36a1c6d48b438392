"""The pictures that more than one part of the pipeline draws. Each returns a Figure."""

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from wine.columns import GRADES
from wine.metrics import confusion

COLOURS = {"red": "#8b1e3f", "white": "#d1a827"}
INK = "#3b3b3b"


def _figure(width, height, title):
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def confusion_matrix(counts, title="Confusion matrix", *, rows="true grade"):
    """Counts (7, 7) as a matrix with fixed grades 3-9, shaded by the share of each row.

    ``rows`` names what the rows are: a daily wine has a label, not a true grade.
    """
    counts = np.asarray(counts)
    figure, axes = _figure(6, 5.2, title)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    display = ConfusionMatrixDisplay(share, display_labels=GRADES)
    display.plot(ax=axes, cmap="Purples", include_values=False, colorbar=False)
    axes.images[0].set_clim(0, 1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(
                column, row, f"{count:,}", ha="center", va="center",
                color="white" if share[row, column] > 0.5 else INK,
            )  # fmt: skip
    axes.set(xlabel="predicted grade", ylabel=rows)
    axes.spines[:].set_visible(False)
    return figure


def recent_wines(wines):
    """The latest daily wines: label, expected grade and prediction by day.

    ``wines`` has columns day, type, quality, predicted, expected; at most 30 rows are drawn.
    """
    wines = wines.sort_values("day").tail(30)
    figure, axes = _figure(8, 4, "The latest daily wines")
    days = [f"{day:%d %b}" for day in wines["day"]]
    for colour, shade in COLOURS.items():
        rows = np.flatnonzero(wines["type"] == colour)
        axes.scatter(
            rows, wines["quality"].iloc[rows], s=150, facecolors="none", edgecolors=shade,
            linewidths=2, label=f"label, {colour}",
        )  # fmt: skip
    axes.scatter(range(len(wines)), wines["predicted"], marker="x", s=50, c=INK, label="predicted")
    axes.scatter(range(len(wines)), wines["expected"], marker="_", s=120, c=INK, label="expected")
    axes.set_xticks(range(len(wines)), days, rotation=60, ha="right", fontsize=8)
    axes.set(ylabel="grade", yticks=GRADES, ylim=(2.5, 9.5))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="upper left", ncols=4, fontsize=8, frameon=False)
    return figure


def leaderboard(rows, chosen):
    """QWK as served with two standard errors, best first; the chosen model in colour.

    A model that always says one grade has a QWK of 0 and is left out: the others would be squeezed.
    """
    rows = sorted((row for row in rows if row["qwk"]), key=lambda row: row["qwk"])
    figure, axes = _figure(8, 0.32 * len(rows) + 1.2, "Quadratic weighted kappa, out of fold")
    for place, row in enumerate(rows):
        axes.errorbar(
            row["qwk"], place, xerr=2 * row["se"]["qwk"], fmt="o", capsize=3,
            color=COLOURS["red"] if row["name"] == chosen else "#9a9a9a",
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_xlabel("QWK as served, with two standard errors")
    axes.grid(axis="x", alpha=0.3)
    return figure


def calibration(truth, probabilities, bins=10):
    """Stated against observed frequency of "this grade", for all grades pooled.

    ``truth`` (n,) grades, ``probabilities`` (n, 7).
    """
    stated = np.asarray(probabilities).ravel()
    came = (np.asarray(truth)[:, None] == np.array(GRADES)).ravel()
    place = np.minimum((stated * bins).astype(int), bins - 1)
    sizes = np.bincount(place, minlength=bins)
    kept = sizes >= 20
    x = np.bincount(place, stated, bins)[kept] / sizes[kept]
    y = np.bincount(place, came, bins)[kept] / sizes[kept]
    error = 2 * np.sqrt(y * (1 - y) / sizes[kept])
    figure, axes = _figure(5, 4.6, "Stated and observed probability of a grade")
    axes.plot([0, 1], [0, 1], color="#9a9a9a", linewidth=1)
    axes.errorbar(x, y, yerr=error, fmt="o", capsize=3, color=COLOURS["red"])
    top = min(1, max(x.max(initial=0), y.max(initial=0)) + 0.1)
    axes.set(
        xlabel="stated", ylabel="observed, with two standard errors", xlim=(0, top), ylim=(0, top)
    )
    return figure


def importance(names, drops, errors, title="What the model leans on"):
    """Permutation importances as horizontal bars, greatest on top."""
    order = np.argsort(drops)
    figure, axes = _figure(7, 4.4, title)
    axes.barh(np.array(names)[order], np.asarray(drops)[order], xerr=np.asarray(errors)[order],
              color=COLOURS["red"], ecolor=INK, capsize=2)  # fmt: skip
    axes.set_xlabel("RMSE of the expected grade added when the column is shuffled")
    return figure


def confusion_of(truth, predicted, title="Confusion matrix"):
    """The confusion matrix of grades (n,) against grades (n,)."""
    return confusion_matrix(confusion(truth, predicted), title)

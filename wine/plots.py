"""The pictures of the notebooks, scripts and reports. Each function returns a Figure."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn.metrics import ConfusionMatrixDisplay

from wine.columns import GRADES

COLOURS = {"red": "#8b1e3f", "white": "#a67c00"}
INK, GREY = "#3b3b3b", "#757575"
SHADES = LinearSegmentedColormap.from_list("wine", ["#ffffff", COLOURS["red"]])


def show(figure: Figure, alt: str) -> None:
    """Display a figure in a notebook, with a text for readers who cannot see it."""
    import matplotlib.pyplot as plt
    from IPython.display import display

    plt.close(figure)  # or the notebook would display it a second time
    picture = io.BytesIO()
    figure.savefig(picture, bbox_inches="tight")
    data = {"image/png": base64.b64encode(picture.getvalue()).decode(), "text/plain": alt}
    display(data, metadata={"image/png": {"alt": alt}}, raw=True)


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def confusion_matrix(
    counts: ArrayLike, title: str = "Confusion matrix", *, rows: str = "true grade"
) -> Figure:
    """Draw counts (7, 7) as a matrix with grades 3-9, shaded by the share of each row.

    ``rows`` names the rows: a daily wine has a reference grade, not a true one.
    """
    counts = np.asarray(counts)
    figure, axes = _figure(6, 5.2, title)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    display = ConfusionMatrixDisplay(share, display_labels=GRADES)
    display.plot(ax=axes, cmap=SHADES, include_values=False, colorbar=False)
    axes.images[0].set_clim(0, 1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            axes.text(
                column, row, f"{count:,}", ha="center", va="center",
                color="#ffffff" if share[row, column] > 0.66 else "#111111",
            )  # fmt: skip
    axes.set(xlabel="predicted grade", ylabel=rows)
    axes.spines[:].set_visible(False)
    return figure


def recent_wines(predictions: pd.DataFrame) -> Figure:
    """Draw the latest daily wines: reference grade, predicted score and grade by day.

    ``predictions`` are rows of ``wine_prediction``; at most 30 are drawn.
    """
    wines = predictions.sort_values("day").tail(30)
    figure, axes = _figure(8, 4, "The latest daily wines")
    days = [f"{day:%d %b}" for day in wines["day"]]
    for colour, shade in COLOURS.items():
        rows = np.flatnonzero(wines["type"] == colour)
        axes.scatter(
            rows, wines["reference_grade"].iloc[rows], s=150, facecolors="none", edgecolors=shade,
            linewidths=2, label=f"reference grade, {colour}",
        )  # fmt: skip
    for column, marker, size in (("predicted_grade", "x", 50), ("predicted_score", "_", 120)):
        axes.scatter(
            range(len(wines)), wines[column], marker=marker, s=size, c=INK,
            label=column.replace("_", " "),
        )  # fmt: skip
    axes.set_xticks(range(len(wines)), days, rotation=60, ha="right", fontsize=8)
    axes.set(ylabel="grade", yticks=GRADES, ylim=(GRADES[0] - 0.5, GRADES[-1] + 0.5))
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="upper left", ncols=4, fontsize=8, frameon=False)
    return figure


def leaderboard(rows: list[dict[str, Any]], chosen: str | None) -> Figure:
    """Draw RMSE with two standard errors, lowest on top; the chosen model in colour.

    A model that always predicts one grade has a QWK of 0 and is left out: it would squeeze the
    others together.
    """
    rows = sorted((row for row in rows if row["qwk"]), key=lambda row: -row["rmse"])
    figure, axes = _figure(8, 0.32 * len(rows) + 1.2, "RMSE of the predicted score, out of fold")
    for place, row in enumerate(rows):
        axes.errorbar(
            row["rmse"], place, xerr=2 * row["se"]["rmse"], fmt="o", capsize=3,
            color=COLOURS["red"] if row["name"] == chosen else GREY,
        )  # fmt: skip
    names = [row["name"] + ("" if row["within_budget"] else " (too slow or large)") for row in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_xlabel("RMSE, with two standard errors")
    axes.grid(axis="x", alpha=0.3)
    return figure

"""The pictures of the notebooks, scripts and reports. Each function returns a Figure."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from sklearn.metrics import ConfusionMatrixDisplay

from wine.columns import GRADES
from wine.metrics import confusion

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


def scores_by_grade(truth: np.ndarray, scores: np.ndarray, cuts: Sequence[float]) -> Figure:
    """Draw the predicted scores (n,) of the wines of each true grade, and the cut points."""
    figure, axes = _figure(8, 4, "Predicted score by true grade, and the cut points\n")
    axes.boxplot(
        [scores[truth == grade] for grade in GRADES],
        positions=GRADES,
        widths=0.6,
        orientation="horizontal",
        flierprops={"markersize": 2},
        medianprops={"color": COLOURS["red"]},
    )
    for cut, grade in zip(cuts, GRADES, strict=False):
        axes.axvline(cut, color=GREY, linewidth=1)
        name, top = f"{grade} | {grade + 1}", GRADES[-1] + 0.7
        axes.text(cut, top, name, ha="center", fontsize=8, color="#595959")
    axes.set(xlabel="predicted score", ylabel="true grade")
    return figure


def calibration(truth: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> Figure:
    """Draw stated against observed frequency of "this grade", all grades pooled.

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
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.errorbar(x, y, yerr=error, fmt="o", capsize=3, color=COLOURS["red"])
    top = min(1, max(x.max(initial=0), y.max(initial=0)) + 0.1)
    axes.set(
        xlabel="stated", ylabel="observed, with two standard errors", xlim=(0, top), ylim=(0, top)
    )
    return figure


def importance(names: Sequence[str], drops: ArrayLike, errors: ArrayLike) -> Figure:
    """Draw permutation importances as horizontal bars, greatest on top."""
    order = np.argsort(drops)
    figure, axes = _figure(7, 4.4, "Which measurements the model uses")
    axes.barh(np.array(names)[order], np.asarray(drops)[order], xerr=np.asarray(errors)[order],
              color=COLOURS["red"], ecolor=INK, capsize=2)  # fmt: skip
    axes.set_xlabel("RMSE added when the column is shuffled")
    return figure


def confusion_of(truth: ArrayLike, predicted: ArrayLike, title: str = "Confusion matrix") -> Figure:
    """Draw the confusion matrix of grades (n,) against grades (n,)."""
    return confusion_matrix(confusion(truth, predicted), title)

"""The summary page of a workflow run: GitHub shows the Markdown in $GITHUB_STEP_SUMMARY.

Anywhere else the variable is not set, and nothing is written.
"""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from wine.columns import GRADES, MEASUREMENTS


def add(*paragraphs: str) -> None:
    """Append paragraphs of Markdown to the page of the run."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(f"{paragraph}\n\n" for paragraph in paragraphs)


def add_error(message: str) -> None:
    """Add an error to the page of the run, and as an annotation at its top."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        add(f"**Error:** {_one_line(message)}")
        print(f"::error::{_one_line(message).replace('%', '%25')}", flush=True)


def wine_table(wine: Any) -> str:
    """Return one daily wine as a table: a row for each measurement."""
    rows = [
        ["Type", wine.type],
        ["Reference grade", f"{wine.reference_grade}, the grade of {wine.source_id}"],
    ]
    for column in MEASUREMENTS:
        value = f"{getattr(wine, column.name):.{column.decimals}f} {column.unit}"
        rows.append([column.label, value.strip()])
    return table([f"Wine of {wine.wine_id}", ""], rows)


def prediction_table(predictions: pd.DataFrame) -> str:
    """Return predictions as a table, a row for each daily wine."""
    columns = {
        "wine_id": "Wine of",
        "type": "Type",
        "predicted_grade": "Predicted grade",
        "predicted_score": "Predicted score",
        "reference_grade": "Reference grade",
        "model_version": "Model version",
    }
    return table(columns.values(), predictions[list(columns)].round(2).values.tolist())


def confusion_table(counts: np.ndarray) -> str:
    """Return confusion counts (7, 7) as a table: rows are reference, columns predicted grades."""
    rows = [[f"**{grade}**", *row] for grade, row in zip(GRADES, counts.tolist(), strict=True)]
    return table(["Reference / predicted", *GRADES], rows)


def count(number: int, noun: str) -> str:
    """Return a number and its noun: "1 daily wine", "2,000 daily wines"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def table(headers: Iterable[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    headers = list(headers)
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(map(_one_line, line)) + " |" for line in lines)


def _one_line(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())

"""What a run has to say on its page: GitHub shows the Markdown written to $GITHUB_STEP_SUMMARY.

Anywhere else the variable is not set, and nothing is written.
"""

import os

from wine.columns import GRADES, MEASUREMENTS
from wine.errors import BadInput


def check():
    """Raises BadInput, before anything is done, when there is a page but it cannot be written."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    try:
        add()
    except OSError as error:
        del os.environ["GITHUB_STEP_SUMMARY"]  # or telling of it would fail as well
        raise BadInput(
            f"GITHUB_STEP_SUMMARY is {path!r}: {error.strerror}; give a file that can be written"
        ) from error


def add(*paragraphs):
    """Append paragraphs of Markdown to the page of the run."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(f"{paragraph}\n\n" for paragraph in paragraphs)


def add_error(message):
    """An error's line on the page of the run, and as an annotation at its top."""
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        add(f"**Error:** {_one_line(message)}")
        print(f"::error::{_one_line(message).replace('%', '%25')}", flush=True)


def wine_table(wine):
    """One daily wine: a row for each measurement."""
    rows = [["Type", wine.type], ["Label", f"{wine.quality}, the grade of {wine.source_id}"]]
    for column in MEASUREMENTS:
        value = f"{getattr(wine, column.name):.{column.decimals}f} {column.unit}"
        rows.append([column.label, value.strip()])
    return table([f"Wine of {wine.wine_id}", ""], rows)


def prediction_table(predictions):
    """What the model said of each daily wine, a row for each."""
    return table(
        ["Wine of", "Type", "Predicted", "Expected", "Label", "Model version"],
        predictions[["wine_id", "type", "predicted", "expected", "quality", "model_version"]]
        .round(2)
        .values.tolist(),
    )


def confusion_table(counts):
    """The confusion counts (7, 7): a row for each label, a column for each predicted grade."""
    rows = [[f"**{grade}**", *row] for grade, row in zip(GRADES, counts.tolist(), strict=True)]
    return table(["Label / predicted", *GRADES], rows)


def table(headers, rows):
    """A Markdown table."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(map(_one_line, line)) + " |" for line in lines)


def _one_line(value):
    return " ".join(str(value).replace("|", "\\|").split())

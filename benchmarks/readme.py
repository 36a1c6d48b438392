"""Fill the tables of README.md and docs/ from results/.

    python -m benchmarks.readme     after any benchmark; a test fails when a page lags behind

A page has a comment, ``<!-- results: NAME -->``, where the table of results/NAME.md belongs. A
benchmark without results yet leaves its place empty.
"""

import json
import re

import pandas as pd

from benchmarks import common

PAGES = ("README.md", "docs/results.md", "docs/operations.md")
PLACE = re.compile(r"(<!-- results: (\w+) -->\n\n)(?:\|.*\n)*(\n)")
METRICS = {
    "QWK": "qwk",
    "accuracy": "accuracy",
    "within one grade": "within_one",
    "RMSE": "rmse",
}


def main():
    """Fill all pages in place."""
    for page in PAGES:
        path = common.ROOT / page
        path.write_text(filled(path.read_text()))


def filled(text):
    """Return a page's text with every table as the result files have it now."""

    def put(match):
        return match[1] + table(match[2]) + match[3]

    return PLACE.sub(put, text)


def table(name):
    """Return the Markdown table of a result; empty when it was not measured yet."""
    if name == "served":
        return served()
    path = common.RESULTS / f"{name}.md"
    return path.read_text().strip() + "\n" if path.is_file() else ""


def served():
    """Return how good the served model is, as a table.

    In brackets 95 % bootstrap intervals over wines; that of cross-validation is two standard
    errors to both sides.
    """
    metrics = json.loads((common.RESULTS / "pipeline.json").read_text())["metrics"]
    always_6 = json.loads((common.RESULTS / "data.json").read_text())["always_6"]
    cv, se = metrics["cv"], metrics["cv_se"]
    around = {key: (cv[key] - 2 * se[key], cv[key] + 2 * se[key]) for key in se}
    rows = {
        "unseen wines like these (cross-validation)": (cv, around),
        "held-out test set": (metrics["test"], metrics["test_interval"]),
        "wines from another part of the file": (metrics["elsewhere"], {}),
        "always predicting 6": (always_6, {}),
    }
    return common.markdown(
        pd.DataFrame(
            {"": name}
            | {title: figure(row[key], intervals.get(key)) for title, key in METRICS.items()}
            for name, (row, intervals) in rows.items()
        )
    )


def figure(value, interval):
    """Return a metric as text, with its interval (low, high) if there is one."""
    return f"{value:.3f}" + (f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else "")


if __name__ == "__main__":
    main()

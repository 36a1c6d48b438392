"""Put the tables of results/ into README.md, between the comments that name them.

python -m benchmarks.readme     after any benchmark; a test fails when the README lags behind
"""

import json
import re
from pathlib import Path

import pandas as pd

from benchmarks import common

README = Path(__file__).resolve().parents[1] / "README.md"
PLACE = re.compile(r"(<!-- results: (\w+) -->\n\n)(?:\|.*\n)*(\n)")


def main():
    """Fill the README in place."""
    README.write_text(filled(README.read_text()))


def filled(text):
    """The README's text with every table as the result files have it now."""

    def put(match):
        name = match[2]
        table = served() if name == "served" else (common.RESULTS / f"{name}.md").read_text()
        return match[1] + table.strip() + "\n" + match[3]

    return PLACE.sub(put, text)


def served():
    """What was promised for the served model and what the test part said, as a table.

    In brackets 95 % intervals by bootstrap over wines; those of cross-validation are two standard
    errors to both sides.
    """
    metrics = json.loads((common.RESULTS / "pipeline.json").read_text())["metrics"]
    always_6 = json.loads((common.RESULTS / "data.json").read_text())["always_6"]
    rows = {
        "promised by cross-validation": metrics["cv"],
        "the locked test part, once": metrics["test"],
        "always saying 6, all wines": always_6,
    }
    columns = {
        "QWK": "qwk",
        "accuracy": "accuracy",
        "within one grade": "within_one",
        "macro-F1": "macro_f1",
        "RMSE": "rmse",
    }
    se = metrics["cv_se"]
    intervals = [
        {key: (metrics["cv"][key] - 2 * se[key], metrics["cv"][key] + 2 * se[key]) for key in se},
        metrics["test_interval"],
        {},
    ]
    return common.markdown(
        pd.DataFrame(
            {"": name}
            | {title: figure(row[key], interval.get(key)) for title, key in columns.items()}
            for (name, row), interval in zip(rows.items(), intervals, strict=True)
        )
    )


def figure(value, interval):
    """A metric as text, with its interval (low, high) if there is one."""
    return f"{value:.3f}" + (f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else "")


if __name__ == "__main__":
    main()

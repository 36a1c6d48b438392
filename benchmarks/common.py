"""What the benchmarks share: the wines as the pipeline has them, and how results are kept."""

import json
import os
import platform
from pathlib import Path

from wine import dataset
from wine.split import folds

RESULTS = Path(__file__).parent / "results"


def wines():
    """All 5,320 distinct wines with their near-duplicate groups, straight from the raw files."""
    clean = dataset.clean(dataset.validate(dataset.read()))
    clean["group_id"] = dataset.near_duplicate_groups(clean)
    return clean


def p1_folds(frame, repeats=2):
    """Protocol P1's folds on the whole data."""
    return folds(frame, repeats=repeats)


def machine():
    """The machine, as far as a reader must know it to compare."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }


def keep(name, result, table=None):
    """Write results/NAME.json and, with ``table`` (a DataFrame), results/NAME.md."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    if table is not None:
        (RESULTS / f"{name}.md").write_text(markdown(table))
        print(markdown(table))


def markdown(table):
    """A DataFrame as a Markdown table."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows) + "\n"

"""What the data itself says: duplicates, grades, and how far wines alike in chemistry agree.

    python -m benchmarks.data       a few seconds

Writes results/data.{json,md}. The table: for every wine its nearest other wine of the same
colour, and how often the two have the same grade, by their distance.
"""

import numpy as np
import pandas as pd

from benchmarks import common
from wine import dataset
from wine.metrics import score

EDGES = (0, 0.25, 0.5, 0.75, 1.0, 1.5, np.inf)  # standardised distance


def main():
    """Count, compare with the nearest, and with a model that always says 6."""
    raw, wines = dataset.read(), common.wines()
    grades = wines["quality"].to_numpy()
    distance, agree = dataset.nearest_neighbours(wines)
    bins = pd.cut(distance, EDGES, right=False)
    by_distance = pd.DataFrame({"agree": agree}).groupby(bins, observed=True)["agree"]
    rows = [
        {
            "from": float(b.left),
            "to": float(b.right) if np.isfinite(b.right) else None,
            "wines": len(part),
            "agree": float(part.mean()),
        }
        for b, part in by_distance
    ]
    table = pd.DataFrame(
        {
            "distance to the nearest wine": f"{row['from']:g} to {row['to']:g}"
            if row["to"]
            else f"{row['from']:g} and more",
            "wines": f"{row['wines']:,}",
            "same grade": f"{row['agree']:.0%}",
        }
        for row in rows
    )
    common.keep(
        "data",
        {
            "raw": len(raw),
            "red": int((raw["type"] == "red").sum()),
            "white": int((raw["type"] == "white").sum()),
            "duplicates": len(raw) - len(wines),
            "distinct": len(wines),
            "grades": {int(g): int(n) for g, n in wines["quality"].value_counts().sort_index().items()},
            "groups_of_several": int((wines["group_id"].value_counts() > 1).sum()),
            "always_6": score(grades, np.full(len(grades), 6), np.full(len(grades), 6.0)),
            "nearest": rows,
        },
        table,
    )  # fmt: skip


if __name__ == "__main__":
    main()

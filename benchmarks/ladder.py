"""What became of 0.93: from the original's protocol to P1, step by step.

    python -m benchmarks.ladder     about two minutes

The model stays the same (a random forest of 200 trees, as the original's), only the treatment
of the data changes; means over five seeds. Not every step goes down: at the fourth, SMOTE is left
out and all columns are used, and R² rises. The last step holds out the five contiguous fifths of
the raw files. Writes results/ladder.{json,md,png}.
"""

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE
from matplotlib.figure import Figure
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from benchmarks import common
from benchmarks.original import COLUMNS
from wine import dataset
from wine.columns import NAMES, TYPES
from wine.decoding import decode
from wine.metrics import score
from wine.split import contiguous_folds, group_folds

SEEDS = range(5)
ALL = list(NAMES)


def inputs(wines, columns):
    """Return numbers for the forest: the columns and the type as 0 or 1."""
    return np.column_stack([wines[columns], wines["type"].map(TYPES.index)])


def smote(x, y, seed):
    """Oversample as the original did."""
    return SMOTE(k_neighbors=min(4, min(np.bincount(y)[3:]) - 1), random_state=seed).fit_resample(
        x, y
    )


def balanced_then_split(wines, seed):
    """Oversample everything, then split, as the original did."""
    x, y = smote(inputs(wines, COLUMNS), wines["quality"].to_numpy(), seed)
    return train_test_split(x, y, test_size=0.2, random_state=seed)


def split_then_balanced(wines, seed):
    """Split first; oversample the training part only."""
    x, y = inputs(wines, COLUMNS), wines["quality"].to_numpy()
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.2, random_state=seed, stratify=y)
    x, y = smote(x, y, seed)
    return x, x_test, y, y_test


def split_only(wines, seed):
    """Split at random, stratified by grade, with all columns: the usual notebook."""
    return split_by_group(wines.assign(group_id=range(len(wines))), seed)


def split_by_group(wines, seed):
    """Split with near-duplicates on one side."""
    x, y = inputs(wines, ALL), wines["quality"].to_numpy()
    test = group_folds(wines, 5, seed) == 0
    return x[~test], x[test], y[~test], y[test]


def split_by_row(wines, seed):
    """Hold out a contiguous fifth of each raw file; there are five, one for each seed."""
    x, y = inputs(wines, ALL), wines["quality"].to_numpy()
    test = contiguous_folds(wines)[0] == seed
    return x[~test], x[test], y[~test], y[test]


def main():
    """Run the ladder."""
    raw, clean = dataset.read(), common.wines()
    steps = [
        ("the original: SMOTE on all rows, then split", raw, balanced_then_split),
        ("duplicates dropped first", clean, balanced_then_split),
        ("duplicates kept, split first, SMOTE in training only", raw, split_then_balanced),
        ("duplicates kept, no SMOTE, all columns", raw, split_only),
        ("duplicates dropped, no SMOTE, all columns", clean, split_only),
        ("and near-duplicates on one side: protocol P1", clean, split_by_group),
        ("wines from another part of the file", clean, split_by_row),
    ]
    result = []
    for name, wines, split in tqdm(steps):
        scores = []
        for seed in SEEDS:
            x, x_test, y, y_test = split(wines, seed)
            forest = RandomForestRegressor(200, n_jobs=2, random_state=seed).fit(x, y)
            predicted = forest.predict(x_test)
            scores.append(score(y_test, decode(predicted), predicted))
        scores = pd.DataFrame(scores)
        result.append({"step": name, **scores.mean().to_dict(), "sd": scores.std().to_dict()})
    kept = {"machine": common.machine(), "seeds": len(SEEDS), "steps": result}
    common.keep("ladder", kept, table(result))
    draw(result).savefig(common.RESULTS / "ladder.png")


def table(result):
    """Return the means of every step, and the standard deviation over the seeds."""
    columns = {"R²": "r2", "accuracy": "accuracy", "QWK": "qwk", "RMSE": "rmse"}
    return pd.DataFrame(
        {"step": row["step"]}
        | {title: f"{row[m]:.3f} ({row['sd'][m]:.3f})" for title, m in columns.items()}
        for row in result
    )


def draw(result):
    """Draw R² and accuracy at every step."""
    figure = Figure(figsize=(9, 3.8), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(result))[::-1]
    for metric, shift, colour in (("r2", 0.2, "#8b1e3f"), ("accuracy", -0.2, "#d1a827")):
        values = [row[metric] for row in result]
        bars = axes.barh(
            places + shift, values, 0.38, color=colour, label=metric.replace("r2", "R²")
        )
        axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=3, fontsize=8)
    axes.set_yticks(places, [row["step"] for row in result])
    axes.set(xlim=(0, 1.05), title="One random forest under seven protocols")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    main()

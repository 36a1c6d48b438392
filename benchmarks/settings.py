"""How the settings of the candidates were chosen: with the training wines alone.

    python -m benchmarks.settings     about ten minutes

Cross-validates a small grid around the settings in wine/candidates.py, one setting at a time, on
protocol P1's folds of the training wines. The held-out test set and the seeds of
benchmarks/fresh_seeds.py are not touched. Writes results/settings.{json,md}: the RMSE of each
value, and which value is in use.
"""

import numpy as np
import pandas as pd
from sklearn.base import clone
from tqdm import tqdm

from benchmarks import common
from wine import estimators
from wine.candidates import BY_NAME
from wine.evaluation import out_of_fold
from wine.split import folds, training_part

RIDGE = "regressor__kernelridge__"
GRIDS = {  # candidate: parameter of its estimator: values
    "kernel ridge": {
        f"{RIDGE}kernel__length_scale": (3, 10, 30),
        f"{RIDGE}alpha": (0.05, 0.1, 0.2, 0.4),
    },
    "chemical kernel ridge": {
        f"{RIDGE}kernel__length_scale": (3, 10, 30),
        f"{RIDGE}alpha": (0.05, 0.1, 0.2, 0.4),
    },
    "extra trees": {
        "n_estimators": (50, 100, 200),
        "max_features": (0.33, 0.5, 1.0),
        "min_samples_leaf": (1, 2, 4),
    },
    "xgboost": {
        "max_depth": (6, 8, 10),
        "n_estimators": (250, 400, 600),
        "min_child_weight": (2, 5, 10),
        "subsample": (0.5, 0.7, 0.9),
    },
}
WEIGHTS = (0.25, 0.5, 1.0)  # of the chemical ratios


def main():
    """Cross-validate each value of each grid."""
    wines = training_part(common.wines())
    tasks = [
        (name, parameter, value)
        for name, grid in GRIDS.items()
        for parameter, values in grid.items()
        for value in values
    ]
    tasks += [("chemical kernel ridge", "RATIO_WEIGHT", weight) for weight in WEIGHTS]
    rows = [measure(wines, *task) for task in tqdm(tasks)]
    table = pd.DataFrame(
        {
            "candidate": row["candidate"],
            "setting": row["setting"],
            "value": f"{row['value']:g}",
            "in use": "yes" if row["in_use"] else "",
            "RMSE": f"{row['rmse']:.4f}",
        }
        for row in rows
    )
    common.keep("settings", {"machine": common.machine(), "settings": rows}, table)


def measure(wines, name, parameter, value):
    """Return one row: the RMSE of a candidate with one setting changed, two repeats."""
    truth, fold_numbers = wines["quality"].to_numpy(), folds(wines)
    base = BY_NAME[name].make()
    in_use = estimators.RATIO_WEIGHT if parameter == "RATIO_WEIGHT" else current(base, parameter)

    def make():
        changed = clone(base)
        return changed if parameter == "RATIO_WEIGHT" else changed.set_params(**{parameter: value})

    if parameter == "RATIO_WEIGHT":
        estimators.RATIO_WEIGHT = value
    try:
        scores = out_of_fold(make, wines, fold_numbers)
    finally:
        if parameter == "RATIO_WEIGHT":
            estimators.RATIO_WEIGHT = in_use
    return {
        "candidate": name,
        "setting": parameter.removeprefix(RIDGE),
        "value": value,
        "in_use": value == in_use,
        "rmse": float(np.sqrt(((scores - truth) ** 2).mean())),
    }


def current(estimator, parameter):
    """Return the value that the candidate has now."""
    return estimator.get_params()[parameter]


if __name__ == "__main__":
    main()

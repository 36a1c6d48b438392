"""What the duplicates among the wines did for the accuracy that Cortez et al. published in 2009.

    python -m benchmarks.cortez      about a minute

Their support vector machine (one for each colour, C = 3, its width by grid search inside the
training part, grades by rounding), asked in three ways: five random folds of all rows as they did,
five stratified folds with duplicates dropped, and these with near-duplicates on one side, too. Writes
results/cortez.{json,md}.
"""

import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, KFold, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from benchmarks import common
from wine import dataset
from wine.columns import NAMES, TYPES

PUBLISHED = {"red": 0.624, "white": 0.646}  # their table 2, SVM, tolerance 0.5, which is rounding
SETTINGS = {"cost": 3, "epsilon": 0.1, "log2_widths": [*range(-5, 3)], "folds": 3}


def main():
    raw = dataset.read()
    clean = common.wines()
    by_itself = clean.assign(group_id=range(len(clean)))
    random, grouped = (
        kind(5, shuffle=True, random_state=0) for kind in (KFold, StratifiedGroupKFold)
    )
    asked = {
        "as they did: duplicates kept, random folds": (raw, random),
        "duplicates dropped": (by_itself, grouped),
        "and near-duplicates on one side": (clean, grouped),
    }
    result = {"published": PUBLISHED}
    for name, (wines, folds) in asked.items():
        result[name] = {kind: accuracy(wines[wines["type"] == kind], folds) for kind in TYPES}
    table = pd.DataFrame(
        {"their SVM": name} | {kind: f"{accuracies[kind]:.3f}" for kind in TYPES}
        for name, accuracies in result.items()
    )
    common.keep("cortez", {"machine": common.machine(), "accuracy": result}, table)


def support_vectors(*, cost, epsilon, log2_widths, folds):
    """Their model, unfitted: its width is searched by cross-validation inside the training part."""
    return GridSearchCV(
        make_pipeline(StandardScaler(), SVR(C=cost, epsilon=epsilon)),
        {"svr__gamma": 2.0 ** np.array(log2_widths)},
        scoring="neg_mean_absolute_error",
        cv=KFold(folds, shuffle=True, random_state=0),  # the files are in no random order
        n_jobs=2,
    )


def accuracy(wines, folds):
    """Share of the wines of one colour that get exactly their grade, out of fold."""
    search = support_vectors(**SETTINGS)
    scores = cross_val_predict(
        search, wines[list(NAMES)], wines["quality"], cv=folds, groups=wines.get("group_id")
    )
    return round(float((scores.round() == wines["quality"]).mean()), 3)


if __name__ == "__main__":
    main()

"""Protocol P1: one locked test part and repeated cross-validation, both by near-duplicate group."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

FOLDS, REPEATS, SEED = 5, 2, 2009
TEST_SHARE = 5  # one part in five is the test part


def test_part(wines, seed=SEED):
    """Boolean array, shape (n,): the fifth of the wines that selection never sees.

    Stratified by grade; a group (``group_id``) lies wholly inside or outside.
    """
    splitter = StratifiedGroupKFold(TEST_SHARE, shuffle=True, random_state=seed)
    _, test = next(splitter.split(wines, wines["quality"], wines["group_id"]))
    part = np.zeros(len(wines), dtype=bool)
    part[test] = True
    return part


def folds(wines, *, repeats=REPEATS, seed=SEED):
    """Fold number of every wine in every repeat: int array of shape (repeats, n), 0-4.

    StratifiedGroupKFold by grade and ``group_id``; a new shuffle in every repeat.
    """
    numbers = np.empty((repeats, len(wines)), dtype=np.int8)
    for repeat in range(repeats):
        splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed + 1 + repeat)
        parts = splitter.split(wines, wines["quality"], wines["group_id"])
        for fold, (_, test) in enumerate(parts):
            numbers[repeat, test] = fold
    return numbers

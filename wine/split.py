"""Protocol P1: one locked test part and repeated cross-validation, both by near-duplicate group."""

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

FOLDS, REPEATS, SEED = 5, 2, 2009
TEST_SHARE = 5  # one part in five is the test part


def locked_part(wines):
    """Boolean array, shape (n,): the fifth of the wines that selection never sees.

    Stratified by grade; a group (``group_id``) lies wholly inside or outside.
    """
    return group_folds(wines, TEST_SHARE, SEED) == 0


def folds(wines, *, repeats=REPEATS):
    """Fold number of every wine in every repeat: int array of shape (repeats, n), 0-4.

    StratifiedGroupKFold by grade and ``group_id``; a new shuffle in every repeat.
    """
    return np.stack([group_folds(wines, FOLDS, SEED + 1 + i) for i in range(repeats)])


def group_folds(wines, parts, seed):
    """Which of ``parts`` stratified group folds holds each wine: int array (n,), from 0."""
    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    numbers = np.empty(len(wines), dtype=np.int8)
    with warnings.catch_warnings():
        # grade 9 has fewer wines than there are folds, so some folds have none: as it must be
        warnings.filterwarnings("ignore", message="The least populated class")
        for number, (_, held_out) in enumerate(
            splitter.split(wines, wines["quality"], wines["group_id"])
        ):
            numbers[held_out] = number
    return numbers

"""Protocol P1: one held-out test set and repeated cross-validation, both by near-duplicate group."""

import warnings

import numpy as np
import pandas as pd

FOLDS, REPEATS, SEED = 5, 2, 2009
TEST_PARTS = 5  # one part in five is the test set


def test_set(wines: pd.DataFrame) -> np.ndarray:
    """Return which wines selection never sees, booleans (n,): a fifth of them.

    Stratified by grade; a group (``group_id``) lies wholly inside or outside.
    """
    return group_folds(wines, TEST_PARTS, SEED) == 0


def training_part(wines: pd.DataFrame) -> pd.DataFrame:
    """Return the wines whose ``split`` is "train", numbered from 0."""
    return wines[wines["split"] == "train"].reset_index(drop=True)


def folds(wines: pd.DataFrame, *, repeats: int = REPEATS) -> np.ndarray:
    """Return the fold of every wine in every repeat, ints 0-4 of shape (repeats, n).

    StratifiedGroupKFold by grade and ``group_id``; a new shuffle in every repeat.
    """
    return np.stack([group_folds(wines, FOLDS, SEED + 1 + i) for i in range(repeats)])


def contiguous_folds(wines: pd.DataFrame) -> np.ndarray:
    """Return folds of neighbouring rows of the raw files, ints 0-4 of shape (1, n).

    Each type's near-duplicate groups, in the order of their first wine in the raw file, are cut
    into fifths with the same number of wines. Neighbouring rows are more alike than rows chosen
    at random, perhaps by producer or season, so these folds show what happens for wines from
    elsewhere.
    """
    row = wines["wine_id"].str.rpartition("-")[2].astype(int)  # of the raw file
    first = row.groupby(wines["group_id"]).transform("min").groupby(wines["type"])
    fifths = (first.rank(method="min") - 1) * FOLDS // first.transform("size")
    return fifths.to_numpy(dtype=np.int8)[None, :]


def group_folds(wines: pd.DataFrame, parts: int, seed: int) -> np.ndarray:
    """Return which of ``parts`` stratified group folds holds each wine, ints (n,) from 0."""
    # here, since daily.py imports this module and needs no scikit-learn
    from sklearn.model_selection import StratifiedGroupKFold

    splitter = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    numbers = np.empty(len(wines), dtype=np.int8)
    with warnings.catch_warnings():
        # grade 9 has fewer wines than there are folds, so some folds have none
        warnings.filterwarnings("ignore", message="The least populated class")
        for number, (_, held_out) in enumerate(
            splitter.split(wines, wines["quality"], wines["group_id"])
        ):
            numbers[held_out] = number
    return numbers

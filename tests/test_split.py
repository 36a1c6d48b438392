"""Protocol P1's split and folds: groups stay together, grades are spread, seeds decide."""

import hashlib

import numpy as np
import pytest

from wine.split import FOLDS, REPEATS, folds, locked_part

LOCKED = "cc090bc65a7b4286b62a6bfaa2e04c18671e137ce407e32616b922494eb89ace"


def test_the_test_part_is_a_fifth_and_has_every_common_grade_in_proportion(wines):
    held = locked_part(wines)
    assert held.dtype == bool
    assert abs(held.mean() - 0.2) < 0.005
    shares = wines[held]["quality"].value_counts() / wines["quality"].value_counts()
    assert shares.loc[4:8].between(0.15, 0.25).all()


def test_no_group_crosses_the_split(wines):
    assert (wines.groupby("group_id")["split"].nunique() == 1).all()


def test_no_group_crosses_a_fold_and_every_wine_is_held_out_once_a_repeat(train):
    numbers = folds(train)
    assert numbers.shape == (REPEATS, len(train))
    for repeat in numbers:
        assert set(repeat) == set(range(FOLDS))
        assert (train.assign(fold=repeat).groupby("group_id")["fold"].nunique() == 1).all()
        assert np.bincount(repeat).min() > 0.9 * len(train) / FOLDS


def test_the_locked_part_is_the_one_that_was_locked(wines):
    """Another one, say by a new scikit-learn, would make figures of before and after incomparable."""
    locked = ",".join(sorted(wines.loc[locked_part(wines), "wine_id"]))
    assert hashlib.sha256(locked.encode()).hexdigest() == LOCKED


def test_the_split_is_always_the_same_and_the_repeats_of_the_folds_differ(wines, train):
    assert (locked_part(wines) == (wines["split"] == "test")).all()
    assert (folds(train) == folds(train)).all()
    assert (folds(train, repeats=1)[0] == folds(train)[0]).all()
    assert (folds(train)[0] != folds(train)[1]).any()


def test_the_split_looks_at_grades_and_groups_alone(train):
    other = train.assign(alcohol=0.0, type="red")
    assert (folds(other) == folds(train)).all()


def test_a_large_group_is_never_divided(train):
    grouped = train.assign(group_id=train["group_id"] // 50)
    numbers = folds(grouped, repeats=1)[0]
    assert (grouped.assign(fold=numbers).groupby("group_id")["fold"].nunique() == 1).all()


def test_no_wines_missing_columns_and_missing_grades_are_errors(train):
    with pytest.raises(ValueError, match="samples"):
        folds(train.head(0))
    with pytest.raises(KeyError, match="group_id"):
        folds(train.drop(columns="group_id"))
    with pytest.raises(ValueError, match="NaN"):
        locked_part(train.assign(quality=np.nan))

"""Protocol P1's split and folds: groups stay together, grades are spread, seeds decide."""

import hashlib

import numpy as np
import pandas as pd
import pytest

from wine.split import FOLDS, REPEATS, contiguous_folds, folds

TEST_SET = "cc090bc65a7b4286b62a6bfaa2e04c18671e137ce407e32616b922494eb89ace"


def groups_in_one_fold(wines, numbers):
    """Return whether every near-duplicate group lies in a single fold."""
    return (wines.assign(fold=numbers).groupby("group_id")["fold"].nunique() == 1).all()


@pytest.mark.uci
def test_the_test_set_is_a_fifth_with_every_common_grade_in_proportion(wines):
    held_out = (wines["split"] == "test").to_numpy()
    assert abs(held_out.mean() - 0.2) < 0.005
    shares = wines[held_out]["quality"].value_counts() / wines["quality"].value_counts()
    assert shares.loc[4:8].between(0.15, 0.25).all()
    assert groups_in_one_fold(wines, held_out)


def test_the_test_set_is_always_the_same(wines):
    """Another one, say by a new scikit-learn, would make old and new figures incomparable."""
    held_out = ",".join(sorted(wines.loc[wines["split"] == "test", "wine_id"]))
    assert hashlib.sha256(held_out.encode()).hexdigest() == TEST_SET


def test_no_group_crosses_a_fold_and_every_wine_is_held_out_once_a_repeat(train, fold_numbers):
    assert fold_numbers.shape == (REPEATS, len(train))
    for repeat in fold_numbers:
        assert set(repeat) == set(range(FOLDS))
        assert groups_in_one_fold(train, repeat)
        assert np.bincount(repeat).min() > 0.9 * len(train) / FOLDS


def test_folds_depend_on_grades_and_groups_alone_and_their_repeats_differ(train, fold_numbers):
    assert (folds(train.assign(alcohol=0.0, type="red"), repeats=1) == fold_numbers[:1]).all()
    assert (fold_numbers[0] != fold_numbers[1]).any()


@pytest.mark.uci
def test_contiguous_folds_are_fifths_of_each_file_with_groups_together(train):
    numbers = contiguous_folds(train)
    assert numbers.shape == (1, len(train))
    assert groups_in_one_fold(train, numbers[0])
    for _, rows in train.groupby("type").indices.items():
        ordered = numbers[0, rows][np.argsort(train["wine_id"].to_numpy()[rows])]
        assert np.bincount(ordered, minlength=FOLDS).min() > 0.9 * len(rows) / FOLDS
        assert (np.diff(ordered.astype(int)) < 0).mean() < 0.05  # only a near-duplicate goes back
    shuffled = train.sample(frac=1, random_state=1)
    assert (contiguous_folds(shuffled)[0] == numbers[0, shuffled.index]).all()
    # more wines, each a near-duplicate of one before it
    copies = train.assign(wine_id=train["wine_id"].str[:-4] + "9" + train["wine_id"].str[-4:])
    more = contiguous_folds(pd.concat([train, copies], ignore_index=True))
    assert (more.reshape(2, -1)[1] == more.reshape(2, -1)[0]).all()
    assert np.bincount(more[0]).min() > 0.9 * 2 * len(train) / FOLDS

"""SMOTE: every grade as common as the commonest, from the wines given and no others."""

import numpy as np
import pytest
from imblearn.over_sampling import SMOTENC

from wine import balance as module
from wine.balance import balance
from wine.columns import BY_NAME, GRADES, NAMES, TYPES


@pytest.fixture(scope="module")
def balanced(train):
    return balance(train)


def test_every_grade_becomes_as_common_as_the_commonest(train, balanced):
    most = train["quality"].value_counts().max()
    assert balanced["quality"].value_counts().to_dict() == dict.fromkeys(GRADES, most)


def test_the_real_wines_are_all_there_unsynthetic_and_in_order(train, balanced):
    real = balanced[~balanced["synthetic"]]
    assert real["row_id"].tolist() == train["wine_id"].tolist()
    assert real["quality"].tolist() == train["quality"].tolist()
    assert real["type"].tolist() == train["type"].tolist()
    for name in NAMES:  # balanced wines have the raw files' usual decimals
        half_a_digit = 0.5 * 10.0 ** -BY_NAME[name].decimals
        assert np.allclose(real[name], train[name], rtol=0, atol=1.001 * half_a_digit), name


def test_synthetic_rows_are_named_apart_and_have_a_type(balanced):
    made = balanced[balanced["synthetic"]]
    assert balanced["row_id"].is_unique
    assert made["row_id"].str.fullmatch(r"smote-\d{5}").all()
    assert set(made["type"]) == set(TYPES)
    assert (made["free_sulfur_dioxide"] <= made["total_sulfur_dioxide"]).all()


@pytest.mark.parametrize("grade", [3, 4, 5, 7, 8, 9])
def test_a_synthetic_wine_lies_between_two_training_wines_of_its_grade(train, balanced, grade):
    ends = train.loc[train["quality"] == grade, list(NAMES)].to_numpy()
    made = balanced[balanced["synthetic"] & (balanced["quality"] == grade)]
    half_a_digit = np.array([0.5 * 10.0 ** -BY_NAME[name].decimals for name in NAMES])
    for point in made[list(NAMES)].sample(10, random_state=1).to_numpy():
        assert is_between_two(point, ends, 1.001 * half_a_digit)


def is_between_two(point, ends, tolerance):
    """True when ``point`` is within ``tolerance`` of a segment between two rows of ``ends``."""
    for start in ends:
        way, gone = ends - start, point - start
        # of start + t * way, the t at which each column is within its tolerance of the point
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (gone - tolerance) / way, (gone + tolerance) / way
        still = np.abs(gone) <= tolerance
        low = np.where(way == 0, np.where(still, 0, np.inf), np.minimum(a, b)).max(axis=1)
        high = np.where(way == 0, np.where(still, 1, -np.inf), np.maximum(a, b)).min(axis=1)
        if (np.maximum(low, 0) <= np.minimum(high, 1)).any():
            return True
    return False


def test_a_point_off_every_segment_is_seen(train):
    ends = train.loc[train["quality"] == 8, list(NAMES)].to_numpy()
    tolerance = np.full(len(NAMES), 1e-3)
    assert is_between_two(0.3 * ends[0] + 0.7 * ends[5], ends, tolerance)
    assert not is_between_two(0.3 * ends[0] + 0.7 * ends[5] + 0.1, ends, tolerance)


def test_the_neighbours_are_those_that_smotenc_would_find_itself(train, balanced, monkeypatch):
    plain = SMOTENC([len(NAMES)], k_neighbors=module.NEIGHBOURS, random_state=module.SEED)
    monkeypatch.setattr(module, "smote", lambda: plain)
    assert balance(train).equals(balanced)


def test_the_same_wines_give_the_same_rows(train, balanced):
    assert balance(train).equals(balanced)


def test_wines_already_balanced_stay_as_they_are(train):
    few = train.groupby("quality").head(3).reset_index(drop=True)
    assert len(balance(few)) == len(few)
    assert not balance(few)["synthetic"].any()


@pytest.mark.parametrize("left", [1, 2])
def test_a_grade_with_one_or_two_wines_stays_as_it_is(train, left):
    nines = train[train["quality"] == 9].index
    balanced = balance(train.drop(nines[left:]).reset_index(drop=True))
    counts = balanced["quality"].value_counts()
    assert counts[9] == left
    assert set(counts.drop(9)) == {train["quality"].value_counts().max()}


def test_no_wines_are_an_error(train):
    with pytest.raises(ValueError, match="0 sample"):
        balance(train.head(0))


def test_a_missing_measurement_is_an_error(train):
    with pytest.raises(ValueError, match="NaN"):
        balance(train.assign(ph=np.nan))

"""SMOTE: every grade as common as the commonest, from the wines given and no others."""

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
    real = balanced[~balanced["synthetic"]].reset_index(drop=True)
    assert real["row_id"].tolist() == train["wine_id"].tolist()
    columns = [*NAMES, "type", "quality"]
    assert real[columns].equals(train[columns])


def test_synthetic_rows_are_named_apart_and_have_a_type(balanced):
    made = balanced[balanced["synthetic"]]
    assert balanced["row_id"].is_unique
    assert made["row_id"].str.fullmatch(r"smote-\d{5}").all()
    assert set(made["type"]) == set(TYPES)
    assert (made["free_sulfur_dioxide"] <= made["total_sulfur_dioxide"]).all()


def test_a_synthetic_wine_lies_within_the_training_wines_of_its_grade(train, balanced):
    made, ends = balanced[balanced["synthetic"]], train.groupby("quality")
    for name in NAMES:
        low, high = (made["quality"].map(end) for end in (ends[name].min(), ends[name].max()))
        half_a_digit = 0.51 * 10.0 ** -BY_NAME[name].decimals
        assert made[name].between(low - half_a_digit, high + half_a_digit).all(), name


def test_the_neighbours_are_those_that_smotenc_would_find_itself(train, balanced, monkeypatch):
    plain = SMOTENC([len(NAMES)], k_neighbors=module.NEIGHBOURS, random_state=module.SEED)
    monkeypatch.setattr(module, "smote", lambda: plain)
    assert balance(train).equals(balanced)


@pytest.mark.parametrize("left", [1, 2])
def test_a_grade_with_one_or_two_wines_stays_as_it_is(train, left):
    nines = train[train["quality"] == 9].index
    balanced = balance(train.drop(nines[left:]).reset_index(drop=True))
    counts = balanced["quality"].value_counts()
    assert counts[9] == left
    assert set(counts.drop(9)) == {train["quality"].value_counts().max()}

"""The daily wine: a plausible one for any day, and the same one for the same day."""

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wine.columns import BY_NAME, NAMES
from wine.errors import BadInput
from wine.generator import generate

DAY = datetime.date(2026, 11, 23)
WINE = {
    "wine_id": "2026-11-23", "day": pd.Timestamp(DAY), "fixed_acidity": 5.9,
    "volatile_acidity": 0.21, "citric_acid": 0.21, "ph": 3.35, "residual_sugar": 2.3,
    "chlorides": 0.044, "free_sulfur_dioxide": 60.0, "total_sulfur_dioxide": 132.0,
    "sulphates": 0.42, "density": 0.9937, "alcohol": 9.6, "type": "white", "reference_grade": 5,
    "source_id": "white-3375",
}  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(day=st.dates())
def test_the_wine_of_any_day_is_plausible_and_new(train, day):
    wine = generate(day, train)
    colour = train[train["type"] == wine["type"]]
    for name in NAMES:
        assert colour[name].min() <= wine[name] <= colour[name].max(), name
        assert wine[name] == round(wine[name], BY_NAME[name].decimals), name
    assert wine["free_sulfur_dioxide"] <= wine["total_sulfur_dioxide"]
    source = train.set_index("wine_id").loc[wine["source_id"]]
    assert (source["type"], source["quality"]) == (wine["type"], wine["reference_grade"])
    assert not (colour[list(NAMES)] == [wine[name] for name in NAMES]).all(axis=1).any()
    assert wine["wine_id"] == day.isoformat()
    assert wine["day"].date() == day


@pytest.mark.uci
def test_a_days_wine_is_the_one_it_always_was(train):
    """A change that made every day's wine another one would be seen here."""
    assert generate(DAY, train) == WINE


def test_neither_the_order_nor_the_index_of_the_wines_matters(train):
    shuffled = train.sample(frac=1, random_state=1)
    assert generate(DAY, shuffled) == generate(DAY, train)


def test_a_generated_wine_is_near_its_source(train):
    spread = train.groupby("type")[list(NAMES)].std()
    for i in range(30):
        wine = generate(DAY + datetime.timedelta(days=i), train)
        source = train.set_index("wine_id").loc[wine["source_id"]]
        for name in NAMES:
            away = abs(wine[name] - source[name])
            # five times the skew, and half of the last decimal for rounding
            allowed = 0.5 * spread.loc[wine["type"], name] + 0.51 * 10.0 ** -BY_NAME[name].decimals
            assert away <= allowed, name


def test_two_hundred_wines_have_both_colours_and_the_grades_that_are_common(train):
    made = [generate(DAY + datetime.timedelta(days=i), train) for i in range(200)]
    white = np.mean([wine["type"] == "white" for wine in made])
    assert white == pytest.approx((train["type"] == "white").mean(), abs=0.1)
    six = np.mean([wine["reference_grade"] == 6 for wine in made])
    assert six == pytest.approx((train["quality"] == 6).mean(), abs=0.1)


def test_one_wine_and_wines_all_alike_are_refused_not_tried_for_ever(train):
    with pytest.raises(BadInput, match="alike"):
        generate(DAY, train.head(1))
    alike = train.head(5).copy()
    alike[list(NAMES)] = alike.loc[0, list(NAMES)].to_numpy(dtype=float)
    with pytest.raises(BadInput, match="alike"):
        generate(DAY, alike)

"""The table of columns, and rounding to the raw files' decimals."""

import numpy as np
import pytest

from wine.columns import MEASUREMENTS, NAMES, to_precision


@pytest.mark.parametrize("column", MEASUREMENTS, ids=lambda column: column.name)
def test_the_decimals_are_those_of_most_raw_values(raw, column):
    values = raw[column.name]
    assert np.isclose(values, values.round(column.decimals)).mean() > 0.5
    if column.decimals:
        assert np.isclose(values, values.round(column.decimals - 1)).mean() < 0.5


def test_to_precision_rounds_every_measurement(raw):
    values = raw[list(NAMES)].head(5).to_numpy() + 0.000049
    before = values.copy()
    rounded = to_precision(values)
    for place, column in enumerate(MEASUREMENTS):
        assert (rounded[:, place] == values[:, place].round(column.decimals)).all()
    assert (values == before).all(), "the values given must not be changed"
    assert to_precision(values[:0]).shape == (0, len(NAMES))


def test_to_precision_keeps_free_sulphur_dioxide_at_or_below_the_total(raw):
    wine = raw.head(1).assign(free_sulfur_dioxide=31.6, total_sulfur_dioxide=31.4)
    rounded = dict(zip(NAMES, to_precision(wine[list(NAMES)].to_numpy())[0], strict=True))
    assert rounded["free_sulfur_dioxide"] == rounded["total_sulfur_dioxide"] == 31

"""The running counts equal a full recount, whatever the runs were like."""

import datetime
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wine import tally
from wine.metrics import confusion

DAY_ONE = datetime.date(2026, 11, 1)


def predictions(rows):
    """A frame of predictions from (day filed, grade, predicted grade)."""
    frame = pd.DataFrame(rows, columns=["filed", "quality", "predicted"])
    filed = [DAY_ONE + datetime.timedelta(days=int(day)) for day in frame["filed"]]
    return frame.assign(filed=pd.to_datetime(filed))


def filed_since(frame, day):
    """What a run reads: the predictions filed on ``day`` or later."""
    return frame[frame["filed"] >= pd.Timestamp(day)]


rows = st.lists(
    st.tuples(st.integers(0, 30), st.integers(3, 9), st.integers(3, 9)), min_size=1, max_size=40
)


@given(rows, st.sets(st.integers(0, 30)), st.data())
def test_any_runs_on_any_days_come_to_the_full_recount(rows, run_days, data):
    everything = predictions(rows)
    counted = tally.empty()
    for offset in sorted(run_days):
        today = DAY_ONE + datetime.timedelta(days=offset)
        there = everything[everything["filed"] <= pd.Timestamp(today)]
        seen = filed_since(there, counted.through)
        counts = counted.with_recent(seen)
        assert (counts == confusion(there["quality"], there["predicted"])).all()
        if data.draw(st.booleans(), "the run lives until its tally is saved"):
            counted = tally.from_json(json.loads(json.dumps(counted.advanced(seen).to_json())))
    counts = counted.with_recent(filed_since(everything, counted.through))
    assert (counts == confusion(everything["quality"], everything["predicted"])).all()


def test_a_run_repeated_the_same_day_changes_nothing():
    frame = predictions([(0, 5, 5), (1, 6, 5), (9, 7, 8)])
    once = tally.empty().advanced(frame)
    again = once.advanced(filed_since(frame, once.through))
    assert again.to_json() == once.to_json()
    assert once.counts.sum() == 2, "the last wine is not closed yet"


def test_a_prediction_that_appears_late_on_an_open_day_is_counted():
    frame = predictions([(0, 5, 5), (9, 7, 8)])
    counted = tally.empty().advanced(frame)
    late = predictions([(8, 3, 4)])
    seen = pd.concat([filed_since(frame, counted.through), late])
    assert counted.with_recent(seen).sum() == 3


@pytest.mark.parametrize("seen", [[], [(0, 5, 5)]])
def test_closed_days_are_never_reopened(seen):
    counted = tally.Tally(DAY_ONE, np.ones((7, 7), dtype=np.int64))
    later = counted.advanced(predictions(seen))
    assert later.through == DAY_ONE
    assert (later.counts == counted.counts).all()


def test_the_tally_of_nothing_is_zero_and_survives_json():
    nothing = tally.empty()
    assert nothing.counts.sum() == 0
    assert nothing.with_recent(predictions([])).sum() == 0
    back = tally.from_json(json.loads(json.dumps(nothing.to_json())))
    assert back.through == nothing.through
    assert (back.counts == nothing.counts).all()
    assert nothing.to_json()["grades"] == [3, 4, 5, 6, 7, 8, 9]


GOOD = {"through": "2026-11-01", "counts": np.zeros((7, 7), dtype=int).tolist()}


@pytest.mark.parametrize(
    "content",
    [
        None, [], 5, "tally", {},
        {"counts": GOOD["counts"]},
        {"through": "2026-11-01"},
        GOOD | {"through": None}, GOOD | {"through": 5}, GOOD | {"through": "yesterday"},
        GOOD | {"counts": None}, GOOD | {"counts": []}, GOOD | {"counts": [[0] * 7] * 6},
        GOOD | {"counts": [[-1] * 7] * 7}, GOOD | {"counts": [[0] * 7] * 6 + [[0]]},
        GOOD | {"counts": [["many"] * 7] * 7}, GOOD | {"counts": [[10**30] * 7] * 7},
        GOOD | {"counts": [[float("nan")] * 7] * 7}, GOOD | {"counts": [[float("inf")] * 7] * 7},
    ],
)  # fmt: skip
def test_what_is_no_tally_is_a_value_error(content):
    with pytest.raises(ValueError):  # noqa: PT011 - the messages are those of three libraries
        tally.from_json(content)

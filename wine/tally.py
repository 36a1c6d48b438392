"""Running counts of the monitor: true grade against predicted grade over all daily wines.

Counting a growing history anew for every wine would cost more each day. The tally keeps the
counts of all predictions filed before a day ("through") and each run recounts only what was
filed since, so that a run that is repeated, late or killed can never count a wine twice. What is
filed later is never dated earlier, and no clock is asked here, so none that is wrong can hide a wine.
If the tally is lost, one full recount makes the same tally again.
"""

import datetime
from dataclasses import dataclass

import numpy as np
import pandas as pd

from wine.columns import GRADES
from wine.metrics import confusion

OPEN_DAYS = 2  # before the last: a run may be under way around midnight
START = datetime.date(2000, 1, 1)  # before every wine


@dataclass(frozen=True)
class Tally:
    """Confusion counts (7, 7) of the predictions filed before the date ``through``."""

    through: datetime.date
    counts: np.ndarray

    def with_recent(self, predictions):
        """Counts (7, 7) of all predictions, given those filed on ``through`` or later."""
        recent = predictions[predictions["filed"] >= pd.Timestamp(self.through)]
        return self.counts + confusion(recent["quality"], recent["predicted"])

    def advanced(self, predictions):
        """The tally that closes all but the last days, given the predictions since ``through``."""
        if predictions.empty:
            return self
        last = predictions["filed"].max().date()
        through = max(self.through, last - datetime.timedelta(days=OPEN_DAYS))
        closed = predictions[predictions["filed"] < pd.Timestamp(through)]
        return Tally(through, self.with_recent(closed))

    def to_json(self):
        """A plain dict."""
        return {
            "through": self.through.isoformat(),
            "grades": list(GRADES),
            "counts": self.counts.tolist(),
        }


def empty():
    """The tally of nothing: everything is yet to be counted."""
    return Tally(START, np.zeros((len(GRADES), len(GRADES)), dtype=np.int64))


def from_json(content):
    """The tally of a dict as of ``to_json``; ValueError when it is not one."""
    try:
        counts = np.array(content["counts"], dtype=np.int64)
        through = datetime.date.fromisoformat(content["through"])
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError("not a tally") from error
    if counts.shape != (len(GRADES), len(GRADES)) or (counts < 0).any():
        raise ValueError("not a tally")
    return Tally(through, counts)

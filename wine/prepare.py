"""From raw rows to the wines that everything else uses, step by step or in one call.

initialize.ipynb takes the steps one by one and shows each; everyone else calls ``prepare``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from wine import dataset
from wine.balance import balance
from wine.split import test_set, training_part


@dataclass(frozen=True)
class Prepared:
    """The distinct wines with ``group_id`` and ``split``, and the balanced training rows."""

    wines: pd.DataFrame
    balanced: pd.DataFrame


def with_groups_and_split(wines: pd.DataFrame) -> pd.DataFrame:
    """Return distinct wines with ``group_id`` and ``split`` ("train" or "test")."""
    wines = wines.assign(group_id=dataset.near_duplicate_groups(wines))
    return wines.assign(split=np.where(test_set(wines), "test", "train"))


def distinct_wines(raw: pd.DataFrame) -> pd.DataFrame:
    """Validate raw rows; return the distinct wines with ``group_id`` and ``split``.

    Raises BadInput as ``dataset.validate`` does.
    """
    return with_groups_and_split(dataset.clean(dataset.validate(raw)))


def prepare(raw: pd.DataFrame) -> Prepared:
    """Return the Prepared of raw rows: validated, distinct, grouped, split and balanced."""
    wines = distinct_wines(raw)
    return Prepared(wines, balance(training_part(wines)))

"""From raw rows to the distinct wines, with their near-duplicate groups and their split.

initialize.ipynb takes the steps one by one and shows each; everyone else calls ``distinct_wines``.
"""

import numpy as np
import pandas as pd

from wine import dataset
from wine.split import test_set


def with_groups_and_split(wines: pd.DataFrame) -> pd.DataFrame:
    """Return distinct wines with ``group_id`` and ``split`` ("train" or "test")."""
    wines = wines.assign(group_id=dataset.near_duplicate_groups(wines))
    return wines.assign(split=np.where(test_set(wines), "test", "train"))


def distinct_wines(raw: pd.DataFrame) -> pd.DataFrame:
    """Validate raw rows; return the distinct wines with ``group_id`` and ``split``.

    Raises BadInput as ``dataset.validate`` does.
    """
    return with_groups_and_split(dataset.clean(dataset.validate(raw)))

"""Balance of grades with SMOTE: synthetic wines between real ones for the rare grades."""

from typing import Any, Self

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTENC
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from wine.columns import NAMES, TYPES, to_precision

NEIGHBOURS = 2  # grade 9 has five wines, and inside a training fold only three
SEED = 2009


class TreeNeighbors(NearestNeighbors):
    """Neighbours by a tree. SMOTENC gives sparse rows, for which scikit-learn would compare every
    pair: the same neighbours, but many minutes instead of seconds for half a million wines."""

    def fit(self, X: Any, y: Any = None) -> Self:
        return super().fit(X.toarray(), y)

    def kneighbors(
        self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        return super().kneighbors(X.toarray(), n_neighbors, return_distance)


def smote() -> SMOTENC:
    """Return the sampler for inputs of shape (n, 12): eleven scaled measurements, then the type.

    SMOTENC (Chawla et al. 2002) keeps the type a category: a synthetic wine is red or white.
    """
    neighbours = TreeNeighbors(n_neighbors=NEIGHBOURS + 1)  # a wine is its own nearest
    return SMOTENC(
        [len(NAMES)],
        sampling_strategy=wines_per_grade,
        k_neighbors=neighbours,
        random_state=SEED,
    )


def wines_per_grade(grades: np.ndarray) -> dict[int, int]:
    """Return how many wines each grade has after balancing: as many as the commonest.

    A grade with too few wines to draw between (one or two) is left as it is.
    """
    values, counts = np.unique(grades, return_counts=True)
    return {value: counts.max() for value, count in zip(values, counts, strict=True)
            if count > NEIGHBOURS}  # fmt: skip


def balance(wines: pd.DataFrame) -> pd.DataFrame:
    """Return the wines and synthetic ones, so that every grade has as many as the commonest.

    Give it training wines only: a synthetic wine is a near-duplicate of real ones.
    Returns columns ``row_id`` (a real wine's own id, "smote-00001" for a synthetic one), the
    measurements (of synthetic wines at the raw files' decimals), ``type``, ``quality`` and the
    flag ``synthetic``. A grade with one or two wines is left as it is.
    """
    scaler = StandardScaler().fit(wines[list(NAMES)])
    points = np.column_stack([scaler.transform(wines[list(NAMES)]), wines["type"].map(TYPES.index)])
    points, grades = smote().fit_resample(points, wines["quality"])
    values = to_precision(scaler.inverse_transform(points[:, :-1]))
    balanced = pd.DataFrame(values, columns=list(NAMES))
    balanced.iloc[: len(wines)] = wines[list(NAMES)]  # real wines stay as they were measured
    balanced["type"] = np.array(TYPES)[points[:, -1].astype(int)]
    balanced["quality"] = np.asarray(grades)
    balanced["synthetic"] = np.arange(len(balanced)) >= len(wines)
    synthetic_ids = [f"smote-{i:05d}" for i in range(1, len(balanced) - len(wines) + 1)]
    balanced.insert(0, "row_id", [*wines["wine_id"], *synthetic_ids])
    return balanced

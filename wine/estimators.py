"""Estimators of our own, as scikit-learn estimators on encoded wines of shape (n, 12).

The twelve columns are those of ``model.encode``: the measurements, then the type. A registered
model may hold these classes, so this module is published with the apps.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.gaussian_process.kernels import Matern
from sklearn.linear_model import LinearRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.preprocessing import StandardScaler

from wine.columns import NAMES

LOGGED = (
    "volatile_acidity",
    "residual_sugar",
    "chlorides",
    "free_sulfur_dioxide",
    "total_sulfur_dioxide",
    "sulphates",
)
RATIO_WEIGHT = 0.5
SO2_PK = 1.81  # of sulphur dioxide: molecular = free / (1 + 10^(pH - pK))


class Chemistry(TransformerMixin, BaseEstimator):
    """Standardised measurements, six of them logged, and nine chemical ratios at half weight.

    Skewed measurements become log(x + half their 5 % quantile + 1e-4). The ratios say what a
    winemaker would look at: molecular and bound sulphur dioxide, volatile against fixed acidity,
    sugar against acid, density beyond what sugar and alcohol explain. Output shape (n, 21).
    """

    def fit(self, X: ArrayLike, y: Any = None) -> Self:
        """Learn the shifts of the logs, the density's regression and the scales."""
        X = np.asarray(X, dtype=float)
        self.logged_ = [NAMES.index(name) for name in LOGGED]
        self.shifts_ = np.quantile(X[:, self.logged_], 0.05, axis=0) / 2 + 1e-4
        self.density_ = LinearRegression().fit(self._sugar_and_alcohol(X), self._of(X, "density"))
        self.measured_ = StandardScaler().fit(self._measured(X))
        self.ratios_ = StandardScaler().fit(self._ratios(X))
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the standardised measurements, type and weighted ratios."""
        X = np.asarray(X, dtype=float)
        return np.hstack(
            [
                self.measured_.transform(self._measured(X)),
                RATIO_WEIGHT * self.ratios_.transform(self._ratios(X)),
            ]
        )

    @staticmethod
    def _of(X: np.ndarray, name: str) -> np.ndarray:
        return X[:, NAMES.index(name)]

    def _sugar_and_alcohol(self, X: np.ndarray) -> np.ndarray:
        return np.column_stack([self._of(X, "residual_sugar"), self._of(X, "alcohol")])

    def _measured(self, X: np.ndarray) -> np.ndarray:
        measured = X.copy()
        measured[:, self.logged_] = np.log(np.maximum(X[:, self.logged_], 0) + self.shifts_)
        return measured

    def _ratios(self, X: np.ndarray) -> np.ndarray:
        free, total = self._of(X, "free_sulfur_dioxide"), self._of(X, "total_sulfur_dioxide")
        fixed, volatile = self._of(X, "fixed_acidity"), self._of(X, "volatile_acidity")
        sugar, alcohol = self._of(X, "residual_sugar"), self._of(X, "alcohol")
        return np.column_stack(
            [
                _log(free / (1 + 10 ** (self._of(X, "ph") - SO2_PK)), 0.01),
                free / np.maximum(total, 1),
                _log(total - free, 1),
                self._of(X, "density") - self.density_.predict(self._sugar_and_alcohol(X)),
                _log(volatile, 0.01) - _log(fixed, 0.1),
                self._of(X, "citric_acid") / np.maximum(fixed, 0.1),
                _log(sugar, 0.1) - _log(fixed, 0.1),
                _log(alcohol, 0.1) - 0.1 * _log(sugar, 0.1),
                _log(self._of(X, "chlorides"), 0.001) - _log(self._of(X, "sulphates"), 0.01),
            ]
        )


class Exponential(Matern):
    """The kernel exp(-distance / length_scale), computed with matrix products.

    Scikit-learn's ``Matern(nu=0.5)`` is the same function, but slower for many wines.
    """

    def __init__(self, length_scale: float = 1.0) -> None:
        super().__init__(length_scale, nu=0.5)

    def __call__(self, X: Any, Y: Any = None) -> np.ndarray:
        """Return the kernel between the rows of X and Y (default X), shape (n, m)."""
        distances = euclidean_distances(X, Y)
        distances /= -self.length_scale
        return np.exp(distances, out=distances)


class QuickExtraTrees(ExtraTreesRegressor):
    """Extra trees that predict a few wines quickly.

    Scikit-learn hands each tree to joblib, which for one wine takes many times as long as the
    trees do. Predictions are the same to rounding.
    """

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the mean of the trees' predictions, shape (n,)."""
        X = np.ascontiguousarray(X, dtype=np.float32)
        total = np.zeros(len(X))
        for tree in self.estimators_:
            total += tree.tree_.predict(X)[:, 0]
        return total / len(self.estimators_)


class OrdinalClassifier(ClassifierMixin, BaseEstimator):
    """A probability for each grade from one binary model per step of the scale.

    "Better than 3?", "better than 4?" and so on: Frank & Hall 2001, "A Simple Approach to
    Ordinal Classification". ``estimator`` is any binary classifier with ``predict_proba``.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator

    def fit(self, X: np.ndarray, y: np.ndarray) -> Self:
        """Fit one binary model for every grade in ``y`` but the highest."""
        self.classes_ = np.unique(y)
        self.steps_ = [clone(self.estimator).fit(X, y > grade) for grade in self.classes_[:-1]]
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Return probabilities, shape (n, grades); contradicting steps are clipped."""
        steps = [step.predict_proba(X)[:, 1] for step in self.steps_]
        above = np.minimum.accumulate(np.column_stack([np.ones(len(X)), *steps]), axis=1)
        return above - np.column_stack([above[:, 1:], np.zeros(len(X))])

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the most probable grade of each wine, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(1)]


def _log(values: np.ndarray, floor: float) -> np.ndarray:
    return np.log(np.maximum(values, 0) + floor)

"""The models the finder compares, in one table.

Every candidate is a scikit-learn pipeline: raw columns in (``wine.columns.FEATURES``), a number
or class probabilities out. To add a model, add a row to ``CANDIDATES``. Settings were chosen
with the training part alone; ``benchmarks/`` measures what they are worth.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from imblearn.pipeline import Pipeline as BalancedPipeline
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.gaussian_process.kernels import Matern
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.svm import SVR
from xgboost import XGBRegressor

from wine.balance import smote
from wine.columns import NAMES, TYPES
from wine.errors import BadInput

SEED = 2009
MOST_FOR_KERNELS = 10_000  # wines: a kernel's memory and time grow with the square and more


@dataclass(frozen=True)
class Candidate:
    """A model to compare. ``make()`` gives it unfitted, with a fixed seed.

    ``complexity`` orders ties (how many things a reader must understand); ``balanced`` says
    that SMOTE runs inside its training fold; ``servable`` that what train.ipynb registers of it
    needs no class of this repository; ``averageable`` that its expected grade can enter an
    average (a regressor on the wines as they are); ``members`` names the candidates it averages; ``quick`` that
    ``--quick`` compares it too. ``most_wines`` is how many it can learn from at a bearable cost.
    """

    name: str
    make: Callable[[], BaseEstimator]
    complexity: int
    quick: bool = False
    balanced: bool = False
    servable: bool = True
    averageable: bool = False
    members: tuple[str, ...] = ()
    most_wines: float = math.inf


def encode():
    """Raw columns -> floats, shape (n, 12): the measurements in order, then 1.0 for white."""
    return ColumnTransformer(
        [
            ("measurements", "passthrough", list(NAMES)),
            ("type", OrdinalEncoder(categories=[list(TYPES)]), ["type"]),
        ]
    )


class OrdinalClassifier(ClassifierMixin, BaseEstimator):
    """A probability for each grade from one binary model per step of the scale.

    "Better than 3?", "better than 4?" and so on: Frank & Hall 2001, "A Simple Approach to
    Ordinal Classification". ``estimator`` is any binary classifier with ``predict_proba``.
    """

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        """Fit one binary model for every grade in ``y`` but the highest."""
        self.classes_ = np.unique(y)
        self.steps_ = [clone(self.estimator).fit(X, y > grade) for grade in self.classes_[:-1]]
        return self

    def predict_proba(self, X):
        """Probabilities, shape (n, grades); steps that contradict each other are clipped."""
        above = [step.predict_proba(X)[:, 1] for step in self.steps_]
        above = np.minimum.accumulate(np.column_stack([np.ones(len(X)), *above]), axis=1)
        return above - np.column_stack([above[:, 1:], np.zeros(len(X))])

    def predict(self, X):
        """The most probable grade of each wine, shape (n,)."""
        return self.classes_[self.predict_proba(X).argmax(1)]


def kernel_ridge():
    """Ridge regression in the space of an exponential kernel: a Gaussian process' mean.

    The kernel exp(-distance / 10) lets a wine be judged by wines like it, near ones most, with
    no smoothness assumed. Unlike a Gaussian process it keeps no n x n matrix (Rasmussen &
    Williams 2006, section 2.2 and 6.2).
    """
    return TransformedTargetRegressor(
        make_pipeline(StandardScaler(), KernelRidge(kernel=Matern(10, nu=0.5), alpha=0.2)),
        transformer=StandardScaler(),
    )


def extra_trees():
    return ExtraTreesRegressor(100, max_features=0.5, min_samples_leaf=2, random_state=SEED)


def random_forest():
    return RandomForestRegressor(100, max_features=0.33, min_samples_leaf=2, random_state=SEED)


def xgboost():
    return XGBRegressor(
        n_estimators=400,
        learning_rate=0.03,
        max_depth=8,
        min_child_weight=5,
        subsample=0.7,
        colsample_bynode=0.5,
        reg_lambda=5,
        n_jobs=1,
        random_state=SEED,
    )


def hist_gradient_boosting():
    return HistGradientBoostingRegressor(
        max_iter=250,
        learning_rate=0.05,
        max_leaf_nodes=24,
        l2_regularization=5,
        max_features=0.5,
        random_state=SEED,
    )


def _model(name, make, complexity, **kinds):
    """A candidate whose pipeline encodes, then models."""
    kinds = {"averageable": is_regressor(make())} | kinds
    return Candidate(
        name, lambda: Pipeline([("encode", encode()), ("model", make())]), complexity, **kinds
    )


def _balanced(name, make, complexity):
    """The same with SMOTE between the two: inside a fold, training wines only."""
    return Candidate(
        f"{name} + SMOTE",
        lambda: BalancedPipeline(
            [
                ("encode", encode()),
                ("scale", StandardScaler()),
                ("balance", smote()),
                ("model", make()),
            ]
        ),
        complexity + 1,
        balanced=True,
    )


def average(*members):
    """A candidate that predicts the mean of other candidates' expected grades."""
    parts = [BY_NAME[name] for name in members]
    return Candidate(
        " + ".join(members),
        lambda: Pipeline(
            [
                ("encode", encode()),
                (
                    "model",
                    VotingRegressor([(part.name, part.make()[-1]) for part in parts]),
                ),
            ]
        ),
        sum(part.complexity for part in parts),
        members=members,
        most_wines=min(part.most_wines for part in parts),
    )


CANDIDATES = (
    _model("dummy", DummyRegressor, 0, quick=True, averageable=False),
    _model("ridge", lambda: make_pipeline(StandardScaler(), Ridge(1.0)), 1, quick=True),
    _model(
        "nearest neighbours",
        lambda: make_pipeline(StandardScaler(), KNeighborsRegressor(25, weights="distance")),
        1,
    ),
    _model(
        "support vectors",
        lambda: make_pipeline(StandardScaler(), SVR(C=1.5, gamma=0.2, epsilon=0.3)),
        2,
        most_wines=MOST_FOR_KERNELS,
    ),
    _model("kernel ridge", kernel_ridge, 2, quick=True, most_wines=MOST_FOR_KERNELS),
    _model("random forest", random_forest, 2),
    _model("extra trees", extra_trees, 2, quick=True),
    _model(
        "random forest classifier",
        lambda: RandomForestClassifier(100, min_samples_leaf=2, random_state=SEED),
        2,
    ),
    _model(
        "extra trees classifier",
        lambda: ExtraTreesClassifier(100, max_features=0.5, random_state=SEED),
        2,
    ),
    _model(
        "extra trees classifier, balanced weights",
        lambda: ExtraTreesClassifier(
            100, max_features=0.5, min_samples_leaf=2, class_weight="balanced", random_state=SEED
        ),
        3,
    ),
    _model("hist gradient boosting", hist_gradient_boosting, 3),
    _model("xgboost", xgboost, 3, quick=True),
    Candidate(
        "ordinal logistic steps",
        lambda: make_pipeline(
            encode(), StandardScaler(), OrdinalClassifier(LogisticRegression(max_iter=1000))
        ),
        3,
        servable=False,
    ),
    Candidate(
        "ordinal extra trees",
        lambda: make_pipeline(
            encode(),
            OrdinalClassifier(
                ExtraTreesClassifier(50, max_features=0.5, min_samples_leaf=2, random_state=SEED)
            ),
        ),
        4,
        servable=False,
    ),
    _balanced("random forest", random_forest, 2),
    _balanced("extra trees", extra_trees, 2),
    _balanced("xgboost", xgboost, 3),
)
BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}


def from_result(result):
    """The candidate of a leaderboard row: by name, or the average of its ``members``.

    Raises BadInput when the row names a candidate that is no longer in the table.
    """
    unknown = [name for name in result["members"] or [result["name"]] if name not in BY_NAME]
    if unknown:
        raise BadInput(f"best.json names {unknown[0]!r}, no candidate now: run model_finder.py")
    return average(*result["members"]) if result["members"] else BY_NAME[result["name"]]

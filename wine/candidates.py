"""The models the finder compares, in one table.

Every candidate is a scikit-learn estimator on encoded wines (``model.encode``). To add a model,
add a row to ``CANDIDATES``. ``benchmarks/settings.py`` chose the settings, with the training
wines alone.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from imblearn.pipeline import Pipeline as BalancedPipeline
from sklearn.base import BaseEstimator, TransformerMixin, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingRegressor,
)
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from xgboost import XGBRegressor

from wine.balance import smote
from wine.errors import BadInput
from wine.estimators import Chemistry, Exponential, OrdinalClassifier, QuickExtraTrees

SEED = 2009
MAX_FOR_KERNELS = 10_000  # wines: a kernel's memory and time grow with the square and more

Maker = Callable[[], BaseEstimator]


@dataclass(frozen=True)
class Candidate:
    """A model to compare. ``make()`` returns it unfitted, with a fixed seed.

    ``complexity`` orders ties (how many things a reader must understand). ``averageable``: it can
    enter an average (a regressor on the wines as they are). ``members``: the candidates it
    averages. ``quick``: ``--quick`` compares it, too. ``max_wines``: how many it can learn from in
    reasonable memory and time.
    """

    name: str
    make: Maker
    complexity: int
    quick: bool = False
    averageable: bool = False
    members: tuple[str, ...] = ()
    max_wines: float = math.inf


def kernel_ridge(first: type[TransformerMixin] = StandardScaler) -> BaseEstimator:
    """Return ridge regression in the space of an exponential kernel: a Gaussian process' mean.

    With the kernel exp(-distance / 10) a wine is judged by wines like it, the nearest most, and
    no smoothness is assumed. Unlike a Gaussian process it keeps no n x n matrix (Rasmussen &
    Williams 2006, sections 2.2 and 6.2). ``first`` makes the transformer before it.
    """
    return TransformedTargetRegressor(
        make_pipeline(first(), KernelRidge(kernel=Exponential(10), alpha=0.2)),
        transformer=StandardScaler(),
    )


def extra_trees() -> BaseEstimator:
    return QuickExtraTrees(100, max_features=0.5, min_samples_leaf=2, random_state=SEED)


def random_forest() -> BaseEstimator:
    return RandomForestRegressor(100, max_features=0.33, min_samples_leaf=2, random_state=SEED)


def xgboost() -> BaseEstimator:
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


def hist_gradient_boosting() -> BaseEstimator:
    return HistGradientBoostingRegressor(
        max_iter=250,
        learning_rate=0.05,
        max_leaf_nodes=24,
        l2_regularization=5,
        max_features=0.5,
        random_state=SEED,
    )


def _model(name: str, make: Maker, complexity: int, **kinds: Any) -> Candidate:
    kinds = {"averageable": is_regressor(make())} | kinds
    return Candidate(name, make, complexity, **kinds)


def _balanced(name: str, make: Maker, complexity: int) -> Candidate:
    """Return the same with SMOTE before it: inside a fold, on training wines only."""
    return Candidate(
        f"{name} + SMOTE",
        lambda: BalancedPipeline(
            [("scale", StandardScaler()), ("balance", smote()), ("model", make())]
        ),
        complexity + 1,
    )


def average(*members: str) -> Candidate:
    """Return a candidate that predicts the mean of other candidates' scores."""
    parts = [BY_NAME[name] for name in members]
    return Candidate(
        " + ".join(members),
        lambda: VotingRegressor([(part.name, part.make()) for part in parts]),
        sum(part.complexity for part in parts),
        members=members,
    )


def without_sampler(fitted: BaseEstimator) -> BaseEstimator:
    """Return a fitted model without the SMOTE step that only its training needed."""
    if not isinstance(fitted, BalancedPipeline):
        return fitted
    return Pipeline([step for step in fitted.steps if step[0] != "balance"])


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
        max_wines=MAX_FOR_KERNELS,
    ),
    _model("kernel ridge", kernel_ridge, 2, quick=True, max_wines=MAX_FOR_KERNELS),
    _model(
        "chemical kernel ridge",
        lambda: kernel_ridge(Chemistry),
        3,
        quick=True,
        max_wines=MAX_FOR_KERNELS,
    ),
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
    _model(
        "ordinal logistic steps",
        lambda: make_pipeline(
            StandardScaler(), OrdinalClassifier(LogisticRegression(max_iter=1000))
        ),
        3,
    ),
    _model(
        "ordinal extra trees",
        lambda: OrdinalClassifier(
            ExtraTreesClassifier(50, max_features=0.5, min_samples_leaf=2, random_state=SEED)
        ),
        4,
    ),
    _balanced("random forest", random_forest, 2),
    _balanced("extra trees", extra_trees, 2),
    _balanced("xgboost", xgboost, 3),
)
BY_NAME = {candidate.name: candidate for candidate in CANDIDATES}


def from_result(result: Mapping[str, Any]) -> Candidate:
    """Return the candidate of a leaderboard row: by name, or the average of its ``members``.

    Raises BadInput when the row names a candidate that is not in the table.
    """
    unknown = [name for name in result["members"] or [result["name"]] if name not in BY_NAME]
    if unknown:
        raise BadInput(
            f"best.json names {unknown[0]!r}, which is not a candidate: run model_finder.py again"
        )
    return average(*result["members"]) if result["members"] else BY_NAME[result["name"]]

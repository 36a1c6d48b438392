"""``spec.json``: everything a program needs to serve and explain a registered model.

One pydantic model describes it. Training builds it, and everyone who serves the model reads it
back through the same checks, so that a damaged or edited file is refused by the name of the
field that is wrong.
"""

import datetime
import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from wine.columns import FEATURES, GRADES, MEASUREMENTS, NAMES, TYPES
from wine.errors import WineError
from wine.metrics import METRICS, score_counts

VERSIONED = ("python", "sklearn", "xgboost", "numpy", "joblib")  # what a pickle depends on
EXAMPLE_KINDS = (
    ("red", 4), ("red", 5), ("red", 7), ("white", 4), ("white", 6), ("white", 8),
)  # fmt: skip
SHOWN = ("name", "label", "unit", "group", "description", "decimals")  # of columns.Column


def _must(holds: Callable[[Any], bool], text: str) -> AfterValidator:
    """Return a validator for a field: ``text`` completes "must ..." where ``holds`` is False."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"must {text}")
        return value

    return AfterValidator(check)


def _be(expected: Sequence[Any]) -> AfterValidator:
    return _must(lambda values: tuple(values) == expected, f"be {', '.join(map(str, expected))}")


def _have(keys: Collection[str]) -> AfterValidator:
    return _must(lambda values: set(values) == set(keys), f"have {', '.join(keys)}")


def _possible(scores: dict[str, float]) -> dict[str, float]:
    for name, (low, high) in METRICS.items():
        if not low <= scores[name] <= high:
            raise ValueError(f"{name} must be from {low} to {high}")
    return scores


# shown on the pages of the apps: one line of visible text, without markup
Text = Annotated[
    str, StringConstraints(pattern=r"^[^<>\p{C}\p{Z}][^<>\p{C}\p{Zl}\p{Zp}]*$", max_length=500)
]
Unit = Annotated[str, StringConstraints(pattern=r"^[^<>\p{C}\p{Zl}\p{Zp}]*$", max_length=20)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1)]
Steps = Annotated[  # one number for each step of the scale
    tuple[FiniteFloat, ...],
    Field(min_length=len(GRADES) - 1, max_length=len(GRADES) - 1),
    _must(lambda steps: all(a < b for a, b in itertools.pairwise(steps)), "be ascending"),
]
Interval = Annotated[
    tuple[FiniteFloat, FiniteFloat],
    _must(lambda ends: ends[0] <= ends[1], "not begin above its end"),
]
Cuts = Annotated[
    Steps,
    _must(lambda cuts: GRADES[0] < cuts[0] and cuts[-1] < GRADES[-1], "lie within the grades"),
]
NonNegative = Annotated[FiniteFloat, Field(ge=0)]
Scores = Annotated[dict[str, FiniteFloat], _have(METRICS), AfterValidator(_possible)]
ForGrades = Field(min_length=len(GRADES), max_length=len(GRADES))  # one for each grade
Count = Annotated[int, Field(ge=0, le=10**9)]
Counts = Annotated[tuple[Annotated[tuple[Count, ...], ForGrades], ...], ForGrades]
Kind = Annotated[str, StringConstraints(pattern=f"^({'|'.join(TYPES)})$")]
Grade = Annotated[int, Field(ge=GRADES[0], le=GRADES[-1])]


class Strict(BaseModel):
    """Base of all parts: immutable, nothing coerced, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Column(Strict):
    """A measurement: its texts, what is possible, what was observed, and what is typical."""

    name: Text
    label: Text
    unit: Unit
    group: Text
    description: Text
    decimals: Annotated[int, Field(ge=0, le=6)]
    possible: Interval
    observed: Interval
    typical: Annotated[dict[Kind, FiniteFloat], _have(TYPES)]

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        if not self.possible[0] <= self.observed[0] <= self.observed[1] <= self.possible[1]:
            raise ValueError(f"observed range of {self.name} must lie within the possible one")
        for kind, value in self.typical.items():
            if not self.possible[0] <= value <= self.possible[1]:
                raise ValueError(f"typical {self.name} of {kind} must be possible")
        return self


class Odds(Strict):
    """The proportional-odds model behind the probabilities; see ``decoding.learn_odds``."""

    slope: Annotated[FiniteFloat, Field(gt=0)]
    thresholds: Steps


class Comparison(Strict):
    """A paired comparison of two models on ``wines`` unseen wines.

    ``difference`` in RMSE (new minus old) with its 95 % interval; ``worse``: the interval is
    above 0. ``version`` is the registered version compared with, if it is one.
    """

    version: int | None = None
    wines: PositiveInt
    difference: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    worse: bool

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        if self.low > self.high or self.worse != (self.low > 0):
            raise ValueError("low must not be above high, and worse must say whether it is above 0")
        return self


class Metrics(Strict):
    """What was measured of the model; ``Scores`` holds every metric of ``metrics.score``.

    ``cv``: out of fold on the training wines, ``cv_se`` its standard errors. ``test``: the
    held-out test set, ``test_interval`` its 95 % intervals. ``elsewhere``: wines from another
    part of the raw files. ``daily``: agreement to expect on daily wines, and ``daily_counts``
    the reference grades (rows) by predicted grades behind it. ``stream``: what training on a
    year of daily wines changes. ``set_coverage`` and ``log_loss``: out of fold.
    """

    cv: Scores
    cv_se: Annotated[dict[str, NonNegative], _have(METRICS)]
    test: Scores
    test_interval: Annotated[dict[str, Interval], _have(METRICS)]
    elsewhere: Scores
    daily: Scores
    daily_counts: Counts
    stream: Comparison
    set_coverage: Probability
    log_loss: NonNegative

    @model_validator(mode="after")
    def _check_daily(self) -> Self:
        for name, value in score_counts(np.array(self.daily_counts)).items():
            if abs(value - self.daily[name]) > 1e-9:
                raise ValueError(f"daily_counts must give the {name} of daily")
        return self


class Example(Strict):
    """A real wine that the model was trained on, and the model's answer for it."""

    wine_id: Text
    type: Kind
    quality: Grade
    values: Annotated[dict[str, FiniteFloat], _be(NAMES)]
    predicted_score: FiniteFloat
    predicted_grade: Grade
    probabilities: Annotated[tuple[Probability, ...], ForGrades]


class Spec(Strict):
    """The whole file. ``sha256`` holds the digest of each other file of the model's folder."""

    model: Text
    fitted: datetime.date
    wines: PositiveInt
    features: Annotated[tuple[str, ...], _be(FEATURES)]
    columns: Annotated[
        tuple[Column, ...],
        _must(lambda columns: tuple(c.name for c in columns) == NAMES, f"be {', '.join(NAMES)}"),
    ]
    types: Annotated[tuple[str, ...], _be(TYPES)]
    grades: Annotated[tuple[int, ...], _be(GRADES)]
    cuts: Cuts
    odds: Odds
    set_level: Annotated[float, Field(gt=0, le=1)]
    protocol: Text
    metrics: Metrics
    examples: Annotated[tuple[Example, ...], Field(min_length=1)]
    versions: Annotated[dict[str, Text], _have(VERSIONED)]
    sha256: dict[str, Sha256] = {}


def parse(text: str | bytes) -> Spec:
    """Return the Spec of a file's text (str or bytes); WineError names the field at fault."""
    try:
        return Spec.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "file"
        message = fault["msg"].removeprefix("Value error, ")
        raise WineError(
            f"the model's spec.json is not valid ({where}: {message}), so the model was not "
            "loaded. Run train.ipynb to register a new version."
        ) from error


def describe(wines: pd.DataFrame) -> tuple[Column, ...]:
    """Return the Column of each measurement, with ranges and typical values of ``wines``."""
    return tuple(
        Column(
            **{name: getattr(column, name) for name in SHOWN},
            possible=(column.low, column.high),
            observed=(float(wines[column.name].min()), float(wines[column.name].max())),
            typical={
                str(kind): round(float(rows[column.name].median()), column.decimals)
                for kind, rows in wines.groupby("type")
            },
        )
        for column in MEASUREMENTS
    )


def typical_wines(wines: pd.DataFrame) -> pd.DataFrame:
    """Return a few real wines that span the grades: the most typical of each colour and grade.

    Typical is nearest to the median of its colour and grade, in units of the colour's spread.
    """
    names, chosen = list(NAMES), []
    for kind, grade in EXAMPLE_KINDS:
        colour = wines[wines["type"] == kind]
        rows = colour[colour["quality"] == grade]
        if not rows.empty:
            away = ((rows[names] - rows[names].median()) / colour[names].std()).pow(2).sum(axis=1)
            chosen.append(away.idxmin())
    return wines.loc[chosen]

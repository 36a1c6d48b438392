"""Part 3 as code: evaluate the chosen model, fit it on all wines, compare it and register it.

train.ipynb calls these functions and shows their results. Without a notebook:

\b
  python -m wine.train                   train and register, as train.ipynb does
  python -m wine.train --include-daily   train on the daily wines, too
"""

import datetime
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict
from sklearn.base import BaseEstimator
from sklearn.metrics import log_loss

from wine import evaluation, features, model, plots, registry, serving
from wine.candidates import Candidate, from_result, without_sampler
from wine.cli import run as run_command
from wine.columns import FEATURES, GRADES, NAMES, TYPES
from wine.connection import connect, place
from wine.decoding import decode, learn_cuts, learn_odds, learn_set_level, probabilities
from wine.errors import WineError
from wine.generator import generate
from wine.groups import DAILY
from wine.metrics import METRICS, bootstrap, confusion, score
from wine.paths import PROJECT
from wine.spec import Comparison, Example, Metrics, Odds, Spec, describe, typical_wines
from wine.split import FOLDS, contiguous_folds, folds, training_part

BEST, BOARD = "Resources/model_finder/best.json", "Resources/model_finder/leaderboard.json"
STREAM_START = datetime.date(1990, 1, 1)  # days that daily.py never makes


class Choice(BaseModel):
    """What is read of best.json, the leaderboard row that model_finder.py chose."""

    model_config = ConfigDict(strict=True)

    name: str
    members: tuple[str, ...]
    finished: str


@dataclass(frozen=True)
class Data:
    """What training starts from: the chosen candidate, its leaderboard row, and the wines.

    ``daily`` are generated wines to train on, with ``quality``; None without them.
    """

    candidate: Candidate
    chosen: dict[str, Any]
    wines: pd.DataFrame
    train: pd.DataFrame
    test: pd.DataFrame
    daily: pd.DataFrame | None


@dataclass(frozen=True)
class CrossValidation:
    """Out-of-fold results on the n training wines, k repeats.

    ``scores`` (k, n), ``chances`` (k, n, 7), ``sets`` (k, n, 7);
    ``metrics`` and their standard ``errors`` by name; ``cuts``, ``odds`` and ``set_level``
    learned from all of it; ``coverage`` of the sets and ``log_loss`` of the probabilities.
    """

    truth: np.ndarray
    fold_numbers: np.ndarray
    scores: np.ndarray
    chances: np.ndarray
    sets: np.ndarray
    metrics: dict[str, float]
    errors: dict[str, float]
    cuts: tuple[float, ...]
    odds: Odds
    set_level: float
    coverage: float
    log_loss: float


@dataclass(frozen=True)
class HeldOut:
    """The held-out test set: the model fitted on the training wines and its answers.

    ``grades`` and ``scores`` (n,); ``metrics`` by name and their 95 % ``interval``.
    """

    model: Any
    truth: np.ndarray
    grades: np.ndarray
    scores: np.ndarray
    metrics: dict[str, float]
    interval: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Training:
    """Everything that was measured, the model fitted on all wines, and its Spec."""

    data: Data
    cv: CrossValidation
    held_out: HeldOut
    model: Any
    spec: Spec


def load(project: Any, *, include_daily: bool = False) -> Data:
    """Read the wines and the model finder's choice from Hopsworks; return Data.

    Raises WineError when a part must run first.
    """
    store = project.get_feature_store()
    chosen = read_choice(project)
    candidate, wines = from_result(chosen), features.read_wines(store)
    train, daily = training_part(wines), None
    if include_daily:
        daily = features.read(store, DAILY).rename(columns={"reference_grade": "quality"})
        # after another split, a source can be a test wine
        daily = daily[daily["source_id"].isin(train["wine_id"])]
    test = wines[wines["split"] == "test"].reset_index(drop=True)
    return Data(candidate, chosen, wines, train, test, daily)


def read_choice(project: Any) -> dict[str, Any]:
    """Return the leaderboard row that model_finder.py chose, as a dict.

    Raises WineError when it is missing or damaged.
    """
    return _read(project, BEST, lambda text: Choice.model_validate_json(text).model_dump())


def leaderboard(project: Any) -> pd.DataFrame:
    """Return what model_finder.py measured, lowest RMSE first, as a frame by model name.

    Raises WineError when it is missing or damaged.
    """
    columns = ["rmse", "qwk", "qwk_free", "accuracy", "within_one", "within_budget"]
    return _read(
        project,
        BOARD,
        lambda text: pd.DataFrame(json.loads(text)["rows"]).set_index("name")[columns],
    )


def _read(project: Any, path: str, parse: Callable[[str], Any]) -> Any:
    """Return what ``parse`` makes of a result file of model_finder.py."""
    try:
        text = features.download_text(project, path)
        if text is not None:
            return parse(text)
    except (ValueError, TypeError, KeyError) as error:  # no UTF-8, no JSON, or without these fields
        raise WineError(f"{path} in {place()} is damaged: run model_finder.py again") from error
    raise WineError(f"no {path} in {place()}: run model_finder.py first")


def run(data: Data) -> Training:
    """Evaluate the candidate and fit it on all wines; return a Training."""
    cv = cross_validate(data)
    held_out = test_once(data, cv.cuts)
    fitted = fit(data.candidate, data.wines, data.daily)
    year = year_of_daily_wines(data.train)
    metrics = Metrics(
        cv=cv.metrics,
        cv_se=cv.errors,
        test=held_out.metrics,
        test_interval=held_out.interval,
        elsewhere=elsewhere(data),
        **daily_agreement(fitted, cv.cuts, year),
        stream=effect_of_stream(data, cv, year),
        set_coverage=cv.coverage,
        log_loss=cv.log_loss,
    )
    return Training(data, cv, held_out, fitted, build_spec(data, cv, fitted, metrics))


def cross_validate(data: Data) -> CrossValidation:
    """Predict every training wine by models that saw neither it nor a near-duplicate."""
    truth, fold_numbers = data.train["quality"].to_numpy(), folds(data.train)
    scores = evaluation.out_of_fold(data.candidate.make, data.train, fold_numbers, daily=data.daily)
    metrics, draws = evaluation.evaluate(truth, scores, fold_numbers)
    chances = evaluation.out_of_fold_probabilities(truth, scores, fold_numbers)
    sets = evaluation.out_of_fold_sets(truth, chances, fold_numbers)
    repeated, stacked = np.tile(truth, len(scores)), chances.reshape(-1, len(GRADES))
    return CrossValidation(
        truth=truth,
        fold_numbers=fold_numbers,
        scores=scores,
        chances=chances,
        sets=sets,
        metrics=metrics,
        errors={str(name): float(error) for name, error in draws.std().items()},
        cuts=learn_cuts(repeated, scores.ravel()),
        odds=learn_odds(repeated, scores.ravel()),
        set_level=learn_set_level(repeated, stacked),
        coverage=float(sets[:, np.arange(len(truth)), truth - GRADES[0]].mean()),
        log_loss=float(log_loss(repeated, stacked, labels=GRADES)),
    )


def fit(
    candidate: Candidate, wines: pd.DataFrame, daily: pd.DataFrame | None = None
) -> BaseEstimator:
    """Return the candidate fitted on wines and daily wines, without its SMOTE step."""
    known = wines if daily is None else pd.concat([wines, daily], ignore_index=True)
    fitted = candidate.make().fit(model.encode(known), known["quality"].to_numpy())
    return without_sampler(fitted)


def test_once(data: Data, cuts: Sequence[float]) -> HeldOut:
    """Fit on the training wines and predict the held-out test set; return HeldOut.

    The interval is a bootstrap over test wines.
    """
    fitted = fit(data.candidate, data.train, data.daily)
    truth = data.test["quality"].to_numpy()
    scores = model.predict_in_batches(fitted, model.encode(data.test))
    grades = decode(scores, cuts)
    draws = bootstrap(truth, grades, scores).quantile([0.025, 0.975])
    interval = {name: tuple(draws[name]) for name in METRICS}
    return HeldOut(fitted, truth, grades, scores, score(truth, grades, scores), interval)


def elsewhere(data: Data) -> dict[str, float]:
    """Return metrics on wines from another part of the raw files; see ``contiguous_folds``."""
    truth, fold_numbers = data.train["quality"].to_numpy(), contiguous_folds(data.train)
    scores = evaluation.out_of_fold(data.candidate.make, data.train, fold_numbers)
    return evaluation.score_out_of_fold(truth, scores, fold_numbers)


def year_of_daily_wines(train: pd.DataFrame) -> pd.DataFrame:
    """Return 365 generated wines, as daily.py would make them, on days that it never makes."""
    days = [STREAM_START + datetime.timedelta(days=day) for day in range(365)]
    year = pd.DataFrame([generate(day, train) for day in days])
    return year.rename(columns={"reference_grade": "quality"})


def daily_agreement(
    fitted: BaseEstimator, cuts: Sequence[float], year: pd.DataFrame
) -> dict[str, Any]:
    """Return metrics and counts of generated wines against their reference grades, for Metrics.

    The model has seen the wines that they were made from, so this is not its accuracy.
    """
    truth, scores = year["quality"], model.predict_in_batches(fitted, model.encode(year))
    grades = decode(scores, cuts)
    counts = confusion(truth, grades).tolist()
    return {"daily": score(truth, grades, scores), "daily_counts": tuple(map(tuple, counts))}


def effect_of_stream(data: Data, cv: CrossValidation, year: pd.DataFrame) -> Comparison:
    """Return a Comparison: what a year of daily wines in the training folds changes."""
    once = cv.fold_numbers[:1]
    scores = cv.scores[:1]
    if data.daily is not None:
        scores = evaluation.out_of_fold(data.candidate.make, data.train, once)
    with_year = evaluation.out_of_fold(data.candidate.make, data.train, once, daily=year)
    return Comparison(wines=len(cv.truth), **evaluation.compare(cv.truth, with_year, scores))


def build_spec(data: Data, cv: CrossValidation, fitted: BaseEstimator, metrics: Metrics) -> Spec:
    """Return the Spec of a model fitted on ``data.wines``."""
    return Spec(
        model=data.candidate.name,
        fitted=datetime.datetime.now(datetime.UTC).date(),
        wines=len(data.wines),
        features=FEATURES,
        columns=describe(data.wines),
        types=TYPES,
        grades=GRADES,
        cuts=cv.cuts,
        odds=cv.odds,
        set_level=cv.set_level,
        protocol=evaluation.PROTOCOL.format(
            repeats=len(cv.fold_numbers), folds=FOLDS, part=f"{len(data.train):,} training wines"
        ),
        metrics=metrics,
        examples=examples(data.wines, fitted, cv),
        versions=model.versions(),
    )


def examples(
    wines: pd.DataFrame, fitted: BaseEstimator, cv: CrossValidation
) -> tuple[Example, ...]:
    """Return typical wines with the model's answers, as Examples."""
    rows = typical_wines(wines)
    scores = model.predict_scores(fitted, model.encode(rows))
    grades, chances = decode(scores, cv.cuts), probabilities(scores, cv.odds)
    return tuple(
        Example(
            wine_id=wine["wine_id"],
            type=wine["type"],
            quality=int(wine["quality"]),
            values={name: float(wine[name]) for name in NAMES},
            predicted_score=float(one_score),
            predicted_grade=int(grade),
            probabilities=tuple(chance.tolist()),
        )
        for wine, one_score, grade, chance in zip(
            rows.to_dict("records"), scores, grades, chances, strict=True
        )
    )


def compare_with_served(project: Any, training: Training) -> Comparison | None:
    """Return a Comparison with the served version on unseen wines of both; None without one.

    The served version's out-of-fold scores come from its folder. Wines and repeats that only
    one of the two has are left out, and a wine is the same only with the same measurements and
    grade. None when no version is served, when it was judged by other wines, and when it is
    damaged or was trained on other columns; the last is printed.
    """
    try:
        served = registry.served(project)
    except serving.NothingServed:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = Path(registry.fetch(served, folder))
        try:
            model.check(files, served.description)
        except WineError as error:
            reason = str(error).removesuffix(model.REGISTER).strip()
            print(f"no comparison with version {served.version}: {reason}")
            return None
        before = pd.read_csv(files / "out_of_fold.csv", float_precision="round_trip")
        its_wines = pd.read_csv(files / "wines.csv", float_precision="round_trip")
    wine = ["wine_id", *FEATURES, "quality"]
    both = training.data.train[wine].merge(its_wines.reindex(columns=wine))
    both = both.merge(out_of_fold_frame(training), on="wine_id")
    both = both.merge(before, on="wine_id", suffixes=("", "_before"))
    repeats = [name for name in before.columns[1:] if f"{name}_before" in both]
    if both.empty or not repeats:
        return None
    new = both[repeats].to_numpy().T
    old = both[[f"{name}_before" for name in repeats]].to_numpy().T
    compared = evaluation.compare(both["quality"].to_numpy(), new, old)
    return Comparison(version=served.version, wines=len(both), **compared)


def out_of_fold_frame(training: Training) -> pd.DataFrame:
    """Return ``wine_id`` and the out-of-fold scores of each repeat, one column each."""
    scores = {f"score_{i}": row for i, row in enumerate(training.cv.scores)}
    return pd.DataFrame({"wine_id": training.data.train["wine_id"]} | scores)


def register(project: Any, training: Training, comparison: Comparison | None) -> Any:
    """Register the model; it is served unless ``comparison`` found it worse.

    Returns the registered version.
    """
    data, worse = training.data, comparison is not None and comparison.worse
    fitted_on = len(data.wines) + (0 if data.daily is None else len(data.daily))
    text = f"{data.candidate.name}, fitted on {fitted_on:,} wines"
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder, training.model, training.spec, data.wines, out_of_fold_frame(training))
        plots.confusion_matrix(
            confusion(training.held_out.truth, training.held_out.grades), "Held-out test set"
        ).savefig(Path(folder) / "confusion_matrix.png")
        shutil.copy(PROJECT / "MODEL_CARD.md", folder)
        measured = {"cv": training.cv.metrics, "test": training.held_out.metrics}
        return registry.register(
            project,
            folder,
            wines=data.wines,
            approved=not worse,
            metrics={
                f"{part}_{name}": metrics[name]
                for part, metrics in measured.items()
                for name in METRICS
            },
            description=text + (", worse than the served version" if worse else ""),
        )


def verdict(comparison: Comparison | None) -> str:
    """Return in one sentence how a model compares with the served one, and what follows."""
    if comparison is None:
        return "no served model can be compared with this version: it will be served"
    result = "worse: registered, but not served" if comparison.worse else "not worse: served"
    return (
        f"against version {comparison.version} on {comparison.wines:,} wines: RMSE "
        f"{comparison.difference:+.4f} (95 %: {comparison.low:+.4f} to {comparison.high:+.4f}), "
        f"{result}"
    )


@click.command(help=__doc__)
@click.option("--include-daily", is_flag=True, help="Train on the daily wines, too.")
def main(include_daily: bool) -> None:
    project = connect()
    data = load(project, include_daily=include_daily)
    print(f"{data.candidate.name}, chosen by model_finder.py on {data.chosen['finished']}")
    print(f"evaluating on {len(data.train):,} training and {len(data.test):,} test wines ...")
    training = run(data)
    for part in ("cv", "test", "elsewhere"):
        metrics = getattr(training.spec.metrics, part)
        print(f"{part:<10} RMSE {metrics['rmse']:.3f}  QWK {metrics['qwk']:.3f}  "
              f"accuracy {metrics['accuracy']:.3f}  within one {metrics['within_one']:.3f}")  # fmt: skip
    comparison = compare_with_served(project, training)
    print(verdict(comparison))
    registered = register(project, training, comparison)
    print(f"registered {serving.NAME} version {registered.version}")


if __name__ == "__main__":
    run_command(main)

"""Part 2: find the best model, and report the uncertainty.

Fetches the wines from Hopsworks, cross-validates every candidate of wine/candidates.py under
protocol P1 on the training wines, averages the best few, and writes a leaderboard and the best
configuration to model_finder_results/ and to Hopsworks (Resources/model_finder). The best has the
lowest RMSE of the models that predict one wine in 5 ms and are below 15 MB; docs/protocol.md says
how ties are broken.

\b
  python model_finder.py                    all candidates, two repeats
  python model_finder.py --quick            a few candidates, one repeat
  python model_finder.py --only ridge --only "extra trees"
  python model_finder.py --jobs 4

Ctrl-C leaves a valid leaderboard of what is done; the next run continues from there (exit code 130).
"""

import datetime
import hashlib
import inspect
import io
import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
import imblearn
import joblib
import numpy as np
import pandas as pd
import sklearn
import xgboost
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from wine import balance, columns, estimators, evaluation, features, model, plots
from wine.candidates import BY_NAME, CANDIDATES, Candidate, average
from wine.cli import run
from wine.connection import connect
from wine.errors import BadInput, WineError
from wine.evaluation import PROTOCOL, fit_and_predict
from wine.split import FOLDS, REPEATS, folds, training_part

RESULTS = Path("model_finder_results")
FILES = ("leaderboard.json", "leaderboard.png", "best.json")
BEST_FEW = 4  # the averages are made of this many single models
MAX_WINE_SECONDS = 0.005  # to predict one wine with a served model
MAX_BYTES = 15e6  # of a served model
COSTS = ("wine_seconds", "size_bytes")
CONSOLE = Console()
Fit = Callable[..., dict[str, Any]]  # as fit_and_predict
Row = dict[str, Any]  # of the leaderboard; see judge


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="A few candidates and one repeat: about half a minute.")
@click.option("--only", multiple=True, metavar="NAME", help="Compare only these; repeatable.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), default=2, show_default=True, help="Fits at a time."
)
def main(quick: bool, only: tuple[str, ...], jobs: int) -> None:
    started = time.monotonic()
    candidates = chosen(quick, only)
    project = connect()
    wines = features.read_wines(project.get_feature_store())
    candidates = skip_limited(candidates, len(wines))
    wines = training_part(wines)
    truth = wines["quality"].to_numpy()
    fold_numbers = folds(wines, repeats=1 if quick else REPEATS)
    print(f"{len(wines):,} training wines, {len(candidates)} candidates, "
          f"{len(fold_numbers)} x {FOLDS} folds, {jobs} jobs")  # fmt: skip

    fit = kept_on_disk(fit_and_predict)
    fits, stopped = fit_all(fit, candidates, wines, fold_numbers, jobs=jobs)
    rows = [judge(candidate, fits[candidate.name], truth, fold_numbers)
            for candidate in candidates if candidate.name in fits]  # fmt: skip
    rows += averages(rows, truth, fold_numbers)
    if not rows:
        raise click.Abort

    results = {
        **setting(len(wines), len(fold_numbers)),
        "unfinished": [c.name for c in candidates if c.name not in fits],
        "seconds": round(time.monotonic() - started, 1),
    }
    best = None if stopped else pick(rows)  # too few may have been compared
    write(results, rows, best)
    show(rows, best)
    if stopped:
        raise click.Abort
    if best is None:
        raise WineError("none of these models is small and quick enough: add others with --only")
    features.upload(project, [RESULTS / name for name in FILES], "Resources/model_finder")
    print(f"best: {best['name']} (RMSE {best['rmse']:.3f} ± {best['se']['rmse']:.3f}, "
          f"QWK {best['qwk']:.3f}), {results['seconds']:.0f} s, results in {RESULTS}/")  # fmt: skip


def setting(wines: int, repeats: int) -> dict[str, Any]:
    """Return when and how the candidates were compared."""
    return {
        "finished": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "protocol": PROTOCOL.format(
            repeats=repeats, folds=FOLDS, part=f"the {wines:,} training wines"
        ),
        "wines": wines,
    }


def chosen(quick: bool, only: Collection[str]) -> list[Candidate]:
    """Return the candidates asked for; BadInput names an unknown one."""
    unknown = set(only) - {candidate.name for candidate in CANDIDATES}
    if unknown:
        names = ", ".join(candidate.name for candidate in CANDIDATES)
        raise BadInput(f"no candidate {min(unknown)!r}; there are: {names}")
    return [c for c in CANDIDATES if (c.name in only if only else c.quick or not quick)]


def skip_limited(candidates: list[Candidate], wines: int) -> list[Candidate]:
    """Return the candidates that can learn from so many wines; print which are left out."""
    left_out = [candidate.name for candidate in candidates if wines > candidate.max_wines]
    if left_out:
        print(f"left out, too slow for {wines:,} wines: {', '.join(left_out)}")
    if len(left_out) == len(candidates):
        raise BadInput("no candidate is left: add others with --only")
    return [candidate for candidate in candidates if wines <= candidate.max_wines]


def kept_on_disk(fit: Fit) -> Fit:
    """Return ``fit`` with its results cached, so that a stopped run loses only unfinished fits."""
    # other libraries or other code give another fit
    libraries = (imblearn, np, sklearn, xgboost)
    origin = [f"{library.__name__} {library.__version__}" for library in libraries]
    origin += [
        inspect.getsource(module) for module in (balance, columns, estimators, evaluation, model)
    ]
    digest = hashlib.sha256("\n".join(origin).encode()).hexdigest()[:16]
    return joblib.Memory(RESULTS / "fits" / digest, verbose=0).cache(fit)


def fit_all(
    fit: Fit,
    candidates: list[Candidate],
    wines: pd.DataFrame,
    fold_numbers: np.ndarray,
    *,
    jobs: int = 2,
) -> tuple[dict[str, dict[str, Any]], bool]:
    """Fit every candidate on every fold; return {name: {"scores": (repeats, n), ...}}, stopped.

    ``fit`` is ``fit_and_predict`` or a cached form of it. Only candidates with all folds done
    are returned, since others cannot be compared. ``stopped`` is True after Ctrl-C.
    """
    tasks = list(itertools.product(candidates, range(len(fold_numbers)), range(FOLDS)))
    # Ctrl-C reaches the worker processes, too; only this process must answer it
    ignore = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
    work = joblib.Parallel(jobs, backend="loky", return_as="generator", **ignore)(
        joblib.delayed(fit)(candidate.make(), wines, fold_numbers[repeat] == fold)
        for candidate, repeat, fold in tasks
    )
    done: dict = {}
    stopped = False
    with Progress(
        TextColumn("fitting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.description}"), console=CONSOLE,
    ) as progress:  # fmt: skip
        bar = progress.add_task("", total=len(tasks))
        try:
            for (candidate, repeat, fold), result in zip(tasks, work, strict=True):
                done.setdefault(candidate.name, {})[repeat, fold] = result
                progress.update(bar, advance=1, description=candidate.name)
        except KeyboardInterrupt:
            CONSOLE.print(
                "stopped: writing the leaderboard of finished models; best.json is unchanged"
            )
            stopped = True
        work.close()
    fits = {name: together(parts, fold_numbers) for name, parts in done.items()
            if len(parts) == fold_numbers.shape[0] * FOLDS}  # fmt: skip
    return fits, stopped


def together(
    parts: dict[tuple[int, int], dict[str, Any]], fold_numbers: np.ndarray
) -> dict[str, Any]:
    """Return one candidate's folds as a whole: pooled scores, and what a typical fold costs."""
    scores = np.empty(fold_numbers.shape)
    for (repeat, fold), part in parts.items():
        scores[repeat, fold_numbers[repeat] == fold] = part["scores"]
    return {"scores": scores} | {
        # the quickest fold: whatever else the machine does can only add to it
        "wine_seconds": min(part["wine_seconds"] for part in parts.values()),
        "size_bytes": float(np.median([part["size_bytes"] for part in parts.values()])),
    }


def judge(
    candidate: Candidate, fit: dict[str, Any], truth: np.ndarray, fold_numbers: np.ndarray
) -> Row:
    """Return one row of the leaderboard: metrics, their standard errors, and the costs.

    ``qwk_free`` is QWK with cut points that may give up accuracy; it depends less than ``qwk``
    on the luck of the split.
    """
    metrics, draws = evaluation.evaluate(truth, fit["scores"], fold_numbers)
    free, free_draws = evaluation.evaluate(truth, fit["scores"], fold_numbers, accuracy_loss=1)
    draws["qwk_free"] = free_draws["qwk"]
    within_budget = fit["wine_seconds"] < MAX_WINE_SECONDS and fit["size_bytes"] < MAX_BYTES
    return {
        "name": candidate.name,
        "members": list(candidate.members),
        "complexity": candidate.complexity,
        "within_budget": within_budget,
        **metrics,
        "qwk_free": free["qwk"],
        "se": draws.std(ddof=1).to_dict(),
        **{cost: fit[cost] for cost in COSTS},
        "scores": fit["scores"],
        "draws": draws,
    }


def averages(rows: list[Row], truth: np.ndarray, fold_numbers: np.ndarray) -> list[Row]:
    """Return rows for the means of the best few models: every pair, and the first three together.

    The mean of out-of-fold scores is exactly what the averaged model would predict, so nothing
    is fitted again.
    """
    members = [row for row in rows if BY_NAME[row["name"]].averageable]
    best = sorted(members, key=lambda row: row["rmse"])[:BEST_FEW]
    teams = [*itertools.combinations(best, 2)] + ([tuple(best[:3])] if len(best) > 2 else [])
    return [
        judge(
            average(*(row["name"] for row in team)),
            {"scores": np.mean([row["scores"] for row in team], axis=0)}
            | {cost: sum(row[cost] for row in team) for cost in COSTS},
            truth,
            fold_numbers,
        )
        for team in teams
    ]


def pick(rows: list[Row]) -> Row | None:
    """Return the row to train: among equals the simplest, then the smallest; None without any.

    Only rows within the serving budget count. Rows are equal when they lie within one standard
    error of the difference (paired bootstrap) from the best, first in RMSE and then, among
    those, in QWK with free cut points: the one-standard-error rule (Breiman et al. 1984). QWK
    as served does not decide: it moves with the split by more than the models differ.
    """
    equal = [row for row in rows if row["within_budget"]]
    if not equal:
        return None
    for metric, better in (("rmse", min), ("qwk_free", max)):
        best = better(equal, key=lambda row: row[metric])
        equal = [
            row for row in equal
            if abs(row[metric] - best[metric]) <= (row["draws"] - best["draws"])[metric].std(ddof=1)
        ]  # fmt: skip
    return min(equal, key=lambda row: (row["complexity"], row["size_bytes"]))


def write(results: dict[str, Any], rows: list[Row], best: Row | None) -> None:
    """Write leaderboard.json and .png and, with a best row, best.json."""
    RESULTS.mkdir(exist_ok=True)
    ranked = sorted(rows, key=lambda row: row["rmse"])
    plain = [{k: v for k, v in row.items() if k not in ("scores", "draws")} for row in ranked]
    replace("leaderboard.json", json.dumps({**results, "rows": plain}, indent=2) + "\n")
    name = best["name"] if best else None
    picture = io.BytesIO()
    plots.leaderboard(plain, name).savefig(picture)
    replace("leaderboard.png", picture.getvalue())
    if best:
        row = next(row for row in plain if row["name"] == name)
        replace("best.json", json.dumps({**results, **row}, indent=2) + "\n")


def replace(name: str, content: str | bytes) -> None:
    """Write a result file, of text or bytes, so that a reader never sees half of it."""
    part = RESULTS / f".{name}.{os.getpid()}.part"  # two finders may run in one folder
    part.write_bytes(content if isinstance(content, bytes) else content.encode())
    part.replace(RESULTS / name)


def show(rows: list[Row], best: Row | None) -> None:
    """Print the leaderboard, lowest RMSE first; an arrow marks the choice."""
    table = Table(
        "", "model", "RMSE", "±", "QWK", "free cuts", "accuracy", "within 1", "ms a wine", "MB"
    )
    for row in sorted(rows, key=lambda row: row["rmse"]):
        table.add_row(
            "→" if row is best else "" if row["within_budget"] else "slow",
            row["name"],
            f"{row['rmse']:.4f}",
            f"{row['se']['rmse']:.4f}",
            f"{row['qwk']:.3f}",
            f"{row['qwk_free']:.3f}",
            f"{row['accuracy']:.3f}",
            f"{row['within_one']:.3f}",
            f"{1000 * row['wine_seconds']:.1f}",
            f"{row['size_bytes'] / 1e6:.1f}",
            style="bold" if row is best else None,
        )
    CONSOLE.print(table)


if __name__ == "__main__":
    run(main)

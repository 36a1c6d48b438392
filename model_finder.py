"""Part 2: find the best model, honestly, and say how sure that is.

Fetches the wines from Hopsworks, cross-validates every candidate of wine/candidates.py under
protocol P1 on the training part, averages the best few, and writes a leaderboard and the best
configuration to model_finder_results/ and to Hopsworks (Resources/model_finder).

\b
  python model_finder.py                    all candidates, two repeats
  python model_finder.py --quick            a few candidates, one repeat
  python model_finder.py --only ridge --only "extra trees"
  python model_finder.py --budget 60 --jobs 4
  python model_finder.py --scheduler tcp://127.0.0.1:8786   on a Dask cluster
  python model_finder.py --original         the original project's search, to compare with

Ctrl-C leaves a valid leaderboard of what is done; the next run goes on from there. Exit code 130.
"""

import contextlib
import hashlib
import inspect
import io
import itertools
import json
import shutil
import signal
import tempfile
import time
from pathlib import Path

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

from wine import balance, dataset, features, model, original, plots
from wine.candidates import BY_NAME, CANDIDATES, OrdinalClassifier, average
from wine.cli import run
from wine.connection import connect
from wine.errors import BadInput, WineError
from wine.evaluation import PROTOCOL, evaluate, fit_and_predict, out_of_fold
from wine.metrics import HIGHER_IS_BETTER
from wine.split import FOLDS, REPEATS, folds

RESULTS = Path("model_finder_results")
FILES = ("leaderboard.json", "leaderboard.csv", "leaderboard.png", "best.json")
BEST_FEW = 4  # the averages are made of this many single models
CONSOLE = Console()


@click.command(help=__doc__)
@click.option("--quick", is_flag=True, help="A few candidates and one repeat: about half a minute.")
@click.option("--only", multiple=True, metavar="NAME", help="Compare only these; repeatable.")
@click.option("--budget", type=click.FloatRange(min=1), metavar="SECONDS", help="Stop after this.")
@click.option("--jobs", type=click.IntRange(1, 256), default=2, show_default=True)
@click.option("--resume/--no-resume", default=True, show_default=True, help="Reuse earlier fits.")
@click.option("--scheduler", metavar="ADDRESS", help="Fit on the Dask cluster of this scheduler.")
@click.option("--original", "as_original", is_flag=True, help="Search as the original project did.")
def main(quick, only, budget, jobs, resume, scheduler, as_original):
    """Compare the candidates, or search as the original did; see the module's docstring."""
    started = time.monotonic()
    if budget is not None and np.isnan(budget):  # click's range lets it pass
        raise BadInput("--budget is nan: give seconds")
    if as_original and (only or scheduler):
        raise BadInput("--original has models of its own, fitted here: no --only, no --scheduler")
    candidates = chosen(quick, only)
    project = connect()
    wines = features.read_wines(project.get_feature_store())
    candidates = bearable(candidates, len(wines))
    wines = wines[wines["split"] == "train"].reset_index(drop=True)
    truth = wines["quality"].to_numpy()
    fold_numbers = folds(wines, repeats=1 if quick else REPEATS)
    if as_original:
        search_as_original(wines, fold_numbers, budget, jobs)
        return
    print(f"{len(wines):,} training wines, {len(candidates)} candidates, "
          f"{len(fold_numbers)} x {FOLDS} folds, {jobs} jobs")  # fmt: skip

    with on_cluster(scheduler):
        fit = fit_and_predict if scheduler else kept_on_disk(fit_and_predict, resume)
        fits, stopped = fit_all(fit, candidates, wines, fold_numbers, budget=budget, jobs=jobs)
    rows = [judge(candidate, fits[candidate.name], truth, fold_numbers)
            for candidate in candidates if candidate.name in fits]  # fmt: skip
    rows += averages(rows, truth, fold_numbers)
    if stopped and not rows:
        raise click.Abort
    if not rows:
        raise WineError("no candidate was finished: give a larger --budget")

    results = {
        "protocol": PROTOCOL.format(
            repeats=len(fold_numbers), folds=FOLDS, part=f"the {len(wines):,} training wines"
        ),
        "wines": len(wines),
        "unfinished": [c.name for c in candidates if c.name not in fits],
        "seconds": round(time.monotonic() - started, 1),
    }
    # a budget asks for an answer; Ctrl-C may have come before enough was compared for one
    best = None if stopped else pick(rows)
    write(results, rows, best)
    show(rows, best)
    if stopped:
        raise click.Abort
    if best is None:
        raise WineError("none of these can be served, for want of our classes: ask for others, too")
    if results["unfinished"]:
        print(f"not compared, for lack of time: {', '.join(results['unfinished'])}")
    features.upload(project, [RESULTS / name for name in FILES], "Resources/model_finder")
    print(f"best: {best['name']} (QWK {best['qwk']:.3f} ± {best['se']['qwk']:.3f}), "
          f"{results['seconds']:.0f} s, results in {RESULTS}/")  # fmt: skip


def chosen(quick, only):
    """The candidates asked for; BadInput names what is unknown."""
    unknown = set(only) - {candidate.name for candidate in CANDIDATES}
    if unknown:
        names = ", ".join(candidate.name for candidate in CANDIDATES)
        raise BadInput(f"no candidate {min(unknown)!r}; there are: {names}")
    return [c for c in CANDIDATES if (c.name in only if only else c.quick or not quick)]


def bearable(candidates, wines):
    """The candidates that can learn from so many wines; says which are left out."""
    left_out = [candidate.name for candidate in candidates if wines > candidate.most_wines]
    if left_out:
        print(f"left out, for {wines:,} wines are too many for them: {', '.join(left_out)}")
    if len(left_out) == len(candidates):
        raise BadInput("no candidate is left: ask for others with --only")
    return [candidate for candidate in candidates if wines <= candidate.most_wines]


@contextlib.contextmanager
def on_cluster(scheduler):
    """Inside, joblib's work goes to a Dask cluster, if there is one; else to processes here."""
    if not scheduler:
        # Ctrl-C reaches the worker processes too; only this one shall answer it
        ignore = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
        with joblib.parallel_config("loky", **ignore):
            yield
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise WineError("--scheduler needs Dask: pip install -r requirements-dask.txt") from error
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError) as error:
        raise BadInput(f"--scheduler {scheduler}: no Dask scheduler answers there") from error
    with client, tempfile.TemporaryDirectory() as folder, joblib.parallel_config("dask"):
        # the scheduler and its workers have the libraries, but not this repository
        here = Path(__file__).parent
        client.upload_file(shutil.make_archive(f"{folder}/wine", "zip", here, "wine"))
        yield


def kept_on_disk(fit, resume):
    """``fit`` with its results kept, so that a run that is stopped loses only fits under way."""
    # a fit is another one with other libraries or with other code
    libraries = (imblearn, np, sklearn, xgboost)
    made_by = [f"{library.__name__} {library.__version__}" for library in libraries]
    made_by += [inspect.getsource(ours) for ours in (balance, model, OrdinalClassifier)]
    digest = hashlib.sha256("\n".join(made_by).encode()).hexdigest()[:16]
    memory = joblib.Memory(RESULTS / "fits" / digest, verbose=0)
    if not resume:
        memory.clear(warn=False)
    return memory.cache(fit)


def fit_all(fit, candidates, wines, fold_numbers, *, budget=None, jobs=2):
    """Fit every candidate on every fold; returns {name: {"expected": (repeats, n), ...}}.

    ``fit`` is ``fit_and_predict`` or a cached form of it. Only candidates with all folds done
    are returned: with less, nothing can be compared. The second value tells whether Ctrl-C came.
    """
    tasks = list(itertools.product(candidates, range(len(fold_numbers)), range(FOLDS)))
    work = joblib.Parallel(jobs, return_as="generator_unordered")(
        joblib.delayed(numbered)(task, fit, candidate.make(), wines, fold_numbers[repeat] == fold)
        for task, (candidate, repeat, fold) in enumerate(tasks)
    )
    done, stopped, deadline = {}, False, time.monotonic() + (budget or np.inf)
    with Progress(
        TextColumn("fitting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.description}"), console=CONSOLE,
    ) as progress:  # fmt: skip
        bar = progress.add_task("", total=len(tasks))
        try:
            for task, result in work:
                candidate, repeat, fold = tasks[task]
                done.setdefault(candidate.name, {})[repeat, fold] = result
                progress.update(bar, advance=1, description=candidate.name)
                if time.monotonic() > deadline:
                    CONSOLE.print(f"the budget of {budget:g} s is used up")
                    break
        except KeyboardInterrupt:
            CONSOLE.print("stopped: writing the leaderboard of what is done; best.json stays")
            stopped = True
        work.close()
    fits = {name: together(parts, fold_numbers) for name, parts in done.items()
            if len(parts) == fold_numbers.shape[0] * FOLDS}  # fmt: skip
    return fits, stopped


def numbered(task, fit, *args):
    """A fit with its task's number: results come in the order in which they are done."""
    return task, fit(*args)


def together(parts, fold_numbers):
    """One candidate's folds as a whole: pooled predictions, and what a typical fold costs."""
    expected = np.empty(fold_numbers.shape)
    for (repeat, fold), part in parts.items():
        expected[repeat, fold_numbers[repeat] == fold] = part["expected"]
    costs = ("fit_seconds", "predict_seconds", "size_bytes")
    return {"expected": expected} | {
        cost: float(np.median([part[cost] for part in parts.values()])) for cost in costs
    }


def judge(candidate, fit, truth, fold_numbers):
    """One row of the leaderboard: metrics as served, their standard errors, and the costs."""
    metrics, draws = evaluate(truth, fit["expected"], fold_numbers)
    return {
        "name": candidate.name,
        "members": list(candidate.members),
        "balanced": candidate.balanced,
        "servable": candidate.servable,
        "complexity": candidate.complexity,
        **metrics,
        "se": draws.std(ddof=1).to_dict(),
        **{cost: fit[cost] for cost in ("fit_seconds", "predict_seconds", "size_bytes")},
        "expected": fit["expected"],
        "draws": draws,
    }


def averages(rows, truth, fold_numbers):
    """Rows for the means of the best few models: every pair, and the first three together.

    The mean of out-of-fold predictions is exactly what the averaged model would predict, so
    nothing is fitted again.
    """
    members = [row for row in rows if BY_NAME[row["name"]].averageable]
    best = sorted(members, key=lambda row: row["rmse"])[:BEST_FEW]
    teams = [*itertools.combinations(best, 2)] + ([tuple(best[:3])] if len(best) > 2 else [])
    return [
        judge(
            average(*(row["name"] for row in team)),
            {"expected": np.mean([row["expected"] for row in team], axis=0)}
            | {
                cost: sum(row[cost] for row in team)
                for cost in ("fit_seconds", "predict_seconds", "size_bytes")
            },
            truth,
            fold_numbers,
        )
        for team in teams
    ]


def pick(rows):
    """The row to train: among equals the simplest, then the smallest; None without any.

    Equal is what lies within one standard error of the difference (paired bootstrap) to the
    best, first in QWK and then, among those, in RMSE: the one-standard-error rule (Breiman et
    al. 1984). Comparing the same wines makes the difference far surer than either figure. The
    seconds decide nothing: they are another machine's, or another minute's, at the next run.
    """
    equal = [row for row in rows if row["servable"]]
    if not equal:
        return None
    for metric in ("qwk", "rmse"):
        better = max if HIGHER_IS_BETTER[metric] else min
        best = better(equal, key=lambda row: row[metric])
        equal = [
            row for row in equal
            if abs(row[metric] - best[metric]) <= (row["draws"] - best["draws"])[metric].std(ddof=1)
        ]  # fmt: skip
    return min(equal, key=lambda row: (row["complexity"], row["size_bytes"]))


def search_as_original(wines, fold_numbers, budget, jobs):
    """The original's search, and what its winner is worth under P1; writes original.json."""
    started = time.monotonic()
    rows = original.search(dataset.read(), jobs=jobs, budget=budget)
    seconds = time.monotonic() - started
    best = rows[0]
    expected = out_of_fold(lambda: original.honest(best), wines, fold_numbers, jobs=jobs)
    metrics, draws = evaluate(wines["quality"].to_numpy(), expected, fold_numbers)
    result = {
        "seconds": round(seconds, 1),
        "families": len(rows),
        "of": len(original.FAMILIES),
        "rows": rows,
        "honest": {"name": best["name"], **metrics, "se": draws.std(ddof=1).to_dict()},
    }
    RESULTS.mkdir(exist_ok=True)
    replace("original.json", json.dumps(result, indent=2) + "\n")
    print(
        f"the original's winner: {best['name']}, {best['score']:.3f} by its own score after "
        f"{seconds:.0f} s; under P1 its QWK is {metrics['qwk']:.3f}, accuracy "
        f"{metrics['accuracy']:.3f} and R^2 {metrics['r2']:.3f}"
    )


def write(results, rows, best):
    """leaderboard.json, .csv and .png and, with a best row, best.json; each in one step."""
    RESULTS.mkdir(exist_ok=True)
    ranked = sorted(rows, key=lambda row: -row["qwk"])
    plain = [{k: v for k, v in row.items() if k not in ("expected", "draws")} for row in ranked]
    replace("leaderboard.json", json.dumps({**results, "rows": plain}, indent=2) + "\n")
    table = pd.json_normalize(plain).drop(columns="members", errors="ignore")
    replace("leaderboard.csv", table.to_csv(index=False, float_format="%.5g"))
    name = best["name"] if best else None
    picture = io.BytesIO()
    plots.leaderboard(plain, name).savefig(picture)
    replace("leaderboard.png", picture.getvalue())
    if best:
        row = next(row for row in plain if row["name"] == name)
        replace("best.json", json.dumps({**results, **row}, indent=2) + "\n")


def replace(name, content):
    """Write a result file, of text or bytes, so that a reader never sees half of it."""
    part = RESULTS / f".{name}.part"
    part.write_bytes(content if isinstance(content, bytes) else content.encode())
    part.replace(RESULTS / name)


def show(rows, best):
    """The leaderboard on the screen, best QWK first, the chosen model marked."""
    table = Table("", "model", "QWK", "±", "accuracy", "within 1", "RMSE", "fit s", "MB")
    for row in sorted(rows, key=lambda row: -row["qwk"]):
        table.add_row(
            "→" if row is best else "",
            row["name"],
            f"{row['qwk']:.3f}",
            f"{row['se']['qwk']:.3f}",
            f"{row['accuracy']:.3f}",
            f"{row['within_one']:.3f}",
            f"{row['rmse']:.3f}",
            f"{row['fit_seconds']:.2f}",
            f"{row['size_bytes'] / 1e6:.1f}",
            style="bold" if row is best else None,
        )
    CONSOLE.print(table)


if __name__ == "__main__":
    run(main)

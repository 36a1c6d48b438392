"""Our pick beside AutoML systems, Cortez 2009's SVM and the original's model: P1, same folds.

    pip install --no-deps -r requirements-benchmarks.txt
    python -m benchmarks.side_by_side                        all systems, about 40 minutes
    python -m benchmarks.side_by_side --only "our pick"      one of them

Whole data, five folds (two repeats for what takes no budget), out of fold. Every system is given
the training fold and two cores, and returns expected grades for the held-out fold; the cut
points are learned the same way for all. results/side_by_side/ keeps what each system predicted,
with the machine and the versions it ran with; a system kept there is run again when its
configuration or the wines are no longer the same, and ours always. Writes
results/side_by_side.{json,md,png}.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import model_finder
from benchmarks import common, cortez, original
from wine.candidates import BY_NAME, from_result
from wine.columns import FEATURES, NAMES
from wine.evaluation import evaluate, fit_and_predict, out_of_fold_grades
from wine.metrics import score
from wine.model import encode, predict_scores
from wine.split import FOLDS, folds

X = list(FEATURES)


def our_pick(train, test, **row):
    """The configuration the finder chose, fitted: what train.ipynb does."""
    model = from_result(row).make().fit(encode(train), train["quality"].to_numpy())
    return predict_scores(model, encode(test))


def our_search(train, test, *, quick, repeats):
    """The whole quick search again inside the training fold, then its pick fitted."""
    train = train.reset_index(drop=True)
    inner, truth = folds(train, repeats=repeats), train["quality"].to_numpy()
    candidates = model_finder.chosen(quick=quick, only=())
    fits, _ = model_finder.fit_all(fit_and_predict, candidates, train, inner)
    rows = [model_finder.judge(c, fits[c.name], truth, inner) for c in candidates]
    best = model_finder.pick(rows + model_finder.averages(rows, truth, inner))
    return our_pick(train, test, **best)


def flaml(train, test, **settings):
    """FLAML (Wang et al. 2021) with a time budget in seconds."""
    from flaml import AutoML

    automl = AutoML()
    automl.fit(train[X].astype({"type": "category"}), train["quality"], verbose=0, **settings)
    return automl.predict(test[X].astype({"type": "category"}))


def autogluon(train, test, **settings):
    """AutoGluon tabular (Erickson et al. 2020) with a time budget in seconds."""
    from autogluon.tabular import TabularPredictor

    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor("quality", problem_type="regression", path=folder, verbosity=0)
        predictor.fit(train[[*X, "quality"]], **settings)
        return predictor.predict(test[X]).to_numpy()


def cortez_2009(train, test, **settings):
    """Cortez et al. 2009: one support vector machine for each colour, width by grid search."""
    expected = np.empty(len(test))
    for kind in train["type"].unique():
        rows, asked = train[train["type"] == kind], (test["type"] == kind).to_numpy()
        search = cortez.support_vectors(**settings).fit(rows[list(NAMES)], rows["quality"])
        expected[asked] = search.predict(test.loc[asked, list(NAMES)])
    return expected


def originals(train, test, **row):
    """The original's forest on its columns, SMOTE inside the training fold."""
    return original.honest(row).fit(encode(train), train["quality"]).predict(encode(test))


def candidate(train, test, *, name):
    """One of the finder's candidates as it is."""
    return (
        BY_NAME[name].make().fit(encode(train), train["quality"].to_numpy()).predict(encode(test))
    )


@dataclass(frozen=True)
class System:
    """``fit(train, test, **config)`` gives expected grades, float array, of the wines ``test``."""

    fit: Callable
    config: dict
    packages: tuple  # whose versions decide what it predicts
    repeats: int = 1


def with_flaml(seconds):
    """FLAML given so many seconds a fold."""
    config = {
        "task": "regression",
        "metric": "rmse",
        "time_budget": seconds,
        "n_jobs": 2,
        "seed": 0,
    }
    return System(flaml, config, ("flaml", "lightgbm", "xgboost", "scikit-learn"))


SYSTEMS = {
    "our pick": System(
        our_pick,
        {key: common.our_pick()[key] for key in ("name", "members")},
        ("scikit-learn", "xgboost"),
        repeats=2,
    ),
    "our quick search": System(
        our_search, {"quick": True, "repeats": 1}, ("scikit-learn", "xgboost")
    ),
    "SVM, as Cortez 2009": System(
        cortez_2009,
        cortez.SETTINGS,
        ("scikit-learn",),
        repeats=2,
    ),
    "the original's model": System(
        originals,
        {  # what its own search ended with, by its published log (0.935, its R²)
            "name": "random forest regressor",
            "params": {"n_estimators": 200, "max_depth": None, "n_jobs": 2, "random_state": 0},
        },
        ("scikit-learn", "imbalanced-learn"),
        repeats=2,
    ),
    "ridge": System(candidate, {"name": "ridge"}, ("scikit-learn",), repeats=2),
    "AutoGluon, 60 s": System(
        autogluon,
        {
            "time_limit": 60,
            "presets": "best_quality",
            "num_cpus": 2,
            "dynamic_stacking": False,
            "ag_args_ensemble": {"fold_fitting_strategy": "sequential_local"},
        },
        ("autogluon.tabular", "catboost", "lightgbm", "scikit-learn"),
    ),
    "FLAML, 60 s": with_flaml(60),
    "FLAML, 300 s": with_flaml(300),
}
RARE = (3, 4, 8, 9)
OURS = ("our pick", "our quick search")  # their configuration is code, and they are cheap


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SYSTEMS)))
def main(only):
    """Run ours and what is not kept, then write the table over all that is kept."""
    wines = common.wines()
    fold_numbers = common.p1_folds(wines)
    data = digest(wines, fold_numbers)
    for name, system in SYSTEMS.items():
        if (not only or name in only) and (name in OURS or kept(name, data) is None):
            run(name, system, wines, fold_numbers, data)
    report(wines, fold_numbers, data)


def digest(wines, fold_numbers):
    """What changes when a wine, its grade or its fold does, as text."""
    text = wines[[*X, "quality"]].to_csv(index=False)
    return hashlib.sha256(text.encode() + fold_numbers.astype(np.int8).tobytes()).hexdigest()[:16]


def place(name):
    """The file that keeps a system's predictions and seconds."""
    return common.RESULTS / "side_by_side" / f"{name.replace(' ', '_').replace(',', '')}.json"


def kept(name, data):
    """What is kept of a system; None when nothing is, or it had another configuration or wines."""
    if not place(name).is_file():
        return None
    found = json.loads(place(name).read_text())
    return found if (found["config"], found["data"]) == (SYSTEMS[name].config, data) else None


def run(name, system, wines, fold_numbers, data):
    """Fit and predict every fold, and keep that."""
    done = {}
    for repeat in range(system.repeats):
        for fold in range(FOLDS):
            held_out = fold_numbers[repeat] == fold
            started = time.perf_counter()
            expected = system.fit(wines[~held_out], wines[held_out], **system.config)
            seconds = time.perf_counter() - started
            done[f"{repeat}/{fold}"] = {
                "seconds": round(seconds, 2),
                "expected": [round(float(value), 4) for value in expected],
            }
            print(f"{name}: {repeat}/{fold} in {seconds:.1f} s", flush=True)
    result = {
        "machine": common.machine(),
        "versions": common.versions(*system.packages),
        "config": system.config,
        "data": data,
        "folds": done,
    }
    common.replace(place(name), json.dumps(result) + "\n")


def report(wines, fold_numbers, data):
    """One table over the systems that are kept."""
    truth, rows, ours = wines["quality"].to_numpy(), [], None
    for name, system in SYSTEMS.items():
        found = kept(name, data)
        if found is None:
            continue
        numbers = fold_numbers[: system.repeats]
        expected = np.empty(numbers.shape)
        for key, part in found["folds"].items():
            repeat, fold = map(int, key.split("/"))
            expected[repeat, numbers[repeat] == fold] = part["expected"]
        metrics, draws = evaluate(truth, expected, numbers)
        ours = expected if ours is None else ours  # the first system is our pick
        free = out_of_fold_grades(truth, expected, numbers, accuracy_loss=1)
        rows.append(
            {
                "system": name,
                **metrics,
                # how rarely it says a rare grade
                "rare": float(np.isin(out_of_fold_grades(truth, expected, numbers), RARE).mean()),
                "qwk_free_cuts": score(np.tile(truth, system.repeats), free.ravel())["qwk"],
                "se": draws.std(ddof=1).to_dict(),
                # on the repeats that both have, or the difference would be that of the folds too
                "minus_our_pick": common.paired(
                    (metrics, draws), evaluate(truth, ours[: system.repeats], numbers)
                ),
                "seconds_per_fold": float(
                    np.median([part["seconds"] for part in found["folds"].values()])
                ),
                "repeats": system.repeats,
                "machine": found["machine"],
                "versions": found["versions"],
            }
        )
    common.keep("side_by_side", {"systems": rows}, table(rows))
    draw(rows).savefig(common.RESULTS / "side_by_side.png")


def table(rows):
    """One row a system."""
    return pd.DataFrame(
        {
            "system": row["system"],
            "QWK": f"{row['qwk']:.3f} ± {row['se']['qwk']:.3f}",
            "accuracy": f"{row['accuracy']:.3f}",
            "RMSE": f"{row['rmse']:.4f}",
            "QWK, free cuts": f"{row['qwk_free_cuts']:.3f}",
            "seconds a fold": f"{row['seconds_per_fold']:.1f}",
            "QWK minus our pick's": common.paired_text(row["minus_our_pick"]["qwk"]),
            "RMSE minus our pick's": common.paired_text(row["minus_our_pick"]["rmse"], 4),
        }
        for row in rows
    )


def draw(rows):
    """QWK of each system, the best on top, and what a fold takes it."""
    rows = sorted(rows, key=lambda row: row["qwk"])
    figure = Figure(figsize=(8, 3.6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for height, row in enumerate(rows):
        axes.errorbar(
            row["qwk"],
            height,
            xerr=row["se"]["qwk"],
            fmt="o",
            capsize=3,
            color="#8b1e3f" if row["system"] in OURS else "#6b6b6b",
        )
        axes.annotate(
            f"{row['seconds_per_fold']:.3g} s a fold",
            (1.02, height),
            xycoords=("axes fraction", "data"),
            va="center",
        )
    axes.set_yticks(range(len(rows)), [row["system"] for row in rows])
    axes.set(
        xlabel="QWK, ± one standard error",
        title="Same folds, same cores, same decoding",
    )
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()

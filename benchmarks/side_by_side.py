"""Our pick beside AutoML systems, Cortez 2009's SVM and the original's model: P1, same folds.

    pip install -r requirements-benchmarks.txt
    python -m benchmarks.side_by_side                        all systems, about an hour
    python -m benchmarks.side_by_side --only "our pick"      one of them

Whole data, five folds (two repeats for what takes no budget), out of fold. Every system is given
the training fold and two cores, and returns expected grades for the held-out fold; the cut
points are learned the same way for all. Folds done are kept in results/side_by_side/, so a run
that is stopped goes on. Writes results/side_by_side.{json,md,png}.
"""

import json
import shutil
import tempfile
import time

import click
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

import model_finder
from benchmarks import common
from wine import original
from wine.candidates import BY_NAME, from_result
from wine.columns import FEATURES, NAMES
from wine.evaluation import evaluate, fit_and_predict, out_of_fold_grades
from wine.metrics import score
from wine.model import expected_grade
from wine.split import FOLDS, folds

X = list(FEATURES)
# what the original's own search ended with, by its published log (0.935, its R^2)
ORIGINAL = {
    "name": "random forest regressor",
    "params": {"n_estimators": 200, "max_depth": None, "n_jobs": 2, "random_state": 0},
}


def our_pick(train, test):
    """The configuration the finder chose, fitted: what train.ipynb does."""
    best = json.loads((common.RESULTS / "finder" / "best.json").read_text())
    model = from_result(best).make().fit(train[X], train["quality"])
    return expected_grade(model, test[X])


def our_search(train, test):
    """The whole quick search anew inside the training fold, then its pick fitted."""
    train = train.reset_index(drop=True)
    inner, truth = folds(train, repeats=1), train["quality"].to_numpy()
    candidates = model_finder.chosen(quick=True, only=())
    fits, _ = model_finder.fit_all(fit_and_predict, candidates, train, inner)
    rows = [model_finder.judge(c, fits[c.name], truth, inner) for c in candidates]
    best = model_finder.pick(rows + model_finder.averages(rows, truth, inner))
    model = from_result(best).make().fit(train[X], train["quality"])
    return expected_grade(model, test[X])


def flaml(budget):
    """FLAML (Wang et al. 2021) with a time budget in seconds."""

    def fit(train, test):
        from flaml import AutoML

        automl = AutoML()
        automl.fit(
            train[X].astype({"type": "category"}), train["quality"], task="regression",
            metric="rmse", time_budget=budget, n_jobs=2, seed=0, verbose=0,
        )  # fmt: skip
        return automl.predict(test[X].astype({"type": "category"}))

    return fit


def autogluon(budget):
    """AutoGluon tabular (Erickson et al. 2020), best quality, with a time budget in seconds."""

    def fit(train, test):
        from autogluon.tabular import TabularPredictor

        folder = tempfile.mkdtemp()
        predictor = TabularPredictor("quality", problem_type="regression", path=folder, verbosity=0)
        predictor.fit(
            train[[*X, "quality"]], time_limit=budget, presets="best_quality", num_cpus=2,
            dynamic_stacking=False, ag_args_ensemble={"fold_fitting_strategy": "sequential_local"},
        )  # fmt: skip
        expected = predictor.predict(test[X]).to_numpy()
        shutil.rmtree(folder)
        return expected

    return fit


def cortez(train, test):
    """Cortez et al. 2009: one support vector machine for each colour, width by grid search."""
    expected = np.empty(len(test))
    for kind in train["type"].unique():
        rows, asked = train[train["type"] == kind], (test["type"] == kind).to_numpy()
        search = GridSearchCV(
            make_pipeline(StandardScaler(), SVR(C=3, epsilon=0.1)),
            {"svr__gamma": 2.0 ** np.arange(-5, 2)},
            scoring="neg_mean_absolute_error", cv=3, n_jobs=2,
        ).fit(rows[list(NAMES)], rows["quality"])  # fmt: skip
        expected[asked] = search.predict(test.loc[asked, list(NAMES)])
    return expected


def originals(train, test):
    """The original's forest on its columns, SMOTE inside the training fold."""
    model = original.honest(ORIGINAL).fit(train[X], train["quality"])
    return model.predict(test[X])


def ridge(train, test):
    """Linear regression with a ridge: the floor."""
    return BY_NAME["ridge"].make().fit(train[X], train["quality"]).predict(test[X])


SYSTEMS = {  # name: (function, repeats)
    "our pick": (our_pick, 2),
    "our quick search": (our_search, 1),
    "SVM, as Cortez 2009": (cortez, 2),
    "the original's model": (originals, 2),
    "ridge": (ridge, 2),
    "AutoGluon, 60 s": (autogluon(60), 1),
    "FLAML, 60 s": (flaml(60), 1),
    "FLAML, 300 s": (flaml(300), 1),
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SYSTEMS)))
def main(only):
    """Run what is not done yet, then write the table over all that is done."""
    wines = common.wines()
    fold_numbers = common.p1_folds(wines)
    for name, (fit, repeats) in SYSTEMS.items():
        if not only or name in only:
            run(name, fit, wines, fold_numbers[:repeats])
    report(wines, fold_numbers)


def place(name):
    """The file that keeps a system's predictions and seconds."""
    return common.RESULTS / "side_by_side" / f"{name.replace(' ', '_').replace(',', '')}.json"


def run(name, fit, wines, fold_numbers):
    """Fit and predict every fold that is not kept yet."""
    done = json.loads(place(name).read_text()) if place(name).is_file() else {}
    for repeat in range(len(fold_numbers)):
        for fold in range(FOLDS):
            key, held_out = f"{repeat}/{fold}", fold_numbers[repeat] == fold
            if key in done:
                continue
            started = time.perf_counter()
            expected = fit(wines[~held_out], wines[held_out])
            seconds = time.perf_counter() - started
            done[key] = {
                "seconds": round(seconds, 2),
                "expected": [round(float(value), 4) for value in expected],
            }
            place(name).parent.mkdir(parents=True, exist_ok=True)
            place(name).write_text(json.dumps(done) + "\n")
            print(f"{name}: {key} in {seconds:.1f} s", flush=True)


def report(wines, fold_numbers):
    """One table over the systems that are done."""
    truth, rows, ours = wines["quality"].to_numpy(), [], None
    for name in SYSTEMS:
        done = json.loads(place(name).read_text()) if place(name).is_file() else {}
        repeats = len(done) // FOLDS
        if not repeats:
            continue
        expected = np.empty((repeats, len(wines)))
        for repeat in range(repeats):
            for fold in range(FOLDS):
                expected[repeat, fold_numbers[repeat] == fold] = done[f"{repeat}/{fold}"][
                    "expected"
                ]
        numbers = fold_numbers[:repeats]
        metrics, draws = evaluate(truth, expected, numbers)
        ours = expected if ours is None else ours  # the first system is our pick
        # wine by wine and on the same repeats, which makes the difference surer than the figures
        against, ours_draws = evaluate(truth, ours[:repeats], numbers)
        free = out_of_fold_grades(truth, expected, numbers, accuracy_loss=1)
        seconds = [part["seconds"] for part in done.values()]
        rows.append(
            {
                "system": name,
                **metrics,
                "qwk_free_cuts": score(np.tile(truth, repeats), free.ravel())["qwk"],
                "se": draws.std(ddof=1).to_dict(),
                "minus_our_pick": {
                    metric: {
                        "difference": metrics[metric] - against[metric],
                        "se": float((draws - ours_draws)[metric].std(ddof=1)),
                    }
                    for metric in ("qwk", "rmse")
                },
                "seconds_per_fold": float(np.median(seconds)),
                "repeats": repeats,
            }
        )
    table = pd.DataFrame(
        {
            "system": row["system"],
            "QWK": f"{row['qwk']:.3f} ± {row['se']['qwk']:.3f}",
            "accuracy": f"{row['accuracy']:.3f}",
            "within 1": f"{row['within_one']:.3f}",
            "RMSE": f"{row['rmse']:.3f} ± {row['se']['rmse']:.3f}",
            "QWK, free cuts": f"{row['qwk_free_cuts']:.3f}",
            "seconds a fold": f"{row['seconds_per_fold']:.1f}",
            "QWK against our pick": against_ours(row),
        }
        for row in rows
    )
    common.keep("side_by_side", {"machine": common.machine(), "systems": rows}, table)
    draw(rows).savefig(common.RESULTS / "side_by_side.png")


def against_ours(row):
    """The paired difference in QWK as text; nothing for our pick itself."""
    found = row["minus_our_pick"]["qwk"]
    return f"{found['difference']:+.3f} ± {found['se']:.3f}" if found["se"] else ""


def draw(rows):
    """RMSE against seconds: lower and further left is better."""
    figure = Figure(figsize=(8, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for row in rows:
        ours = row["system"].startswith("our")
        axes.errorbar(
            row["seconds_per_fold"], row["rmse"], yerr=row["se"]["rmse"], fmt="o", capsize=3,
            color="#8b1e3f" if ours else "#7a7a7a",
        )  # fmt: skip
        axes.annotate(
            row["system"], (row["seconds_per_fold"], row["rmse"]), (6, 5),
            textcoords="offset points", fontsize=8,
        )  # fmt: skip
    axes.set(xscale="log", xlabel="seconds to fit one fold, two cores",
             ylabel="RMSE of the expected grade", title="Same folds, same cores, same decoding")  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()

"""How much better than the finder's pick other models, means and kernels are: what was tried.

    python -m benchmarks.beyond     about three minutes

Whole data, protocol P1, two repeats, out of fold. Single models first, then kernels other than the
served one; then means of the single ones, the finder's pick among them; then weights for them,
learned without the fold they serve (stacking, Wolpert 1992). Each is compared with the pick, wine
by wine (paired bootstrap). Writes results/beyond.{json,md}.
"""

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from sklearn.compose import TransformedTargetRegressor
from sklearn.gaussian_process.kernels import RBF, Matern
from sklearn.kernel_ridge import KernelRidge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks import common
from wine.candidates import BY_NAME
from wine.estimators import Chemistry
from wine.evaluation import evaluate, out_of_fold, score_out_of_fold
from wine.split import FOLDS

SINGLE = ("kernel ridge", "chemical kernel ridge", "support vectors", "extra trees",
          "random forest", "xgboost", "hist gradient boosting")  # fmt: skip
MEANS = (
    ("kernel ridge", "xgboost"),
    ("chemical kernel ridge", "xgboost"),
    ("chemical kernel ridge", "extra trees", "xgboost"),
    ("chemical kernel ridge", "support vectors", "extra trees", "xgboost"),
    SINGLE,
)
KERNELS = {  # the served kernel is exponential: no smoothness assumed
    "chemical kernel ridge, smooth (Matern, nu 1.5)": Matern(3, nu=1.5),
    "chemical kernel ridge, smoothest (Gaussian)": RBF(2),
}


def main():
    """Predict every wine out of fold with every model, then combine."""
    wines = common.wines()
    fold_numbers, truth = common.p1_folds(wines), wines["quality"].to_numpy()
    pick = common.our_pick()
    means = dict.fromkeys([*MEANS, tuple(pick["members"] or [pick["name"]])])
    makers = {name: BY_NAME[name].make for name in SINGLE}
    makers |= {name: lambda kernel=kernel: smoother(kernel) for name, kernel in KERNELS.items()}
    scores = {name: out_of_fold(make, wines, fold_numbers) for name, make in tqdm(makers.items())}
    for names in means:
        title = " + ".join(names) if names != SINGLE else "mean of all seven"
        scores[title] = np.mean([scores[name] for name in names], axis=0)
    scores["stacking of all seven"] = stacked([scores[n] for n in SINGLE], truth, fold_numbers)

    pick, rows = evaluate(truth, scores[pick["name"]], fold_numbers), []
    for name, predictions in scores.items():
        metrics, draws = evaluate(truth, predictions, fold_numbers)
        free = score_out_of_fold(truth, predictions, fold_numbers, accuracy_loss=1)
        rows.append(
            {
                "model": name,
                **metrics,
                "qwk_free_cuts": free["qwk"],
                "se": draws.std(ddof=1).to_dict(),
                "minus_our_pick": common.paired((metrics, draws), pick),
            }
        )
    table = pd.DataFrame(
        {
            "model": row["model"],
            "QWK": f"{row['qwk']:.3f}",
            "accuracy": f"{row['accuracy']:.3f}",
            "RMSE": f"{row['rmse']:.4f}",
            "QWK, free cuts": f"{row['qwk_free_cuts']:.3f}",
            "RMSE minus our pick's, paired": common.paired_text(row["minus_our_pick"]["rmse"], 4),
        }
        for row in rows
    )
    best = {
        "qwk": max(row["qwk"] for row in rows),
        "qwk_free_cuts": max(row["qwk_free_cuts"] for row in rows),
        "accuracy": max(row["accuracy"] for row in rows),
        "rmse": min(row["rmse"] for row in rows),
    }
    common.keep("beyond", {"machine": common.machine(), "best": best, "models": rows}, table)


def smoother(kernel):
    """Kernel ridge as served, with another kernel."""
    ridge = make_pipeline(Chemistry(), KernelRidge(kernel=kernel, alpha=0.2))
    return TransformedTargetRegressor(ridge, transformer=StandardScaler())


def stacked(expected, truth, fold_numbers):
    """Weighted sums, weights >= 0, by least squares on the other folds; shape (repeats, n)."""
    parts = np.stack(expected)  # (models, repeats, n)
    result = np.empty(parts.shape[1:])
    for repeat in range(len(fold_numbers)):
        for fold in range(FOLDS):
            held_out = fold_numbers[repeat] == fold
            inputs = parts[:, repeat].T - 6
            weights, _ = nnls(inputs[~held_out], truth[~held_out] - 6.0)
            result[repeat, held_out] = 6 + inputs[held_out] @ weights
    return result


if __name__ == "__main__":
    main()

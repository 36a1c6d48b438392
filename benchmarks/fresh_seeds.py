"""The pick beside earlier picks, on split seeds that were never used for choosing.

    python -m benchmarks.fresh_seeds     about five minutes

Protocol P1 on all wines with three split seeds of its own, one repeat each; all systems see the
same folds. Differences are paired by wine, their errors from a bootstrap over wines. Also on
contiguous fifths of the raw files (wines from another part of the file). Writes
results/fresh_seeds.{json,md}.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks import common
from wine.candidates import from_result
from wine.evaluation import evaluate, out_of_fold, score_out_of_fold
from wine.split import FOLDS, contiguous_folds, group_folds

SEEDS = (4001, 4002, 4003)
BEFORE = ("kernel ridge", "xgboost")  # served until RMSE became the judge
OTHERS = (
    ("chemical kernel ridge", "xgboost"),
    ("chemical kernel ridge", "extra trees", "xgboost"),
)


def main():
    """Predict all wines out of fold with every system, and compare."""
    wines = common.wines()
    truth = wines["quality"].to_numpy()
    fresh = np.stack([group_folds(wines, FOLDS, seed) for seed in SEEDS])
    contiguous = contiguous_folds(wines)
    pick = common.our_pick()
    teams = dict.fromkeys([BEFORE, tuple(pick["members"] or [pick["name"]]), *OTHERS])
    rows, before = [], None
    for members in tqdm(teams):
        make = from_result({"name": members[0], "members": members if members[1:] else []}).make
        scores = out_of_fold(make, wines, fresh)
        elsewhere = out_of_fold(make, wines, contiguous)
        metrics, draws = evaluate(truth, scores, fresh)
        free = score_out_of_fold(truth, scores, fresh, accuracy_loss=1)["qwk"]
        before = before or (metrics, draws)
        rows.append(
            {
                "model": " + ".join(members),
                **metrics,
                "qwk_free_cuts": free,
                "elsewhere": score_out_of_fold(truth, elsewhere, contiguous),
                "rmse_by_seed": np.sqrt(((scores - truth) ** 2).mean(axis=1)).tolist(),
                "minus_before": common.paired((metrics, draws), before),
            }
        )
    result = {"machine": common.machine(), "seeds": SEEDS, "pick": pick["name"], "models": rows}
    common.keep("fresh_seeds", result, table(rows))


def table(rows):
    """Return one row a model."""
    return pd.DataFrame(
        {
            "model": row["model"],
            "RMSE": f"{row['rmse']:.4f}",
            "QWK": f"{row['qwk']:.3f}",
            "accuracy": f"{row['accuracy']:.3f}",
            "QWK, free cuts": f"{row['qwk_free_cuts']:.3f}",
            "RMSE, another part of the file": f"{row['elsewhere']['rmse']:.4f}",
            "QWK, another part of the file": f"{row['elsewhere']['qwk']:.3f}",
            "RMSE minus the earlier pick's": common.paired_text(row["minus_before"]["rmse"], 4),
        }
        for row in rows
    )


if __name__ == "__main__":
    main()

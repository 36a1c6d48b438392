"""How fast the served model answers: one wine, a million wines, and how large it is.

    python -m benchmarks.prediction     about two minutes

In process, by the model the finder picked, fitted on all wines. An answer is what wine.model.predict
gives: grade, predicted score and the probability of every grade. One wine is an encoded row, as
the predictor sends it. Cut points and odds are learned from predictions for wines the model has
seen, as their values do not change the time. The million runs in a process of its own, so that
its peak memory is known. Writes
results/prediction.{json,md}.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd

from benchmarks import common
from wine.candidates import from_result
from wine.decoding import learn_cuts, learn_odds
from wine.model import encode, predict, predict_scores

MILLION = 1_000_000
CHILD = """
import resource, sys, time
import joblib, pandas as pd
from wine.model import predict
(model, spec), wines = joblib.load(sys.argv[1]), pd.read_parquet(sys.argv[2])
started = time.perf_counter()
grades, scores, chances = predict(model, spec, wines)
seconds = time.perf_counter() - started
assert len(grades) == len(wines) and chances.shape == (len(wines), 7)
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def main():
    """Measure and keep."""
    wines = common.wines()
    best = common.our_pick()
    x, truth = encode(wines), wines["quality"].to_numpy()
    model = from_result(best).make().fit(x, truth)
    scores = predict_scores(model, x)
    spec = SimpleNamespace(cuts=learn_cuts(truth, scores), odds=learn_odds(truth, scores))
    with tempfile.TemporaryDirectory() as folder:
        file, served, many = (Path(folder, name) for name in ("model", "served", "wines"))
        joblib.dump(model, file, compress=3)
        joblib.dump((model, spec), served)
        times = []
        for row in range(1000):
            started = time.perf_counter()
            predict(model, spec, x[row : row + 1])
            times.append(time.perf_counter() - started)
        wines.sample(MILLION, replace=True, random_state=0).to_parquet(many)
        seconds, peak = map(
            float,
            subprocess.run(
                [sys.executable, "-c", CHILD, served, many],
                check=True, capture_output=True, text=True,
            ).stdout.split(),
        )  # fmt: skip
        result = {
            "machine": common.machine(),
            "model": best["name"],
            "one_wine_ms_p50": round(1000 * float(np.median(times)), 2),
            "one_wine_ms_p99": round(1000 * float(np.quantile(times, 0.99)), 2),
            "million_seconds": round(seconds, 1),
            "million_peak_gb": round(peak / 1e9, 2),
            "model_mb": round(file.stat().st_size / 1e6, 2),
        }
    table = pd.DataFrame(
        {
            "one wine, p50": [f"{result['one_wine_ms_p50']} ms"],
            "one wine, p99": [f"{result['one_wine_ms_p99']} ms"],
            "10⁶ wines": [f"{result['million_seconds']} s"],
            "peak memory": [f"{result['million_peak_gb']} GB"],
            "model file": [f"{result['model_mb']} MB"],
        }
    )
    common.keep("prediction", result, table)


if __name__ == "__main__":
    main()

"""Our search beside the original's: what each takes, and what each one's winner is honestly worth.

    make pipeline                      puts the wines in the local Hopsworks
    python -m benchmarks.search        about half an hour, nearly all of it the original's

Runs model_finder.py with --quick, in full and with --original, each as a process of its own from
start to end on the same two cores, with nothing kept from earlier runs. Ours search the training
part's distinct wines; the original's has, as it had, all rows and what SMOTE adds to them, so that
part of the difference in time is one of rows. All winners are then scored alike: protocol P1, two
repeats, on the training part. Writes results/search.{json,md}, and results/finder/ with what the
full search found. The table has the processors' seconds, which a busy machine disturbs less; the
clock's and the original's own score are in the JSON.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pandas as pd

from benchmarks import common
from wine import dataset, original
from wine.candidates import from_result
from wine.evaluation import evaluate, out_of_fold
from wine.split import folds, locked_part

SEARCHES = {  # name: (options, the file that names its winner)
    "ours, quick": (("--quick",), "best.json"),
    "ours": ((), "best.json"),
    "the original's": (("--original",), "original.json"),
}


def main():
    """Run the three searches one after the other."""
    data = common.hopsworks_data()
    wines = common.wines()
    train = wines[~locked_part(wines)].reset_index(drop=True)
    with tempfile.TemporaryDirectory() as folder:
        rows = [search(name, data, Path(folder), train) for name in SEARCHES]
    for row in rows:  # the last is the original's
        row["original_takes"] = rows[-1]["cpu_seconds"] / row["cpu_seconds"]
    common.keep("search", {"machine": common.machine(), "searches": rows}, table(rows))


def table(rows):
    """One row a search; ``rows`` are those of ``search``, and how many times the original takes."""
    return pd.DataFrame(
        {
            "search": row["search"],
            "winner": row["winner"],
            "rows": f"{row['rows']:,}",
            "CPU seconds": f"{row['cpu_seconds']:,.0f}",
            "the original takes": f"{row['original_takes']:.0f} ×"
            if row["search"] != "the original's"
            else "",
            "QWK under P1": f"{row['qwk']:.3f} ± {row['se']['qwk']:.3f}",
            "accuracy": f"{row['accuracy']:.3f}",
            "RMSE": f"{row['rmse']:.3f}",
        }
        for row in rows
    )


def search(name, data, folder, train):
    """One search in a new folder: its seconds, and its winner's metrics under P1 on ``train``."""
    options, file = SEARCHES[name]
    here = folder / name.replace(" ", "_")
    shutil.copytree(data, here / "hopsworks")
    started, used = time.perf_counter(), cpu_seconds()
    subprocess.run(
        [sys.executable, common.ROOT / "model_finder.py", *options],
        cwd=here,
        env=common.local_env(here / "hopsworks"),
        check=True,
    )
    seconds, used = time.perf_counter() - started, cpu_seconds() - used
    found = here / "model_finder_results"
    if name == "ours":
        for result in found.glob("*.*"):
            shutil.copy(result, common.RESULTS / "finder")
    result = json.loads((found / file).read_text())
    if name == "the original's":
        winner, rows = result["rows"][0], len(original.treat(dataset.read())[0])
        honest = partial(original.honest, winner)
    else:
        winner, rows, honest = result, len(train), from_result(result).make
    fold_numbers = folds(train)
    metrics, draws = evaluate(
        train["quality"].to_numpy(), out_of_fold(honest, train, fold_numbers), fold_numbers
    )
    return {
        "search": name,
        "winner": winner["name"],
        "rows": rows,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "own_score": winner.get("score"),
        **metrics,
        "se": draws.std(ddof=1).to_dict(),
    }


def cpu_seconds():
    """Processor seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

"""Our search beside the original's: what each takes, and what each one's winner is honestly worth.

    make pipeline                      puts the wines in the local Hopsworks
    python -m benchmarks.search        about half an hour, nearly all of it the original's

Runs model_finder.py with --quick and in full, and one round of the original's search, each as a
process of its own on the same two cores, with nothing cached from earlier runs. Ours search the
distinct training wines; the original's searches, as it did, all rows and what SMOTE adds to them,
so part of the difference in time is one of rows. All winners are then scored alike: protocol P1,
two repeats, on the training wines. Writes results/search.{json,md}, and results/finder/ with what
the full search found. The table has CPU seconds, which a busy machine disturbs less; clock seconds
and the original's own score are in the JSON.
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

from benchmarks import common, original
from wine import dataset
from wine.candidates import from_result
from wine.evaluation import evaluate, out_of_fold
from wine.split import folds, training_part

OURS = {"ours, quick": ("--quick",), "ours": ()}  # options of model_finder.py
ORIGINAL = "the original's"


def main():
    """Run the three searches one after the other."""
    data = common.hopsworks_data()
    train = training_part(common.wines())
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            our_search(name, data, Path(folder) / str(number), train)
            for number, name in enumerate(OURS)
        ]
    rows.append(original_search(train))
    for row in rows:
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
            if row["search"] != ORIGINAL
            else "",
            "QWK under P1": f"{row['qwk']:.3f} ± {row['se']['qwk']:.3f}",
            "accuracy": f"{row['accuracy']:.3f}",
            "RMSE": f"{row['rmse']:.3f}",
        }
        for row in rows
    )


def our_search(name, data, here, train):
    """Run model_finder.py in a new folder; return its row as of ``judged``."""
    shutil.copytree(data, here / "hopsworks")
    started, used = time.perf_counter(), cpu_seconds()
    subprocess.run(
        [sys.executable, common.ROOT / "model_finder.py", *OURS[name]],
        cwd=here,
        env=common.local_env(here / "hopsworks"),
        check=True,
    )
    seconds, used = time.perf_counter() - started, cpu_seconds() - used
    results = here / "model_finder_results"
    if name == "ours":
        for file in results.glob("*.*"):
            shutil.copy(file, common.RESULTS / "finder")
    winner = json.loads((results / "best.json").read_text())
    return judged(name, winner, len(train), seconds, used, from_result(winner).make, train)


def original_search(train):
    """Run one round of the original's search in a process; return its row as of ``judged``."""
    started, used = time.perf_counter(), cpu_seconds()
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.original"],
        cwd=common.ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    seconds, used = time.perf_counter() - started, cpu_seconds() - used
    winner = json.loads(printed.splitlines()[-1])[0]
    rows = len(original.treat(dataset.read())[0])
    make = partial(original.honest, winner)
    return judged(ORIGINAL, winner, rows, seconds, used, make, train)


def judged(name, winner, rows, seconds, used, make, train):
    """Return a search's row: what it took, and its winner's metrics under P1 on ``train``."""
    fold_numbers = folds(train)
    metrics, draws = evaluate(
        train["quality"].to_numpy(), out_of_fold(make, train, fold_numbers), fold_numbers
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

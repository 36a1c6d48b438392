"""Our search beside the original's: what each takes, and what each one's winner is honestly worth.

    make pipeline                      puts the wines in the local Hopsworks
    python -m benchmarks.search        about half an hour, nearly all of it the original's

Runs model_finder.py with --quick, in full and with --original, each as a process of its own from
start to end on the same wines and the same two cores, with nothing kept from earlier runs. All
winners are scored under protocol P1 on the training part. Writes results/search.{json,md}, and
results/finder/ with what the full search found. The table has the processors' seconds, which a
busy machine disturbs less; the clock's and the original's own score are in the JSON.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from benchmarks import common

SEARCHES = {  # name: (options, the file that names its winner)
    "ours, quick": (("--quick",), "best.json"),
    "ours": ((), "best.json"),
    "the original's": (("--original",), "original.json"),
}


def main():
    """Run the three searches one after the other."""
    data = common.hopsworks_data()
    with tempfile.TemporaryDirectory() as folder:
        rows = [search(name, data, Path(folder)) for name in SEARCHES]
    original = next(row for row in rows if row["search"] == "the original's")
    for row in rows:
        row["original_takes"] = original["cpu_seconds"] / row["cpu_seconds"]
    common.keep("search", {"machine": common.machine(), "searches": rows}, table(rows))


def table(rows):
    """One row a search; ``rows`` are those of ``search``, and how many times the original takes."""
    return pd.DataFrame(
        {
            "search": row["search"],
            "winner": row["winner"],
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


def search(name, data, folder):
    """One search in a new folder: its seconds, and its winner's metrics under P1."""
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
    winner = result.get("honest", result)
    return {
        "search": name,
        "winner": winner["name"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "own_score": result["rows"][0]["score"] if "honest" in result else None,
        **{metric: winner[metric] for metric in ("qwk", "accuracy", "within_one", "rmse", "r2")},
        "se": winner["se"],
    }  # fmt: skip


def cpu_seconds():
    """Processor seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()

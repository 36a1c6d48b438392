"""All five parts in order, as `make pipeline` runs them, and a summary of what came out.

\b
  python -m wine.pipeline            with the quick model search
  python -m wine.pipeline --full     with all candidates

Each part is a process of its own, as it would be on another machine. What it prints goes to
reports/, the executed notebooks as HTML beside it.
"""

import datetime
import json
import os
import subprocess
import sys
import time

import click

from wine import dataset, features, model
from wine.cli import run
from wine.connection import connect
from wine.errors import WineError
from wine.paths import PROJECT, REPORTS, local_hopsworks


def notebook(name):
    """The command that runs a notebook top to bottom and keeps it as HTML."""
    return [
        *("-m", "jupyter", "nbconvert", "--execute", "--to", "html", name),
        *("--output-dir", str(REPORTS), "--KernelManager.transport=ipc"),
    ]


@click.command(help=__doc__)
@click.option("--full", is_flag=True, help="Search all candidates (about two minutes more).")
def main(full):
    """Run the stages; stop at the first that fails, with the end of what it said."""
    dataset.read()  # wrong files and a wrong key are told at once, not by a stage's traceback
    project = connect()
    REPORTS.mkdir(exist_ok=True)
    env = os.environ | {
        "HOPSWORKS_LOCAL_ROOT": str(local_hopsworks())
    }  # whatever folder is current
    stages = {
        "initialize.ipynb": notebook("initialize.ipynb"),
        "model_finder.py": ["model_finder.py", *([] if full else ["--quick"])],
        "train.ipynb": notebook("train.ipynb"),
        "daily.py": ["daily.py"],
        "inference.py": ["inference.py"],
    }
    began = time.monotonic()
    for number, (stage, command) in enumerate(stages.items(), start=1):
        print(f"{number}/{len(stages)}  {stage:<18}", end="", flush=True)
        started = time.monotonic()
        log = REPORTS / f"{stage.split('.')[0]}.log"
        with open(log, "w") as output:
            code = subprocess.run(
                [sys.executable, *command],
                cwd=PROJECT,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            ).returncode
        print(f"{time.monotonic() - started:6.1f} s" if code == 0 else "  failed", flush=True)
        if code:
            tail = "\n".join(log.read_text().splitlines()[-12:])
            raise WineError(f"{stage} ended with {code}; the end of {log}:\n{tail}")
    summary = summarise(project)
    summary["seconds"] = round(time.monotonic() - began, 1)
    (REPORTS / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    show(summary)


def summarise(project):
    """What the five parts left in Hopsworks, as plain JSON values."""
    store = project.get_feature_store()
    served = model.served(project)
    spec = json.loads(features.download_text(project, f"{served.model_files_path}/spec.json"))
    now = datetime.datetime.now(datetime.UTC).date()  # a day later than daily.py's, at midnight
    yesterday = now - datetime.timedelta(days=1)
    wine = features.read_from(store, features.DAILY, "day", yesterday).iloc[-1]
    predicted = features.read_from(store, features.PREDICTION, "day", yesterday).iloc[-1]
    return {
        "rows": {
            "raw": len(dataset.read()),
            "clean": len(features.read(store, features.WINE)),
            "balanced": len(features.read(store, features.BALANCED)),
        },
        "model": {"name": spec["model"], "served_version": served.version},
        "metrics": spec["metrics"],
        "todays_wine": json.loads(wine.to_json(date_format="iso")),
        "prediction": json.loads(predicted.to_json(date_format="iso")),
    }


def show(summary):
    """The summary in a few lines."""
    rows, cv, test = summary["rows"], summary["metrics"]["cv"], summary["metrics"]["test"]
    wine, said = summary["todays_wine"], summary["prediction"]
    print(
        f"\nwines      {rows['raw']:,} raw, {rows['clean']:,} distinct, {rows['balanced']:,} balanced"
        f"\nmodel      {summary['model']['name']}, version {summary['model']['served_version']} served"
        f"\npromised   QWK {cv['qwk']:.3f}, accuracy {cv['accuracy']:.3f}, within one {cv['within_one']:.3f}"
        f"\ntest part  QWK {test['qwk']:.3f}, accuracy {test['accuracy']:.3f}, within one {test['within_one']:.3f}"
        f"\ntoday      {wine['wine_id']}, {wine['type']}, label {wine['quality']}: predicted {said['predicted']}"
        f"\nreports    {REPORTS}/train.html and the other notebook, {summary['seconds']:.0f} s in all"
        "\nnext       make apps"
    )


if __name__ == "__main__":
    run(main)

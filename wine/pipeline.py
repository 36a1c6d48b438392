"""All five parts in order, as `make pipeline` runs them, and a summary of what came out.

The model search is the quick one: for all candidates run model_finder.py and train.ipynb again.
Each part is a process of its own, as it would be on another machine. What it prints goes to
reports/, the executed notebooks as HTML beside it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from wine import dataset, features, registry
from wine.cli import run
from wine.connection import connect
from wine.errors import WineError
from wine.groups import BALANCED, DAILY, PREDICTION, WINE
from wine.paths import PROJECT, REPORTS, local_hopsworks
from wine.spec import parse


def notebook(
    name: str,
    folder: str | Path = REPORTS,
    form: Sequence[str] = ("html", "--template", "classic"),
) -> list[str]:
    """Return the command that runs a notebook top to bottom and keeps it in ``folder``.

    Run it in the notebook's folder: that is where the kernel's sockets are.
    """
    return [
        *("-m", "jupyter", "nbconvert", "--execute", name, "--to", *form),
        *("--output-dir", str(folder), "--KernelManager.transport=ipc"),
    ]


@click.command(help=__doc__)
def main() -> None:
    """Run the stages; stop at the first that fails, with the end of its output."""
    # wrong files and a wrong key are reported here, not by a stage's traceback
    dataset.validate(dataset.read())
    project = connect()
    REPORTS.mkdir(exist_ok=True)
    # the same data for every part, whatever folder is current
    env = os.environ | {"HOPSWORKS_LOCAL_ROOT": str(local_hopsworks())}
    stages = {
        "initialize.ipynb": notebook("initialize.ipynb"),
        "model_finder.py": ["model_finder.py", "--quick"],
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
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-12:])
            raise WineError(f"{stage} ended with {code}; the end of {log}:\n{tail}")
    summary = summarise(project)
    summary["seconds"] = round(time.monotonic() - began, 1)
    (REPORTS / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    show(summary)


def summarise(project: Any) -> dict[str, Any]:
    """Return what the five parts left in Hopsworks, as plain JSON values."""
    store = project.get_feature_store()
    served = registry.served(project)
    spec = parse(features.download_text(project, f"{served.model_files_path}/spec.json") or "")
    daily, predictions = (features.read(store, group) for group in (DAILY, PREDICTION))
    return {
        "rows": {
            "raw": len(dataset.read()),
            "clean": len(features.read(store, WINE)),
            "balanced": len(features.read(store, BALANCED)),
            "daily": len(daily),
        },
        "model": {"name": spec.model, "served_version": served.version},
        "metrics": spec.metrics.model_dump(),
        "last_wine": json.loads(daily.iloc[-1].to_json(date_format="iso")),
        "prediction": json.loads(predictions.iloc[-1].to_json(date_format="iso")),
    }


def show(summary: dict[str, Any]) -> None:
    """Print the summary in a few lines."""
    rows, metrics = summary["rows"], summary["metrics"]
    wine, prediction = summary["last_wine"], summary["prediction"]
    lines = {
        "wines": f"{rows['raw']:,} raw, {rows['clean']:,} distinct, {rows['balanced']:,} balanced",
        "model": f"{summary['model']['name']}, version {summary['model']['served_version']} served",
        "unseen wines": scores(metrics["cv"]),
        "held-out test set": scores(metrics["test"]),
        "wines from another part": scores(metrics["elsewhere"]),
        f"daily wine {wine['wine_id']}": f"{wine['type']}, reference grade "
        f"{wine['reference_grade']}, predicted {prediction['predicted_grade']}",
        "reports": f"{REPORTS}/train.html and initialize.html, {summary['seconds']:.0f} s in all",
        "next": "make apps",
    }
    print()
    for name, text in lines.items():
        print(f"{name:<24}{text}")


def scores(metrics: dict[str, float]) -> str:
    """Return the metrics that a person looks at first, as text."""
    return (
        f"accuracy {metrics['accuracy']:.3f}, within one grade {metrics['within_one']:.3f}, "
        f"QWK {metrics['qwk']:.3f}, RMSE {metrics['rmse']:.3f}"
    )


if __name__ == "__main__":
    run(main)

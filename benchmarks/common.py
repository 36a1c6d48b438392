"""What the benchmarks share: the wines, programs that never reach a cluster, and kept results."""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from wine import dataset
from wine.prepare import distinct_wines
from wine.split import folds

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def wines():
    """Return all 5,320 distinct wines with group and split, straight from the raw files."""
    return distinct_wines(dataset.read())


def p1_folds(frame, repeats=2):
    """Protocol P1's folds on the whole data: int array (repeats, n)."""
    return folds(frame, repeats=repeats)


def our_pick():
    """The configuration that the finder chose in the last full search, a row of its leaderboard."""
    return json.loads((RESULTS / "finder" / "best.json").read_text())


def paired(model, other):
    """By how much a model's metrics differ from another's on the same wines, and how sure that is.

    Both are what ``wine.evaluation.evaluate`` returned for the same truth and folds. Returns
    {metric: {"difference": the model's minus the other's, "se": its bootstrap standard error}}; the
    errors are smaller than the models' own, since a wine hard for one is hard for the other.
    """
    (metrics, draws), (others, other_draws) = model, other
    errors = (draws - other_draws).std(ddof=1)
    return {
        metric: {"difference": metrics[metric] - others[metric], "se": float(errors[metric])}
        for metric in ("qwk", "accuracy", "rmse")
    }


def paired_text(difference, digits=3):
    """Return one metric of ``paired`` as text; empty where a model is compared with itself."""
    value, error = difference["difference"], difference["se"]
    return f"{value:+.{digits}f} ± {error:.{digits}f}" if error else ""


def hopsworks_data():
    """The folder with the local Hopsworks that the pipeline left; ends the program without one."""
    data = Path(os.environ.get("HOPSWORKS_LOCAL_ROOT") or ROOT / ".hopsworks").resolve()
    if not data.is_dir():
        sys.exit("error: no local Hopsworks here: run `make pipeline` first")
    return data


def local_env(data):
    """The variables of a program that is to use the local Hopsworks in the folder ``data``.

    They are this shell's, without any that could lead to a cluster, change what the programs do
    or write to a job's page on GitHub.
    """
    ours = ("HOPSWORKS_", "WINE_", "GITHUB_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return env | {"HOPSWORKS_LOCAL_ROOT": str(data)}


def size_mb(folder):
    """The size of all files below a folder, in MB; a link counts as nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return round(sum(path.stat().st_size for path in files) / 1e6)


def packages(environment):
    """How many packages a virtual environment has, pip among them."""
    pip = [environment / "bin/python", "-m", "pip", "--disable-pip-version-check"]
    listed = subprocess.run([*pip, "list", "--format=json"], check=True, capture_output=True)
    return len(json.loads(listed.stdout))


def machine():
    """The machine, as far as a reader must know it to compare."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
    }


def versions(*names):
    """The versions of installed packages by name; PackageNotFoundError for one that is not.

    ``xgboost`` is that of xgboost-cpu where only that is there: the same program.
    """
    there = {found.metadata["Name"] for found in importlib.metadata.distributions()}
    called = {"xgboost": "xgboost" if "xgboost" in there else "xgboost-cpu"}
    return {name: importlib.metadata.version(called.get(name, name)) for name in names}


def commit():
    """The commit that is checked out, shortened; None when this is no checkout."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() or None


def keep(name, result, table=None):
    """Write results/NAME.json and, with ``table`` (a DataFrame), results/NAME.md; print the last of them.

    The JSON says which commit was measured. ValueError for NaN and Infinity, which are no JSON.
    """
    text = json.dumps({"commit": commit()} | result, indent=2, allow_nan=False) + "\n"
    replace(RESULTS / f"{name}.json", text)
    if table is not None:
        text = markdown(table)
        replace(RESULTS / f"{name}.md", text)
    print(text)


def replace(path, text):
    """Give a file a new content, or leave it as it was: a program that is stopped leaves no half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def markdown(table):
    """A DataFrame as a Markdown table."""
    rows = [list(table.columns), ["---"] * len(table.columns), *table.astype(str).to_numpy()]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows) + "\n"

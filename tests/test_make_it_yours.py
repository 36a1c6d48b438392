"""docs/make-it-yours.md holds: its snippets, applied to a copy of the project, and all five parts."""

import hashlib
import json
import re
import shutil
from dataclasses import replace

import pytest

from tests.apps.conftest import load, model_folder
from tests.processes import REPOSITORY
from wine import dataset
from wine.columns import NAMES
from wine.groups import DAILY

PAGE = (REPOSITORY / "docs/make-it-yours.md").read_text()
MEASUREMENT, MODEL, SCORE, BETTER = re.findall(r"```python\n(.*?)```", PAGE, re.S)
(IMPORT,) = re.findall(r"`(from sklearn.*?)`", PAGE)


def insert(path, before, text):
    """Put ``text`` before the one place where ``before`` stands."""
    code = path.read_text()
    assert code.count(before) == 1, (path, before)
    path.write_text(code.replace(before, text + before))


@pytest.fixture
def mine(empty_pipeline, raw, tmp_path):
    """The project with one measurement, model and metric more, and the wines to go with it."""
    root = shutil.copytree(empty_pipeline.root, tmp_path / "mine")
    insert(root / "wine/columns.py", ")  # fmt: skip\n\nNAMES", MEASUREMENT)
    insert(root / "wine/candidates.py", ")\nBY_NAME", MODEL)
    insert(root / "wine/candidates.py", "from sklearn.neighbors", f"{IMPORT}\n")
    insert(root / "wine/metrics.py", '        "r2": float(', SCORE)
    insert(root / "wine/metrics.py", '    "r2": True', BETTER)
    bound = raw["total_sulfur_dioxide"] - raw["free_sulfur_dioxide"]
    wines = raw.assign(bound_sulfur_dioxide=bound)[
        [*NAMES, "bound_sulfur_dioxide", "quality", "type"]
    ]
    code = (root / "wine/dataset.py").read_text()
    for file, checksum in dataset.SHA256.items():
        rows = wines[wines["type"] == file.removesuffix(".csv").removeprefix("winequality-")]
        rows = rows.drop(columns="type").rename(columns=lambda name: name.replace("_", " "))
        rows.to_csv(root / "dataset" / file, sep=";", index=False)
        new = hashlib.sha256((root / "dataset" / file).read_bytes()).hexdigest()
        code = code.replace(checksum, new)
    (root / "wine/dataset.py").write_text(code)
    env = empty_pipeline.env | {"HOPSWORKS_LOCAL_ROOT": str(tmp_path / "hopsworks")}
    return replace(empty_pipeline, root=root, store=tmp_path / "hopsworks", env=env)


def test_one_measurement_one_model_and_one_metric_more(mine, reader):
    for command in (
        mine.notebook("initialize.ipynb"),
        ("model_finder.py", "--quick", "--only", "elastic net"),
        mine.notebook("train.ipynb"),
        ("daily.py",),
        ("inference.py",),
    ):
        done = mine.run(*command)
        assert done.returncode == 0, done.stderr

    best = json.loads((mine.root / "model_finder_results/best.json").read_text())
    assert best["name"] == "elastic net"
    assert best["largest_error"] > best["rmse"]
    assert best["se"]["largest_error"] > 0

    served = load("predictor", "served").Served(model_folder(mine), 1, None)
    assert served.names == [*NAMES, "bound_sulfur_dioxide"], (
        "what the predictor draws its form from"
    )
    wine = served.typical("red")
    moved = served.explain(wine | {"bound_sulfur_dioxide": wine["bound_sulfur_dioxide"] + 50})
    assert moved["effects"]["bound_sulfur_dioxide"] != 0

    (daily,) = reader(mine).read(DAILY).to_dict("records")
    assert 0 <= daily["bound_sulfur_dioxide"] <= 600

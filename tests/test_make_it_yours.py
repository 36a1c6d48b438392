"""docs/make-it-yours.md holds: its snippets, applied to a copy of the project, and all five parts."""

import hashlib
import json
import re
import shutil
from dataclasses import replace

import pytest

import hopsworks_local
from apps.assemble import assemble, sources
from tests.processes import REPOSITORY, succeeded
from wine import dataset
from wine.columns import NAMES
from wine.pipeline import notebook

PAGE = (REPOSITORY / "docs/make-it-yours.md").read_text()
MEASUREMENT, MODEL, SCORE, NAME = re.findall(r"```python\n(.*?)```", PAGE, re.S)
(IMPORT,) = re.findall(r"`(from sklearn.*?)`", PAGE)
SERVED = """
import json
from wine import features, model, registry
from wine.connection import connect
from wine.groups import DAILY
project = connect()
fitted, spec = registry.load(registry.served(project))
wines = model.example_frame(spec)
more = wines.assign(bound_sulfur_dioxide=wines["bound_sulfur_dioxide"] + 50)
scores = [model.predict(fitted, spec, each)[1] for each in (wines, more)]
daily = features.read(project.get_feature_store(), DAILY)["bound_sulfur_dioxide"]
print(json.dumps({
    "columns": [column.name for column in spec.columns],
    "moved": bool((scores[0] != scores[1]).all()),
    "error": spec.metrics.cv["largest_error"] > spec.metrics.cv["rmse"],
    "daily": bool(daily.between(0, 600).all()),
}))
"""
PREDICTOR = """
import json, page, served
from live import connect
served = served.latest(connect(), None)
wine = served.typical("red")
more = wine | {"bound_sulfur_dioxide": wine["bound_sulfur_dioxide"] + 50}
scores = [answer["predicted_score"] for answer in page.as_json(served, [wine, more])]
print(json.dumps({
    "field": 'id="n-bound_sulfur_dioxide"' in page.form(served, wine, {}),
    "curve": "Bound sulphur dioxide" in page.what_if(served, wine, "bound_sulfur_dioxide"),
    "moved": scores[0] != scores[1],
}))
"""


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
    insert(root / "wine/metrics.py", '    "r2": (-math', NAME)
    bound = raw["total_sulfur_dioxide"] - raw["free_sulfur_dioxide"]
    wines = raw.assign(bound_sulfur_dioxide=bound)
    wines = wines[[*NAMES, "bound_sulfur_dioxide", "quality", "type"]]
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


@pytest.mark.slow
def test_one_measurement_one_model_and_one_metric_more(mine):
    for command in (
        notebook("initialize.ipynb", "reports"),
        ("model_finder.py", "--quick", "--only", "elastic net"),
        notebook("train.ipynb", "reports"),
        ("daily.py",),
        ("inference.py",),
    ):
        done = mine.run(*command)
        assert done.returncode == 0, done.stderr

    best = json.loads((mine.root / "model_finder_results/best.json").read_text())
    assert best["name"] == "elastic net"
    assert best["largest_error"] > best["rmse"]
    assert best["se"]["largest_error"] > 0
    served = json.loads(succeeded(mine.run("-c", SERVED)).splitlines()[-1])
    columns = [*NAMES, "bound_sulfur_dioxide"]
    assert served == {"columns": columns, "moved": True, "error": True, "daily": True}

    space = assemble(sources("predictor", mine.root), mine.store.parent / "space")
    with hopsworks_local.start(mine.store, "wine") as server:
        done = mine.run("-c", PREDICTOR, cwd=space, variables=server.env)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.splitlines()[-1])
    assert shown == {"field": True, "curve": True, "moved": True}

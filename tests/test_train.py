"""train.ipynb run again: what is worse is not served, what is as good is, daily wines and all."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from wine import evaluation, features, model
from wine.balance import balance
from wine.groups import BALANCED, DAILY

SMOTE = "extra trees + SMOTE"


@pytest.fixture
def train(young, tmp_path):
    """Runs train.ipynb with a candidate, in a copy of the project; gives what it showed."""
    root = tmp_path / "project"
    shutil.copytree(young.root, root)
    young = replace(young, root=root)
    for command in (
        ("daily.py",),
        ("model_finder.py", "--quick", "--only", "dummy", "--only", "ridge", "--only", SMOTE),
    ):
        assert young.run(*command).returncode == 0
    results = root / "model_finder_results"
    rows = json.loads((results / "leaderboard.json").read_text())["rows"]
    found = json.loads((results / "best.json").read_text())
    text = (root / "train.ipynb").read_text()
    assert text.count("include_daily = False") == 1

    def run(candidate, *, include_daily):
        best = next(row for row in rows if row["name"] == candidate)
        (results / "best.json").write_text(json.dumps(found | best))
        asked = text.replace("include_daily = False", f"include_daily = {include_daily}")
        (root / "train.ipynb").write_text(asked)
        done = young.run(*young.notebook("train.ipynb"))
        assert done.returncode == 0, done.stderr
        return (root / "reports" / "train.html").read_text()

    return run


def test_what_is_worse_is_registered_but_not_served_and_what_is_as_good_is(
    train, young, wines, reader, tmp_path
):
    shown = train("ridge", include_daily=False)
    assert "no model judged by these wines is served yet: this one will be" in shown
    assert "worse: registered, but not served" in train("dummy", include_daily=False)
    features.write(reader(young).store, BALANCED, balance(wines[wines["split"] == "train"]))
    shown = train(SMOTE, include_daily=True)
    assert "against version 1 on 4,255 wines" in shown, "not against version 2, which nobody serves"
    assert "4,255 training wines, 1,065 locked away, 1 daily wines to train on" in shown

    hopsworks = reader(young)
    registry = hopsworks.project.get_model_registry()
    versions = [registry.get_model(model.NAME, version) for version in (1, 2, 3)]
    assert [one.training_metrics.get(model.APPROVED) for one in versions] == [1, None, 3]
    assert model.served(hopsworks.project).version == 3
    balanced = 7 * wines["quality"].value_counts().max()
    assert [one.description for one in versions] == [
        "ridge, fitted on 5,320 wines",
        "dummy, fitted on 5,320 wines, worse than the version before and not served",
        f"{SMOTE}, fitted on {balanced + len(hopsworks.read(DAILY)):,} wines",
    ]

    # a wine is the same one only with the same measurements and the same grade
    files = Path(model.download(model.served(hopsworks.project), tmp_path / "served"))
    again = pd.read_csv(files / "out_of_fold.csv")
    same = evaluation.compare_with_served(hopsworks.project, again, wines)
    assert (same["wines"], same["difference"], same["worse"]) == (4255, 0, False)
    other = wines.copy()
    other.loc[other["wine_id"] == again["wine_id"][0], "alcohol"] += 0.1
    other.loc[other["wine_id"] == again["wine_id"][1], "quality"] = 3
    assert evaluation.compare_with_served(hopsworks.project, again, other)["wines"] == 4253
    assert evaluation.compare_with_served(hopsworks.project, again, wines.assign(ph=4.9)) is None

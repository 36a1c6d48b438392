"""Training as code: what is worse is not served, what is as good is, daily wines and all."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from tests import processes
from tests.conftest import CHOSEN
from wine import features, model, registry, serving, train
from wine.columns import FEATURES
from wine.errors import BadInput, WineError
from wine.generator import generate
from wine.groups import DAILY, WINE
from wine.train import compare_with_served, load, register, verdict


def choose(hopsworks, folder, text=None):
    """Put a best.json into Hopsworks, as model_finder.py does."""
    text = json.dumps(CHOSEN) if text is None else text
    file = folder / "best.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    features.upload(hopsworks.project, [file], "Resources/model_finder")


def noisy(trained, noise):
    """Return the same Training with worse out-of-fold scores, and its own answers."""
    random = np.random.default_rng(0)
    scores = trained.cv.scores + random.normal(0, noise, trained.cv.scores.shape)
    return dataclasses.replace(trained, cv=dataclasses.replace(trained.cv, scores=scores))


@pytest.mark.uci
def test_what_is_worse_is_registered_but_not_served_and_what_is_as_good_is(young, reader, trained):
    project = reader(young).project
    wines, known = len(trained.data.wines), len(trained.data.train)
    assert compare_with_served(project, trained) is None
    assert verdict(None).endswith(": it will be served")
    register(project, trained, None)

    worse = compare_with_served(project, noisy(trained, 0.2))
    assert (worse.version, worse.wines, worse.worse) == (1, known, True)
    assert 0 < worse.low < worse.difference < worse.high
    assert "worse: registered, but not served" in verdict(worse)
    register(project, trained, worse)
    assert registry.served(project).version == 1

    same = compare_with_served(project, trained)
    assert (same.version, same.wines, same.difference, same.worse) == (1, known, 0, False)
    assert verdict(same).startswith(f"against version 1 on {known} wines: RMSE +0.0000 (95 %: ")
    data = dataclasses.replace(trained.data, daily=trained.data.test)
    served = register(project, dataclasses.replace(trained, data=data), same)
    assert registry.served(project).version == served.version == 3

    versions = [
        project.get_model_registry().get_model(serving.NAME, number) for number in (1, 2, 3)
    ]
    assert [version.training_metrics.get(serving.APPROVED) for version in versions] == [1, None, 1]
    texts = [version.description.split("; ")[0] for version in versions]
    assert texts == [
        f"ridge, fitted on {wines:,} wines",
        f"ridge, fitted on {wines:,} wines, worse than the served version",
        f"ridge, fitted on {2 * wines - known:,} wines",
    ]

    # a wine is the same one only with the same measurements and the same grade
    other = trained.data.train.copy()
    other.loc[0, "alcohol"] += 0.1
    other.loc[1, "quality"] = 3
    for changed, left in ((other, known - 2), (other.assign(ph=4.9), None)):
        data = dataclasses.replace(trained.data, train=changed)
        result = compare_with_served(project, dataclasses.replace(trained, data=data))
        assert (result and result.wines) == left

    for approved in (versions[0], versions[2]):
        approved.delete()
    with pytest.raises(serving.NothingServed):
        registry.served(project)


def test_a_served_model_that_cannot_be_read_is_replaced(young, reader, trained, capsys):
    project = reader(young).project
    of_other_columns = trained.spec.model_copy(update={"features": FEATURES[1:]})
    first = register(project, dataclasses.replace(trained, spec=of_other_columns), None)
    assert compare_with_served(project, trained) is None
    assert "no comparison with version 1: the model's spec.json is not valid (features" in (
        capsys.readouterr().out
    )
    project.get_dataset_api().remove(f"{first.model_files_path}/wines.csv")  # and damaged
    assert compare_with_served(project, trained) is None
    assert "no comparison with version 1: the model's wines.csv is missing" in (
        capsys.readouterr().out
    )
    register(project, trained, None)
    assert registry.load(registry.served(project))[1].features == FEATURES


def test_the_program_trains_as_train_ipynb_does(empty_pipeline, reader, trained, tmp_path):
    hopsworks = reader(empty_pipeline.copy(tmp_path / "few"))
    features.write(hopsworks.store, WINE, trained.data.wines)
    choose(hopsworks, tmp_path)
    printed = hopsworks.run(train)
    assert "ridge, chosen by model_finder.py on 2026-11-23 10:00 UTC\n" in printed
    assert printed.endswith("registered wine_quality version 1\n")
    for part in ("cv", "test", "elsewhere"):
        rmse = getattr(trained.spec.metrics, part)["rmse"]
        assert f"{part:<10} RMSE {rmse:.3f}  QWK " in printed
    _, spec = registry.load(registry.served(hopsworks.project))
    assert spec.model_copy(update={"sha256": {}}) == trained.spec


def test_daily_wines_are_trained_on_when_asked(young, reader, trained, tmp_path):
    hopsworks = reader(young)
    choose(hopsworks, tmp_path)
    days = pd.date_range("2025-01-01", periods=30).date
    made = pd.DataFrame([generate(day, trained.data.train) for day in days])
    of_a_test_wine = made.tail(1).assign(
        wine_id="2025-02-01",
        day=pd.Timestamp("2025-02-01"),
        source_id=trained.data.test["wine_id"][0],
    )
    features.write(hopsworks.store, DAILY, pd.concat([made, of_a_test_wine]))
    assert load(hopsworks.project).daily is None
    data = load(hopsworks.project, include_daily=True)
    assert data.daily["quality"].tolist() == made["reference_grade"].tolist()
    fitted = train.fit(data.candidate, data.wines, data.daily)
    x = model.encode(data.wines)
    assert not np.allclose(fitted.predict(x), trained.model.predict(x))


def test_a_choice_that_is_damaged_missing_or_no_candidate_is_one_clear_line(
    empty_pipeline, reader, tmp_path
):
    hopsworks = reader(empty_pipeline.copy(tmp_path / "empty"))
    damaged = r"best\.json in Hopsworks \(.*\) is damaged: run model_finder\.py again"
    for text in ("", "{}", "null", b"\xff\xfe", json.dumps(CHOSEN | {"members": 7})):
        choose(hopsworks, tmp_path, text)
        with pytest.raises(WineError, match=damaged) as error:
            load(hopsworks.project)
        assert "\n" not in str(error.value)
    choose(hopsworks, tmp_path, json.dumps(CHOSEN | {"name": "gone"}))
    with pytest.raises(BadInput, match=r"best\.json names 'gone'"):
        load(hopsworks.project)
    hopsworks.project.get_dataset_api().remove("Resources/model_finder")
    with pytest.raises(WineError, match=r"no Resources/model_finder/best\.json in .*: run model_f"):
        load(hopsworks.project)
    with pytest.raises(WineError, match=r"no Resources/model_finder/leaderboard\.json in"):
        train.leaderboard(hopsworks.project)
    file = tmp_path / "leaderboard.json"
    for text in ("", "[]", "{}", '{"rows": [{"name": "ridge"}]}'):
        file.write_text(text)
        features.upload(hopsworks.project, [file], "Resources/model_finder")
        with pytest.raises(
            WineError, match=r"leaderboard\.json in .* is damaged: run model_finder"
        ):
            train.leaderboard(hopsworks.project)


@pytest.mark.slow
@pytest.mark.uci
def test_the_program_and_the_notebook_register_the_same(pipeline_root, reader, tmp_path, wines):
    pipeline = pipeline_root.copy(tmp_path / "copy")
    printed = processes.succeeded(pipeline.run("-m", "wine.train", timeout=580))
    assert "against version 1 on 4,255 wines: RMSE +0.0000" in printed
    assert "registered wine_quality version 2\n" in printed
    registered = reader(pipeline).project.get_model_registry()
    versions = [registered.get_model(serving.NAME, number) for number in (1, 2)]
    (by_notebook, spec), (by_program, again) = map(registry.load, versions)
    assert versions[0].training_metrics == versions[1].training_metrics
    own = {"sha256": {}, "fitted": spec.fitted}
    assert again.model_copy(update=own) == spec.model_copy(update=own)
    assert (
        model.predict(by_program, again, wines)[1] == model.predict(by_notebook, spec, wines)[1]
    ).all()

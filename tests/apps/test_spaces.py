"""Each Space alone: its own files, in an environment of its own requirements, used in a browser."""

import subprocess
import sys

import pandas as pd
import pytest
from playwright.sync_api import expect

import hopsworks_local
from tests.apps.conftest import UPLOADED, predictions, project_of
from tests.processes import REPOSITORY
from wine import features
from wine.columns import FEATURES
from wine.groups import DAILY, PREDICTION

pytestmark = pytest.mark.slow  # it installs each Space's requirements


@pytest.fixture(scope="module")
def server(served_pipeline, year, tmp_path_factory):
    """A Hopsworks with a served model and a year of predicted daily wines."""
    pipeline = served_pipeline.copy(tmp_path_factory.mktemp("spaces") / "hopsworks")
    with project_of(pipeline) as project:
        store = project.get_feature_store()
        features.write(store, DAILY, year[list(DAILY.columns)])
        features.write(store, PREDICTION, predictions(year, year["predicted_grade"]))
    with hopsworks_local.start(pipeline.store, "wine") as server:
        yield server


@pytest.fixture
def opened_space(server, start_app, open_page, tmp_path):
    """Opens the page of a Space that runs in a new environment with its requirements alone."""

    def opened(name):
        requirements = REPOSITORY / f"apps/{name}/requirements.txt"
        environment = tmp_path / "environment"
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--python", sys.executable, environment], check=True)
        python = environment / "bin/python"
        subprocess.run([*uv, "pip", "install", "--python", python, "-r", requirements], check=True)
        app = start_app(name, python=python, **server.env).wait()
        return open_page(app.url, expected=UPLOADED)

    return opened


def test_the_predictor_alone_grades_a_wine_and_a_file(opened_space, trained, raw, tmp_path):
    page = opened_space("predictor")
    score = page.locator("#result .expected")
    expect(score).to_be_visible(timeout=60_000)
    before = score.inner_text()
    page.locator("#n-alcohol").fill("13.2")
    expect(score).not_to_have_text(before)
    page.get_by_label("What if one measurement were different?").select_option("Sulphates")
    expect(page.locator("#what-if p")).to_contain_text("g/dm³, score ")
    raw.head(20)[[*FEATURES]].to_csv(tmp_path / "wines.csv", index=False, sep=";", decimal=",")
    page.get_by_role("tab", name="Many wines").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "wines.csv")
    expect(page.locator("#graded h2").first).to_have_text("20 of 20 wines graded")
    with page.expect_download() as given:
        page.get_by_role("button", name="Download the graded wines").click()
    answer = pd.read_csv(given.value.path(), sep=";", decimal=",")
    assert answer["predicted_grade"].between(3, 9).all()


def test_the_monitor_alone_shows_every_window(opened_space):
    page = opened_space("monitor")
    for days in (30, 90, 365):
        page.get_by_text(f"{days} days", exact=True).click(timeout=60_000)
        expect(page.locator(".sentence")).to_contain_text(f"of {days} daily wines")
        expect(page.locator("table.wines tbody tr")).to_have_count(days)
    expect(page.locator(".chart svg.marks")).to_have_count(2)

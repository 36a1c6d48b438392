"""The predictor as a service: its API, new versions of the model, and life without Hopsworks."""

import ast
import json
import subprocess
import sys

import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

import hopsworks_local
from tests.apps.conftest import answer_of, assert_accessible, model_folder
from wine import model
from wine.columns import FEATURES, GRADES


@pytest.fixture(scope="module")
def client(predictor):
    """A client of the API."""
    return Client(predictor.url, verbose=False)


@pytest.fixture(scope="module")
def post(predictor):
    """Asks as curl does: returns the event's name and its data."""

    def post(wine):
        url = f"{predictor.url}/gradio_api/call/predict"
        event = requests.post(url, json={"data": [wine]}, timeout=30).json()["event_id"]
        event, data = requests.get(f"{url}/{event}", timeout=30).text.strip().split("\n")
        return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    return post


def test_the_api_answers_as_wine_model_does(client, post, fitted, wines):
    sample = wines[[*FEATURES]].sample(12, random_state=4)
    grades, expected, chances = model.predict(*fitted, sample)
    for place, wine in enumerate(sample.to_dict("records")):
        answer = client.predict(wine=wine, api_name="/predict")
        assert answer["grade"] == grades[place]
        assert answer["expected"] == pytest.approx(expected[place])
        assert list(answer["probabilities"]) == [str(grade) for grade in GRADES]
        assert list(answer["probabilities"].values()) == pytest.approx(chances[place].tolist())
        assert sum(answer["probabilities"][str(g)] for g in answer["grade_set"]) > 0.5
        assert answer["notes"] == []
        assert answer["model_version"] == 1
        assert post(wine) == ("complete", [answer])


def test_the_api_offers_predict_alone(client, predictor):
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/predict"]


def test_the_api_says_what_is_wrong(client, post, fitted, predictor):
    wine = {name: fitted[1]["examples"][0][name] for name in FEATURES}
    for changes, said in [
        ({"alcohol": None}, "Alcohol is empty: give a number in % vol."),
        ({"alcohol": "much"}, "Alcohol is “much”: give a number in % vol."),
        ({"ph": -3}, "pH is -3: it cannot be negative."),
        ({"ph": 9}, "pH is 9: a table wine has 2 to 5."),
        ({"type": "rosé"}, "Type is “rosé”: give red or white."),
        ({"colour": "red", "price": 9}, "A wine has no colour, price."),
        (
            {"free_sulfur_dioxide": 99},
            "Free sulphur dioxide 99 mg/dm³ is above the total of 12 mg/dm³, of which it is a part.",
        ),
    ]:
        event, data = post(wine | changes)
        assert (event, data["error"]) == ("error", said)
    with pytest.raises(
        AppError, match=r"Fixed acidity is empty.* Alcohol is empty.* Type is empty"
    ):
        client.predict(wine={}, api_name="/predict")
    with pytest.raises(AppError, match="Give the wine as an object"):
        client.predict(wine=[1, 2], api_name="/predict")
    beyond = client.predict(wine=wine | {"alcohol": 16}, api_name="/predict")
    assert beyond["notes"] == [
        "Alcohol 16 % vol is above anything the model has seen (8 to 14.9 % vol): the grade is a "
        "guess there."
    ]
    assert "Traceback" not in predictor.output


def test_the_examples_on_the_page_run_as_they_stand(open_page, predictor, fitted):
    page = open_page(predictor.url)
    page.get_by_role("tab", name="From a program").click(timeout=20_000)
    python, curl, answer = (
        page.get_by_label(label, exact=True).inner_text()
        for label in ("Python example", "curl example", "the answer")
    )
    shown = json.loads(answer)

    def run(*command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    by_python = ast.literal_eval(run(sys.executable, "-c", python))
    event, data = run("sh", "-c", curl).strip().split("\n")
    assert event == "event: complete"
    assert json.loads(data.removeprefix("data: ")) == [by_python]
    for key in ("grade", "grade_set", "notes", "model_version"):
        assert by_python[key] == shown[key]
    assert by_python["expected"] == pytest.approx(shown["expected"], abs=5e-4)
    assert by_python["probabilities"] == pytest.approx(shown["probabilities"], abs=5e-4)
    typical = {c["name"]: c["typical"]["red"] for c in fitted[1]["columns"]} | {"type": "red"}
    grade, expected = answer_of(fitted, typical)
    assert (by_python["grade"], by_python["expected"]) == (grade, pytest.approx(expected))


# two versions that grade every wine 3: the first is to be served, the second, newer, is not
REGISTER = """
import json, pathlib, tempfile
import pandas as pd
from wine import model
from wine.connection import connect

project = connect()
with tempfile.TemporaryDirectory() as folder:
    files = pathlib.Path(model.download(model.served(project), folder))
    spec = json.loads((files / "spec.json").read_text())
    spec["cuts"] = [cut + 10 for cut in spec["cuts"]]
    for column in spec["columns"]:  # so that the form is another, too
        column["typical"] = {kind: value * 1.01 for kind, value in column["typical"].items()}
    for name, approved in [("a stern taster", True), ("not good enough", False)]:
        (files / "spec.json").write_text(json.dumps(spec | {"model": name}))
        model.register(project, files, metrics={}, wines=pd.read_csv(files / "wines.csv"),
                       approved=approved, description="grades every wine 3")
"""


def test_a_newly_approved_version_answers_without_a_restart_and_outlives_hopsworks(
    open_page, start_app, pipeline_root, fitted, tmp_path
):
    pipeline = pipeline_root.copy(tmp_path / "hopsworks")
    with hopsworks_local.start(pipeline.store, "wine") as server:
        app = start_app("predictor", **server.env).wait()
        page = open_page(app.url)
        grade, version = page.locator("#result .grade"), page.locator("#head .version")
        expect(version).to_contain_text("Model version 1 ", timeout=20_000)
        page.get_by_label("white", exact=True).check()
        page.locator("#n-alcohol").fill("12.75")
        red = {c["name"]: c["typical"]["red"] for c in fitted[1]["columns"]}
        before, expected = answer_of(fitted, red | {"type": "white", "alcohol": 12.75})
        expect(page.locator("#result .expected")).to_have_text(f"{expected:.2f}")
        expect(grade).to_have_attribute("data-grade", str(before))

        done = pipeline.run("-c", REGISTER)
        assert done.returncode == 0, done.stderr
        expect(version).to_contain_text("Model version 2 (a stern taster)", timeout=20_000)
        # what was typed stays, and is graded by the new version
        expect(grade).to_have_attribute("data-grade", "3")
        expect(page.locator("#n-alcohol")).to_have_value("12.75")
        assert float(page.locator("#n-fixed_acidity").input_value()) == red["fixed_acidity"]
        expect(page.get_by_label("white", exact=True)).to_be_checked()
        expect(page.locator("#result .expected")).to_have_text(f"{expected:.2f}")
        client = Client(app.url, verbose=False)
        wine = json.loads(page.locator(".example").first.get_attribute("data-wine"))
        assert client.predict(wine=wine, api_name="/predict")["model_version"] == 2

    # the server has ended
    expect(page.locator("#head .banner")).to_contain_text(
        "127.0.0.1 cannot be reached. The model read at", timeout=30_000
    )
    expect(version).to_contain_text("Model version 2 ")
    page.locator("#n-alcohol").fill("9")
    expect(page.locator("#result .expected")).not_to_have_text(f"{expected:.2f}")
    expect(grade).to_have_attribute("data-grade", "3")
    assert_accessible(page)
    page.close()
    app.stop()


def test_without_a_model_the_page_says_what_to_do(
    open_page, start_app, hopsworks, pipeline_root, tmp_path
):
    damaged = pipeline_root.copy(tmp_path / "damaged")
    with open(model_folder(damaged) / "wines.csv", "a") as file:
        file.write("\n")
    with (
        hopsworks_local.start(tmp_path / "empty", "wine") as empty,
        hopsworks_local.start(damaged.store, "wine") as altered,
    ):
        not_connected = {
            "HOPSWORKS_API_KEY is not set.": start_app("predictor"),
            "127.0.0.1 refused the API key: check HOPSWORKS_API_KEY and its scopes.": start_app(
                "predictor", **hopsworks.env | {"HOPSWORKS_API_KEY": "0123456789abcdef.refused"}
            ),
        }
        nothing = {
            "The model registry has no approved version of wine_quality yet: train.ipynb makes one.": (
                start_app("predictor", **empty.env)
            ),
            "Version 1's wines.csv is not the file that was registered, so the model is not loaded.": (
                start_app("predictor", **altered.env)
            ),
        }
        for said, app in (not_connected | nothing).items():
            app.wait()
            page = open_page(app.url)
            expect(page.locator("#head .banner")).to_contain_text(said, timeout=20_000)
            headings = page.get_by_role("heading").all_inner_texts()
            if app in nothing.values():
                assert headings == ["No model to show yet"]
                expect(page.locator("#head .banner")).to_have_text(said)
            else:
                assert headings == ["How to connect"]
                expect(page.locator("#head .banner.bad")).to_contain_text("Not connected")
            expect(page.get_by_role("tab", name="One wine")).to_be_hidden()
            assert_accessible(page)
            with pytest.raises(AppError, match="There is no model yet"):
                Client(app.url, verbose=False).predict(wine={}, api_name="/predict")
            assert app.process.poll() is None
            page.close()
            app.stop()

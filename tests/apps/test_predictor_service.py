"""The predictor as a service: its API, new versions of the model, and times without Hopsworks."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import requests
from gradio_client import Client
from gradio_client.exceptions import AppError
from playwright.sync_api import expect

import hopsworks_local
from tests.apps.conftest import (
    answer_of,
    assert_accessible,
    assert_readable,
    connected,
    load,
    model_folder,
    opened,
    project_of,
)
from wine import model, registry
from wine.columns import FEATURES, GRADES


@pytest.fixture(scope="module")
def client(predictor):
    """A client of the API."""
    return Client(predictor.url, verbose=False)


@pytest.fixture(scope="module")
def post(predictor):
    """Calls the API as curl does: returns the event's name and its data."""

    def post(call, wine):
        url = f"{predictor.url}/gradio_api/call/{call}"
        event = requests.post(url, json={"data": [wine]}, timeout=30).json()["event_id"]
        event, data = requests.get(f"{url}/{event}", timeout=30).text.strip().split("\n")
        return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))

    return post


SENTENCE = re.compile(r"[A-Z].{10,300}[.!]")


def test_the_api_answers_as_wine_model_does(client, post, predictor, wines):
    sample = wines[[*FEATURES]].sample(4, random_state=4).to_dict("records")
    served = predictor.served
    grades, scores, chances = model.predict(served.model, served.spec, pd.DataFrame(sample))
    for place, wine in enumerate(sample):
        answer = client.predict(wine=wine, api_name="/predict")
        assert answer["grade"] == grades[place]
        assert answer["predicted_score"] == pytest.approx(scores[place])
        assert list(answer["probabilities"]) == [str(grade) for grade in GRADES]
        assert list(answer["probabilities"].values()) == pytest.approx(chances[place].tolist())
        assert sum(answer["probabilities"][str(g)] for g in answer["likely_grades"]) > 0.5
        assert answer["outside_data"] == bool(answer["notes"])
        assert answer["nearest_wine"]["wine_id"] == served.nearest(wine).iloc[0]["wine_id"]
        assert answer["model_version"] == 1
        assert post("predict", wine) == ("complete", [answer])
    assert client.predict(wines=sample, api_name="/predict_many") == [
        {**client.predict(wine=wine, api_name="/predict"), **rounded(answer)}
        for wine, answer in zip(
            sample, client.predict(wines=sample, api_name="/predict_many"), strict=True
        )
    ]


def rounded(answer):
    """Return the floats of an answer, which differ in the last place in a batch."""
    return {key: answer[key] for key in ("predicted_score", "probabilities")}


def test_the_api_offers_its_two_calls_alone(client):
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert sorted(named) == ["/predict", "/predict_many"]


def test_the_api_says_what_is_wrong(client, post, predictor, capfd):
    wine = predictor.served.typical("red")
    total = f"{wine['total_sulfur_dioxide']:g}"
    cases = [
        ({"alcohol": None}, "Alcohol is empty: give a number in % vol."),
        ({"alcohol": "much"}, "Alcohol is “much”: give a number in % vol."),
        ({"ph": -3}, "pH is -3: it cannot be negative."),
        ({"ph": 9}, "pH is 9: a table wine has 2 to 5."),
        ({"type": "rosé"}, "Type is “rosé”: give red or white."),
        ({"colour": "red", "price": 9}, "A wine has no colour, price."),
        (
            {"free_sulfur_dioxide": 99},
            f"Free sulphur dioxide 99 mg/dm³ is above the total of {total} mg/dm³, of which it is a "
            "part.",
        ),
    ]
    for changes, text in cases:
        event, data = post("predict", wine | changes)
        assert (event, data["error"]) == ("error", text)
    # in a list, each gets its own sentence and costs the others nothing
    event, (answers,) = post("predict_many", [wine | changes for changes, _ in cases] + [wine, 3])
    assert event == "complete"
    assert [answer["error"] for answer in answers[:-2]] == [text for _, text in cases]
    assert answers[-2]["grade"] == predictor.answer(wine)[0]
    assert answers[-1] == {
        "error": "Give the wine as an object with a value for every measurement."
    }
    with pytest.raises(
        AppError, match=r"Fixed acidity is empty.* Alcohol is empty.* Type is empty"
    ):
        client.predict(wine={}, api_name="/predict")
    with pytest.raises(AppError, match="Give the wine as an object"):
        client.predict(wine=[1, 2], api_name="/predict")
    for wines in ([], [wine] * 1001, wine):
        with pytest.raises(AppError, match="Give the wines as a list of 1 to 1,000 objects"):
            client.predict(wines=wines, api_name="/predict_many")
    beyond = client.predict(wine=wine | {"residual_sugar": 60}, api_name="/predict")
    assert beyond["outside_data"]
    assert "is above any red wine the model has seen" in beyond["notes"][0]
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("call", ["predict", "predict_many", "nothing", "show"])
@pytest.mark.parametrize(
    "body",
    ['{"data": []}', '{"data": [1, 2]}', '{"data": "x"}', "{}", "[]", "null", "", "{", "[" * 9999],
)
def test_a_malformed_call_gets_a_sentence(predictor, call, body, capfd):
    url = f"{predictor.url}/gradio_api/call/{call}"
    answer = requests.post(url, body, headers={"Content-Type": "application/json"}, timeout=30)
    assert answer.status_code == (400 if call.startswith("predict") else 404)
    assert SENTENCE.fullmatch(answer.json()["error"])
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_call_of_too_many_bytes_gets_a_sentence(predictor):
    url = f"{predictor.url}/gradio_api/call/predict"
    answer = requests.post(url, b"[" * 6_000_000, timeout=30)
    assert (answer.status_code, answer.json()) == (413, {"error": "The call is larger than 5 MB."})


def test_an_event_that_is_not_there_gets_a_sentence(predictor, capfd):
    answer = requests.get(f"{predictor.url}/gradio_api/call/predict/abc", timeout=30)
    *_, event, data = answer.text.strip().split("\n")
    assert event == "event: error"
    assert SENTENCE.fullmatch(json.loads(data.removeprefix("data: "))["error"])
    assert "Traceback" not in "".join(capfd.readouterr())


def test_the_examples_on_the_page_run_as_they_stand(open_page, predictor):
    page = open_page(predictor.url, permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("tab", name="From a program").click(timeout=20_000)

    def copied(label):
        page.get_by_role("button", name=f"Copy the {label}", exact=True).click()
        text = page.get_by_label(label, exact=True).text_content()
        page.wait_for_function(
            "text => navigator.clipboard.readText().then(t => t === text)", arg=text
        )
        return page.evaluate("navigator.clipboard.readText()")

    def run(*command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = json.loads(copied("answer"))
    examples = copied("Python example") + "\n" + copied("batch example")
    by_python, *lines = run(sys.executable, "-c", examples).splitlines()
    by_python = ast.literal_eval(by_python)
    event, data = run("sh", "-c", copied("curl example")).strip().split("\n")
    assert event == "event: complete"
    assert json.loads(data.removeprefix("data: ")) == [by_python]
    for key in ("grade", "likely_grades", "notes", "model_version"):
        assert by_python[key] == shown[key]
    assert by_python["predicted_score"] == pytest.approx(shown["predicted_score"], abs=5e-4)
    assert by_python["probabilities"] == pytest.approx(shown["probabilities"], abs=5e-4)
    grade, score = predictor.answer(predictor.served.typical("red"))
    assert (by_python["grade"], by_python["predicted_score"]) == (grade, pytest.approx(score))
    stronger = predictor.answer(predictor.served.typical("red") | {"alcohol": 12.5})[0]
    assert lines == [f"{grade} None", f"{stronger} None"]


def register_two(project, folder):
    """Register two versions that grade every wine 3: only the first, older one is approved."""
    files = Path(registry.fetch(registry.served(project), folder))
    spec = json.loads((files / "spec.json").read_text())
    spec["cuts"] = [8.5, 8.55, 8.6, 8.65, 8.7, 8.75]
    for example in spec["examples"]:
        example["predicted_grade"] = 3
    for column in spec["columns"]:  # so that the form is another, too
        column["typical"] = {kind: value * 1.01 for kind, value in column["typical"].items()}
    for name, approved in [("a stern taster", True), ("not good enough", False)]:
        (files / "spec.json").write_text(json.dumps(spec | {"model": name}))
        registry.register(
            project, files, metrics={}, wines=pd.read_csv(files / "wines.csv"),
            approved=approved, description="grades every wine 3",
        )  # fmt: skip


def test_a_newly_approved_version_answers_without_a_restart_and_outlives_hopsworks(
    open_page, start_app, served_pipeline, trained, tmp_path
):
    pipeline = served_pipeline.copy(tmp_path / "hopsworks")
    with hopsworks_local.start(pipeline.store, "wine") as server:
        app = start_app("predictor", **server.env).wait()
        page = open_page(app.url)
        grade, version = page.locator("#result .grade"), page.locator("#head .version")
        expect(version).to_contain_text("Model version 1 ", timeout=20_000)
        page.get_by_label("white", exact=True).check()
        page.locator("#n-alcohol").fill("12.75")
        red = {column.name: column.typical["red"] for column in trained.spec.columns}
        wine = red | {"type": "white", "alcohol": 12.75}
        before, expected = answer_of((trained.model, trained.spec), wine)
        expect(page.locator("#result .expected")).to_have_text(f"{expected:.2f}")
        expect(grade).to_have_attribute("data-grade", str(before))

        with connected(server.env) as project:
            register_two(project, tmp_path / "model")
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
        assert app.keys()

    # the server has ended
    expect(page.locator("#head .banner")).to_contain_text(
        "127.0.0.1 cannot be reached. Predictions use the model read at", timeout=30_000
    )
    expect(version).to_contain_text("Model version 2 ")
    page.locator("#n-alcohol").fill("9")
    expect(page.locator("#result .expected")).not_to_have_text(f"{expected:.2f}")
    expect(grade).to_have_attribute("data-grade", "3")
    assert_accessible(page)
    page.close()
    app.assert_stops_and_leaves_nothing()


@pytest.mark.parametrize(
    ("failure", "text", "headings", "shown"),
    [
        ("NotConnected", "No key.", ["How to connect"], "Not connected to Hopsworks. No key."),
        ("NothingToShow", "No model.", [], "No model."),
    ],
)
def test_without_a_model_the_page_says_what_to_do(open_page, failure, text, headings, shown):
    with opened("predictor", failure=(failure, text)) as url:
        page = open_page(url)
        expect(page.locator("#head .banner")).to_have_text(shown)
        found = page.get_by_role("heading").all_inner_texts()
        assert found == ["No model to show yet", *headings]
        expect(page.get_by_role("tab", name="One wine")).to_be_hidden()
        assert_readable(page)
        with pytest.raises(AppError, match=f"There is no model yet. {text}"):
            Client(url, verbose=False).predict(wine={}, api_name="/predict")


def test_a_model_that_is_missing_or_damaged_is_named(served_pipeline, empty_server, tmp_path):
    served = load("predictor", "served")
    with (
        connected(empty_server.env) as project,
        pytest.raises(served.NothingToShow, match="No served model wine_quality in the registry"),
    ):
        served.latest(project, None)
    damaged = served_pipeline.copy(tmp_path / "damaged")
    with open(model_folder(damaged) / "wines.csv", "a") as file:
        file.write("\n")
    with (
        project_of(damaged) as project,
        pytest.raises(served.NothingToShow, match=r"wines\.csv is not the one that was registered"),
    ):
        served.latest(project, None)

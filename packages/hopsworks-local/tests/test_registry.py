"""Models, their metrics and tags, and what a tag schema says."""

from __future__ import annotations

import json
from typing import Any

import pytest

MODELS = "modelregistries/1/models"


@pytest.fixture
def model(app: Any, api: Any, name: str) -> Any:
    """Registers a model with what is given; its files are there."""
    (app.folder.files / "Models" / name / "1").mkdir(parents=True)

    def register(**given: Any) -> Any:
        return api("PUT", f"{MODELS}/{name}_1", {"name": name, "version": 1, **given})

    return register


@pytest.mark.parametrize(
    ("schema", "value", "status"),
    [
        ({"type": ["string", "null"]}, "me", 201),
        ({"type": ["string", "null"]}, 7, 400),
        ({"type": ["integer", "boolean"]}, True, 201),
        ({"type": "integer"}, True, 400),
        ({"properties": {"a": {"type": "number"}}}, {"a": 1, "b": 2}, 201),
        ({"properties": {"a": {"type": "number"}}}, {"a": "x"}, 400),
        ({"enum": ["a"]}, "a", 201),
        ({"enum": ["a"]}, "b", 400),
        ({"items": {"type": "integer", "minimum": 3}}, [3, 4], 201),
        ({"items": {"type": "integer", "minimum": 3}}, [2], 400),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "b", 201),
        ({"properties": {"a": True}}, {"b": 1}, 201),
        # schemas that are none, or lead elsewhere
        ({"type": "text"}, "b", 400),
        ({"required": [[]]}, {"a": 1}, 400),
        ({"$ref": "https://127.0.0.1:9/schema.json"}, "b", 400),
        ({"$ref": "#"}, "b", 400),
        (7, "b", 400),
        (True, "b", 400),
    ],
)
def test_what_a_tag_schema_says(
    app: Any, api: Any, model: Any, schema: Any, value: Any, status: int, monkeypatch: Any
) -> None:
    file = app.folder.path / "tag_schemas.json"
    before = file.read_text()
    file.write_text(json.dumps({"t": schema}))
    try:
        answer = api("PUT", f"{MODELS}/{model().json()['id']}/tags/t", value)
    finally:
        file.write_text(before)
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["errorCode"] == 370005
        assert "'t'" in answer.json()["usrMsg"]


def test_a_damaged_file_of_schemas_is_named(app: Any, api: Any, model: Any) -> None:
    file = app.folder.path / "tag_schemas.json"
    before = file.read_text()
    file.write_text("{")
    try:
        answer = api("PUT", f"{MODELS}/{model().json()['id']}/tags/owner", "me")
    finally:
        file.write_text(before)
    assert answer.json()["errorCode"] == 370005
    assert "tag_schemas.json" in answer.json()["usrMsg"]


def test_tags_that_come_with_a_model(api: Any, model: Any) -> None:
    wrong = {"items": [{"name": "owner", "value": '{"a": 1}'}]}
    assert model(tags=wrong).json()["errorCode"] == 370005
    assert model(tags={"items": [{"name": "nobody", "value": "x"}]}).json()["errorCode"] == 370000
    tags = [{"name": "owner", "value": "me"}, {"name": "limits", "value": '{"low": 1}'}]
    id = model(tags={"count": 2, "items": tags}).json()["id"]
    items = api("GET", f"{MODELS}/{id}/tags").json()["items"]
    result = {item["name"]: json.loads(item["value"]) for item in items}
    assert result == {"owner": "me", "limits": {"low": 1}}


@pytest.mark.parametrize(
    ("sent", "kept"), [("1.5", 1.5), (" 7 ", 7.0), (3, 3.0), ("1e-3", 0.001), (0.25, 0.25)]
)
def test_metrics_are_numbers(api: Any, name: str, model: Any, sent: Any, kept: float) -> None:
    assert model(metrics={"mse": sent}).status_code == 201
    assert api("GET", f"{MODELS}/{name}_1").json()["metrics"] == {"mse": kept}


@pytest.mark.parametrize("sent", ["low", "", "nan", "inf", True, [1], {}, 10**400])
def test_what_is_no_number_is_no_metric(model: Any, sent: Any) -> None:
    answer = model(metrics={"good": 1, "mse": sent})
    assert (answer.status_code, answer.json()["errorCode"]) == (422, 120001)
    assert "'mse'" in answer.json()["usrMsg"]


def test_models_without_the_metric_come_last(app: Any, api: Any, name: str) -> None:
    for version, metrics in ((1, {"kappa": 0.5}), (2, {}), (3, {"kappa": 0.1})):
        (app.folder.files / "Models" / name / str(version)).mkdir(parents=True)
        model = {"name": name, "version": version, "metrics": metrics}
        assert api("PUT", f"{MODELS}/{name}_{version}", model).status_code == 201
    for direction, versions in (("asc", [3, 1, 2]), ("desc", [1, 3, 2])):
        listed = api("GET", f"{MODELS}?filter_by=name_eq:{name}&sort_by=kappa:{direction}").json()
        assert [m["version"] for m in listed["items"]] == versions
    assert api("GET", f"{MODELS}?filter_by=name_eq:{name}&limit=1").json()["count"] == 3
    assert api("GET", f"{MODELS}?sort_by=kappa:maximum").status_code == 404

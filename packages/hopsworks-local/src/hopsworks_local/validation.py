"""Expectation suites and validation reports of feature groups: the client validates, they are kept.

A suite and each report are entities that belong to their group, so they go when it does.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .groups import STORE_ID, group_by_id
from .protocol import ApiError, Reply, Request, illegal, parse_json, route, take
from .state import Entity

if TYPE_CHECKING:
    from .app import App

_SUITES = "featuregroups/{id:int}/expectationsuite"
_SUITE = _SUITES + "/{suite:int}"
_REPORTS = "featuregroups/{id:int}/validationreport"
_MAX_EXPECTATIONS = 10_000  # of one suite; their ids are counted within it


# -- suites ----------------------------------------------------------------------------------------


def suite_dto(app: App, group: Entity) -> dict[str, Any] | None:
    """Return the suite of a group as the client expects it, or None."""
    suites = app.folder.all("expectationsuite", owner=group.id)
    return _dto(app, group, suites[-1]) if suites else None


def _dto(app: App, group: Entity, suite: Entity) -> dict[str, Any]:
    return {
        **suite.doc,
        "id": suite.id,
        "featureStoreId": STORE_ID,
        "featureGroupId": group.id,
        "href": f"{app.url}/hopsworks-api/api/project/{app.project_id}/featurestores/{STORE_ID}"
        f"/featuregroups/{group.id}/expectationsuite/{suite.id}",
    }


def _read(doc: Any) -> dict[str, Any]:
    """Check a suite; its expectations are numbered when they are stored."""
    fields = ("meta", "geCloudId", "dataAssetType")
    policy = take(doc, "validationIngestionPolicy", str, "ALWAYS")
    if policy not in ("ALWAYS", "STRICT"):
        raise illegal(f"The validation ingestion policy must be ALWAYS or STRICT, not {policy!r}.")
    return {
        "expectationSuiteName": take(doc, "expectationSuiteName", str),
        "runValidation": take(doc, "runValidation", bool, True),
        "validationIngestionPolicy": policy,
        **{field: take(doc, field, str, None) for field in fields},
        "expectations": [_expectation(e) for e in take(doc, "expectations", list, [])],
    }


def _expectation(doc: Any) -> dict[str, Any]:
    checked = {
        "id": take(doc, "id", int, None),
        "expectationType": take(doc, "expectationType", str),
    }
    for field in ("kwargs", "meta"):
        text = take(doc, field, str, "{}")
        if not isinstance(parse_json(text), dict):
            raise illegal(f"The field {field!r} of an expectation must be a JSON object.")
        checked[field] = text
    return checked


def _numbered(suite: int, expectations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return expectations with ids for the new ones; the client also reads the ids in `meta`."""
    first = suite * _MAX_EXPECTATIONS
    known = {e["id"] for e in expectations if e["id"] and first <= e["id"]}
    following = max(known, default=first)
    if len(expectations) >= _MAX_EXPECTATIONS:
        raise illegal(f"A suite may have {_MAX_EXPECTATIONS} expectations.")
    numbered = []
    for expectation in expectations:
        number = expectation["id"]
        if number not in known:
            number = following = following + 1
        meta = {**json.loads(expectation["meta"]), "expectationId": number}
        numbered.append({**expectation, "id": number, "meta": json.dumps(meta)})
    return numbered


def save_suite(app: App, group: Entity, doc: Any) -> None:
    """Attach a suite to a group, in place of another."""
    read = _read(doc)
    with app.folder.transaction():
        for old in app.folder.all("expectationsuite", owner=group.id):
            app.folder.remove(old.id)
        name = read["expectationSuiteName"]
        suite = app.folder.add("expectationsuite", name, None, read, owner=group.id)
        read["expectations"] = _numbered(suite.id, read["expectations"])
        app.folder.update(suite.id, read)


def _suite_of(request: Request, id: int, suite: int) -> tuple[Entity, Entity]:
    group = group_by_id(request, id)
    entity = request.app.folder.by_id("expectationsuite", suite)
    if not entity or entity.owner != group.id:
        raise ApiError(270173, f"There is no expectation suite {suite}.", 404)
    return group, entity


@route("GET", _SUITES)
def get_suite(request: Request, id: int) -> Any:
    """`get_expectation_suite()`; every insert asks, too."""
    suite = suite_dto(request.app, group_by_id(request, id))
    return suite or {"count": 0, "items": []}


@route("POST", _SUITES)
def create_suite(request: Request, id: int) -> Reply:
    """`save_expectation_suite(suite)`."""
    group = group_by_id(request, id)
    save_suite(request.app, group, request.json())
    return Reply(201, suite_dto(request.app, group))


@route("PUT", _SUITE)
def update_suite(request: Request, id: int, suite: int) -> Any:
    """`save_expectation_suite` of a suite that was fetched: its id stays."""
    read = _read(request.json())
    read["expectations"] = _numbered(suite, read["expectations"])
    with request.app.folder.transaction():
        group, entity = _suite_of(request, id, suite)
        request.app.folder.update(entity.id, read)
    return suite_dto(request.app, group)


@route("PUT", _SUITE + "/metadata")
def update_metadata(request: Request, id: int, suite: int) -> Any:
    """`ExpectationSuite` setters: a new name, policy or meta; the expectations stay."""
    read = _read(request.json())
    with request.app.folder.transaction():
        group, entity = _suite_of(request, id, suite)
        read["expectations"] = entity.doc["expectations"]
        request.app.folder.update(entity.id, read)
    return suite_dto(request.app, group)


@route("DELETE", _SUITE)
def delete_suite(request: Request, id: int, suite: int) -> Reply:
    """`delete_expectation_suite()`; the reports stay."""
    request.app.folder.remove(_suite_of(request, id, suite)[1].id)
    return Reply(204)


# -- expectations ----------------------------------------------------------------------------------


def _changed(
    request: Request, suite: Entity, expectations: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    numbered = _numbered(suite.id, expectations)
    request.app.folder.update(suite.id, {**suite.doc, "expectations": numbered})
    return numbered


def _position(suite: Entity, number: int) -> int:
    for i, expectation in enumerate(suite.doc["expectations"]):
        if expectation["id"] == number:
            return i
    raise ApiError(270174, f"There is no expectation {number} in the suite.", 404)


@route("GET", _SUITE + "/expectations")
def list_expectations(request: Request, id: int, suite: int) -> Any:
    """`ExpectationSuite.expectations` of a stored suite."""
    items = _suite_of(request, id, suite)[1].doc["expectations"]
    return {"count": len(items), "items": items}


@route("POST", _SUITE + "/expectations")
def add_expectation(request: Request, id: int, suite: int) -> Reply:
    """`ExpectationSuite.add_expectation(expectation)`."""
    with request.app.folder.transaction():
        entity = _suite_of(request, id, suite)[1]
        new = {**_expectation(request.json()), "id": None}
        return Reply(201, _changed(request, entity, [*entity.doc["expectations"], new])[-1])


@route("GET", _SUITE + "/expectations/{number:int}")
def get_expectation(request: Request, id: int, suite: int, number: int) -> Any:
    """`ExpectationSuite.get_expectation(id)`."""
    entity = _suite_of(request, id, suite)[1]
    return entity.doc["expectations"][_position(entity, number)]


@route("PUT", _SUITE + "/expectations/{number:int}")
def replace_expectation(request: Request, id: int, suite: int, number: int) -> Any:
    """`ExpectationSuite.replace_expectation(expectation)`."""
    with request.app.folder.transaction():
        entity = _suite_of(request, id, suite)[1]
        place, items = _position(entity, number), list(entity.doc["expectations"])
        items[place] = {**_expectation(request.json()), "id": number}
        return _changed(request, entity, items)[place]


@route("DELETE", _SUITE + "/expectations/{number:int}")
def remove_expectation(request: Request, id: int, suite: int, number: int) -> Reply:
    """`ExpectationSuite.remove_expectation(id)`."""
    with request.app.folder.transaction():
        entity = _suite_of(request, id, suite)[1]
        items = list(entity.doc["expectations"])
        del items[_position(entity, number)]
        _changed(request, entity, items)
    return Reply(204)


# -- reports ---------------------------------------------------------------------------------------


def _result(doc: Any, moment: str, ingestion: str) -> dict[str, Any]:
    config = parse_json(take(doc, "expectationConfig", str, "{}"))
    meta = config.get("meta") if isinstance(config, dict) else None
    number = meta.get("expectationId") if isinstance(meta, dict) else None
    fields = ("exceptionInfo", "expectationConfig", "result", "meta")
    return {
        "success": take(doc, "success", bool),
        "expectationId": number if isinstance(number, int) else None,
        "validationTime": moment,
        "ingestionResult": ingestion,
        **{field: take(doc, field, str, "{}") for field in fields},
    }


@route("PUT", _REPORTS)
def save_report(request: Request, id: int) -> Any:
    """`save_validation_report(report)`; every insert into a group with a suite sends one."""
    app, group, doc = request.app, group_by_id(request, id), request.json()
    ingestion = take(doc, "ingestionResult", str, "UNKNOWN")
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = ("evaluationParameters", "statistics", "meta")
    stored = {
        "success": take(doc, "success", bool),
        "ingestionResult": ingestion,
        "validationTime": moment,
        **{field: take(doc, field, str, "{}") for field in fields},
        "results": [_result(r, moment, ingestion) for r in take(doc, "results", list, [])],
    }
    report = app.folder.add("validationreport", group.name, None, stored, owner=group.id)
    return _report(report)


def _report(report: Entity) -> dict[str, Any]:
    ids = {"id": report.id, "featurestoreId": STORE_ID, "featuregroupId": report.owner}
    results = [
        {**result, "id": report.id * _MAX_EXPECTATIONS + i, "validationReportId": report.id}
        for i, result in enumerate(report.doc["results"])
    ]
    return {**report.doc, **ids, "results": results}


@route("GET", _REPORTS)
def list_reports(request: Request, id: int) -> Any:
    """`get_latest_validation_report()` and `get_all_validation_reports()`, newest first."""
    group = group_by_id(request, id)
    reports = request.app.folder.all("validationreport", owner=group.id)
    items = [_report(report) for report in reversed(reports)][: request.number("limit")]
    return {"count": len(items), "items": items}


@route("DELETE", _REPORTS + "/{report:int}")
def delete_report(request: Request, id: int, report: int) -> Reply:
    """Delete one report."""
    entity = request.app.folder.by_id("validationreport", report)
    if not entity or entity.owner != group_by_id(request, id).id:
        raise ApiError(270176, f"There is no validation report {report}.", 404)
    request.app.folder.remove(entity.id)
    return Reply(204)


@route("GET", "featuregroups/{id:int}/validationresult/history/{number:int}")
def expectation_history(request: Request, id: int, number: int) -> Any:
    """`get_validation_history(expectation_id)`: its results, newest first."""
    reports = request.app.folder.all("validationreport", owner=group_by_id(request, id).id)
    wanted = [
        value.partition(":")[2].upper()
        for value in request.query.get("filter_by", [])
        if value.startswith("ingestion_result_eq:")
    ]
    items = [
        result
        for report in reversed(reports)
        for result in _report(report)["results"]
        if result["expectationId"] == number and (not wanted or result["ingestionResult"] in wanted)
    ]
    return {"count": len(items), "items": items}

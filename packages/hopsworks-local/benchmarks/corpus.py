"""Valid REST requests of every kind, for the fuzzer to alter."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

Call: TypeAlias = Callable[..., Any]  # method, path and body; returns the answer's JSON
Sent: TypeAlias = tuple[str, str, Any]

PROJECT, STORE = "project/1", "project/1/featurestores/1"
MODELS = f"{PROJECT}/modelregistries/1/models"
VIEW = f"{STORE}/featureview/v/version/1"
FILES = f"{STORE}/featureview/w/version/1/trainingdatasets"  # training data in files
JOB = f"{PROJECT}/jobs/g_1_offline_fg_materialization"

STATISTICS_CONFIG = {"enabled": True, "columns": []}
GROUP = {
    "name": "g",
    "version": 1,
    "type": "cachedFeaturegroupDTO",
    "features": [
        {"name": "id", "type": "bigint", "primary": True},
        {"name": "at", "type": "timestamp"},
        {"name": "x", "type": "double"},
        {"name": "s", "type": "string"},
    ],
    "timeTravelFormat": "DELTA",
    "eventTime": "at",
    "description": "",
    "statisticsConfig": STATISTICS_CONFIG,
    "onlineEnabled": False,
    "dataSource": {},
    "parents": [{"id": 1, "name": "p", "version": 1}],
}
EXPECTATION = {"expectationType": "e", "kwargs": json.dumps({"column": "x"}), "meta": "{}"}
SUITE = {
    "expectationSuiteName": "s",
    "expectations": [EXPECTATION],
    "meta": "{}",
    "runValidation": True,
    "validationIngestionPolicy": "STRICT",
}
REPORT = {
    "success": True,
    "results": [
        {
            "success": True,
            "result": "{}",
            "meta": "{}",
            "exceptionInfo": "{}",
            "expectationConfig": json.dumps({"meta": {"expectationId": 1}}),
        }
    ],
    "meta": "{}",
    "statistics": "{}",
    "evaluationParameters": "{}",
    "ingestionResult": "INGESTED",
}
FUNCTION = {
    "hopsworksUdf": {
        "name": "f",
        "sourceCode": "def f(): ...",
        "transformationFeatures": ["x"],
    },
    "version": 1,
}
STATISTICS = {
    "computationTime": 5,
    "rowPercentage": 1.0,
    "beforeTransformation": False,
    "windowStartCommitTime": 1,
    "windowEndCommitTime": 5,
    "featureDescriptiveStatistics": [{"featureName": "x", "count": 3}],
}
MODEL = {
    "name": "m",
    "version": 1,
    "metrics": {"a": 1.5, "b": "2"},
    "framework": "PYTHON",
    "tags": {"items": [{"name": "owner", "value": "me"}]},
}


def _filter(features: list[Any]) -> dict[str, Any]:
    """Return a tree of three conditions on the stored features."""
    more = {"feature": features[2], "condition": "GREATER_THAN", "value": "1.5"}
    one_of = {"feature": features[3], "condition": "IN", "value": '["a"]'}
    like = {"feature": features[3], "condition": "LIKE", "value": "a%"}
    either = {"type": "OR", "leftFilter": one_of, "rightFilter": like}
    return {"type": "AND", "leftFilter": more, "rightLogic": either}


def _query(group: dict[str, Any]) -> dict[str, Any]:
    """Return a query that joins a group with itself."""
    left = {"leftFeatureGroup": group, "leftFeatures": group["features"]}
    join = {"query": left, "on": [{"name": "id"}], "type": "LEFT", "prefix": "r_"}
    return {**left, "filter": _filter(group["features"]), "joins": [join], "limit": 5}


def _view(group: dict[str, Any]) -> dict[str, Any]:
    """Return a feature view with a label and a transformation function."""
    return {
        "name": "v",
        "version": 1,
        "query": _query(group),
        "description": "",
        "transformationFunctions": [FUNCTION],
        "features": [{"name": "x", "label": True, "featuregroup": {"id": group["id"]}}],
    }


def _dataset(group: dict[str, Any]) -> dict[str, Any]:
    """Return a training dataset with two splits by time."""
    times = (("train", 1), ("test", 20))
    return {
        "trainingDatasetType": "IN_MEMORY_TRAINING_DATASET",
        "dataFormat": "tsv",
        "splits": [
            {"name": n, "splitType": "TIME_SERIES_SPLIT", "startTime": a, "endTime": a + 10}
            for n, a in times
        ],
        "statisticsConfig": STATISTICS_CONFIG,
        "extraFilter": _filter(group["features"]),
        "seed": 1,
        "trainSplit": "train",
    }


def build(call: Call) -> tuple[dict[str, Any], list[Sent]]:
    """Make one thing of every kind; return the feature group and requests about all of them."""
    group = call("POST", f"{STORE}/featuregroups", GROUP)
    view, dataset = _view(group), _dataset(group)
    files = {**dataset, "trainingDatasetType": "HOPSFS_TRAINING_DATASET", "dataFormat": "csv"}
    call("POST", f"{STORE}/featureview", view)
    call("POST", f"{STORE}/featureview", {**view, "name": "w", "transformationFunctions": []})
    call("POST", f"{VIEW}/trainingdatasets", dataset)
    call("POST", FILES, files)
    for folder in ("Models%2Fm", "Models%2Fm%2F1"):
        call("POST", f"{PROJECT}/dataset/{folder}?action=create")
    model = call("PUT", f"{MODELS}/m_1", MODEL)
    suite = call("POST", f"{STORE}/featuregroups/{group['id']}/expectationsuite", SUITE)
    return group, [
        *_of_the_project(),
        *_of_groups(f"{STORE}/featuregroups/{group['id']}"),
        *_of_suites(f"{STORE}/featuregroups/{group['id']}", suite),
        *_of_views(view, dataset, files),
        *_of_models(model),
        *_of_files(),
        *_of_jobs(),
    ]


def _of_the_project() -> list[Sent]:
    return [
        ("GET", "variables/versions", None),
        ("GET", "variables/enable_flyingduck", None),
        ("GET", "project", None),
        ("GET", "project/getProjectInfo/local", None),
        ("GET", f"{PROJECT}/credentials", None),
        ("GET", f"{PROJECT}/featurestores/local_featurestore", None),
        ("POST", "users/secrets", {"name": "s", "secret": "v", "visibility": "PRIVATE"}),
        ("GET", "users/secrets", None),
        ("GET", "users/secrets/s", None),
        ("DELETE", "users/secrets/s", None),
        ("GET", f"{PROJECT}/serving?name=x", None),
        ("PUT", f"{PROJECT}/serving", {"name": "x"}),
    ]


def _of_groups(group: str) -> list[Sent]:
    return [
        ("POST", f"{STORE}/featuregroups", GROUP),
        ("GET", f"{STORE}/featuregroups/g?version=1", None),
        ("GET", group, None),
        ("PUT", f"{group}?updateMetadata=true", GROUP),
        ("PUT", f"{group}?updateStatsConfig=true", GROUP),
        ("POST", f"{group}/commits", {"commitTime": 5}),
        ("GET", f"{group}/commits?limit=5&offset=0&filter_by=commited_on_ltoeq:5", None),
        ("POST", f"{group}/clear", None),
        ("POST", f"{group}/updatetableschema", None),
        ("POST", f"{group}/statistics/compute", None),
        ("GET", f"{group}/statistics?filter_by=computation_time_ltoeq:5&limit=1", None),
        ("GET", f"{group}/provenance/links", None),
        ("PUT", f"{group}/tags/owner", "me"),
        ("GET", f"{group}/tags", None),
        ("POST", f"{STORE}/transformationfunctions", FUNCTION),
        ("GET", f"{STORE}/transformationfunctions?name=f&version=1", None),
    ]


def _of_suites(group: str, suite: dict[str, Any]) -> list[Sent]:
    path, expectation = f"{group}/expectationsuite/{suite['id']}", suite["expectations"][0]["id"]
    return [
        ("POST", f"{group}/expectationsuite", SUITE),
        ("PUT", path, SUITE),
        ("PUT", f"{path}/metadata", SUITE),
        ("POST", f"{path}/expectations", EXPECTATION),
        ("PUT", f"{path}/expectations/{expectation}", EXPECTATION),
        ("PUT", f"{group}/validationreport", REPORT),
        ("GET", f"{group}/validationreport?limit=1", None),
        ("GET", f"{group}/validationresult/history/1?filter_by=ingestion_result_eq:X", None),
    ]


def _of_views(view: Any, dataset: Any, files: Any) -> list[Sent]:
    windows = "filter_by=window_end_commit_time_ltoeq:5&feature_names=x"
    batch = "query/batch?start_time=1&end_time=99&with_label=True&td_version=1"
    condition = dataset["extraFilter"]
    return [
        ("PUT", f"{PROJECT}/featurestores/query?hqs=True", view["query"]),
        ("POST", f"{STORE}/featureview", view),
        ("GET", VIEW, None),
        ("PUT", VIEW, view),
        ("GET", f"{VIEW}/{batch}", None),
        ("POST", f"{VIEW}/query/batch?with_primary_keys=true", condition),
        ("GET", f"{VIEW}/provenance/links", None),
        ("POST", f"{VIEW}/trainingdatasets", dataset),
        ("GET", f"{VIEW}/trainingdatasets/version/1", None),
        ("POST", f"{VIEW}/trainingdatasets/version/1/statistics", STATISTICS),
        ("GET", f"{VIEW}/trainingdatasets/version/1/statistics?{windows}", None),
        ("PUT", f"{VIEW}/log", {"extraLoggingColumns": [{"name": "n", "type": "string"}]}),
        ("GET", f"{VIEW}/log", None),
        ("DELETE", f"{VIEW}/log?transport=realtime", None),
        ("POST", f"{VIEW}/log/pause", None),
        ("POST", FILES, files),
        ("POST", f"{FILES}/version/1/compute", {"query": view["query"]}),
        ("DELETE", f"{FILES}/version/1/data", None),
    ]


def _of_models(model: dict[str, Any]) -> list[Sent]:
    return [
        ("PUT", f"{MODELS}/m_1", MODEL),
        ("GET", f"{MODELS}?filter_by=name_eq:m&sort_by=a:desc&limit=1", None),
        ("GET", f"{MODELS}/m_1", None),
        ("GET", f"{MODELS}/{model['id']}/provenance/links", None),
    ]


def _of_files() -> list[Sent]:
    files = f"{PROJECT}/dataset"
    return [
        ("GET", f"{files}/Resources?action=listing&offset=0&limit=9&sort_by=ID:asc", None),
        ("GET", f"{files}/download/with_auth/Resources%2Ff", None),
        ("POST", f"{files}/Resources%2Fd?action=create&type=DATASET", None),
        ("POST", f"{files}/Resources%2Ff?action=copy&destination_path=Resources/c", None),
        ("DELETE", f"{files}/Resources%2Fd", None),
        ("DELETE", f"{files}/Resources%2Ff%2Fbelow", None),
        ("POST", f"{files}/upload/Resources", b"upload"),
        ("POST", f"{files}/upload/Resources%2Fnew%2Ffolder", b"upload"),
    ]


def _of_jobs() -> list[Sent]:
    return [
        ("GET", f"{PROJECT}/jobs", None),
        ("GET", JOB, None),
        ("POST", f"{JOB}/executions", None),
        ("GET", f"{JOB}/executions?sort_by=submissiontime:desc&limit=1", None),
        ("GET", f"{JOB}/executions/1", None),
        ("PUT", f"{JOB}/schedule/v2", {"cronExpression": "0 0 * ? * * *"}),
    ]

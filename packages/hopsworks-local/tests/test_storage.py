"""What is kept for others to use, through the client: validation, provenance, transformations.

It also runs against a real cluster, as test_contract.py does.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pandas as pd
import pytest
from hopsworks.client.exceptions import RestAPIError
from hopsworks_common.core.constants import HAS_GREAT_EXPECTATIONS
from hsfs.expectation_suite import ExpectationSuite
from hsfs.ge_expectation import GeExpectation
from hsfs.hopsworks_udf import udf
from hsfs.transformation_function import TransformationFunction
from hsfs.validation_report import ValidationReport

LIVE = True
FRAME = pd.DataFrame({"id": [1, 2, 3], "x": [0.5, 1.5, 2.5]})


# -- expectations ----------------------------------------------------------------------------------


def expectation(column: str = "x") -> dict[str, Any]:
    """One expectation."""
    kwargs = {"column": column, "min_value": 0, "max_value": 10}
    kind = "expect_column_values_to_be_between"
    return {"expectation_type": kind, "kwargs": kwargs, "meta": {}}


def suite(**options: Any) -> ExpectationSuite:
    """A suite of one expectation."""
    return ExpectationSuite("values", expectations=[expectation()], meta={"by": "me"}, **options)


def save(group: Any, suite: ExpectationSuite) -> None:
    """Save a suite. Without great_expectations the client fails after it has saved."""
    missing = pytest.raises(ModuleNotFoundError, match="Great Expectations")
    with contextlib.nullcontext() if HAS_GREAT_EXPECTATIONS else missing:
        group.save_expectation_suite(suite)


def report(group: Any, success: bool) -> ValidationReport:
    """What a validation of the group's one expectation would say."""
    (known,) = group.get_expectation_suite(ge_type=False).expectations
    config = {
        "expectation_type": known.expectation_type,
        "kwargs": {},
        "meta": {"expectationId": known.id},
    }
    result = {"success": success, "result": {"observed_value": 2.5}, "meta": {}}
    result |= {"exception_info": {}, "expectation_config": config}
    return ValidationReport(success, [result], {"run": 1}, {"evaluated": 1}, {})


def test_a_suite_is_kept_and_can_change(fs: Any, make_group: Any) -> None:
    group = make_group(FRAME)
    assert group.get_expectation_suite(ge_type=False) is None
    save(group, suite(validation_ingestion_policy="strict"))
    result = fs.get_feature_group(group.name, 1).get_expectation_suite(ge_type=False)
    assert (result.expectation_suite_name, result.meta) == ("values", {"by": "me"})
    assert result.validation_ingestion_policy == "STRICT"
    (kept,) = result.expectations
    assert kept.kwargs == expectation()["kwargs"]

    result.add_expectation(GeExpectation(**expectation("id")), ge_type=False)
    kept.kwargs = {**kept.kwargs, "max_value": 3}
    result.replace_expectation(kept, ge_type=False)
    changed = {
        e.kwargs["column"]: e for e in group.get_expectation_suite(ge_type=False).expectations
    }
    assert changed["x"].kwargs["max_value"] == 3
    assert changed["x"].id == kept.id
    result.remove_expectation(changed["id"].id)
    result.run_validation = False
    again = group.get_expectation_suite(ge_type=False)
    assert (len(again.expectations), again.run_validation) == (1, False)

    group.delete_expectation_suite()
    assert group.get_expectation_suite(ge_type=False) is None


def test_a_suite_of_a_new_group(fs: Any, make_group: Any) -> None:
    group = make_group(FRAME, expectation_suite=suite(run_validation=False))
    result = fs.get_feature_group(group.name, 1)
    assert result.expectation_suite.expectation_suite_name == "values"
    assert len(result.read()) == 3


def test_reports_are_kept(make_group: Any) -> None:
    group = make_group(FRAME)
    save(group, suite(run_validation=False))
    assert group.get_latest_validation_report(ge_type=False) is None
    for success in (True, False):
        group.save_validation_report(
            report(group, success), ingestion_result="ingested", ge_type=False
        )
    latest = group.get_latest_validation_report(ge_type=False)
    assert (latest.success, latest.statistics, latest.meta) == (False, {"evaluated": 1}, {"run": 1})
    assert [r.success for r in group.get_all_validation_reports(ge_type=False)] == [False, True]
    (known,) = group.get_expectation_suite(ge_type=False).expectations
    history = group.get_validation_history(known.id, ge_type=False)
    assert [r.success for r in history] == [False, True]
    assert history[0].result == {"observed_value": 2.5}


# -- provenance ------------------------------------------------------------------------------------


def test_parents_of_groups(fs: Any, make_group: Any, make_view: Any) -> None:
    parent = make_group(FRAME)
    child = make_group(FRAME, parents=[parent])
    result = fs.get_feature_group(child.name, 1).get_parent_feature_groups()
    assert [g.name for g in result.accessible] == [parent.name]
    assert [g.name for g in parent.get_generated_feature_groups().accessible] == [child.name]
    assert child.get_generated_feature_groups() is None
    view = make_view(child.select_all())
    assert [g.name for g in view.get_parent_feature_groups().accessible] == [child.name]
    assert [v.name for v in child.get_generated_feature_views().accessible] == [view.name]
    parent.delete(force=True)
    (gone,) = child.get_parent_feature_groups().deleted
    assert (gone.name, gone.version) == (parent.name, 1)


# -- transformation functions ----------------------------------------------------------------------


@udf(float)
def plus_one(x: pd.Series) -> pd.Series:
    return x + 1


@udf(float)
def doubled(x: pd.Series) -> pd.Series:
    return x * 2


def test_saved_transformation_functions(fs: Any, make_group: Any, make_view: Any) -> None:
    function = fs.create_transformation_function(plus_one, version=1)
    function.save()
    result = fs.get_transformation_function("plus_one")
    assert isinstance(result, TransformationFunction)
    view = make_view(make_group(FRAME).select_all(), transformation_functions=[result("x")])
    data, _ = view.training_data()
    assert data["plus_one_x_"].tolist() == [1.5, 2.5, 3.5]
    result.delete()
    assert fs.get_transformation_function("plus_one") is None


def test_chained_transformation_functions(make_group: Any, make_view: Any) -> None:
    chain = [plus_one("x").alias("more"), doubled("more")]
    view = make_view(make_group(FRAME).select_all(), transformation_functions=chain)
    data, _ = view.training_data()
    (column,) = (c for c in data.columns if c.startswith("doubled"))
    assert data[column].tolist() == [3, 5, 7]


def test_built_in_transformation_functions(fs: Any) -> None:
    names = {f.hopsworks_udf.function_name for f in fs.get_transformation_functions()}
    assert {"min_max_scaler", "standard_scaler", "label_encoder"} <= names
    assert fs.get_transformation_function("robust_scaler").version == 1


def test_on_demand_features(fs: Any, make_group: Any, make_view: Any) -> None:
    group = make_group(FRAME, transformation_functions=[doubled("x")])
    assert fs.get_feature_group(group.name, 1).read()["doubled"].tolist() == [1, 3, 5]
    again = fs.get_feature_group(group.name, 1)
    again.insert(pd.DataFrame({"id": [9], "x": [4.0]}))
    assert sorted(again.read()["doubled"]) == [1, 3, 5, 8]
    assert {f.name for f in again.features if f.on_demand} == {"doubled"}
    view = make_view(group.select(["id", "doubled"]))
    view = fs.get_feature_view(view.name, 1)
    assert view.request_parameters == ["x"]
    assert view.execute_odts(pd.DataFrame({"x": [4.0]}))["doubled"].tolist() == [8]
    without = make_view(group.select(["id", "x"]), version=2)
    assert fs.get_feature_view(without.name, 2).on_demand_transformations == {}


# -- refusals --------------------------------------------------------------------------------------


def test_what_is_no_suite_or_function(make_group: Any, rest: Any) -> None:
    group = make_group(FRAME)
    place = f"featuregroups/{group.id}/expectationsuite"
    named = {"expectationSuiteName": "s"}
    for body in (
        {"runValidation": True},
        {**named, "validationIngestionPolicy": "NEVER"},
        {**named, "expectations": [{"expectationType": "e", "kwargs": "[]"}]},
        {**named, "expectations": [{"kwargs": "{}"}]},
    ):
        assert rest("POST", place, body).status_code == 422
    assert rest("PUT", f"{place}/1", named).status_code == 404
    assert rest("DELETE", f"featuregroups/{group.id}/validationreport/1").status_code == 404
    assert (
        rest("POST", "transformationfunctions", {"hopsworksUdf": {"name": "f"}}).status_code == 422
    )
    assert rest("DELETE", "transformationfunctions/1").status_code == 404
    with pytest.raises(RestAPIError):
        group._expectation_suite_engine._delete(1)


# -- feature logging -------------------------------------------------------------------------------


def logged(view: Any, **options: Any) -> pd.DataFrame:
    """Read a log. On a cluster a job must write the rows first."""
    (job,) = view.materialize_log(wait=True)
    assert job.get_final_state() == "SUCCEEDED"
    log: pd.DataFrame = view.read_log(**options)
    return log


def test_logged_features_and_predictions(make_group: Any, make_view: Any) -> None:
    days = pd.date_range("2024-03-01", periods=3).astype("datetime64[us]")
    group = make_group(FRAME.assign(day=days, y=[0, 1, 0]), event_time="day")
    view = make_view(group.select(["x", "y"]), labels=["y"], logging_enabled=True)
    assert view.logging_enabled
    columns = {f.name for f in view.feature_logging.get_feature_group().features}
    metadata = {"log_id", "log_time", "td_version", "model_name", "model_version", "request_id"}
    assert columns >= {*metadata, "request_parameters", "x", "predicted_y", "id", "day"}

    batch = view.get_batch_data(logging_data=True)
    view.log(batch, predictions=pd.DataFrame({"y": [1, 1, 0]}), model_name="m")
    view.log(FRAME[["x"]].assign(ignored=1), predictions=[[0], [0], [0]])
    log = logged(view)
    assert sorted(log.x) == sorted([*FRAME.x, *FRAME.x])
    assert sorted(log.predicted_y) == [0, 0, 0, 0, 1, 1]
    assert sorted(log.id.dropna()) == sorted(FRAME.id)
    assert sorted(log.day.dropna()) == sorted(days)
    assert len(logged(view, model_name="m")) == 3
    assert len(view.get_log_timeline()) >= 1
    view.pause_logging()
    view.resume_logging()
    view.delete_log()
    view.log(FRAME[["x"]])
    assert len(logged(view)) == 3


def test_the_first_log_enables_logging(fs: Any, make_group: Any, make_view: Any) -> None:
    group = make_group(FRAME)
    scaled = [fs.get_transformation_function("min_max_scaler")("x")]
    view = make_view(group.select_all(), transformation_functions=scaled)
    view.train_test_split(test_size=0.5)
    assert not view.logging_enabled
    view.log(
        untransformed_features=FRAME,
        transformed_features=pd.DataFrame({"id": FRAME.id, "min_max_scaler_x_": [0.0, 0.5, 1.0]}),
        extra_logging_features=pd.DataFrame({"note": ["a", "b", "c"]}),
    )
    log = view.feature_logging.get_feature_group()
    assert sorted(logged(view).min_max_scaler_x_) == [0, 0.5, 1]
    again = fs.get_feature_view(view.name, view.version)
    assert again.logging_enabled
    again.enable_logging()
    assert again.feature_logging.get_feature_group().id == log.id
    view.delete()
    assert fs.get_feature_group(log.name, log.version) is None


# -- training data in files ------------------------------------------------------------------------


@pytest.fixture
def week(make_group: Any, make_view: Any) -> Any:
    """A view of ten days with a label."""
    days = pd.date_range("2024-03-01", periods=10).astype("datetime64[us]")
    frame = pd.DataFrame({"id": range(10), "x": [float(i) for i in range(10)], "y": [0, 1] * 5})
    group = make_group(
        frame.assign(day=days, name=[f'"{i}", é' for i in range(10)]), event_time="day"
    )
    return make_view(group.select(["id", "x", "name", "y"]), labels=["y"])


@pytest.mark.parametrize("data_format", ["parquet", "csv", "tsv"])
def test_training_data_in_files(week: Any, datasets: Any, data_format: str) -> None:
    version, _ = week.create_training_data(data_format=data_format, description="all")
    features, labels = week.get_training_data(version)
    assert features["id"].tolist() == list(range(10))
    assert features["name"].tolist() == [f'"{i}", é' for i in range(10)]
    assert features["x"].dtype == float, "also when all its values are whole"
    assert labels["y"].tolist() == [0, 1] * 5
    place = f"Training_Datasets/{week.name}_1_{version}"
    assert datasets.exists(place)
    week.recreate_training_dataset(version)
    assert len(week.get_training_data(version)[0]) == 10
    week.delete_training_dataset(version)
    assert not datasets.exists(place)


def test_splits_in_files(week: Any) -> None:
    version, _ = week.create_train_test_split(test_size=0.3, seed=1, data_format="parquet")
    train, test, train_labels, test_labels = week.get_train_test_split(version)
    assert (len(train), len(test), len(train_labels), len(test_labels)) == (7, 3, 7, 3)
    assert sorted([*train["id"], *test["id"]]) == list(range(10))
    again, _ = week.create_train_test_split(test_size=0.3, seed=1, data_format="csv")
    assert week.get_train_test_split(again)[1]["id"].tolist() == test["id"].tolist()


def test_splits_by_time_in_files(week: Any) -> None:
    version, _ = week.create_train_validation_test_split(
        train_start="2024-03-01",
        train_end="2024-03-04",
        validation_start="2024-03-04",
        validation_end="2024-03-06",
        test_start="2024-03-06",
        test_end="2024-03-08",
        data_format="csv",
    )
    train, validation, test, *_ = week.get_train_validation_test_split(version)
    assert [f["id"].tolist() for f in (train, validation, test)] == [[0, 1, 2], [3, 4], [5, 6]]


def test_files_of_training_data_go_and_the_metadata_stays(week: Any, datasets: Any) -> None:
    version, _ = week.create_training_data(data_format="csv", extra_filter=week.query.filters)
    week.purge_training_data(version)
    assert not datasets.exists(f"Training_Datasets/{week.name}_1_{version}")
    assert [d.version for d in week.get_training_datasets()] == [version]


def test_training_data_in_files_that_cannot_be_made(
    week: Any, make_group: Any, make_view: Any
) -> None:
    nested = make_view(make_group(FRAME.assign(v=[[1.0], [2.0], []])).select_all(), version=2)
    version, _ = nested.create_training_data(data_format="parquet")
    assert [*map(list, nested.get_training_data(version)[0]["v"])] == [[1], [2], []]
    for call in (
        lambda: week.create_training_data(data_format="tfrecord"),
        lambda: week.create_training_data(location="elsewhere"),
        lambda: nested.create_training_data(data_format="csv"),
        lambda: nested.create_training_data(data_format="tsv"),
    ):
        with pytest.raises(RestAPIError) as caught:
            call()
        assert caught.value.response.status_code == 501

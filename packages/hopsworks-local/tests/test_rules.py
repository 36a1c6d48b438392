"""The rules of the backend, each through the client: what passes here should pass on a cluster.

Only against hopsworks_local: the codes are those of the backend's public source, and a cluster of
another version may word a refusal differently.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hopsworks.client.exceptions import DatasetException, FeatureStoreException, RestAPIError
from hopsworks_common.client.exceptions import ModelRegistryException

ONE = pd.DataFrame({"id": [1], "x": [0.5]})
DAY = pd.Timestamp("2024-03-01").as_unit("us")


def refused(code: int, call: Callable[[], Any], status: int = 400) -> RestAPIError:
    """The call is refused with that error code and HTTP status, and with a sentence."""
    with pytest.raises(RestAPIError) as caught:
        call()
    assert (caught.value.error_code, caught.value.response.status_code) == (code, status)
    assert caught.value.user_message
    return caught.value


def unsupported(call: Callable[[], Any], says: str) -> None:
    """The call is refused with a 501 that names it."""
    assert says in refused(120004, call, 501).user_message


# -- names, descriptions, versions -----------------------------------------------------------------

BAD_NAMES = ["MyGroup", "my-group", "1group", "_x", "a" * 64, "a.b", "a b", "ä", "a'b", ""]


@pytest.mark.parametrize("bad", BAD_NAMES)
def test_names_of_groups_and_views(fs: Any, make_group: Any, bad: str) -> None:
    refused(270091, lambda: fs.create_feature_group(bad, 1, primary_key=["id"]).insert(ONE))
    if bad:
        group = make_group(ONE)
        refused(270091, lambda: fs.create_feature_view(bad, group.select_all(), version=1))


@pytest.mark.parametrize("bad", ["1x", "a-b", "_x", "x" * 64])
def test_names_of_features(fs: Any, name: str, bad: str) -> None:
    frame = ONE.rename(columns={"x": bad})
    refused(270040, lambda: fs.create_feature_group(name, 1, primary_key=["id"]).insert(frame))


def test_the_longest_names_pass(make_group: Any) -> None:
    make_group(ONE.rename(columns={"x": "x" * 63}), name="t" * 63)


def test_descriptions(fs: Any, make_group: Any, name: str) -> None:
    group = make_group(ONE, description="d" * 256)
    refused(270092, lambda: group.update_description("d" * 257))
    refused(
        270092,
        lambda: fs.create_feature_group(name, 1, primary_key=["id"], description="d" * 257).insert(
            ONE
        ),
    )
    refused(270041, lambda: group.update_feature_description("x", "d" * 257))
    refused(270092, lambda: fs.create_feature_view(name, group.select_all(), description="d" * 257))


def test_versions(fs: Any, make_group: Any, make_view: Any, name: str) -> None:
    refused(270059, lambda: fs.create_feature_group(name, -1, primary_key=["id"]).insert(ONE))
    group = make_group(ONE)
    refused(270058, lambda: fs.create_feature_view(name, group.select_all(), version=-1))


def test_what_exists_cannot_be_made_again(fs: Any, make_group: Any, make_view: Any) -> None:
    group = make_group(ONE)
    refused(270089, lambda: fs.create_feature_group(group.name, 1, primary_key=["id"]).insert(ONE))
    refused(270089, lambda: group.save(ONE))
    view = make_view(group.select_all())
    refused(270179, lambda: fs.create_feature_view(view.name, group.select_all(), version=1))


def test_the_number_of_a_deleted_highest_version_is_used_again(make_group: Any) -> None:
    first = make_group(ONE)
    second = make_group(ONE, name=first.name, version=2)
    second.delete()
    assert make_group(ONE, name=first.name, version=None).version == 2


# -- schemas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "passes"),
    [
        (pd.Series([DAY]), True),
        (pd.Series([DAY.date()]), True),
        (pd.Series([1_700_000_000_000]), True),
        (pd.Series([1.5]), False),
        (pd.Series(["2024-03-01"]), False),
        (pd.Series([1_700_000_000], dtype="int32"), False),
    ],
    ids=["timestamp", "date", "bigint", "double", "string", "int"],
)
def test_event_time_types(fs: Any, make_group: Any, name: str, values: Any, passes: bool) -> None:
    frame = pd.DataFrame({"id": [1], "at": values})
    if passes:
        make_group(frame, event_time="at")
    else:
        refused(
            270171,
            lambda: fs.create_feature_group(name, 1, primary_key=["id"], event_time="at").insert(
                frame
            ),
        )


def test_event_time_must_be_a_feature(rest: Any, name: str) -> None:
    body = {"name": name, "version": 1, "features": [{"name": "id", "type": "bigint"}]}
    answer = rest("POST", "featuregroups", {**body, "timeTravelFormat": "DELTA", "eventTime": "no"})
    assert (answer.status_code, answer.json()["errorCode"]) == (400, 270172)


def test_duplicate_features_and_types(fs: Any, rest: Any, name: str) -> None:
    twice = [{"name": "id", "type": "bigint"}] * 2
    body = {"name": name, "version": 1, "timeTravelFormat": "DELTA"}
    assert rest("POST", "featuregroups", {**body, "features": twice}).json()["errorCode"] == 270224
    for kind in (None, "", "nonsense", "int; drop"):
        features = [{"name": "id", "type": kind}]
        answer = rest("POST", "featuregroups", {**body, "features": features})
        assert answer.json()["errorCode"] == 270212


def test_a_stream_group_needs_a_primary_key(fs: Any, name: str) -> None:
    refused(
        270121, lambda: fs.create_feature_group(name, 1, stream=True, event_time=None).save(ONE)
    )


def test_a_default_value_at_creation(fs: Any, name: str) -> None:
    from hsfs.feature import Feature

    features = [Feature("id", "bigint"), Feature("x", "double", default_value="1.0")]
    group = fs.create_feature_group(name, 1, primary_key=["id"], features=features)
    refused(270132, group.save)


def test_longer_texts_fit_later(rows: Any, make_group: Any) -> None:
    group = make_group(pd.DataFrame({"id": [1], "text": ["x" * 120]}))
    group.insert(pd.DataFrame({"id": [2], "text": ["y" * 5000]}))
    assert rows(group.select_all()).text.str.len().max() == 5000


def test_insert_must_fit_the_schema(make_group: Any) -> None:
    group = make_group(ONE)
    for frame in (ONE[["id"]], ONE.assign(more=1), ONE.assign(x="text")):
        with pytest.raises(FeatureStoreException):
            group.insert(frame)
    with pytest.raises(ValueError, match=r"[Nn]ull"):
        group.insert(pd.DataFrame({"id": pd.array([None], dtype="Int64"), "x": [1.0]}))


def test_features_can_only_be_appended(make_group: Any, rest: Any) -> None:
    from hsfs.feature import Feature

    group = make_group(ONE)
    refused(270114, lambda: group.append_features([Feature("k", "bigint", primary=True)]))
    for features in (
        [{"name": "id", "type": "bigint", "primary": True}],
        [{"name": "id", "type": "bigint", "primary": True}, {"name": "x", "type": "string"}],
        [{"name": "id", "type": "bigint"}, {"name": "x", "type": "double"}],
    ):
        answer = rest(
            "PUT", f"featuregroups/{group.id}?updateMetadata=true", {"features": features}
        )
        assert answer.json()["errorCode"] == 270114
    refused(270224, lambda: group.append_features([Feature("x", "double")]))


def test_a_refused_type_leaves_the_group_as_it_was(
    fs: Any, rows: Any, make_group: Any, rest: Any
) -> None:
    from hsfs.feature import Feature

    group = make_group(ONE)
    unsupported(lambda: group.append_features(Feature("v", "map<string,int>")), "map<string,int>")
    group = fs.get_feature_group(group.name, 1)
    assert [f.name for f in group.features] == ["id", "x"]
    assert list(rows(group.select_all())) == ["id", "x"]
    assert rest("POST", f"featuregroups/{group.id}/updatetableschema").ok


def test_features_of_nested_types_can_be_appended(rows: Any, make_group: Any) -> None:
    from hsfs.feature import Feature

    group = make_group(ONE)
    group.append_features([Feature("v", "array<double>"), Feature("price", "decimal(3,2)")])
    new = pd.DataFrame({"id": [2], "x": [1.5], "v": [[0.5, 2.0]], "price": [Decimal("9.99")]})
    group.insert(new)
    first, second = rows(group.select_all()).to_dict("records")
    assert first["v"] is None
    assert first["price"] is None
    assert list(second["v"]) == [0.5, 2.0]
    assert second["price"] == Decimal("9.99")


def test_a_default_value_takes_the_place_of_null(fs: Any, rows: Any, make_group: Any) -> None:
    from hsfs.feature import Feature

    group = make_group(ONE)
    new = [Feature("tier", "string", default_value="basic"), Feature("n", "int", default_value="3")]
    group.append_features(new)
    group.insert(
        pd.DataFrame({"id": [2], "x": [1.5], "tier": ["gold"], "n": np.array([7], "int32")})
    )
    group = fs.get_feature_group(group.name, 1)
    assert rows(group.select_all())[["id", "tier", "n"]].to_numpy().tolist() == [
        [1, "basic", 3],
        [2, "gold", 7],
    ]
    assert rows(group.filter(group.tier == "basic"))["id"].tolist() == [1]
    assert rows(group.filter(group.n < 5))["id"].tolist() == [1]
    prices = make_group(
        pd.DataFrame({"tier": ["basic", "gold"], "price": [5, 9]}), primary_key=("tier",)
    )
    joined = rows(group.select(["id"]).join(prices.select(["price"]), on=["tier"]))
    assert joined.to_numpy().tolist() == [[1, 5], [2, 9]]
    refused(270114, lambda: group.append_features(Feature("m", "int", default_value="many")))


def test_a_column_that_an_interrupted_call_left_is_used(rows: Any, make_group: Any) -> None:
    from deltalake import DeltaTable, Field
    from hsfs.feature import Feature

    group = make_group(ONE)
    DeltaTable(group.location).alter.add_columns([Field("late", "double")])
    refused(270114, lambda: group.append_features([Feature("late", "string")]))
    group.append_features([Feature("late", "double")])
    assert list(rows(group.select_all())) == ["id", "x", "late"]


def test_statistics_columns_are_features(fs: Any, name: str) -> None:
    config = {"enabled": True, "columns": ["nope"]}
    group = fs.create_feature_group(name, 1, primary_key=["id"], statistics_config=config)
    refused(270108, lambda: group.insert(ONE))


def test_statistics_of_integers_that_no_double_can_hold(make_group: Any) -> None:
    group = make_group(pd.DataFrame({"id": [1, 2], "n": [2**53 + 1, 5]}))
    group.compute_statistics()
    described = {s.feature_name: s for s in group.statistics.feature_descriptive_statistics}
    assert (described["n"].max, described["n"].min, described["id"].mean) == (2.0**53, 5, 1.5)


def test_the_topic_of_a_group_can_change(fs: Any, make_group: Any) -> None:
    group = make_group(ONE)
    group.update_topic_name("other")
    group.update_description("words")
    result = fs.get_feature_group(group.name, 1)
    assert (result.topic_name, result.description) == ("other", "words")


# -- queries and views -----------------------------------------------------------------------------


def test_as_of_goes_by_the_times_of_the_commits(make_group: Any, rows: Any) -> None:
    """Not by the times of the log's files, which change when a folder is copied."""
    group = make_group(ONE)
    group.insert(ONE.assign(id=2))
    first, second = sorted(group.commit_details())
    for moment in (0, first / 1000, 2 * first / 1000):
        for file in Path(group.location).glob("_delta_log/*.json"):
            os.utime(file, (moment, moment))
        assert rows(group.select_all().as_of(first))["id"].tolist() == [1]
        assert rows(group.select_all().as_of(second))["id"].tolist() == [1, 2]
        early = group.select_all().as_of(first - 60_000)
        assert group.name in refused(270118, lambda early=early: rows(early), 404).user_message


def test_a_view_ignores_as_of(make_group: Any, make_view: Any) -> None:
    left, right = make_group(ONE), make_group(ONE)
    query = left.select_all().join(right.select(["x"]), prefix="r_")
    with pytest.warns(UserWarning, match="`as_of` argument in the `Query` will be ignored"):
        view = make_view(query.as_of(max(left.commit_details())))
    for group in (left, right):
        group.insert(ONE.assign(id=2))
    assert sorted(view.get_batch_data()["id"]) == [1, 2]
    assert sorted(view.training_data()[0]["id"]) == [1, 2]


def test_a_group_that_is_read_before_its_first_insert(fs: Any, name: str) -> None:
    group = fs.create_feature_group(name, 1, primary_key=["id"])
    assert name in refused(270009, group.read, 404).user_message


def test_columns_of_one_name_are_named_as_the_client_announces(make_group: Any, rows: Any) -> None:
    left, right = make_group(ONE), make_group(ONE)
    result = rows(left.select_all().join(right.select_all()))
    names = [f"local_{group.name}_1_x" for group in (left, right)]
    assert list(result.columns) == ["id", *names]


def test_joins(fs: Any, make_group: Any, rows: Any) -> None:
    left = make_group(ONE)
    right = make_group(ONE.rename(columns={"id": "key"}), primary_key=("key",))
    refused(270096, lambda: rows(left.select_all().join(right.select_all())))
    refused(270082, lambda: rows(left.select_all().join(right.select_all(), on=["nope"])))
    joined = left.select_all().join(
        right.select_all(), left_on=["id"], right_on=["key"], prefix="A-"
    )
    refused(270165, lambda: rows(joined))
    uneven = left.select_all().join(right.select_all(), left_on=["id", "x"], right_on=["key"])
    refused(270097, lambda: rows(uneven))


def test_joins_that_are_not_supported(make_group: Any, rows: Any) -> None:
    frame = pd.DataFrame({"id": [1], "at": [DAY]})
    a, b = (make_group(frame, event_time="at").select_all() for _ in range(2))
    unsupported(lambda: rows(a.join(b.limit(5), prefix="b_")), "a limit")
    b = make_group(ONE).select_all().join(make_group(ONE).select_all(), prefix="c_")
    unsupported(lambda: rows(make_group(ONE).select_all().join(b, prefix="b_")), "nested joins")
    for kind in ("right", "full"):
        a, b = (make_group(frame, event_time="at").select_all() for _ in range(2))
        joined = a.join(b, join_type=kind, prefix="b_")
        unsupported(lambda joined=joined: rows(joined), f"join_type='{kind.upper()}'")


def test_the_age_of_features_is_stored(fs: Any, make_group: Any, make_view: Any) -> None:
    view = make_view(make_group(ONE).select_all(), max_feature_age=timedelta(days=1))
    assert fs.get_feature_view(view.name, 1).max_feature_age == timedelta(days=1)


def test_on_demand_features_of_a_joined_group_have_its_prefix(
    fs: Any, make_group: Any, make_view: Any
) -> None:
    from hsfs.hopsworks_udf import udf

    @udf(float)
    def halved(x: pd.Series) -> pd.Series:
        return x / 2

    left, right = make_group(ONE), make_group(ONE, transformation_functions=[halved("x")])
    view = make_view(left.select(["id"]).join(right.select(["halved"]), prefix="r_"))
    view = fs.get_feature_view(view.name, 1)
    assert view.request_parameters == ["r_x"]
    assert view.execute_odts(pd.DataFrame({"r_x": [4.0]}))["r_halved"].tolist() == [2]


def test_unknown_features(make_group: Any, rows: Any) -> None:
    from hsfs.feature import Feature

    group = make_group(ONE)
    refused(270082, lambda: rows(group.select_all().filter(Feature("nope", "double") > 1)))


@pytest.mark.parametrize("value", ["abc", "1; DROP TABLE", "nan", "1e999999", "0x1", "''"])
def test_filter_values_must_fit_the_type(make_group: Any, rows: Any, value: str) -> None:
    group = make_group(ONE)
    refused(270139, lambda: rows(group.filter(group.x > value)))


def test_labels_and_helpers_must_be_in_the_query(make_group: Any, rest: Any, name: str) -> None:
    group = make_group(ONE)
    query = json.loads(group.select(["id"]).json())
    for role, code in (
        ("label", 270142),
        ("inferenceHelperColumn", 270142),
        ("trainingHelperColumn", 270225),
    ):
        body = {"name": name, "version": 1, "query": query, "features": [{"name": "x", role: True}]}
        answer = rest("POST", "featureview", body)
        assert (answer.status_code, answer.json()["errorCode"]) == (404, code)
    answer = rest("POST", "featureview", {"name": name, "query": {**query, "leftFeatures": []}})
    assert answer.json()["errorCode"] == 270180
    assert rest("POST", "featureview", {"name": name}).json()["errorCode"] == 270180


def test_a_group_in_use_is_not_deleted(rest: Any, fs: Any, make_group: Any, make_view: Any) -> None:
    group = make_group(ONE)
    view = make_view(group.select_all())
    error = refused(120002, group.delete)
    assert view.name in error.user_message
    group.delete(force=True)
    with pytest.raises(ValueError, match="no longer valid"):
        fs.get_feature_view(view.name, 1)
    rest("DELETE", f"featureview/{view.name}/version/1")  # FeatureView.clean() is broken in 5.2.1
    assert fs.get_feature_view(view.name, 1) is None


def test_a_group_goes_with_its_views(fs: Any, make_group: Any, make_view: Any) -> None:
    group = make_group(ONE)
    view = make_view(group.select_all())
    group.delete(delete_feature_views=True)
    assert fs.get_feature_view(view.name, 1) is None


def test_a_deletion_that_fails_leaves_the_files_of_the_views(
    fs: Any, make_group: Any, make_view: Any, datasets: Any, root: Path
) -> None:
    """A trigger stands for a kill before the commit."""
    group = make_group(ONE)
    view = make_view(group.select_all(), logging_enabled=True)
    view.log(ONE)
    version, _ = view.create_training_data(data_format="csv")
    with sqlite3.connect(root / "local" / "hopsworks.sqlite") as db:
        db.execute(
            f"CREATE TRIGGER stops BEFORE DELETE ON entity WHEN OLD.id = {group.id} "
            "BEGIN SELECT RAISE(ABORT, 'stopped'); END"
        )
    try:
        refused(120005, lambda: group.delete(delete_feature_views=True), 409)
    finally:
        with sqlite3.connect(root / "local" / "hopsworks.sqlite") as db:
            db.execute("DROP TRIGGER stops")
    assert len(view.read_log()) == 1
    assert fs.get_feature_view(view.name, 1).get_training_data(version)[0]["id"].tolist() == [1]
    group.delete(delete_feature_views=True)
    assert not datasets.exists(f"Training_Datasets/{view.name}_1_{version}")


def test_a_broken_view_is_named_in_the_provenance(
    make_group: Any, make_view: Any, rest: Any, root: Path, name: str
) -> None:
    healthy, other = make_group(ONE), make_group(ONE)
    child = make_group(ONE, parents=[healthy])
    view = make_view(healthy.select_all().join(other.select_all(), prefix="o_"))
    view.training_data()
    (root / "local" / "files" / "Models" / name / "1").mkdir(parents=True)
    model = {"name": name, "version": 1, "trainingDatasetVersion": 1}
    model["featureView"] = {"name": view.name, "version": 1}
    models = "modelregistries/1/models"
    id = rest("PUT", f"{models}/{name}_1", model).json()["id"]
    other.delete(force=True)
    assert [g.name for g in healthy.get_generated_feature_groups().accessible] == [child.name]
    assert healthy.get_parent_feature_groups() is None
    (broken,) = healthy.get_generated_feature_views().faulty
    assert (broken.name, broken.version) == (view.name, 1)
    (dataset,) = rest("GET", f"{models}/{id}/provenance/links").json()["upstream"]
    for link in (dataset, *dataset["upstream"]):
        assert link["node"]["artifact"]["name"] == view.name
        assert str(other.id) in link["node"]["exceptionCause"]
    rest("DELETE", f"{models}/{id}")


def test_a_window_needs_an_event_time(make_group: Any, make_view: Any) -> None:
    view = make_view(make_group(ONE).select_all())
    with pytest.raises(ValueError, match="event time"):
        view.get_batch_data(start_time="2024-01-01")


def test_missing_views_and_training_datasets(make_group: Any, make_view: Any) -> None:
    view = make_view(make_group(ONE).select_all())
    refused(270012, lambda: view.get_training_data(7), 404)
    refused(270012, lambda: view.delete_training_dataset(7), 404)
    view.training_data()
    refused(270204, lambda: view.purge_training_data(1))
    view.delete()
    refused(270181, view.delete, 404)


def test_time_splits_must_not_overlap(make_group: Any, make_view: Any) -> None:
    frame = pd.DataFrame({"id": [1], "at": [DAY]})
    view = make_view(make_group(frame, event_time="at").select_all())
    refused(
        270206,
        lambda: view.train_test_split(
            train_start="2024-01-01",
            train_end="2024-03-01",
            test_start="2024-02-01",
            test_end="2024-04-01",
        ),
    )
    refused(270206, lambda: view.train_test_split(train_start="2024-03-01", train_end="2024-01-01"))


# -- what the client never sends -------------------------------------------------------------------


def test_half_a_character(make_group: Any, rest: Any) -> None:
    group = make_group(pd.DataFrame({"id": [1], "s": ["a"]}))
    doc = rest("GET", f"featuregroups/{group.id}").json()
    for text in ({"description": "\ud800"}, {"\ud800": 1}):
        changed = rest("PUT", f"featuregroups/{group.id}?updateMetadata=true", {**doc, **text})
        assert changed.status_code == 400
    one = {"feature": {"name": "s", "featureGroupId": group.id}, "condition": "IN"}
    query = {"leftFeatureGroup": doc, "leftFeatures": doc["features"]}
    query["filter"] = {"type": "SINGLE", "leftFilter": {**one, "value": '["\\ud800"]'}}
    assert rest("PUT", "../query", query).json()["errorCode"] == 270139


def test_a_transformed_feature_that_is_no_name(make_group: Any, make_view: Any, rest: Any) -> None:
    view = make_view(make_group(ONE).select_all())
    doc = rest("GET", f"featureview/{view.name}/version/1").json()
    udf = {"name": "f", "sourceCode": "", "transformationFeatures": [[]]}
    doc |= {"version": 2, "transformationFunctions": [{"hopsworksUdf": udf}]}
    assert rest("POST", "featureview", doc).json()["errorCode"] == 270164


def test_statistics_that_are_none(make_group: Any, make_view: Any, rest: Any) -> None:
    view = make_view(make_group(ONE).select_all())
    view.training_data()
    path = f"featureview/{view.name}/version/1/trainingdatasets/version/1/statistics"
    whole = {"computationTime": 5, "featureDescriptiveStatistics": [{"featureName": "x"}]}
    for wrong in (
        {"windowEndCommitTime": "x"},
        {"windowStartCommitTime": []},
        {"featureDescriptiveStatistics": 5},
        {"featureDescriptiveStatistics": [None]},
        {"featureDescriptiveStatistics": [{"featureName": []}]},
    ):
        assert rest("POST", path, {**whole, **wrong}).status_code == 422
    assert rest("POST", path, whole).ok
    result = rest("GET", f"{path}?feature_names=y&filter_by=window_end_commit_time_ltoeq:5")
    assert result.json()["items"][0]["featureDescriptiveStatistics"] == []
    many = rest("GET", f"{path}?filter_by=computation_time_ltoeq:{'9' * 5000}")
    assert many.status_code == 501


# -- tags ------------------------------------------------------------------------------------------


def test_tags_need_a_schema_and_must_fit(make_group: Any) -> None:
    group = make_group(ONE)
    refused(370000, lambda: group.add_tag("unheard_of", 1), 404)
    refused(370005, lambda: group.add_tag("owner", 7))
    refused(370005, lambda: group.add_tag("limits", {"high": 1}))
    refused(370002, lambda: group.delete_tag("owner"), 404)
    assert group.get_tag("owner") is None


def test_what_comes_with_a_wrong_tag_is_not_made(
    fs: Any, make_group: Any, make_view: Any, name: str
) -> None:
    wrong = {"name": "limits", "value": {"high": 1}}
    group = fs.create_feature_group(name, 1, primary_key=["id"], tags=wrong)
    refused(370005, lambda: group.insert(ONE))
    assert fs.get_feature_group(name, 1) is None
    query = make_group(ONE).select_all()
    refused(370005, lambda: fs.create_feature_view(name, query, version=1, tags=wrong))
    assert fs.get_feature_view(name, 1) is None
    view = make_view(query)
    refused(370005, lambda: view.training_data(tags=wrong))
    assert view.get_training_datasets() == []


def test_a_tag_of_what_is_deleted_at_that_moment(make_group: Any, root: Path) -> None:
    """A trigger stands for the other request, which deletes between the look and the write."""
    group = make_group(ONE)
    with sqlite3.connect(root / "local" / "hopsworks.sqlite") as db:
        db.execute(
            "CREATE TRIGGER deletes BEFORE INSERT ON item "
            "BEGIN DELETE FROM entity WHERE id = NEW.entity; END"
        )
    try:
        error = refused(120005, lambda: group.add_tag("owner", "me"), 409)
    finally:
        with sqlite3.connect(root / "local" / "hopsworks.sqlite") as db:
            db.execute("DROP TRIGGER deletes")
    assert "deleted" in error.user_message


# -- expectations ----------------------------------------------------------------------------------


def test_changes_of_a_suite_at_the_same_time_are_all_kept(make_group: Any, rest: Any) -> None:
    place = f"featuregroups/{make_group(ONE).id}/expectationsuite"
    suite = {"expectationSuiteName": "s", "meta": "{}"}
    place = f"{place}/{rest('POST', place, suite).json()['id']}"

    def change(i: int) -> bool:
        if i % 2:
            return rest("PUT", f"{place}/metadata", {**suite, "runValidation": False}).ok
        return rest("POST", f"{place}/expectations", {"expectationType": f"e{i}"}).ok

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(change, range(40)))
    assert rest("GET", f"{place}/expectations").json()["count"] == 20


# -- models ----------------------------------------------------------------------------------------


def test_models(registry: Any, make_model: Any, name: str, rest: Any) -> None:
    with pytest.raises(ModelRegistryException):
        registry.python.create_model("no-dash").save("/tmp")
    saved = make_model(version=1, metrics={"a": 1})
    with pytest.raises(ModelRegistryException, match="already exists"):
        make_model(version=1)
    refused(120004, lambda: registry.get_best_model(saved.name, "a", "maximum"), 404)
    body = {"name": saved.name, "version": 1}
    key = f"modelregistries/1/models/{saved.name}_1"
    assert rest("PUT", key, {**body, "description": "d" * 1001}).status_code == 422
    assert rest("PUT", key, {**body, "metrics": {"a": "high"}}).status_code == 422
    assert rest("PUT", key, b'{"metrics": {"a": NaN}}').status_code == 400
    assert rest("GET", "modelregistries/2/models").json()["errorCode"] == 360006
    listing = f"modelregistries/1/models?filter_by=name_eq:{saved.name}&limit=1&offset=1"
    assert rest("GET", listing).json() == {"count": 1}


def test_a_view_made_again_is_not_what_a_model_was_trained_from(
    make_group: Any, make_view: Any, rest: Any, root: Path, name: str
) -> None:
    models, group = "modelregistries/1/models", make_group(ONE)
    (root / "local" / "files" / "Models" / name / "1").mkdir(parents=True)
    (root / "local" / "files" / "Models" / name / "2").mkdir()

    def save(version: int, number: int) -> Callable[[], list[Any]]:
        doc = {"name": name, "version": version, "trainingDatasetVersion": number}
        doc["featureView"] = {"name": name, "version": 1}
        id = rest("PUT", f"{models}/{name}_{version}", doc).json()["id"]
        return lambda: rest("GET", f"{models}/{id}/provenance/links").json()["upstream"]

    view = make_view(group.select_all())
    view.training_data()
    trained, too_early = save(1, 1), save(2, 2)
    view.training_data()
    assert trained()[0]["upstream"][0]["node"]["artifact"]["name"] == view.name
    assert too_early() == []
    view.delete()
    view = make_view(group.select_all())
    view.training_data()
    assert trained() == []
    for version in (1, 2):
        id = rest("GET", f"{models}/{name}_{version}").json()["id"]
        rest("DELETE", f"{models}/{id}")


# -- files -----------------------------------------------------------------------------------------


def test_files(datasets: Any, name: str, tmp_path: Path) -> None:
    home = f"Resources/{name}"
    refused(120001, lambda: datasets.mkdir(f"{home}/deep/er"), 422)
    datasets.mkdir(home)
    refused(110047, lambda: datasets.mkdir(home))
    refused(110012, lambda: datasets.mkdir("Resources"))
    for bad in ("with space", "umläut", "dot.", "under__score", "Projects", "upload"):
        refused(110028, lambda bad=bad: datasets.mkdir(bad))
    refused(110011, lambda: datasets.get("Nowhere/file"))
    refused(110018, lambda: datasets.get(f"{home}/missing"))
    refused(110018, lambda: datasets.list(f"{home}/missing"))
    (tmp_path / "f").write_text("x")
    datasets.upload(str(tmp_path / "f"), home)
    refused(110039, lambda: datasets.list(f"{home}/f"))
    refused(110038, lambda: datasets.download(home, str(tmp_path / "out")))
    datasets.remove(f"{home}/missing")
    datasets.remove(f"{home}/f/below a file")
    with pytest.raises(DatasetException):
        datasets.upload(str(tmp_path / "f"), home)
    with pytest.raises(DatasetException):
        datasets.copy(f"{home}/f", f"{home}/f")
    datasets.remove(home)


# -- what is not supported is refused by name ------------------------------------------------------


def test_refusals_name_the_call(
    project: Any, fs: Any, make_group: Any, make_view: Any, name: str
) -> None:
    group = make_group(ONE)
    view = make_view(group.select_all())

    def create(**options: Any) -> Callable[[], Any]:
        return lambda: fs.create_feature_group(name, 1, primary_key=["id"], **options).insert(ONE)

    unsupported(create(time_travel_format="ICEBERG"), "time_travel_format='ICEBERG'")
    with pytest.raises(FeatureStoreException, match="not online enabled"):
        view.init_serving()
    unsupported(lambda: fs.get_storage_connector("x"), "storage connector")
    unsupported(lambda: group.get_alerts(), "alerts")
    unsupported(lambda: group.add_keywords("x"), "keywords")
    unsupported(lambda: fs.search("x"), "search")
    unsupported(lambda: project.get_kafka_api().get_topics(), "Kafka")
    unsupported(lambda: group.get_feature_monitoring_configs(), "feature monitoring")
    with pytest.raises(FeatureStoreException, match="opensearch"):
        project.get_opensearch_api().get_default_py_config()
    unsupported(lambda: group.select_all().filter(group.x != None).read(), "None")  # noqa: E711


def test_logging_is_not_enabled_by_a_job(make_group: Any, make_view: Any) -> None:
    view = make_view(make_group(ONE).select_all())
    unsupported(lambda: view.enable_logging(transport="job"), "transport='job'")
    assert view.feature_logging is None
    view.enable_logging(extra_log_columns=[{"name": "note", "type": "string"}])
    assert "note" in [f.name for f in view.feature_logging.get_feature_group().features]
    view.feature_logging.get_feature_group().delete()
    assert view._feature_view_engine._get_feature_logging(view) is None


def test_external_groups_are_refused(fs: Any, name: str) -> None:
    from hsfs.feature import Feature
    from hsfs.storage_connector import S3Connector

    external = fs.create_external_feature_group(
        name,
        S3Connector(1, "elsewhere", fs.id),
        version=1,
        path="table",
        data_format="parquet",
        features=[Feature("id", "bigint")],
        primary_key=["id"],
    )
    unsupported(external.save, "external feature group")


# -- time ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["timestamp", "date", "bigint"])
def test_windows_include_their_start_and_exclude_their_end(
    make_group: Any, make_view: Any, kind: str
) -> None:
    days = pd.Series(DAY + pd.to_timedelta(np.arange(5), unit="D")).astype("datetime64[us]")
    at = {"timestamp": days, "date": days.dt.date, "bigint": days.astype("int64") // 1000}[kind]
    group = make_group(pd.DataFrame({"id": range(5), "at": at}), event_time="at")
    view = make_view(group.select(["id"]))
    result = view.get_batch_data(start_time="2024-03-02", end_time="2024-03-04")
    assert sorted(result["id"]) == [1, 2]

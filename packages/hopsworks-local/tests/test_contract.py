"""What the unmodified client can do: the same calls against hopsworks_local and a real cluster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import reduce
from operator import and_, or_
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

LIVE = True  # these tests run against a real cluster, too; see conftest.py
DAY = pd.Timestamp("2024-03-01")


@pytest.fixture
def people() -> pd.DataFrame:
    """Ten rows with a column of every plain type."""
    n = np.arange(10)
    return pd.DataFrame(
        {
            "id": n,
            "city": [f"city {i % 3}" for i in n],
            "height": n / 4,
            "age": (n * 7 % 10).astype("int32"),
            "member": n % 2 == 0,
            "since": (DAY + pd.to_timedelta(n, unit="D")).astype("datetime64[us]"),
        }
    )


def ids(frame: pd.DataFrame, column: str = "id") -> list[int]:
    return sorted(frame[column].tolist())


# -- login and project -----------------------------------------------------------------------------


def test_login_names_project_and_feature_store(project: Any) -> None:
    import hopsworks

    assert hopsworks.get_current_project().name == project.name
    assert project.get_url().startswith("https://")
    store = project.get_feature_store()
    assert store.name.startswith(project.name)
    assert store.project_name == project.name


def test_what_is_absent_is_none_or_empty(fs: Any, registry: Any, name: str) -> None:
    assert fs.get_feature_group(name, 1) is None
    assert fs.get_feature_groups(name) == []
    assert fs.get_feature_view(name, 1) is None
    assert fs.get_feature_views(name) == []
    assert registry.get_model(name, 1) is None
    assert registry.get_models(name) == []
    assert registry.get_best_model(name, "accuracy", "max") is None


# -- feature groups --------------------------------------------------------------------------------


def test_created_on_first_insert_and_read_back(fs: Any, make_group: Any, people: Any) -> None:
    group = make_group(people, description="people", event_time="since")
    back = group.read().sort_values("id").reset_index(drop=True)
    pd.testing.assert_frame_equal(back[people.columns], people)

    result = fs.get_feature_group(group.name, 1)
    assert result.description == "people"
    assert result.primary_key == ["id"]
    assert result.event_time == "since"
    assert [f.name for f in result.features] == list(people.columns)
    types = {f.name: f.type for f in result.schema}
    assert types == {
        "id": "bigint",
        "city": "string",
        "height": "double",
        "age": "int",
        "member": "boolean",
        "since": "timestamp",
    }
    assert group.name in [g.name for g in fs.get_feature_groups()]


def test_get_or_create_finds_what_is_there(fs: Any, make_group: Any, people: Any) -> None:
    group = make_group(people)
    again = fs.get_or_create_feature_group(group.name, version=1, primary_key=["id"])
    assert again.id == group.id


def test_save_makes_a_group_without_rows_from_a_schema(
    rows: Any, fs: Any, make_group: Any, name: str
) -> None:
    from hsfs.feature import Feature

    group = fs.create_feature_group(
        name,
        version=1,
        primary_key=["id"],
        features=[Feature("id", "bigint"), Feature("x", "double")],
    )
    group.save()
    assert [f.name for f in fs.get_feature_group(name, 1).features] == ["id", "x"]
    group.insert(pd.DataFrame({"id": [1], "x": [0.5]}))
    assert ids(rows(group.select_all())) == [1]
    group.delete()
    assert fs.get_feature_group(name, 1) is None


def test_upsert_by_primary_key(rows: Any, make_group: Any, people: Any) -> None:
    group = make_group(people)
    group.insert(pd.concat([people.head(2).assign(city="new"), people.tail(1).assign(id=99)]))
    back = rows(group.select_all())
    assert ids(back) == [*range(10), 99]
    assert ids(back[back.city == "new"]) == [0, 1]


def test_event_time_is_part_of_the_key(rows: Any, make_group: Any) -> None:
    day = pd.DataFrame({"id": [1], "at": [DAY.as_unit("us")], "x": [1.0]})
    group = make_group(day, event_time="at")
    group.insert(day.assign(x=2.0))
    group.insert(day.assign(at=(DAY + pd.Timedelta(days=1)).as_unit("us"), x=3.0))
    assert sorted(rows(group.select_all()).x) == [2.0, 3.0]


def test_overwrite_leaves_only_the_new_rows(
    rows: Any, fs: Any, make_group: Any, people: Any
) -> None:
    group = make_group(people)
    group.insert(people.head(3), overwrite=True)
    assert ids(rows(fs.get_feature_group(group.name, 1).select_all())) == [0, 1, 2]


def test_partition_key(rows: Any, make_group: Any, people: Any) -> None:
    group = make_group(people, partition_key=["city"])
    group.insert(people.head(1).assign(height=9.0))
    back = rows(group.select_all())
    assert len(back) == 10
    assert back.set_index("id").height[0] == 9.0


def test_versions_stand_side_by_side(rows: Any, fs: Any, make_group: Any, people: Any) -> None:
    first = make_group(people)
    second = make_group(people.head(2), name=first.name, version=2)
    assert len(rows(first.select_all())) == 10
    assert len(rows(second.select_all())) == 2
    assert sorted(g.version for g in fs.get_feature_groups(first.name)) == [1, 2]


def test_the_next_version_is_counted(fs: Any, make_group: Any, people: Any) -> None:
    first = make_group(people)
    assert make_group(people, name=first.name, version=None).version == 2


def test_commit_details(make_group: Any, people: Any) -> None:
    group = make_group(people)
    group.insert(pd.concat([people.head(2), people.head(1).assign(id=50)]))
    details = group.commit_details()
    newest, oldest = (details[k] for k in sorted(details, reverse=True))
    assert (oldest["rowsInserted"], oldest["rowsUpdated"]) == (10, 0)
    assert (newest["rowsInserted"], newest["rowsUpdated"]) == (1, 2)
    assert len(group.commit_details(limit=1)) == 1


def test_delete_records(rows: Any, make_group: Any, people: Any) -> None:
    group = make_group(people)
    group.commit_delete_record(people.head(4)[["id"]])
    assert ids(rows(group.select_all())) == [4, 5, 6, 7, 8, 9]


def test_append_features(rows: Any, fs: Any, make_group: Any, people: Any) -> None:
    from hsfs.feature import Feature

    group = make_group(people)
    group.append_features([Feature("weight", "double")])
    assert rows(group.select_all()).weight.isna().all()
    group.insert(people.head(1).assign(weight=70.5))
    back = rows(fs.get_feature_group(group.name, 1).select_all())
    assert back.weight.dropna().tolist() == [70.5]
    assert len(back) == 10


def test_descriptions_can_change(fs: Any, make_group: Any, people: Any) -> None:
    group = make_group(people)
    group.update_description("new words")
    group.update_feature_description("city", "where")
    result = fs.get_feature_group(group.name, 1)
    assert result.description == "new words"
    assert result.get_feature("city").description == "where"


def test_deprecation_is_a_flag(fs: Any, make_group: Any, people: Any) -> None:
    group = make_group(people)
    group.update_deprecated(True)
    assert fs.get_feature_group(group.name, 1).deprecated is True


def test_statistics_configuration(fs: Any, make_group: Any, people: Any) -> None:
    group = make_group(people, statistics_config={"enabled": False, "columns": ["age"]})
    group.statistics_config = {"enabled": True, "columns": ["height"]}
    group.update_statistics_config()
    assert fs.get_feature_group(group.name, 1).statistics_config.columns == ["height"]


def test_compute_statistics(fs: Any, make_group: Any, people: Any) -> None:
    people = people.assign(height=people.height.where(people.id > 1))
    group = make_group(people)
    assert group.get_statistics() is None
    group.compute_statistics()
    result = fs.get_feature_group(group.name, 1).get_statistics()
    described = {s.feature_name: s for s in result.feature_descriptive_statistics}
    height = described["height"]
    assert (height.count, height.num_null_values, height.completeness) == (10, 2, 0.8)
    assert (height.min, height.max, height.mean) == (0.5, 2.25, people.height.mean())
    assert height.std_dev == pytest.approx(people.height.std(ddof=0))
    assert described["city"].approx_num_distinct_values == 3
    only = group.get_statistics(feature_names=["age"]).feature_descriptive_statistics
    assert [s.feature_name for s in only] == ["age"]


def test_tags_of_a_feature_group(backend: str, make_group: Any, people: Any) -> None:
    if backend == "live":
        pytest.skip("tag schemas are made by an administrator of the cluster")
    sent = [{"name": "owner", "value": "me"}, {"name": "limits", "value": {"low": 0}}]
    group = make_group(people, tags=sent)
    assert group.get_tags() == {"owner": "me", "limits": {"low": 0}}
    group.add_tag("owner", "ann")
    group.add_tag("limits", {"low": 1})
    assert group.get_tag("owner") == "ann"
    assert group.get_tags() == {"owner": "ann", "limits": {"low": 1}}
    group.delete_tag("owner")
    assert group.get_tags() == {"limits": {"low": 1}}


def test_statistics_of_the_latest_commit(make_group: Any, people: Any) -> None:
    group = make_group(
        people,
        statistics_config={"histograms": True, "correlations": True, "exact_uniqueness": True},
    )
    assert group.statistics is None
    group.compute_statistics()
    described = {s.feature_name: s for s in group.statistics.feature_descriptive_statistics}
    extended = described["height"].extended_statistics
    assert sum(bar["count"] for bar in extended["histogram"]) == len(people)
    related = {pair["column"]: pair["correlation"] for pair in extended["correlations"]}
    assert related["id"] == pytest.approx(people.height.corr(people.id))
    assert described["id"].uniqueness == 1
    assert described["height"].percentiles[49] == pytest.approx(people.height.median())
    group.insert(people.assign(id=people.id + 1000))
    assert group.statistics is None, "not of the latest commit"


# -- queries ---------------------------------------------------------------------------------------


def test_select(rows: Any, make_group: Any, people: Any) -> None:
    group = make_group(people, event_time="since")
    assert list(rows(group.select(["age", "city"])).columns) == ["age", "city"]
    assert list(rows(group.select_except(["age", "city"])).columns) == [
        "id", "height", "member", "since"
    ]  # fmt: skip
    assert list(rows(group.select_features()).columns) == ["city", "height", "age", "member"]


def test_show_and_limit(rows: Any, make_group: Any, people: Any) -> None:
    group = make_group(people)
    assert len(group.show(3)) == 3
    assert len(rows(group.select_all().limit(4))) == 4


FILTERS = {
    "equal": (lambda g: g.city == "city 1", lambda d: d.city == "city 1"),
    "unequal": (lambda g: g.age != 7, lambda d: d.age != 7),
    "less": (lambda g: g.height < 1.5, lambda d: d.height < 1.5),
    "at most": (lambda g: g.height <= 1.5, lambda d: d.height <= 1.5),
    "greater": (lambda g: g.age > 4, lambda d: d.age > 4),
    "at least": (lambda g: g.age >= 4, lambda d: d.age >= 4),
    "fraction on integers": (lambda g: g.age > 4.5, lambda d: d.age > 4.5),
    "boolean": (lambda g: g.member == True, lambda d: d.member),  # noqa: E712
    "one of": (lambda g: g["id"].isin([1, 5, 77]), lambda d: d.id.isin([1, 5, 77])),
    "one of texts": (
        lambda g: g.city.isin(["city 0", "x"]),
        lambda d: d.city.isin(["city 0", "x"]),
    ),
    "like": (lambda g: g.city.like("%y 2"), lambda d: d.city == "city 2"),
    "like one": (lambda g: g.city.like("c_ty 1"), lambda d: d.city == "city 1"),
    "timestamp": (lambda g: g.since >= "2024-03-05 00:00:00", lambda d: d.since >= "2024-03-05"),
    "and": (
        lambda g: (g.age > 2) & (g.member == True),  # noqa: E712
        lambda d: (d.age > 2) & d.member,
    ),
    "or": (lambda g: (g.age > 8) | (g["id"] == 0), lambda d: (d.age > 8) | (d.id == 0)),
    "one of thousands of texts": (
        lambda g: g.city.isin([f"city {i}" for i in range(1, 10_001)]),
        lambda d: d.city.isin(["city 1", "city 2"]),
    ),
    "300 by or": (
        lambda g: reduce(or_, [g.city == f"city {i}" for i in range(1, 301)]),
        lambda d: d.city.isin(["city 1", "city 2"]),
    ),
    "300 by and": (
        lambda g: reduce(and_, [g.age != i for i in range(5, 305)]),
        lambda d: d.age < 5,
    ),
    "== 1 of a boolean": (lambda g: g.member == 1, lambda d: d.member),
    "== None": (lambda g: g.height == None, lambda d: d.height.isna()),  # noqa: E711
    "tree": (
        lambda g: ((g.age > 2) & (g.height < 2)) | ((g["id"] == 9) & (g.city != "x")),
        lambda d: ((d.age > 2) & (d.height < 2)) | (d.id == 9),
    ),
}


@pytest.fixture(scope="module")
def filter_group(fs: Any) -> Any:
    """One group for all filters; with a text that is full of SQL."""
    group = fs.create_feature_group(
        f"t_filter_{pd.Timestamp.now().value}", version=1, primary_key=["id"], event_time="since"
    )
    n = np.arange(10)
    frame = pd.DataFrame(
        {
            "id": n,
            "city": [f"city {i % 3}" for i in n[:-1]] + ["x' OR '1'='1"],
            "height": np.where(n == 5, np.nan, n / 4),
            "age": (n * 7 % 10).astype("int32"),
            "member": n % 2 == 0,
            "since": (DAY + pd.to_timedelta(n, unit="D")).astype("datetime64[us]"),
        }
    )
    group.insert(frame)
    yield group, frame
    group.delete()


@pytest.mark.parametrize("operator", FILTERS)
def test_filter(rows: Any, filter_group: Any, operator: str) -> None:
    group, frame = filter_group
    on_group, on_frame = FILTERS[operator]
    result = rows(group.filter(on_group(group)))
    assert (ids(result) if len(result) else []) == ids(frame[on_frame(frame)])


def test_filter_values_are_values(rows: Any, filter_group: Any) -> None:
    group, _ = filter_group
    assert ids(rows(group.filter(group.city == "x' OR '1'='1"))) == [9]
    assert len(rows(group.filter(group.city == "' OR 1=1 --"))) == 0
    assert len(rows(group.filter(group.city.isin(["') OR (1=1"])))) == 0
    assert len(rows(group.filter(group.city.like("'; DROP TABLE g0; --%")))) == 0


def test_filter_that_compares_two_features(rows: Any, filter_group: Any) -> None:
    group, frame = filter_group
    assert ids(rows(group.filter(group.age > group["id"]))) == ids(frame[frame.age > frame.id])


def test_time_window_of_a_read(filter_group: Any) -> None:
    group, _ = filter_group
    result = group.select_all().read(start_time="2024-03-03", end_time="2024-03-05")
    assert ids(result)[0] == 2
    assert set(ids(result)) <= {2, 3, 4}


def test_query_as_of_an_earlier_commit(rows: Any, make_group: Any, people: Any) -> None:
    group = make_group(people.head(2))
    first = max(group.commit_details())
    group.insert(people)
    then = pd.Timestamp(first, unit="ms") + pd.Timedelta(milliseconds=1)
    assert ids(rows(group.select_all().as_of(then.to_pydatetime()))) == [0, 1]
    assert len(rows(group.select_all())) == 10


@pytest.fixture
def joined(make_group: Any) -> Any:
    """Orders and their customers; one order of nobody, one customer without orders."""
    orders = make_group(
        pd.DataFrame({"order_id": [1, 2, 3], "customer": [7, 8, 99], "x": [1.0, 2.0, 3.0]}),
        primary_key=("order_id",),
    )
    customers = make_group(
        pd.DataFrame({"customer": [7, 8, 9], "x": [70.0, 80.0, 90.0]}), primary_key=("customer",)
    )
    return orders, customers


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("inner", [(1, 70.0), (2, 80.0)]),
        ("left", [(1, 70.0), (2, 80.0), (3, None)]),
        ("right", [(1, 70.0), (2, 80.0), (None, 90.0)]),
        ("full", [(1, 70.0), (2, 80.0), (3, None), (None, 90.0)]),
    ],
)
def test_join(rows: Any, joined: Any, kind: str, expected: list[Any]) -> None:
    orders, customers = joined
    query = orders.select_all().join(
        customers.select(["x"]), on=["customer"], join_type=kind, prefix="c_"
    )
    result = rows(query)[["order_id", "c_x"]].astype(object)
    pairs = [
        tuple(None if pd.isna(v) else v for v in row) for row in result.itertuples(index=False)
    ]
    assert sorted(pairs, key=str) == sorted(expected, key=str)


def test_join_on_different_names_and_filter(rows: Any, joined: Any) -> None:
    orders, customers = joined
    query = (
        orders.select(["order_id"])
        .join(customers.select(["x"]), left_on=["customer"], right_on=["customer"], prefix="c_")
        .filter(customers.x > 75.0)
    )
    assert rows(query).order_id.tolist() == [2]


def test_join_on_the_common_primary_key(rows: Any, make_group: Any, people: Any) -> None:
    left = make_group(people[["id", "city"]])
    right = make_group(people[["id", "age"]].head(4))
    result = rows(left.select_all().join(right.select_all(), join_type="inner"))
    assert list(result.columns) == ["id", "city", "age"]
    assert ids(result) == [0, 1, 2, 3]


@pytest.fixture
def prices(make_group: Any) -> Any:
    """Labels at a time, and features that change over time."""
    at = [DAY + pd.Timedelta(days=d) for d in (0, 3, 6)]
    labels = make_group(
        pd.DataFrame(
            {"id": [1, 1, 2], "at": pd.Series(at).astype("datetime64[us]"), "y": [0, 1, 2]}
        ),
        event_time="at",
    )
    seen = [DAY + pd.Timedelta(days=d) for d in (-1, 2, 3, 4)]
    features = make_group(
        pd.DataFrame(
            {
                "id": [1, 1, 1, 1],
                "seen": pd.Series(seen).astype("datetime64[us]"),
                "price": [10.0, 20.0, 30.0, 40.0],
            }
        ),
        event_time="seen",
    )
    return labels, features


@pytest.mark.parametrize(
    ("kind", "expected"), [("left", {0: 10.0, 1: 30.0, 2: None}), ("inner", {0: 10.0, 1: 30.0})]
)
def test_point_in_time_join(
    rows: Any, prices: Any, kind: str, expected: dict[int, float | None]
) -> None:
    """Each label meets the latest price that was known at its time, never a later one."""
    labels, features = prices
    query = labels.select(["y"]).join(features.select(["price"]), on=["id"], join_type=kind)
    result = rows(query).set_index("y").price
    assert {k: None if pd.isna(v) else v for k, v in result.items()} == expected


# -- feature views ---------------------------------------------------------------------------------


def test_view_keeps_labels_and_helpers(
    fs: Any, make_group: Any, make_view: Any, people: Any
) -> None:
    group = make_group(people, event_time="since")
    created = make_view(
        group.select_all(),
        labels=["member"],
        training_helper_columns=["city"],
        inference_helper_columns=["age"],
        description="people view",
    )
    view = fs.get_feature_view(created.name, 1)
    assert view.labels == ["member"]
    assert view.training_helper_columns == ["city"]
    assert view.inference_helper_columns == ["age"]
    assert view.description == "people view"
    assert [f.name for f in view.features] == list(people.columns)
    assert [f.name for f in view.schema if f.label] == ["member"]
    assert list(view.get_batch_data().columns) == ["id", "height", "since"]
    assert list(view.get_batch_data(inference_helper_columns=True).columns) == [
        "id", "height", "age", "since"
    ]  # fmt: skip


def test_batch_data_window_keys_and_filter(make_group: Any, make_view: Any, people: Any) -> None:
    group = make_group(people, event_time="since")
    view = make_view(group.select(["height", "member"]), labels=["member"])
    window = view.get_batch_data(
        start_time=date(2024, 3, 3), end_time="2024-03-06", primary_key=True, event_time=True
    )
    key, time = (c for c in window.columns if c != "height")
    assert (key.endswith("_id"), time.endswith("_since")) == (True, True)
    assert ids(window, key) == [2, 3, 4], "the start belongs to the window, the end does not"
    assert len(view.get_batch_data(extra_filter=group.age > 4)) == 5


def test_filter_of_a_views_query(make_group: Any, make_view: Any, people: Any) -> None:
    group = make_group(people)
    view = make_view(group.select(["id", "age"]).filter((group.age > 4) | (group["id"] == 0)))
    assert len(view.get_batch_data()) == 6


def test_training_data_and_its_registration(make_group: Any, make_view: Any, people: Any) -> None:
    group = make_group(people)
    view = make_view(group.select_all(), labels=["member"], training_helper_columns=["city"])
    x, y = view.training_data(training_helper_columns=True)
    assert list(y.columns) == ["member"]
    assert len(x) == 10
    assert "city" in x.columns
    assert "city" not in view.training_data()[0].columns
    assert [d.version for d in view.get_training_datasets()] == [1, 2]
    again, _ = view.get_training_data(1)
    assert len(again) == 10
    view.delete_training_dataset(1)
    assert [d.version for d in view.get_training_datasets()] == [2]
    view.delete_all_training_datasets()
    assert view.get_training_datasets() == []


def test_training_data_with_extra_filter(make_group: Any, make_view: Any, people: Any) -> None:
    group = make_group(people)
    view = make_view(group.select_all(), labels=["member"])
    x, _ = view.training_data(extra_filter=group.age < 3)
    assert len(x) == 3


def test_random_splits(make_group: Any, make_view: Any, people: Any) -> None:
    view = make_view(make_group(people).select_all(), labels=["member"])
    train, test, y_train, y_test = view.train_test_split(test_size=0.3)
    assert sorted([*ids(train), *ids(test)]) == list(range(10))
    assert (len(y_train), len(y_test)) == (len(train), len(test))
    parts = view.train_validation_test_split(validation_size=0.2, test_size=0.2)
    assert sum(len(p) for p in parts[:3]) == 10


def test_time_split(make_group: Any, make_view: Any, people: Any) -> None:
    group = make_group(people, event_time="since")
    view = make_view(group.select(["id", "member"]), labels=["member"])
    train, test, *_ = view.train_test_split(
        train_start="2024-03-01",
        train_end="2024-03-05",
        test_start="2024-03-05",
        test_end="2024-03-20",
    )
    assert (ids(train), ids(test)) == ([0, 1, 2, 3], [4, 5, 6, 7, 8, 9])
    version = view.get_training_datasets()[-1].version
    again, *_ = view.get_train_test_split(version)
    assert ids(again) == ids(train)


def test_builtin_transformation_functions(
    fs: Any, make_group: Any, make_view: Any, people: Any
) -> None:
    from hopsworks.hsfs.builtin_transformations import min_max_scaler, standard_scaler

    group = make_group(people)
    view = make_view(
        group.select(["id", "height", "age"]),
        transformation_functions=[min_max_scaler("height"), standard_scaler("age")],
    )
    x, _ = view.training_data()
    scaled = x[[c for c in x.columns if "min_max_scaler" in c]].to_numpy()
    assert (scaled.min(), scaled.max()) == (0.0, 1.0)
    standard = x[[c for c in x.columns if "standard_scaler" in c]].to_numpy()
    assert abs(standard.mean()) < 1e-9
    result = fs.get_feature_view(view.name, 1)
    assert len(result.transformation_functions) == 2
    result.init_batch_scoring(training_dataset_version=1)
    batch = result.get_batch_data()
    pd.testing.assert_frame_equal(
        batch.sort_values("id").reset_index(drop=True), x.sort_values("id").reset_index(drop=True)
    )


def test_udf(make_group: Any, make_view: Any, people: Any) -> None:
    """A transformation that the program itself defines."""
    import hopsworks

    @hopsworks.udf(float)
    def halved(height: pd.Series) -> pd.Series:
        return height / 2

    view = make_view(make_group(people).select(["id", "height"]), transformation_functions=[halved])
    x, _ = view.training_data()
    (column,) = (c for c in x.columns if c.startswith("halved"))
    assert sorted(x[column]) == sorted(people.height / 2)


def test_views_have_versions_and_can_change(
    fs: Any, make_group: Any, make_view: Any, people: Any
) -> None:
    group = make_group(people)
    first = make_view(group.select(["id"]))
    second = make_view(group.select(["id", "age"]), version=None)
    assert second.version == 2
    assert [v.version for v in fs.get_feature_views(first.name)] == [1, 2]
    first.description = "other"
    first.update()
    assert fs.get_feature_view(first.name, 1).description == "other"
    first.delete()
    assert fs.get_feature_view(first.name, 1) is None
    got = fs.get_or_create_feature_view(first.name, group.select(["id"]), version=2)
    assert len(got.features) == 2


def test_view_over_a_join(make_group: Any, make_view: Any, people: Any) -> None:
    left = make_group(people[["id", "city"]])
    right = make_group(people[["id", "age"]])
    query = left.select_all().join(right.select(["age"]), prefix="r_")
    view = make_view(query, labels=["r_age"])
    x, y = view.training_data()
    assert list(x.columns) == ["id", "city"]
    assert sorted(y.r_age) == sorted(people.age)


def test_tags_of_views_and_training_datasets(
    backend: str, make_group: Any, make_view: Any, people: Any
) -> None:
    if backend == "live":
        pytest.skip("tag schemas are made by an administrator of the cluster")
    view = make_view(make_group(people).select_all(), tags={"name": "owner", "value": "me"})
    assert view.get_tags() == {"owner": "me"}
    view.add_tag("owner", "bob")
    assert view.get_tags() == {"owner": "bob"}
    assert view.get_tag("owner") == "bob"
    view.training_data(tags={"name": "owner", "value": "me"})
    assert view.get_training_dataset_tags(1) == {"owner": "me"}
    view.add_training_dataset_tag(1, "owner", "eve")
    assert view.get_training_dataset_tags(1) == {"owner": "eve"}
    assert view.get_training_dataset_tag(1, "owner") == "eve"
    view.delete_training_dataset_tag(1, "owner")
    view.delete_tag("owner")
    assert view.get_tags() == {}


# -- model registry --------------------------------------------------------------------------------


def test_model_is_saved_whole(registry: Any, make_model: Any, people: Any, tmp_path: Any) -> None:
    from hsml.model_schema import ModelSchema
    from hsml.schema import Schema

    schema = ModelSchema(Schema(people[["height"]]), Schema(people[["age"]]))
    saved = make_model(
        metrics={"kappa": 0.5, "mae": 1.25},
        description="a model",
        model_schema=schema,
        input_example=people[["height"]].head(1),
    )
    model = registry.get_model(saved.name, 1)
    assert model.training_metrics == {"kappa": 0.5, "mae": 1.25}
    assert model.description == "a model"
    assert model.framework in ("PYTHON", None)
    assert model.model_schema["input_schema"]["columnar_schema"][0]["name"] == "height"
    assert model.input_example == [0.0]
    assert model.get_url().startswith("https://")
    home = model.download(str(tmp_path / "download"))
    assert (tmp_path / "download" / "weights.bin").read_bytes() == bytes(range(256)) * 64
    assert (tmp_path / "download" / "sub" / "notes.txt").read_text() == "nested"
    assert home == str(tmp_path / "download")


def test_versions_best_and_deletion(registry: Any, datasets: Any, make_model: Any) -> None:
    first = make_model(metrics={"kappa": 0.9, "mae": 2.0})
    second = make_model(metrics={"kappa": 0.1, "mae": 1.0})
    assert (first.version, second.version) == (1, 2)
    assert sorted(m.version for m in registry.get_models(first.name)) == [1, 2]
    assert registry.get_best_model(first.name, "kappa", "max").version == 1
    assert registry.get_best_model(first.name, "mae", "min").version == 2
    assert registry.get_best_model(first.name, "kappa", "min").version == 2
    folder = f"Models/{first.name}/1"
    assert datasets.exists(folder)
    registry.get_model(first.name, 1).delete()
    assert not datasets.exists(folder)
    assert registry.get_model(first.name, 1) is None


def test_model_knows_its_view(
    backend: str, registry: Any, make_group: Any, make_view: Any, make_model: Any, people: Any
) -> None:
    view = make_view(make_group(people).select_all(), labels=["member"])
    view.training_data()
    saved = make_model(feature_view=view, training_dataset_version=1)
    model = registry.get_model(saved.name, 1)
    assert model.training_dataset_version == 1
    assert model.get_feature_view(init=False).name == view.name
    assert model.get_feature_view_provenance().accessible[0].version == 1
    assert model.get_training_dataset_provenance().accessible[0].version == 1
    assert [c["name"] for c in model.model_schema["output_schema"]["columnar_schema"]] == ["member"]
    if backend == "local":
        model.add_tag("owner", "cy")
        assert model.get_tags() == {"owner": "cy"}
        assert model.get_tag("owner") == "cy"
        model.delete_tag("owner")
        assert model.get_tags() == {}


def test_models_of_frameworks(
    backend: str, project: Any, registry: Any, name: str, tmp_path: Any
) -> None:
    """Metrics may be numbers written as text, as many programs have them. Deploying is refused, and the
    rest of a program goes on."""
    from hopsworks.client.exceptions import RestAPIError

    frameworks = ("sklearn", "tensorflow", "torch", "llm")
    (tmp_path / "model.bin").write_bytes(b"x")

    def save(framework: str) -> None:  # the client waits five seconds for each
        metrics = {"f1": "0.5", "loss": 2}
        model = getattr(registry, framework).create_model(f"{name}_{framework}", metrics=metrics)
        model.save(str(tmp_path / "model.bin"), keep_original_files=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, frameworks))
    for framework in frameworks:
        result = registry.get_model(f"{name}_{framework}", 1)
        assert type(result).__module__ == f"hsml.{framework}.model"
        assert result.training_metrics == {"f1": 0.5, "loss": 2.0}
        if backend == "local" and framework == "sklearn":
            with pytest.raises(RestAPIError, match=r"Model\.deploy") as caught:
                result.deploy(script_file=str(tmp_path / "model.bin"))
            assert caught.value.response.status_code == 501
        result.delete()


def test_a_metric_that_is_no_number_leaves_nothing(
    registry: Any, datasets: Any, name: str, tmp_path: Any
) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    with pytest.raises(ValueError, match="low"):
        registry.python.create_model(name, metrics={"f1": "low"}).save(str(tmp_path / "model.bin"))
    assert not datasets.exists(f"Models/{name}")


def test_there_are_no_deployments(backend: str, project: Any, name: str) -> None:
    serving = project.get_model_serving()
    assert serving.get_deployment(name) is None
    if backend == "local":
        assert serving.get_deployments() == []


# -- secrets and jobs ------------------------------------------------------------------------------


def test_secrets(project: Any, name: str) -> None:
    import hopsworks

    secrets = hopsworks.get_secrets_api()
    assert secrets.get_secret(name) is None
    secrets.create_secret(name, "value of the secret")
    try:
        assert secrets.get(name) == "value of the secret"
        assert secrets.get_secret(name).visibility == "PRIVATE"
        assert name in [s.name for s in secrets.get_secrets()]
    finally:
        secrets.get_secret(name).delete()
    assert secrets.get_secret(name) is None


def test_the_materialization_job_has_succeeded(
    backend: str, project: Any, make_group: Any, people: Any
) -> None:
    if backend == "live":
        pytest.skip("only a group with a stream has this job there")
    group = make_group(people)
    job = group.materialization_job
    assert (job.get_state(), job.get_final_state()) == ("FINISHED", "SUCCEEDED")
    assert job.run(await_termination=True).success
    assert [e.final_status for e in job.get_executions()] == ["SUCCEEDED"]
    jobs = project.get_job_api()
    assert jobs.get_job(job.name).name == job.name
    assert jobs.exists(job.name)
    assert job.name in [j.name for j in jobs.get_jobs()]
    assert jobs.get_job("no_such_job") is None
    job.schedule("0 0 * ? * * *")
    assert jobs.get_job(job.name).job_schedule.cron_expression == "0 0 * ? * * *"
    job.unschedule()
    assert jobs.get_job(job.name).job_schedule is None


# -- files -----------------------------------------------------------------------------------------


def test_upload_makes_its_folder(datasets: Any, name: str, tmp_path: Any) -> None:
    (tmp_path / "a.txt").write_text("one")
    datasets.upload(str(tmp_path / "a.txt"), f"Resources/{name}/images", overwrite=True)
    assert datasets.read_content(f"/Resources/{name}/images/a.txt").content == b"one"
    datasets.remove(f"Resources/{name}")


def test_files(datasets: Any, name: str, tmp_path: Any) -> None:
    home = f"Resources/{name}"
    datasets.mkdir(home)
    assert datasets.exists(home)
    (tmp_path / "a.txt").write_text("one")
    assert datasets.upload(str(tmp_path / "a.txt"), home) == f"{home}/a.txt"
    (tmp_path / "a.txt").write_text("two!")
    datasets.upload(str(tmp_path / "a.txt"), home, overwrite=True)
    assert datasets.read_content(f"/{home}/a.txt").content == b"two!"
    datasets.copy(f"{home}/a.txt", f"{home}/b.txt")
    datasets.move(f"{home}/b.txt", f"{home}/c.txt")
    assert sorted(p.rsplit("/", 1)[1] for p in datasets.list(home)) == ["a.txt", "c.txt"]
    assert any(p.strip("/") == "Resources" for p in datasets.list("/"))
    got = datasets.download(f"{home}/c.txt", str(tmp_path / "back.txt"))
    assert Path(got).read_text() == "two!"
    datasets.remove(f"{home}/c.txt")
    assert not datasets.exists(f"{home}/c.txt")
    datasets.remove(home)
    assert not datasets.exists(home)


def test_upload_in_chunks_and_of_folders(datasets: Any, name: str, tmp_path: Any) -> None:
    home = f"Resources/{name}"
    datasets.mkdir(home)
    content = np.random.default_rng(1).bytes(1_234_567)
    (tmp_path / "d" / "deep").mkdir(parents=True)
    (tmp_path / "d" / "big.bin").write_bytes(content)
    (tmp_path / "d" / "deep" / "empty").write_bytes(b"")
    datasets.upload(str(tmp_path / "d"), home, chunk_size=100_000)
    got = datasets.download(f"{home}/d/big.bin", str(tmp_path / "back"))
    assert Path(got).read_bytes() == content
    assert datasets.exists(f"{home}/d/deep/empty")
    assert len(datasets.list(f"{home}/d", limit=1)) == 1
    datasets.remove(home)

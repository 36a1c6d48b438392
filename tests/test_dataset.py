"""The raw files, their checks, the duplicates and the near-duplicates."""

import hashlib
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.preprocessing import StandardScaler

from wine import dataset
from wine.columns import NAMES
from wine.errors import BadInput


@pytest.fixture
def folder(tmp_path):
    """A copy of the two raw files, to be spoilt."""
    for file in dataset.SHA256:
        shutil.copy(dataset.FOLDER / file, tmp_path / file)
    return tmp_path


@pytest.mark.uci
def test_read_gives_every_published_row(raw):
    assert raw.groupby("type").size().to_dict() == {"red": 1599, "white": 4898}
    assert raw["wine_id"].is_unique
    assert raw["wine_id"].iloc[[0, 1598, 1599, -1]].tolist() == [
        "red-0001", "red-1599", "white-0001", "white-4898",
    ]  # fmt: skip
    assert not raw.isna().any().any()
    # the first red wine as a person reads it in the file
    assert raw.loc[0, list(NAMES)].to_dict() == {
        "fixed_acidity": 7.4, "volatile_acidity": 0.7, "citric_acid": 0, "residual_sugar": 1.9,
        "chlorides": 0.076, "free_sulfur_dioxide": 11, "total_sulfur_dioxide": 34,
        "density": 0.9978, "ph": 3.51, "sulphates": 0.56, "alcohol": 9.4,
    }  # fmt: skip


@pytest.mark.parametrize("file", dataset.SHA256)
def test_one_changed_byte_is_refused_by_the_files_name(folder, file):
    content = bytearray((folder / file).read_bytes())
    content[5000] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(BadInput, match=f"{file} is not UCI's file"):
        dataset.read(folder)


@pytest.mark.parametrize("file", dataset.SHA256)
def test_a_missing_or_empty_file_is_refused_by_its_name(folder, file):
    (folder / file).write_bytes(b"")
    with pytest.raises(BadInput, match=f"{file} is not UCI's file"):
        dataset.read(folder)
    (folder / file).unlink()
    with pytest.raises(BadInput, match=f"{file} is missing"):
        dataset.read(folder)


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("ph", np.nan, "ph: not_nullable"),
        ("alcohol", 1e300, "alcohol: in_range"),
        ("alcohol", np.inf, "alcohol: in_range"),
        ("density", 0.0, "density: in_range"),
        ("chlorides", -0.001, "chlorides: in_range"),
        ("type", "rosé", "type: isin"),
        ("quality", 10, "quality: isin"),
        ("quality", 0, "quality: isin"),
        ("free_sulfur_dioxide", 499.0, "free_sulfur_dioxide above total_sulfur_dioxide"),
        ("wine_id", "red-0001", "wine_id: field_uniqueness"),
    ],
)
def test_an_impossible_value_is_refused_by_its_column_and_row(raw, column, value, said):
    spoilt = raw.copy()
    spoilt.loc[3, column] = value
    with pytest.raises(BadInput) as error:
        dataset.validate(spoilt)
    assert said in str(error.value)
    assert f"({'red-0001' if column == 'wine_id' else 'red-0004'}" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_column_and_a_wrong_type_are_refused_by_name(raw):
    with pytest.raises(BadInput, match="ph"):
        dataset.validate(raw.drop(columns="ph"))
    with pytest.raises(BadInput, match=r"alcohol: dtype"):
        dataset.validate(raw.astype({"alcohol": str}))
    with pytest.raises(BadInput, match=r"quality: dtype"):
        dataset.validate(raw.astype({"quality": float}))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda text: text.replace(";", ","), "fixed_acidity"),
        (lambda text: text.replace("alcohol", "spirit", 1), "alcohol"),
        (lambda text: text.replace("7.4;", "7,4;", 1), "7,4"),
        (lambda text: text.replace("7.4;", "Schloß;", 1), "utf-8"),
        (lambda text: text + "1;2;3;4;5;6;7;8;9;10;11;12;13\n", "Expected 12 fields"),
    ],
)
def test_a_file_of_your_own_that_is_no_table_is_refused_by_its_name(
    folder, monkeypatch, make, says
):
    file = folder / "winequality-red.csv"
    file.write_bytes(make(file.read_text()).encode("latin-1"))
    checksums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}
    monkeypatch.setattr(dataset, "SHA256", checksums)
    with pytest.raises(BadInput, match=f"winequality-red.csv cannot be read: .*{says}") as error:
        dataset.read(folder)
    assert "\n" not in str(error.value)


def test_many_faults_are_told_in_one_short_line(raw):
    with pytest.raises(BadInput, match=r"and 6494 more$") as error:
        dataset.validate(raw.assign(ph=9.0))
    assert len(str(error.value)) < 300


@pytest.mark.uci
def test_cleaning_drops_the_1177_duplicates_and_nothing_else(raw, wines):
    key = [*NAMES, "type"]
    assert len(raw) - len(wines) == 1177
    assert not wines.duplicated(key).any()
    assert set(raw[key].itertuples(index=False)) == set(wines[key].itertuples(index=False))
    assert wines["quality"].value_counts().sort_index().tolist() == [
        30, 206, 1752, 2323, 856, 148, 5,
    ]  # fmt: skip


def test_near_duplicates_fall_into_5127_groups(wines):
    groups = wines["group_id"]
    assert groups.nunique() == 5127
    assert sorted(groups.unique()) == list(range(5127))
    assert (wines.groupby("group_id")["type"].nunique() == 1).all()


def test_groups_are_the_connected_wines_nearer_than_a_quarter_as_an_independent_count_says(raw):
    wines = dataset.clean(raw).groupby("type").head(400).reset_index(drop=True)
    points = StandardScaler().fit_transform(wines[list(NAMES)])
    kinds = wines["type"].to_numpy()
    near = (cdist(points, points) < 0.25) & (kinds[:, None] == kinds)
    group = np.arange(len(wines))
    while (best := np.where(near, group, len(wines)).min(axis=1)).tolist() != group.tolist():
        group = best
    found = dataset.near_duplicate_groups(wines)
    assert (pd.factorize(group)[0] == found).all()
    assert len(set(found)) < len(wines), "the sample must hold near-duplicates"


def test_nearest_neighbours_agree_with_a_full_distance_table(wines):
    some = wines.sample(300, random_state=1).reset_index(drop=True)
    distance, agree = dataset.nearest_neighbours(some)
    points = StandardScaler().fit_transform(some[list(NAMES)])
    table = cdist(points, points)
    kinds, grades = some["type"].to_numpy(), some["quality"].to_numpy()
    table[kinds[:, None] != kinds] = np.inf
    np.fill_diagonal(table, np.inf)
    assert np.allclose(distance, table.min(axis=1))
    assert (agree == (grades == grades[table.argmin(axis=1)])).all()

"""The raw wines: read with their checksums, validated, cleaned, near-duplicates found."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors, radius_neighbors_graph
from sklearn.preprocessing import StandardScaler

from wine.columns import GRADES, MEASUREMENTS, NAMES, TYPES
from wine.errors import BadInput

FOLDER = Path(__file__).parent.parent / "dataset"
SHA256 = {
    "winequality-red.csv": "4a402cf041b025d4566d954c3b9ba8635a3a8a01e039005d97d6a710278cf05e",
    "winequality-white.csv": "76c3f809815c17c07212622f776311faeb31e87610d52c26d87d6e361b169836",
}
NEAR = 0.25  # standardised distance under which two wines of a colour count as near-duplicates


def read(folder: str | Path = FOLDER) -> pd.DataFrame:
    """Return UCI's two raw files as one frame of 6,497 wines, exactly as published.

    Columns: ``wine_id`` ("red-0001": colour and raw row), the eleven measurements, ``type``,
    ``quality``. Raises BadInput, naming the file, when one is missing or its SHA-256 differs.
    Source: Cortez et al. 2009, UCI Machine Learning Repository, doi 10.24432/C56S3T.
    """
    frames = []
    for file, expected in SHA256.items():
        path = Path(folder) / file
        if not path.is_file():
            raise BadInput(f"{path} is missing: restore it with `git checkout -- dataset`")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise BadInput(
                f"{path} is not UCI's file (its SHA-256 differs): restore it with "
                "`git checkout -- dataset`; for data of your own see docs/make-it-yours.md"
            )
        colour = path.stem.removeprefix("winequality-")
        try:
            frame = pd.read_csv(path, sep=";")
            frame.columns = frame.columns.str.lower().str.replace(" ", "_")
            frame["type"] = colour
            frame["wine_id"] = [f"{colour}-{row:04d}" for row in range(1, len(frame) + 1)]
            frame = frame[["wine_id", *NAMES, "type", "quality"]]
            frames.append(frame.astype(dict.fromkeys(NAMES, float)))
        except (KeyError, ValueError) as error:  # no such column; no number, encoding or table
            raise BadInput(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    return pd.concat(frames, ignore_index=True)


SCHEMA = pa.DataFrameSchema(
    {
        "wine_id": pa.Column(str, unique=True),
        **{
            column.name: pa.Column(float, pa.Check.in_range(column.low, column.high))
            for column in MEASUREMENTS
        },
        "type": pa.Column(str, pa.Check.isin(TYPES)),
        "quality": pa.Column("int64", pa.Check.isin(GRADES)),
    },
    checks=pa.Check(
        lambda wines: wines["free_sulfur_dioxide"] <= wines["total_sulfur_dioxide"],
        error="free_sulfur_dioxide above total_sulfur_dioxide",
    ),
)


def validate(wines: pd.DataFrame) -> pd.DataFrame:
    """Return the wines if every column is there, of its type, in its range and never missing.

    Raises BadInput with one line that names the first columns, values and wines at fault.
    """
    try:
        SCHEMA.validate(wines.set_axis(wines.get("wine_id", wines.index)), lazy=True)
        return wines
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        # a check of whole rows is listed once for every column: keep the first, the wine's id
        again = cases.duplicated(["check", "index"]) & (cases["schema_context"] != "Column")
        cases = cases[~again]
        lines = [_fault(case) for case in cases.head(3).itertuples()]
        more = f" and {len(cases) - 3} more" if len(cases) > 3 else ""
        raise BadInput("; ".join(lines) + more) from error


def _fault(case: Any) -> str:
    """Return one failed check in words: which column, what was asked of it, where and what it was."""
    column = case.column if case.schema_context == "Column" else "wines"
    where = [] if pd.isna(case.index) else [case.index]
    what = [case.failure_case] if column != "wines" or not where else []
    return f"{column}: {case.check} ({': '.join(map(str, where + what))})"


def clean(wines: pd.DataFrame) -> pd.DataFrame:
    """Return the wines without duplicates; of each set of them the first stays.

    1,177 of UCI's rows repeat another of the same colour in all eleven measurements, and every
    one of them has the same grade: copied records, not wines tasted twice. Left in, they land
    on both sides of a split and a model is praised for remembering them.
    """
    return wines.drop_duplicates([*NAMES, "type", "quality"]).reset_index(drop=True)


def near_duplicate_groups(wines: pd.DataFrame) -> np.ndarray:
    """Return the group number of every wine, ints (n,), numbered by first appearance.

    Wines of the same type nearer than NEAR in the eleven standardised measurements
    (Euclidean distance) are linked; connected components are groups.
    """
    links = radius_neighbors_graph(_points(wines), NEAR)
    _, labels = connected_components(links, directed=False)
    return pd.factorize(labels)[0]


def nearest_neighbours(wines: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each wine to the nearest of its type, and whether their grades agree.

    Two arrays of shape (n,): standardised Euclidean distance, and booleans.
    """
    distances, neighbours = NearestNeighbors(n_neighbors=1).fit(_points(wines)).kneighbors()
    grades = wines["quality"].to_numpy()
    return distances[:, 0], grades == grades[neighbours[:, 0]]


def _points(wines: pd.DataFrame) -> np.ndarray:
    """Return the standardised measurements, with the colours out of each other's reach."""
    points = StandardScaler().fit_transform(wines[list(NAMES)])
    colour = 10.0 * wines["type"].map(TYPES.index)  # ten standard deviations apart
    return np.column_stack([points, colour])

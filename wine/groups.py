"""The feature groups: their names, keys and columns, each with its type and description.

Keys come from the data, never from the clock, and Hopsworks upserts by primary key and event
time, so writing the same rows twice changes nothing.
"""

import re
from dataclasses import dataclass

from wine.columns import MEASUREMENTS

NO_ROWS_YET = re.compile(  # how the client reports a feature group without a table
    r"nothing was inserted yet|No commits found|No delta logs found"
    r"|No data found for featuregroup [\w.]+\. Detail"
)


@dataclass(frozen=True)
class Group:
    """A feature group and the part of the pipeline that writes it.

    ``columns`` maps each column to its Hopsworks type and a description.
    """

    name: str
    description: str
    primary_key: str
    written_by: str
    columns: dict[str, tuple[str, str]]
    event_time: str | None = None


_MEASURED = {
    column.name: ("double", f"{column.description} Unit: {column.unit or 'none'}.")
    for column in MEASUREMENTS
} | {"type": ("string", "Colour of the wine: red or white.")}
_QUALITY = {"quality": ("bigint", "Grade from 3 to 9: the median of at least three tasters.")}
_REFERENCE = {
    "reference_grade": ("bigint", "Grade of the real wine that the generated wine is nearest to.")
}
_DATED = {
    "wine_id": ("string", "Day of the wine, as YYYY-MM-DD."),
    "day": ("timestamp", "Day of the wine."),
}

WINE = Group(
    "wine",
    "Every distinct wine of UCI's Wine Quality data, its near-duplicate group and its split",
    "wine_id",
    "initialize.ipynb",
    {"wine_id": ("string", "Colour and row number in the raw file, as red-0001.")}
    | _MEASURED
    | _QUALITY
    | {
        "group_id": ("bigint", "Near-duplicate group: its wines stay on one side of every split."),
        "split": ("string", "train, or test for the held-out test set."),
    },
)
BALANCED = Group(
    "wine_balanced",
    "The training wines balanced by grade with SMOTE; never evaluated on",
    "row_id",
    "initialize.ipynb",
    {"row_id": ("string", "The real wine's wine_id, or smote-00001 for a synthetic wine.")}
    | _MEASURED
    | _QUALITY
    | {"synthetic": ("boolean", "True for a wine made by SMOTE.")},
)
DAILY = Group(
    "daily_wine",
    "One generated wine a day; its reference grade is that of its nearest real wine",
    "wine_id",
    "daily.py",
    _DATED
    | _MEASURED
    | _REFERENCE
    | {"source_id": ("string", "wine_id of the real wine that the generated wine is nearest to.")},
    "day",
)
PREDICTION = Group(
    "wine_prediction",
    "The served model's prediction of each daily wine",
    "wine_id",
    "inference.py",
    _DATED
    | {"type": _MEASURED["type"]}
    | _REFERENCE
    | {
        "predicted_grade": ("bigint", "Grade that the served model predicts."),
        "predicted_score": ("double", "Number behind the predicted grade, before its cut points."),
        "probability": ("double", "Probability of the predicted grade."),
        "model_version": ("bigint", "Registered version of the model."),
    },
    "day",
)

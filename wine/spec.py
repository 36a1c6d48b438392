"""``spec.json``: everything a program needs to serve and explain a registered model."""

import platform

import joblib
import numpy
import sklearn
import xgboost

from wine.columns import FEATURES, GRADES, MEASUREMENTS, TYPES


def build(wines, *, model_name, cuts, odds, set_level, metrics, protocol, today):
    """The spec as a dict of plain JSON values.

    ``wines`` are the real wines the model was fitted on (for ranges, typical values and
    examples); ``metrics`` maps "cv", "cv_se", "test", "test_interval", "daily" (agreement to
    expect on daily wines) and "stream" (what training on a year of them changes) to dicts, and
    "set_coverage" and "log_loss", both out of fold, to floats.
    ``set_level`` is the level at which ``decoding.prediction_sets`` holds the truth for 80 %.
    """
    return {
        "model": model_name,
        "fitted": today.isoformat(),
        "wines": len(wines),
        "features": list(FEATURES),
        "columns": [
            {
                "name": column.name,
                "label": column.label,
                "unit": column.unit,
                "group": column.group,
                "description": column.description,
                "decimals": column.decimals,
                "possible": [column.low, column.high],
                "observed": [float(wines[column.name].min()), float(wines[column.name].max())],
                "typical": {
                    kind: round(float(rows[column.name].median()), column.decimals)
                    for kind, rows in wines.groupby("type")
                },
            }
            for column in MEASUREMENTS
        ],
        "types": list(TYPES),
        "grades": list(GRADES),
        "cuts": list(cuts),
        "odds": odds,
        "set_level": set_level,
        "protocol": protocol,
        "metrics": metrics,
        "examples": examples(wines),
        "label": (
            "A real wine's grade is the median of at least three tasters. A daily wine was never "
            "tasted: its label is the grade of the real wine nearest to it."
        ),
        "versions": {
            "python": platform.python_version(),
            **{module.__name__: module.__version__ for module in (sklearn, xgboost, numpy, joblib)},
        },
    }


def examples(wines):
    """A few real wines that span the grades: the most typical one of each colour and grade.

    Typical is nearest to the median of its colour and grade, in units of the colour's spread.
    """
    chosen = []
    names = [column.name for column in MEASUREMENTS]
    for kind, grade in (
        ("red", 4),
        ("red", 5),
        ("red", 7),
        ("white", 4),
        ("white", 6),
        ("white", 8),
    ):
        colour = wines[wines["type"] == kind]
        rows = colour[colour["quality"] == grade]
        if rows.empty:
            continue
        away = ((rows[names] - rows[names].median()) / colour[names].std()).pow(2).sum(axis=1)
        wine = rows.loc[away.idxmin()]
        chosen.append(
            {
                "wine_id": wine["wine_id"],
                **{name: float(wine[name]) for name in names},
                "type": kind,
                "quality": int(grade),
            }
        )
    return chosen

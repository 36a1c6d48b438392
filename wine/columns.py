"""The columns of a wine: eleven measurements, its type and its grade, each with unit and range.

One table for everything that has to know a column: reading, validation, generating, the
notebooks' axes and the ``spec.json`` the apps are drawn from. docs/make-it-yours.md says how to add one.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Column:
    """One physico-chemical measurement.

    ``low`` and ``high`` bound what is chemically possible in a table wine (not what was
    observed); ``decimals`` is the precision of the raw files, which generated wines keep.
    """

    name: str
    label: str
    unit: str
    decimals: int
    low: float
    high: float
    group: str
    description: str


MEASUREMENTS = (
    Column(
        "fixed_acidity", "Fixed acidity", "g/dm³", 1, 0.0, 30.0, "Acidity",
        "Acids that stay when wine is heated, given as tartaric acid; they make it taste fresh.",
    ),
    Column(
        "volatile_acidity", "Volatile acidity", "g/dm³", 2, 0.0, 3.0, "Acidity",
        "Acids that evaporate, given as acetic acid; too much tastes of vinegar.",
    ),
    Column(
        "citric_acid", "Citric acid", "g/dm³", 2, 0.0, 3.0, "Acidity",
        "A small part of the acidity that adds freshness.",
    ),
    Column(
        "ph", "pH", "", 2, 2.0, 5.0, "Acidity",
        "How strong the acids are together; lower is more acidic.",
    ),
    Column(
        "residual_sugar", "Residual sugar", "g/dm³", 1, 0.0, 300.0, "Sugar and salt",
        "Sugar left when fermentation stopped.",
    ),
    Column(
        "chlorides", "Chlorides", "g/dm³", 3, 0.0, 2.0, "Sugar and salt",
        "Salt, given as sodium chloride.",
    ),
    Column(
        "free_sulfur_dioxide", "Free sulphur dioxide", "mg/dm³", 0, 0.0, 500.0, "Sulphur",
        "The part of the sulphur dioxide that still protects the wine; never above the total.",
    ),
    Column(
        "total_sulfur_dioxide", "Total sulphur dioxide", "mg/dm³", 0, 0.0, 600.0, "Sulphur",
        "Free and bound sulphur dioxide together.",
    ),
    Column(
        "sulphates", "Sulphates", "g/dm³", 2, 0.0, 4.0, "Sulphur",
        "Potassium sulphate, an additive that feeds sulphur dioxide.",
    ),
    Column(
        "density", "Density", "g/cm³", 4, 0.95, 1.15, "Body",
        "Mass by volume: sugar raises it, alcohol lowers it.",
    ),
    Column(
        "alcohol", "Alcohol", "% vol", 1, 0.0, 20.0, "Body",
        "Alcohol by volume.",
    ),
)  # fmt: skip

NAMES = tuple(column.name for column in MEASUREMENTS)
BY_NAME = {column.name: column for column in MEASUREMENTS}
TYPES = ("red", "white")
FEATURES = (*NAMES, "type")  # what a model is given, in this order
GRADES = tuple(range(3, 10))  # the scale goes from 0 to 10; tasters gave 3 to 9


def to_precision(values: np.ndarray) -> np.ndarray:
    """Return measurements, floats (n, 11) in the order of NAMES, at the raw files' decimals.

    Free sulphur dioxide is held at or below the total, which rounding could otherwise break.
    """
    rounded = np.column_stack(
        [np.round(values[:, i], column.decimals) for i, column in enumerate(MEASUREMENTS)]
    )
    free, total = NAMES.index("free_sulfur_dioxide"), NAMES.index("total_sulfur_dioxide")
    rounded[:, free] = np.minimum(rounded[:, free], rounded[:, total])
    return rounded

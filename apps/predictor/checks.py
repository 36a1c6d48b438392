"""Check that raw values are a wine; a message names the field, the value and the unit."""

import functools
import math
import re
import unicodedata
from typing import Any

from wine.spec import Column, Spec

NUMBER = re.compile(
    r"([+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?)\s*(.*)", re.IGNORECASE | re.DOTALL
)
EDGES = " \t\u00a0\u202f\u200b\ufeff'\"="  # left out around a cell's text, as in ="7.4"
PARTS = "free_sulfur_dioxide", "total_sulfur_dioxide"  # the first is a part of the second


def check(raw: dict[str, Any], spec: Spec) -> tuple[dict[str, Any] | None, dict[str, str]]:
    """Return ``(wine, problems)``: a wine from raw values, and what is wrong, by name.

    ``raw`` maps names to numbers or text. A wine with problems is None.
    """
    wine: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for column in spec.columns:
        try:
            wine[column.name] = number(raw.get(column.name), column)
        except ValueError as error:
            problems[column.name] = str(error)
    free, total = (wine.get(name) for name in PARTS)
    if free is not None and total is not None and free > total:
        column = next(column for column in spec.columns if column.name == PARTS[0])
        problems[column.name] = (
            f"{column.label} {shown(free, column)} is above the total of "
            f"{shown(total, column)}, of which it is a part."
        )
    try:
        wine["type"] = kind(raw.get("type"), spec.types)
    except ValueError as error:
        problems["type"] = str(error)
    return (None if problems else wine), problems


def kind(value: Any, types: tuple[str, ...]) -> str:
    """Return the colour of a wine; ValueError says what is wrong with it."""
    text = str("" if value is None else value).strip(EDGES)
    if text.lower() in spellings(types):
        return spellings(types)[text.lower()]
    given = f"“{text[:20]}”" if text else "empty"
    raise ValueError(f"Type is {given}: give {' or '.join(types)}.")


@functools.cache
def spellings(types: tuple[str, ...]) -> dict[str, str]:
    """Return the spellings of each colour: in lower case, with and without "wine", its letter."""
    return {text: name for name in types for text in (name, name[0], f"{name} wine")}


def number(value: Any, column: Column) -> float:
    """Return a measurement as a float; ValueError says what is wrong with it.

    Text may have a decimal comma, and the column's unit behind the number.
    """
    unit = f" in {column.unit}" if column.unit else ""
    text = str("" if value is None else value).strip(EDGES).replace("−", "-")
    if not text:
        raise ValueError(f"{column.label} is empty: give a number{unit}.")
    matches = NUMBER.fullmatch(text)
    parsed = float(matches[1].replace(",", ".")) if matches else math.nan
    if not math.isfinite(parsed) or not _is_unit(matches[2], column) or isinstance(value, bool):
        raise ValueError(f"{column.label} is “{text[:20]}”: give a number{unit}.")
    low, high = column.possible
    if parsed < 0:
        raise ValueError(f"{column.label} is {shown(parsed, column)}: it cannot be negative.")
    if not low <= parsed <= high:
        raise ValueError(
            f"{column.label} is {shown(parsed, column)}: "
            f"a table wine has {low:g} to {shown(high, column)}."
        )
    return parsed


def shown(value: float, column: Column) -> str:
    """Return a value with its unit, as people write it."""
    return f"{value:.6g} {column.unit}".strip()


def _is_unit(text: str, column: Column) -> bool:
    """Tell whether the text behind a number is nothing, or the column's unit in some spelling."""
    return not text or plain_unit(text[:40]) == plain_unit(column.unit)


def plain_unit(text: str) -> str:
    """Return a unit in one spelling: "g/l" for g/dm³, "g/ml" for g/cm3 and kg/L, "%" for % vol."""
    text = re.sub(r"[\s.^-]", "", unicodedata.normalize("NFKC", text.lower()))
    text = re.sub(r"lit(er|re)s?|dm3", "l", text).replace("cm3", "ml").replace("kg/l", "g/ml")
    text = text.replace("ppm", "mg/l")  # nearly the same in wine
    return "%" if re.fullmatch(r"%?(by)?(vol|volume|abv)%?|%", text) else text

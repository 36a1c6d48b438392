"""Is this a wine? What is wrong with a value is said with its field, its value and its unit."""

import csv
import io
import math

import pandas as pd

MOST_ROWS = 5000


class BadFile(ValueError):
    """A file that cannot be read as wines; the message says why."""


def check(raw, columns, types):
    """A wine from raw values: ``(wine, problems, notes)``.

    ``raw`` maps names to numbers or text; ``problems`` and ``notes`` map names to sentences.
    A wine with problems is None. Notes tell of values outside the range of the data.
    """
    wine, problems, notes = {}, {}, {}
    for name, column in columns.items():
        try:
            wine[name] = number(raw.get(name), column)
        except ValueError as error:
            problems[name] = str(error)
            continue
        low, high = column["observed"]
        if not low <= wine[name] <= high:
            side = "above" if wine[name] > high else "below"
            notes[name] = (
                f"{column['label']} {shown(wine[name], column)} is {side} anything the model has "
                f"seen ({low:g} to {shown(high, column)}): the grade is a guess there."
            )
    free, total = (wine.get(f"{part}_sulfur_dioxide") for part in ("free", "total"))
    if free is not None and total is not None and free > total:
        column = columns["free_sulfur_dioxide"]
        problems["free_sulfur_dioxide"] = (
            f"Free sulphur dioxide {shown(free, column)} is above the total of "
            f"{shown(total, column)}, of which it is a part."
        )
    kind = str(raw.get("type") or "").strip().lower()
    if kind not in types:
        said = f"“{kind[:20]}”" if kind else "empty"
        problems["type"] = f"Type is {said}: give {' or '.join(types)}."
    wine["type"] = kind
    return (None if problems else wine), problems, notes


def number(value, column):
    """The value of a measurement as a float; ValueError says what is wrong with it."""
    label, unit = column["label"], f" in {column['unit']}" if column["unit"] else ""
    text = str("" if value is None else value).strip().replace("−", "-")
    if not text:
        raise ValueError(f"{label} is empty: give a number{unit}.")
    try:
        parsed = float(text.replace(",", "."))
    except ValueError:
        parsed = math.nan
    # Python would take 1_0 for 10
    if not math.isfinite(parsed) or isinstance(value, bool) or "_" in text:
        raise ValueError(f"{label} is “{text[:20]}”: give a number{unit}.")
    low, high = column["possible"]
    if parsed < 0:
        raise ValueError(f"{label} is {shown(parsed, column)}: it cannot be negative.")
    if not low <= parsed <= high:
        raise ValueError(
            f"{label} is {shown(parsed, column)}: a table wine has {low:g} to {shown(high, column)}."
        )
    return parsed


def shown(value, column):
    """A value with its unit, as people write it."""
    return f"{value:.6g} {column['unit']}".strip()


def read_csv(content, columns, added=()):
    """The rows of a CSV file (bytes) as a frame of text, its columns under the model's names.

    Comma, semicolon or tab; names as in the file of examples, as labels, or with spaces. The
    index is the row's number as a spreadsheet shows it: the header's is 1, empty rows count. Of
    the columns ``added`` by an answer the file must have all, as an earlier answer, or none.
    Raises BadFile.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    if "\0" in text:  # no table of wines as text has it; pictures, archives and UTF-16 do
        raise BadFile("This is not a CSV file as text: save the wines as CSV (UTF-8).")
    separator = max(";,\t", key=text.lstrip("\r\n").partition("\n")[0].count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise BadFile(f"This is not a CSV file: {error}.") from error
    rows = [
        (number, row)
        for number, row in enumerate(rows, start=1)
        if any(field.strip() for field in row)
    ]
    if len(rows) < 2:
        raise BadFile("The file has no wines: give a header and one row for each wine.")
    if len(rows) - 1 > MOST_ROWS:
        raise BadFile(
            f"The file has {len(rows) - 1:,} wines: give at most {MOST_ROWS:,} at a time."
        )
    (_, header), *rows = rows
    # spreadsheets write columns of nothing at the right
    used = max(len(_rstrip(row)) for row in (header, *(row for _, row in rows)))
    header, rows = header[:used], [(number, row[:used]) for number, row in rows]
    known = {_plain(alias): name for name, column in columns.items()
             for alias in (name, column["label"])} | {"type": "type"}  # fmt: skip
    names = [known.get(_plain(field), field.strip()) for field in header]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadFile(f"The file has two columns {twice[0]!r}.")
    taken = [name for name in added if name in names]
    if taken and len(taken) < len(added):  # or a column of the asker's own would be lost
        raise BadFile(
            f"The file has a column {taken[0]!r}, as the answer will: give yours another name."
        )
    missing = [name for name in (*columns, "type") if name not in names]
    if missing:
        raise BadFile(f"The file has no column {', '.join(missing)}.")
    for number, row in rows:
        if len(row) != len(names):
            raise BadFile(f"Row {number} has {len(row)} fields, the header has {len(names)}.")
    numbers, fields = zip(*rows, strict=True)
    return pd.DataFrame(fields, index=numbers, columns=names, dtype=str)


def check_rows(frame, columns, types):
    """The wines of a frame of text: ``(wines, problems, notes)``, with the frame's index.

    ``wines`` keeps the rows without problems; ``problems`` and ``notes``, Series, hold one text
    a row, empty where there is nothing to say.
    """
    checked = [check(raw, columns, types) for raw in frame.to_dict("records")]
    wines = {row: wine for row, (wine, _, _) in zip(frame.index, checked, strict=True) if wine}
    return (
        pd.DataFrame.from_dict(wines, orient="index", columns=[*columns, "type"]),
        pd.Series([" ".join(problems.values()) for _, problems, _ in checked], frame.index),
        pd.Series([" ".join(notes.values()) for _, _, notes in checked], frame.index),
    )


def _rstrip(row):
    """The fields of a row without the empty ones at its end."""
    while row and not row[-1].strip():
        row = row[:-1]
    return row


def _plain(name):
    return name.strip().lower().replace(" ", "_").replace("sulphur", "sulfur")

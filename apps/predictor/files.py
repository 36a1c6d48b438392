"""CSV files of wines: read in the dialect of any usual program, and written in the same one."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wine.spec import Column

MAX_BYTES, MAX_LINES, MAX_WINES, MAX_COLUMNS = 5_000_000, 100_000, 20_000, 200
MAX_BROKEN = 1_000  # rows with a quote that does not end
HEADER_LINES = 50  # the header is among these
SEPARATORS = ",;|\t "  # if two fit a header equally well, the first is used
HINT = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's own first line
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
OTHER_FILES = {
    b"PK\x03\x04": "a workbook",
    b"\xd0\xcf\x11\xe0": "a workbook",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF",
}
TYPE_NAMES = ("type", "colour", "color", "wine type", "wine colour", "wine color")
NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)(e[+-]?\d+)?\s*%?", re.IGNORECASE)
STARTS_NUMBER = re.compile(r"[\s'\"]*[+-]?[.,]?\d")
csv.field_size_limit(32_768)  # characters; a cell of Excel holds no more


class BadFile(ValueError):
    """A file that cannot be read as wines; the message says why."""


@dataclass(frozen=True)
class Dialect:
    """How a file is written, so that the answer is written in the same way."""

    encoding: str
    bom: bytes
    separator: str
    hint: str  # its first line "sep=;", if it has one
    newline: str


@dataclass(frozen=True)
class Row:
    """A row with its number in a spreadsheet; ``problem`` says why its cells cannot be used."""

    number: int
    cells: list[str]
    problem: str = ""


@dataclass(frozen=True)
class Table:
    """A file's wines: ``names`` has the model's name of each column of ``header``, or "".

    ``left_out`` are the rows that hold no wine: titles, units, comments.
    """

    header: list[str]
    names: list[str]
    rows: list[Row]
    left_out: list[Row]
    dialect: Dialect

    def raw(self, row: Row) -> dict[str, str]:
        """Return the cells of a row that the model has a name for, by that name."""
        return {name: cell for name, cell in zip(self.names, row.cells, strict=True) if name}

    @property
    def decimal(self) -> str:
        """The decimal mark that the measurements are written with."""
        places = [place for place, name in enumerate(self.names) if name]
        text = [row.cells[place] for row in self.rows for place in places]
        return "," if sum("," in cell for cell in text) > sum("." in cell for cell in text) else "."


def read(content: bytes, columns: Sequence[Column]) -> Table:
    """Return the Table of a file's bytes; BadFile says in a sentence why it cannot be read.

    ``columns`` are those of the model's spec. The header may stand below a title, name the
    measurements in any usual spelling and have other columns; ``type`` may be missing.
    """
    text, encoding, bom = _decode(content)
    if text.count("\n") + text.count("\r") > MAX_LINES:
        raise BadFile(f"The file has more than {MAX_LINES:,} lines: give fewer wines at a time.")
    lines = list(io.StringIO(text, newline=""))  # which keeps the line ends
    hint = HINT.fullmatch(lines[0]) if lines else None
    newline = lines[0][len(lines[0].rstrip("\r\n")) :] or "\n" if lines else "\n"
    lines = lines[1:] if hint else lines
    separator, place = _find_header(lines, columns, hint)
    header, rows, left_out = _split(lines, separator, place, columns)
    names = _names(header, columns)
    _check_names(header, names, columns)
    if len(rows) > MAX_WINES:
        raise BadFile(f"The file has {len(rows):,} wines: give at most {MAX_WINES:,} at a time.")
    if not rows:
        raise BadFile("The file has no wines: give a header and one row for each wine.")
    dialect = Dialect(encoding, bom, separator, hint[0].strip() if hint else "", newline)
    table = Table(header, names, [_fit(row, names) for row in rows], left_out, dialect)
    _check_rows(table)
    return table


def write(table: Table, added: dict[str, list[Any]]) -> bytes:
    """Return the bytes of a table with the columns ``added`` (a list of cells for each name).

    They are written as the table's file was, with its decimal mark. Columns of an earlier answer
    are replaced, and cells that a spreadsheet would run as formulas are made harmless.
    """
    keep = [place for place, name in enumerate(table.header) if name not in added]
    earlier = len(table.header) - len(keep)
    if 0 < earlier < len(added):  # columns of the file's own: those added get other names
        keep = list(range(len(table.header)))
        added = {_free(name, table.header): cells for name, cells in added.items()}
    out, decimal = io.StringIO(), table.decimal
    rows = [
        [*(_harmless(row.cells[place]) for place in keep), *(_written(c, decimal) for c in cells)]
        for row, *cells in zip(table.rows, *added.values(), strict=True)
    ]
    # the csv module leaves a carriage return unquoted
    returns = any("\r" in cell for row in rows for cell in row)
    quoting: Any = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    dialect = table.dialect
    if dialect.hint:
        out.write(dialect.hint + dialect.newline)
    writer = csv.writer(
        out, delimiter=dialect.separator, lineterminator=dialect.newline, quoting=quoting
    )
    writer.writerow([*(_harmless(table.header[place]) for place in keep), *added])
    writer.writerows(rows)
    return dialect.bom + out.getvalue().encode(dialect.encoding, errors="replace")


def _decode(content: bytes) -> tuple[str, str, bytes]:
    """Return a file's text, its encoding and its byte order mark."""
    if len(content) > MAX_BYTES:
        raise BadFile(f"The file is larger than {MAX_BYTES // 1_000_000} MB.")
    for start, what in OTHER_FILES.items():
        if content.startswith(start):
            raise BadFile(f"This is {what}, not a CSV file: save the wines as CSV (UTF-8).")
    bom = next((mark for mark in BOMS if content.startswith(mark)), b"")
    if not bom and content[1:4:2] == b"\0\0":  # Latin letters, each with an empty second byte
        encodings = ["utf-16-le"]
    else:
        # any bytes are text in Latin-1, and come back as they were
        encodings = [BOMS.get(bom, "utf-8"), "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            text = content[len(bom) :].decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text, encoding, bom
    raise BadFile("This is not a CSV file: save the wines as CSV (UTF-8).")


def _find_header(
    lines: list[str], columns: Sequence[Column], hint: re.Match[str] | None
) -> tuple[str, int]:
    """Return the separator and the place, among the records, of the row that names most columns."""
    best: tuple[int, Any, Any] = (0, None, None)
    widest = 0
    for separator in hint[1] if hint else SEPARATORS:
        for place, (_, cells) in enumerate(_records(lines[:HEADER_LINES], separator)):
            widest = max(widest, len(cells))
            if best[0] < len(cells) <= MAX_COLUMNS:
                # a cell with a quote in it was cut by a separator inside of quotes
                names = _names([cell for cell in cells if '"' not in cell], columns)
                count = len(set(names) - {""})
                best = max(best, (count, separator, place), key=lambda option: option[0])
    if best[0] < 2 and widest > MAX_COLUMNS:
        raise BadFile(f"The file has {widest:,} columns: give at most {MAX_COLUMNS}.")
    if best[0] < 2:
        if not any(line.strip() for line in lines):
            raise BadFile("The file is empty: give a header and one row for each wine.")
        raise BadFile(
            "The file has no header: name its columns in the first row, as "
            f"{', '.join(column.name for column in columns)} and type."
        )
    return best[1], best[2]


def _records(
    lines: list[str], separator: str, width: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield ``(end, cells)`` of each row: the number of lines up to its end, and its cells.

    A quote that does not end spoils no other row: its line is read alone. So is a row that runs
    over several lines and does not have the cells of a table of ``width``.
    """
    start = broken = 0
    while start < len(lines):
        used = 0
        reader = csv.reader(
            lines[start:], delimiter=separator, strict=True, skipinitialspace=separator == " "
        )
        try:
            for cells in reader:
                if width and reader.line_num > used + 1 and len(cells) not in (width, width + 1):
                    raise csv.Error("a quote that does not end")
                yield start + reader.line_num, cells
                used = reader.line_num
        except csv.Error:
            broken += 1
            if broken > MAX_BROKEN:
                raise BadFile(
                    f"The file has more than {MAX_BROKEN:,} rows with a quote that does not end."
                ) from None
            used += 1
            yield start + used, _alone(lines[start + used - 1], separator)
        start += used


def _alone(line: str, separator: str) -> list[str]:
    """Return the cells of one line, also if its quotes do not match."""
    try:
        cells = next(csv.reader([line], delimiter=separator), [])
        if cells and cells[-1].endswith(("\n", "\r")):  # a quote ran to the line's end: it is none
            cells = next(csv.reader([line], delimiter=separator, quoting=csv.QUOTE_NONE))
        return cells
    except csv.Error:
        return [line[:200]]


def _names(header: list[str], columns: Sequence[Column]) -> list[str]:
    """Return the model's name of each column of a header, "" where it has none."""
    known = {_plain(alias): name for name, aliases in _aliases(tuple(columns)) for alias in aliases}
    names = [known.get(_plain(cell), "") for cell in header]
    for name in ("type", "quality"):  # a second one is a column of the file's own
        for place in [place for place, other in enumerate(names) if other == name][1:]:
            names[place] = ""
    return names


def _aliases(columns: Sequence[Column]) -> list[tuple[str, Sequence[str]]]:
    """Return pairs of a name and all its spellings: alone, and with the unit behind it."""
    pairs: list[tuple[str, Sequence[str]]] = [("type", TYPE_NAMES), ("quality", ["quality"])]
    for column in columns:
        plain = column.unit.replace("³", "3")
        units = ["", column.unit, plain, plain.replace("dm3", "l")]
        pairs.append(
            (column.name, [text + u for text in (column.name, column.label) for u in units])
        )
    return pairs


def _plain(name: str) -> str:
    """Return a column's name without case, blanks, marks and what is in brackets."""
    name = re.sub(r"\(.*?\)|\[.*?\]", "", name.lower()).replace("sulph", "sulf")
    return re.sub(r"[^a-z0-9]", "", name).replace("so2", "sulfurdioxide")


def _split(
    lines: list[str], separator: str, place: int, columns: Sequence[Column]
) -> tuple[list[str], list[Row], list[Row]]:
    """Return the header, the rows of wines and the rows that hold no wine."""
    *above, (end, header) = islice(_records(lines, separator), place + 1)
    left_out = [Row(number, cells) for number, (_, cells) in enumerate(above, 1) if any(cells)]
    below = enumerate(_records(lines[end:], separator, len(header)), place + 2)
    body = [Row(number, cells) for number, (_, cells) in below if any(map(str.strip, cells))]
    if (
        body
        and all(len(row.cells) == len(header) + 1 for row in body)
        and _is_shifted(header, body, columns)
    ):
        header = ["", *header]  # R leaves out the name above its row names
    used = max((_used(row.cells) for row in body), default=0)
    header = header[: max(_used(header), used)]  # spreadsheets add empty columns at the right
    places = {n for n, name in enumerate(_names(header, columns)) if name not in ("", "type")}
    rows: list[Row] = []
    for row in body:
        (left_out if _holds_no_wine(row, places, row is body[0]) else rows).append(row)
    return header, rows, left_out


def _is_shifted(header: list[str], body: list[Row], columns: Sequence[Column]) -> bool:
    """Tell whether rows with one cell more than the header have it at their beginning."""
    names = _names(header, columns)
    colour = body[0].cells[names.index("type")] if "type" in names else ""
    return bool(STARTS_NUMBER.match(colour)) or any(row.cells[-1].strip() for row in body)


def _used(cells: list[str]) -> int:
    """Return the number of cells up to the last one that is not empty."""
    return max((place for place, cell in enumerate(cells, 1) if cell.strip()), default=0)


def _holds_no_wine(row: Row, places: set[int], first: bool) -> bool:
    """Tell whether a row is a comment, a footer or, as the ``first``, the measurements' units.

    ``places`` are those of the measurements.
    """
    filled = sum(bool(cell.strip()) for cell in row.cells)
    if any(STARTS_NUMBER.match(row.cells[n]) for n in places if n < len(row.cells)):
        return filled < 2
    return first or filled <= 2 or row.cells[0].startswith("#")


def _check_names(header: list[str], names: list[str], columns: Sequence[Column]) -> None:
    """Raise BadFile if the header lacks a measurement or has one twice."""
    counts = Counter(name for name in names if name)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice:
        given = " and ".join(
            f"“{cell.strip()[:40]}”"
            for cell, name in zip(header, names, strict=True)
            if name == twice
        )
        raise BadFile(f"The file has two columns for {twice}: {given}. Leave one out.")
    missing = [column.name for column in columns if not counts[column.name]]
    if missing:
        raise BadFile(f"The file has no column {', '.join(missing)}.")


def _fit(row: Row, names: list[str]) -> Row:
    """Return a row with a cell for each column; with too many or too few it gets a problem."""
    width = len(names)
    cells = row.cells[: max(width, _used(row.cells))]
    if len(cells) > width or any(names[len(cells) :]):
        problem = f"The row has {len(cells)} cells, the header has {width}."
        return Row(row.number, [*cells, *[""] * width][:width], problem)
    return Row(row.number, [*cells, *[""] * (width - len(cells))])


def _check_rows(table: Table) -> None:
    """Raise BadFile if no row has as many cells as the header."""
    if not all(row.problem for row in table.rows):
        return
    advice = ""
    if table.dialect.separator == ",":
        advice = (
            " If its numbers have a decimal comma, save it with semicolons between the cells, or "
            "with a decimal point."
        )
    first = table.rows[0]
    raise BadFile(f"No row fits the header. Row {first.number}: {first.problem}{advice}")


def _free(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = cell.lstrip()
    harmless = NUMBER.fullmatch(text.rstrip()) or not text.strip("+- ")
    runs = text[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠") and not harmless
    return f"'{cell}" if runs or cell[:1] in ("\t", "\r") else cell


def _written(value: Any, decimal: str) -> str:
    """Return a value as a cell: nothing for None, floats with the decimal mark."""
    if value is None:
        return ""
    return str(value).replace(".", decimal) if isinstance(value, float) else str(value)

"""CSV files of wines: read in the dialect of any usual program, and written in the same one."""

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from checks import EDGES, spellings
from headers import BadFile, check_names, check_units, colour_column, names_of, plain

from wine.columns import TYPES
from wine.spec import Column

MAX_BYTES, MAX_LINES, MAX_WINES, MAX_COLUMNS = 5_000_000, 100_000, 20_000, 200
MAX_AGAIN = 10 * MAX_BYTES  # characters read again behind quotes that do not end
HEADER_LINES = 50  # the header is among these
SEPARATORS = ",;|\t "  # if two fit a header equally well, the first is used
HINT = re.compile(r"sep=([^\"\r\n])\s*", re.IGNORECASE)  # Excel's own first line
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
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?\s*%?", re.IGNORECASE)
STARTS_NUMBER = re.compile(rf"[\s{EDGES}]*[+-]?[.,]?\d")
SUMMARIES = {  # as pandas, R and spreadsheets name them
    "total", "totals", "sum", "mean", "average", "avg", "median", "min", "minimum", "max",
    "maximum", "std", "stdev", "stddev", "sd", "count", "25%", "50%", "75%", "1stqu", "3rdqu",
    "summe", "gesamt", "mittel", "mittelwert", "durchschnitt", "somme", "moyenne", "suma", "soma",
    "somma", "summa", "media", "média", "promedio", "średnia", "medelvärde", "grand total",
}  # fmt: skip
PLAIN = str.maketrans("“”³", "''3")  # Excel takes a file without other such marks for ASCII
csv.field_size_limit(32_768)  # characters; a cell of Excel holds no more


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

    ``left_out`` are the rows that hold no wine: titles, units, comments, sums. ``colours`` maps
    cells to colours where the file has, for example, ``is_red`` with 1 and 0.
    """

    header: list[str]
    names: list[str]
    rows: list[Row]
    left_out: list[Row]
    dialect: Dialect
    colours: dict[str, str]

    def raw(self, row: Row) -> dict[str, str]:
        """Return the cells of a row that the model has a name for, by that name."""
        raw = {name: cell for name, cell in zip(self.names, row.cells, strict=True) if name}
        if self.colours:
            cell = raw["type"].strip().lower().replace(",", ".").removesuffix(".0")
            raw["type"] = self.colours.get(cell, raw["type"])
        return raw

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
    if text.count("\n") + text.count("\r") - text.count("\r\n") > MAX_LINES:
        raise BadFile(f"The file has more than {MAX_LINES:,} lines: give fewer wines at a time.")
    lines = list(io.StringIO(text, newline=""))  # which keeps the line ends
    hint = HINT.fullmatch(lines[0]) if lines else None
    lines = lines[1:] if hint else lines
    form, place, end = _find_header(lines, columns, hint)
    newline = lines[end - 1][len(lines[end - 1].rstrip("\r\n")) :] or "\n"
    header, rows, left_out = _split(lines, form, place, columns)
    names = [name if name != "type" else "" for name in names_of(header, columns)]
    check_names(header, names, columns)
    check_units(header, names, columns)
    separator = form["delimiter"]
    if separator == ",":
        _check_unnamed(header, names, rows, columns)
    colour, colours = colour_column(header, [row.cells for row in rows])
    if colour is not None:
        names[colour] = "type"
    kinds = {*spellings(TYPES), *colours}
    while rows and _is_summary(rows[-1], names, kinds):
        left_out.append(rows.pop())
    if len(rows) > MAX_WINES:
        raise BadFile(f"The file has {len(rows):,} wines: give at most {MAX_WINES:,} at a time.")
    if not rows:
        raise BadFile("The file has no wines: give a header and one row for each wine.")
    dialect = Dialect(encoding, bom, separator, f"sep={separator}" if hint else "", newline)
    left_out.sort(key=lambda row: row.number)
    fitted = [_fit(row, names, separator) for row in rows]
    table = Table(header, names, fitted, left_out, dialect, colours)
    _check_rows(table)
    return table


def write(table: Table, added: dict[str, list[Any]]) -> bytes:
    """Return the bytes of a table with the columns ``added`` (a list of cells for each name).

    They are written as the table's file was, with its decimal mark. Columns of an earlier answer
    are replaced, and cells that a spreadsheet would run as formulas are made harmless.
    """
    own = table.header[: -len(added)]
    if [*own, *_free(added, own)] != table.header:  # no earlier answer
        own = table.header
    out, decimal = io.StringIO(), table.decimal
    rows = [
        [*map(_harmless, row.cells[: len(own)]), *(_written(cell, decimal) for cell in cells)]
        for row, *cells in zip(table.rows, *added.values(), strict=True)
    ]
    header = [*map(_harmless, own), *_free(added, own)]
    dialect = table.dialect
    # the csv module leaves some line ends unquoted, and blanks must not hide empty cells
    breaks = any(end in cell for row in (header, *rows) for cell in row for end in "\r\n")
    quote: Any = csv.QUOTE_ALL if breaks or dialect.separator == " " else csv.QUOTE_MINIMAL
    if dialect.hint:
        out.write(dialect.hint + dialect.newline)
    writer = csv.writer(
        out, delimiter=dialect.separator, lineterminator=dialect.newline, quoting=quote
    )
    writer.writerows([header, *rows])
    return dialect.bom + out.getvalue().encode(dialect.encoding, errors="replace")


def _decode(content: bytes) -> tuple[str, str, bytes]:
    """Return a file's text, its encoding and its byte order mark."""
    if len(content) > MAX_BYTES:
        raise BadFile(f"The file is larger than {MAX_BYTES // 1_000_000} MB.")
    for start, what in OTHER_FILES.items():
        if content.startswith(start):
            raise BadFile(f"This is {what}, not a CSV file: save the wines as CSV (UTF-8).")
    bom = next((mark for mark in BOMS if content.startswith(mark)), b"")
    if not bom and b"\0\0" in (content[:4:2], content[1:4:2]):  # Latin letters of two bytes
        encodings = ["utf-16-be" if content[:1] == b"\0" else "utf-16-le"]
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
) -> tuple[dict[str, Any], int, int]:
    """Return the form of the rows, and place and end of the one that names most columns."""
    best: tuple[int, Any, Any, Any] = (0, None, None, None)
    widest = 0
    for separator in dict.fromkeys([*(hint[1] if hint else ""), *SEPARATORS]):
        # some programs write a blank before a quote
        blanks = separator == " " or any(f'{separator} "' in line for line in lines)
        form = {"delimiter": separator, "skipinitialspace": blanks}
        for place, (end, cells) in enumerate(_records(lines[:HEADER_LINES], form)):
            widest = max(widest, len(cells))
            if best[0] < len(cells) <= MAX_COLUMNS:
                # a cell with a quote in it was cut by a separator inside of quotes
                names = names_of([cell for cell in cells if '"' not in cell], columns)
                count = len(set(names) - {""})
                best = max(best, (count, form, place, end), key=lambda option: option[0])
    if best[0] < 2 and widest > MAX_COLUMNS:
        raise BadFile(f"The file has {widest:,} columns: give at most {MAX_COLUMNS}.")
    if best[0] < 2:
        if not any(line.strip() for line in lines):
            raise BadFile("The file is empty: give a header and one row for each wine.")
        raise BadFile(
            "No row of the file names the measurements: give a header with "
            f"{', '.join(column.name for column in columns)} and type, separated by commas, "
            "semicolons or tabs."
        )
    return best[1:]


def _records(
    lines: list[str], form: dict[str, Any], width: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield ``(end, cells)`` of each row: the number of lines up to its end, and its cells.

    ``form`` are options of the csv module. A quote that does not end spoils no other row: its
    line is read alone. So is a row that runs over several lines and does not have the cells of a
    table of ``width``.
    """
    start = again = 0
    while start < len(lines):
        used = 0
        reader = csv.reader((lines[n] for n in range(start, len(lines))), strict=True, **form)
        try:
            for cells in reader:
                if width and reader.line_num > used + 1 and len(cells) not in (width, width + 1):
                    raise csv.Error("a quote that does not end")
                yield start + reader.line_num, cells
                used = reader.line_num
        except csv.Error:
            again += sum(map(len, lines[start + used : start + reader.line_num]))
            if again > MAX_AGAIN:
                raise BadFile("The file has too many quotes that do not end.") from None
            used += 1
            yield start + used, _alone(lines[start + used - 1], form)
        start += used


def _alone(line: str, form: dict[str, Any]) -> list[str]:
    """Return the cells of one line, also if its quotes do not match."""
    line = line.rstrip("\r\n") + "\n"
    try:
        cells = next(csv.reader([line], **form), [])
        if cells and cells[-1].endswith(("\n", "\r")):  # a quote ran to the line's end: it is none
            cells = next(csv.reader([line], quoting=csv.QUOTE_NONE, **form))
        return cells
    except csv.Error:
        return [line[:200]]


def _split(
    lines: list[str], form: dict[str, Any], place: int, columns: Sequence[Column]
) -> tuple[list[str], list[Row], list[Row]]:
    """Return the header, the rows of wines and the rows that hold no wine."""
    *above, (end, header) = islice(_records(lines, form), place + 1)
    titles = [Row(number, cells) for number, (_, cells) in enumerate(above, 1) if any(cells)]
    below = enumerate(_records(lines[end:], form, len(header)), place + 2)
    body = [Row(number, cells) for number, (_, cells) in below if any(map(str.strip, cells))]
    header = _with_unnamed(header, body, columns)
    used = max((_used(row.cells) for row in body), default=0)
    header = header[: max(_used(header), used)]  # spreadsheets add empty columns at the right
    names = names_of(header, columns)
    places = {n for n, name in enumerate(names) if name not in ("", "type")}
    known = {plain(cell) for cell, name in zip(header, names, strict=True) if name}
    first = next((row for row in body if not _is_comment(row)), None)
    rows: list[Row] = []
    left_out: list[Row] = []
    for row in (*titles, *body):
        comment, text = _is_comment(row), _is_text(row, places)
        if text and (row is first or 2 * _used_at(row, places) > len(places)):
            check_units(row.cells, names, columns)
        repeated = text and _is_repeated(row, header, known)
        no_wine = text and (comment or repeated or row is first)
        (left_out if no_wine or row.number <= place else rows).append(row)
    return header, rows, left_out


def _with_unnamed(header: list[str], body: list[Row], columns: Sequence[Column]) -> list[str]:
    """Return the header with a name for the one cell that most rows may have more.

    It is the first cell in a file of R, which leaves out the name above its row names.
    """
    longer = [row.cells for row in body if len(row.cells) == len(header) + 1]
    if not 2 * len(longer) > len(body):
        return header
    names = names_of(header, columns)
    place = names.index("type") if "type" in names else 0
    here, behind = (
        sum(cells[n].strip().lower() in spellings(TYPES) for cells in longer)
        for n in (place, place + 1)
    )
    is_first = behind > here or (behind == here and any(cells[-1].strip() for cells in longer))
    return ["", *header] if is_first else [*header, ""]


def _used(cells: list[str]) -> int:
    """Return the number of cells up to the last one that is not empty."""
    return max((place for place, cell in enumerate(cells, 1) if cell.strip()), default=0)


def _used_at(row: Row, places: set[int]) -> int:
    """Return the number of the ``places`` at which a row has a cell that is not empty."""
    return sum(bool(row.cells[n].strip()) for n in places if n < len(row.cells))


def _is_comment(row: Row) -> bool:
    """Tell whether a row is a comment; so is one with one or two cells."""
    return row.cells[0].startswith("#") or sum(bool(cell.strip()) for cell in row.cells) <= 2


def _is_text(row: Row, places: set[int]) -> bool:
    """Tell whether a row has at most two numbers at the ``places`` of the measurements.

    A row with more is a wine, even behind a ``#12``, which is a sample's number then.
    """
    cells = (row.cells[place] for place in places if place < len(row.cells))
    return sum(bool(STARTS_NUMBER.match(cell)) for cell in cells) <= 2


def _is_repeated(row: Row, header: list[str], known: set[str]) -> bool:
    """Tell whether a row is the header again; BadFile if it has the columns in another order.

    ``known`` are the plain names of the columns that the model knows.
    """
    cells = [plain(cell) for cell in row.cells[: len(header) + 10]]
    if len(known.intersection(cells)) < 3:  # a text may name one or two
        return False
    first, again = (
        {place: name for place, name in enumerate(names) if name in known}
        for names in (map(plain, header), cells)
    )
    if first != again:
        raise BadFile(f"Row {row.number} is another header: give each table as a file of its own.")
    return True


def _is_summary(row: Row, names: list[str], kinds: Collection[str]) -> bool:
    """Tell whether a row has one cell beside the measurements, with a word such as "mean"."""
    pairs = [(name, cell.strip().lower()) for name, cell in zip(names, row.cells, strict=False)]
    own = [cell for name, cell in pairs if name in ("", "type") and cell]
    return len(own) == 1 and bool({own[0], plain(own[0])} & SUMMARIES) and own[0] not in kinds


def _fit(row: Row, names: list[str], separator: str) -> Row:
    """Return a row with a cell for each column; with too many or too few it gets a problem."""
    width = len(names)
    cells = row.cells[: max(width, _used(row.cells))]
    short = len(cells) < width and separator == " "  # any of its cells may be the missing one
    if len(cells) > width or short or any(names[len(cells) :]):
        problem = f"The row has {len(cells)} cells, the header has {width}."
        kept = 0 if short else width - 1
        cells = [*cells[:kept], separator.join(cells[kept:])]  # nothing is lost
        return Row(row.number, [*cells, *[""] * (width - len(cells))], problem)
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


def _check_unnamed(
    header: list[str], names: list[str], rows: list[Row], columns: Sequence[Column]
) -> None:
    """Raise BadFile if a column without a name may hold the decimals of the measurement before it."""
    for column in columns:
        place = names.index(column.name)
        if place + 1 == len(header) or header[place + 1].strip():
            continue
        pairs = [[cell.strip() for cell in row.cells[place : place + 2]] for row in rows]
        if any(len(pair) == 2 and all(map(str.isdigit, pair)) for pair in pairs):
            raise BadFile(
                f"The column after {column.name} has no name, and may hold its decimals: name it, "
                "or save the file with semicolons between the cells."
            )


def _free(names: Iterable[str], taken: list[str]) -> Iterator[str]:
    """Yield names for further columns, each with a "_" as long as it is taken."""
    for name in names:
        while name in taken:
            name += "_"
        yield name


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
    return (
        str(value).replace(".", decimal)
        if isinstance(value, float)
        else str(value).translate(PLAIN)
    )

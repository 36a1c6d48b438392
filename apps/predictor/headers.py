"""Which column of a file is which: names and units in any usual spelling, and the colour."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

from checks import plain_unit, spellings

from wine.columns import TYPES
from wine.spec import Column

TYPE_NAMES = ("type", "colour", "color", "wine type", "wine colour", "wine color")
YES, NO = ("1", "true", "yes", "y"), ("0", "false", "no", "n")
BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
UNIT = re.compile(  # a mass in a volume
    r"(?<![a-z])([mkµμu]?g)(?:\s*\([^()]*\))?\s*/\s*"
    r"(\d*\s*(?:[hdcm]?l|lit(?:er|re)s?|[dc]?m\^?-?3))(?![a-z])"
)


class BadFile(ValueError):
    """A file that cannot be read as wines; the message says why."""


def plain(name: str) -> str:
    """Return a column's name without case, blanks, marks and what is in brackets."""
    name = BRACKETS.sub("", name[:200].lower().replace("₂", "2")).replace("sulph", "sulf")
    return re.sub(r"[^a-z0-9]", "", name).replace("so2", "sulfurdioxide")


def names_of(header: Sequence[str], columns: Sequence[Column]) -> list[str]:
    """Return the model's name of each column of a header, "" where it has none."""
    known = {plain(alias): name for name, aliases in _aliases(columns) for alias in aliases}
    names = [known.get(plain(cell), "") for cell in header]
    for name in ("type", "quality"):  # a second one is a column of the file's own
        for place in [place for place, other in enumerate(names) if other == name][1:]:
            names[place] = ""
    return names


def _aliases(columns: Sequence[Column]) -> list[tuple[str, Sequence[str]]]:
    """Return pairs of a name and all its spellings: alone, and with the unit behind it."""
    pairs: list[tuple[str, Sequence[str]]] = [("type", TYPE_NAMES), ("quality", ["quality"])]
    for column in columns:
        units = ["", column.unit, plain_unit(column.unit)]
        pairs.append(
            (column.name, [text + u for text in (column.name, column.label) for u in units])
        )
    return pairs


def check_names(header: Sequence[str], names: Sequence[str], columns: Sequence[Column]) -> None:
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


def check_units(cells: Sequence[str], names: Sequence[str], columns: Sequence[Column]) -> None:
    """Raise BadFile if a cell above a measurement names a mass in another unit than the model's."""
    units = {column.name: column.unit for column in columns}
    for cell, name in zip(cells, names, strict=False):
        text = unicodedata.normalize("NFKC", cell[:200].lower())
        given = UNIT.search(text) if name in units else None
        if given and plain_unit("/".join(given.groups())) != plain_unit(units[name]):
            unit = units[name] or "a number without a unit"
            raise BadFile(f"{name} is in {given[1]}/{given[2]}: give {unit}.")


def colour_column(
    header: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[int | None, dict[str, str]]:
    """Return the place of the column with the colours, or None, and what its cells stand for.

    ``rows`` are the wines' cells. Of columns with a name for it, it is the one with most colours.
    Without a colour in these, it is ``is_red`` or ``is_white``, whose cells 1 and 0 are mapped to
    colours, or else a column with colours, as whole words, in more than half of the rows.
    """

    def count(place: int, spelled: Collection[str]) -> int:
        return sum(row[place].strip().lower() in spelled for row in rows if place < len(row))

    names = [plain(name) for name in header]
    named = [place for place, name in enumerate(names) if name in map(plain, TYPE_NAMES)]
    best = max(named, key=lambda place: count(place, spellings(TYPES)), default=None)
    if best is not None and count(best, spellings(TYPES)):
        return best, {}
    for kind, other in (TYPES, TYPES[::-1]):
        if f"is{kind}" in names:
            return names.index(f"is{kind}"), dict.fromkeys(YES, kind) | dict.fromkeys(NO, other)
    words = {text for text in spellings(TYPES) if len(text) > 1}
    counts = [count(place, words) for place in range(len(header))]
    if 2 * max(counts, default=0) > len(rows):
        return counts.index(max(counts)), {}
    return best, {}

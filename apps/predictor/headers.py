"""Which column of a file is which: names and units in any usual spelling, and the colour."""

import functools
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
AMOUNT = re.compile(  # of a substance, whose name may stand between, in a volume or a mass
    r"(?<![a-z])([mkμ]?g|m?mol|m?eq|oz|lb)(?:rams?)?(?:\s*\([^()]*\)|(?:\s\w{1,12}){1,2}?)??"
    r"\s*(?:/|per\b|[\s.*·])\s*"
    r"(\d*\s*(?:[hdcm]?l|lit(?:er|re)s?|[dc]?m\^?-?3|k?g|gal(?:lon)?s?|bottle))(?![a-z])"
)
PART = re.compile(r"(?<![a-z])(?:proof|brix|pp[mb]|mm)(?![a-z])|°\s*(?:bx|oe)|[%‰]")
BY_MASS = re.compile(r"(?<![a-z])(?:[wm]/[wvm]|wt|abw|mass|weight)(?![a-z])")
SUBSTANCES = {  # what a measurement is given as, and what else it usually is in other files
    "fixed_acidity": ("tartaric acid", re.compile(r"h2so4|sul(?:f|ph)uric|malic|acetic")),
    "volatile_acidity": ("acetic acid", re.compile(r"h2so4|sul(?:f|ph)uric|tartaric")),
    "chlorides": ("sodium chloride", re.compile(r"(?<![a-z])cl(?![a-z])")),
    "sulphates": ("potassium sulphate", re.compile(r"(?<![a-z\d])so[34]")),
}


class BadFile(ValueError):
    """A file that cannot be read as wines; the message says why."""


@functools.lru_cache(4096)  # a file has the same texts many times
def plain(name: str) -> str:
    """Return a column's name without case, blanks, marks and what is in brackets."""
    name = BRACKETS.sub("", BRACKETS.sub("", name[:200].lower()))  # also brackets in brackets
    name = name.replace("₂", "2").replace("sulph", "sulf")
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
        raise BadFile(
            f"The file has no column {', '.join(missing)}: add what is missing, or rename its column."
        )


def check_units(cells: Sequence[str], names: Sequence[str], columns: Sequence[Column]) -> None:
    """Raise BadFile if a cell above a measurement names another unit or substance than the model's."""
    units = {column.name: column.unit for column in columns}
    for cell, name in zip(cells, names, strict=False):
        if name not in units:
            continue
        unit = units[name] or "a number without a unit"
        text = unicodedata.normalize("NFKC", cell[:200].lower())[:200].replace("−", "-")
        text = " ".join(text.replace("milli", "m").split())
        given = _unit_in(text, units[name])
        if given and plain_unit(given) != plain_unit(units[name]):
            raise BadFile(f"{name} is in {given}: give {unit}.")
        substance, others = SUBSTANCES.get(name, ("", None))
        if others and others.search(text):
            raise BadFile(f"{name} is given as another substance: give {unit} of {substance}.")


def _unit_in(text: str, unit: str) -> str:
    """Return the unit that a text names, "" if none; ``unit`` is the model's."""
    if amount := AMOUNT.search(text):
        return f"{amount[1]}/{amount[2]}"
    if BY_MASS.search(text) and plain_unit(unit) == "%":
        return "% by mass"
    part = PART.search(text)
    return part[0] if part else ""


def colour_column(
    header: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[int | None, dict[str, str]]:
    """Return the place of the column with the colours, or None, and what its cells stand for.

    ``rows`` are the wines' cells. Of columns with a name for it, it is the one with most colours.
    Without a colour in these, it is one such as ``is_red`` or ``type_white``, whose cells 1 and 0
    are mapped to colours, or else a column with colours, as whole words, in more than half of the rows.
    """

    def count(place: int, spelled: Collection[str]) -> int:
        return sum(row[place].strip().lower() in spelled for row in rows if place < len(row))

    names = [plain(name) for name in header]
    named = [place for place, name in enumerate(names) if name in map(plain, TYPE_NAMES)]
    best = max(named, key=lambda place: count(place, spellings(TYPES)), default=None)
    if best is not None and count(best, spellings(TYPES)):
        _check_letters(header[best], [row[best] for row in rows if best < len(row)])
        return best, {}
    for kind, other in (TYPES, TYPES[::-1]):
        spelled = [f"{start}{kind}" for start in ("is", *map(plain, TYPE_NAMES), "")]
        place = next((place for place, name in enumerate(names) if name in spelled), None)
        if place is not None:
            third = names[place].removesuffix(kind) + "ros"  # no red wine may be a rosé then
            only = () if any(name.startswith(third) for name in names) else NO
            return place, dict.fromkeys(YES, kind) | dict.fromkeys(only, other)
    words = {text for text in spellings(TYPES) if len(text) > 1}
    counts = [count(place, words) for place in range(len(header))]
    if 2 * max(counts, default=0) > len(rows):
        return counts.index(max(counts)), {}
    return best, {}


def _check_letters(name: str, cells: Sequence[str]) -> None:
    """Raise BadFile if a column has letters for other colours, as T, B and R for a rosé."""
    letters = {text for cell in cells if len(text := cell.strip().lower()) == 1 and text.isalpha()}
    ours = {kind[0] for kind in TYPES}
    if letters & ours not in (set(), letters, ours):
        given = ", ".join(sorted(letters)[:9]).upper()
        raise BadFile(f"“{name.strip()[:40]}” has {given}: give {' or '.join(TYPES)} in words.")

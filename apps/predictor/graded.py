"""The answer to a file of wines: each row's grade or problem, and how well grades are predicted."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from checks import check
from files import Row, Table, write
from served import Answer, Served

from wine.columns import GRADES
from wine.metrics import score
from wine.spec import Spec

OUTSIDE = "Outside the data: this grade is a guess."


@dataclass
class Line:
    """A row of the file and its answer; without an answer, ``problem`` says why.

    ``tasted`` is the tasters' grade if the file has one from 3 to 9; ``off_scale`` says that it
    has another.
    """

    number: int
    wine: dict[str, Any] | None
    problem: str = ""
    tasted: int | None = None
    off_scale: bool = False
    answer: Answer | None = None

    @property
    def note(self) -> str:
        """What is unlike all real wines, or ""."""
        notes = self.answer.notes.values() if self.answer else ()
        return " ".join([OUTSIDE, *notes]) if notes else ""


@dataclass
class Answered:
    """A file's lines; ``left_out`` are its rows that hold no wine.

    ``colour`` is the name of the column that the colours were read from, if any.
    """

    lines: list[Line]
    left_out: list[Row]
    colour: str | None

    @property
    def graded(self) -> list[Line]:
        """The lines that have a grade."""
        return [line for line in self.lines if line.answer]

    @property
    def seen(self) -> int:
        """The number of graded wines that the model was fitted on."""
        return sum(line.answer.nearest.distance == 0 for line in self.graded)

    @property
    def off_scale(self) -> int:
        """The number of graded wines whose tasters' grade the model does not know."""
        return sum(line.off_scale for line in self.graded)

    @property
    def problems(self) -> list[tuple[int, str]]:
        """Pairs of a row's number and what is wrong with it."""
        return [(line.number, line.problem) for line in self.lines if line.problem]

    @property
    def notes(self) -> list[tuple[int, str]]:
        """Pairs of a row's number and what is unlike the real wines in it."""
        return [(line.number, line.note) for line in self.lines if line.note]

    @property
    def left_out_texts(self) -> list[tuple[int, str]]:
        """Pairs of the number of a row without a wine and its text."""
        return [
            (row.number, " ".join(filter(None, map(str.strip, row.cells)))[:80])
            for row in self.left_out
        ]

    @property
    def counts(self) -> Counter[tuple[int, str]]:
        """The number of wines by (grade, colour)."""
        return Counter((line.answer.grade, line.wine["type"]) for line in self.graded)

    @property
    def scores(self) -> dict[str, float] | None:
        """The metrics of the predictions and the number of wines; None without tasters' grades."""
        tasted = [line for line in self.graded if line.tasted is not None]
        if not tasted:
            return None
        return {"wines": len(tasted)} | score(
            [line.tasted for line in tasted],
            [line.answer.grade for line in tasted],
            [line.answer.score for line in tasted],
        )


def answer_all(table: Table, served: Served, colour: str | None = None) -> Answered:
    """Return the Answered of a files.Table; ``colour`` is for wines of a file without a type."""
    lines = [_line(row, table, served.spec, colour) for row in table.rows]
    checked = [line for line in lines if line.wine]
    answers = served.answers([line.wine for line in checked]) if checked else []
    for line, answer in zip(checked, answers, strict=True):
        line.answer = answer
    named = dict(zip(table.names, table.header, strict=True))
    return Answered(lines, table.left_out, named.get("type"))


def as_file(table: Table, answered: Answered, version: int) -> bytes:
    """Return the bytes of the file with the answers as further columns."""
    lines = answered.lines

    def column(cell: Callable[..., Any]) -> list[Any]:
        return [cell(line.answer) if line.answer else None for line in lines]

    return write(
        table,
        {
            "predicted_grade": column(lambda answer: answer.grade),
            "predicted_score": column(lambda answer: round(answer.score, 3)),
            "likely_grades": column(lambda answer: " or ".join(map(str, answer.likely))),
            **{
                f"probability_{grade}": column(lambda answer, g=grade: round(answer.chances[g], 4))
                for grade in GRADES
            },
            "model_version": column(lambda answer: version),
            "note": [line.note for line in lines],
            "problem": [line.problem for line in lines],
        },
    )


def _line(row: Row, table: Table, spec: Spec, colour: str | None) -> Line:
    if row.problem:
        return Line(row.number, None, row.problem)
    raw = table.raw(row)
    wine, problems = check({"type": colour} | raw, spec)
    given = (raw.get("quality") or "").strip()
    tasted = _tasted(given)
    off_scale = bool(given) and tasted is None
    return Line(row.number, wine, " ".join(problems.values()), tasted, off_scale)


def _tasted(text: str) -> int | None:
    """Return a tasters' grade; None where the cell holds no grade from 3 to 9."""
    try:
        value = float(text.strip(" '\"").replace(",", "."))
    except ValueError:
        return None
    return int(value) if value in GRADES else None

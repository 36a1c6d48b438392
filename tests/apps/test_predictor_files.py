"""Files of wines as people have them: graded as wine.model grades them, or refused in a sentence."""

import codecs
import csv
import io
import os
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from tests.apps.conftest import load
from tests.processes import REPOSITORY
from wine import model
from wine.columns import BY_NAME, FEATURES, GRADES, NAMES

files, graded = load("predictor", "files", "graded")


@pytest.fixture(scope="module")
def good(raw):
    """Twenty wines of both colours, as a frame of FEATURES with whole columns of floats."""
    return pd.concat([raw.head(10), raw.tail(10)])[[*FEATURES]].reset_index(drop=True)


def grade(served, content, colour=None):
    """Grade a file; returns its Table and what was answered."""
    table = files.read(content, served.spec.columns)
    return table, graded.answer_all(table, served, colour)


def answer_file(served, content, colour=None):
    """Return the bytes of the answer to a file."""
    table, answered = grade(served, content, colour)
    return graded.as_file(table, answered, served.version)


def assert_graded(served, answered, wines):
    """Check that the lines are ``wines``, each graded as wine.model does it."""
    assert [line.problem for line in answered.lines] == [""] * len(wines)
    grades, scores, chances = model.predict(served.model, served.spec, wines)
    assert [line.answer.grade for line in answered.lines] == grades.tolist()
    np.testing.assert_allclose([line.answer.score for line in answered.lines], scores)
    np.testing.assert_allclose(
        [list(line.answer.chances.values()) for line in answered.lines], chances
    )


def spelled(how):
    """Return the model's names in another spelling."""
    label = {name: column.label for name, column in BY_NAME.items()} | {"type": "Type"}
    unit = {name: column.unit for name, column in BY_NAME.items()} | {"type": ""}
    spell = {
        "plain": lambda name: name,
        "blanks": lambda name: name.replace("_", " "),
        "dotted": lambda name: name.replace("_", "."),
        "hyphens": lambda name: name.replace("_", "-"),
        "capitals": lambda name: name.upper(),
        "camel": lambda name: name.title().replace("_", ""),
        "labels": lambda name: label[name],
        "labels with units": lambda name: f"{label[name]} ({unit[name]})" if unit[name] else label[name],
        "as UCI's page": lambda name: f"{label[name]} (some acid - {unit[name].replace('dm³', ' dm^3')})",
        "units in square brackets": lambda name: f"{name} [{unit[name].replace('dm³', 'L')}]",
        "spacious": lambda name: f"  {name.replace('_', '   ')}\t",
        "American": lambda name: name.replace("sulph", "sulf"),
    }  # fmt: skip
    return {name: spell[how](name) for name in FEATURES}


SPELLINGS = (
    "plain", "blanks", "dotted", "hyphens", "capitals", "camel", "labels", "labels with units",
    "units in square brackets", "spacious", "American",
)  # fmt: skip


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    spelling=st.sampled_from(SPELLINGS),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    index=st.booleans(),
    rows=st.lists(st.integers(0, 19), min_size=1, max_size=6),
    own=st.text(st.characters(codec="cp1252", categories=("L", "N", "P", "Zs")), max_size=12),
)
@example(
    separator=",", decimal=".", quoting=csv.QUOTE_MINIMAL, encoding="utf-8", spelling="plain",
    newline="\n", index=False, rows=[0], own="-INFINITY",
)  # fmt: skip
def test_what_pandas_writes_in_any_dialect_is_graded_as_the_frame_itself(
    served, good, separator, decimal, quoting, encoding, spelling, newline, index, rows, own
):
    wines = good.iloc[rows].reset_index(drop=True)
    text = wines.assign(cellar=own).rename(columns=spelled(spelling)).to_csv(
        sep=separator, decimal=decimal, quoting=quoting, lineterminator=newline, index=index
    )  # fmt: skip
    content = text.encode(encoding)
    table, answered = grade(served, content)
    assert_graded(served, answered, wines)

    # and the answer can be read as the file was written
    given, answer = (
        pd.read_csv(
            io.StringIO(c.decode(encoding), newline=""), sep=separator, decimal=decimal,
            keep_default_na=False, dtype={"cellar": str},
        )
        for c in (content, graded.as_file(table, answered, 1))
    )  # fmt: skip
    assert len(answer) == len(given)
    for name in spelled(spelling).values():
        assert answer[name].tolist() == given[name].tolist()
    grades, scores, _ = model.predict(served.model, served.spec, wines)
    assert answer["predicted_grade"].tolist() == grades.tolist()
    np.testing.assert_allclose(answer["predicted_score"].astype(float), scores, atol=6e-4)
    assert answer["cellar"].str.lstrip("'").tolist() == given["cellar"].str.lstrip("'").tolist()


def test_the_answer_has_every_number_of_the_model(served, good):
    table, answered = grade(served, good.to_csv(index=False).encode())
    answer = pd.read_csv(io.BytesIO(graded.as_file(table, answered, 7)))
    _, _, chances = model.predict(served.model, served.spec, good)
    np.testing.assert_allclose(answer[[f"probability_{g}" for g in GRADES]], chances, atol=6e-5)
    assert (answer["model_version"] == 7).all()
    assert answer[["problem"]].isna().all(axis=None)
    likely = [" or ".join(map(str, line.answer.likely)) for line in answered.lines]
    assert answer["likely_grades"].astype(str).tolist() == likely
    assert list(answer)[:12] == list(FEATURES)


@pytest.mark.parametrize(
    ("encoding", "bom"),
    [("utf-8", b""), ("utf-8", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE),
     ("utf-16-be", codecs.BOM_UTF16_BE), ("utf-16-le", b""), ("cp1252", b"")],
)  # fmt: skip
def test_the_answer_comes_back_as_the_file_was(served, good, encoding, bom):
    given = good.assign(cellar="Schloß „Süd“ 5 €")
    text = given.to_csv(index=False, sep=";", decimal=",", lineterminator="\r\n")
    answer = answer_file(served, bom + text.encode(encoding))
    assert answer.startswith(bom)
    lines = answer[len(bom) :].decode(encoding).split("\r\n")
    assert lines.pop() == ""
    assert not any("\n" in line or "\r" in line for line in lines)
    for line, before in zip(lines, text.split("\r\n"), strict=False):
        assert line.startswith(before + ";")
    score = lines[1].split(";")[lines[0].split(";").index("predicted_score")]
    assert "," in score
    assert "." not in score


def test_bytes_of_no_encoding_come_back_as_they_were(served, good):
    content = good.head(1).assign(cellar="here").to_csv(index=False).encode()
    content = content.replace(b"here", b"\x81\x8d\xff")
    assert b",\x81\x8d\xff," in answer_file(served, content)


def test_cells_that_a_spreadsheet_would_run_are_made_harmless(served, good):
    cells = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", '=HYPERLINK("http://x")', "ok", "-",
             "+3,5", "\t=1", " =1", "−5", "-1e3", "＝1+1", "-2+3+cmd", "+351 21 123"]  # fmt: skip
    wines = good.head(len(cells)).assign(**{"=name": cells})
    answer = pd.read_csv(
        io.BytesIO(answer_file(served, wines.to_csv(index=False).encode())), keep_default_na=False
    )
    assert "'=name" in answer
    harmless = {"-2", "ok", "-", "+3,5", "−5", "-1e3"}
    expected = [cell if cell in harmless else f"'{cell}" for cell in cells]
    assert [str(cell) for cell in answer["'=name"]] == expected


def test_a_carriage_return_in_a_cell_leaves_the_answer_valid(served, good):
    wines = good.head(2).assign(**{"the\ncellar": ["above\rbelow", "one\ntwo"]})
    for end in ("\n", "\r\n", "\r"):
        content = wines.to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator=end).encode()
        answer = answer_file(served, content).decode()
        assert answer.endswith(f'"{end}')
        rows = list(csv.reader(io.StringIO(answer, newline=""), strict=True))
        assert [row[12] for row in rows] == ["the\ncellar", "above\rbelow", "one\ntwo"]


def test_the_answer_to_a_file_in_ascii_is_in_ascii(served, good):
    """Excel shows other letters wrongly in a file without a byte order mark."""
    wines = good.assign(residual_sugar=[60, 999, *good["residual_sugar"][2:]])
    answer = pd.read_csv(io.BytesIO(answer_file(served, wines.to_csv(index=False).encode())))
    assert "Residual sugar 60 g/dm3 is above any red wine" in answer["note"][0]
    assert answer["problem"][1].startswith("Residual sugar is 999 g/dm3: a table wine has 0 to")
    spoilt = wines.astype({"ph": object})
    spoilt.loc[2, "ph"] = "sour"
    answer = answer_file(served, spoilt.to_csv(index=False).encode()).decode("ascii")
    assert "pH is 'sour': give a number." in answer


def test_the_answer_to_a_file_with_blanks_between_can_be_read_back(served, good):
    wines = good.head(3).assign(lot=["", "a b", "c"])
    answer = answer_file(served, wines.to_csv(index=False, sep=" ", quoting=csv.QUOTE_ALL).encode())
    table, answered = grade(served, answer)
    assert_graded(served, answered, good.head(3))
    assert [row.cells[12] for row in table.rows] == ["", "a b", "c"]
    assert [row.cells[-1] for row in table.rows] == ["", "", ""]


def test_one_odd_row_does_not_change_what_an_unnamed_column_is(served, good):
    lines = good.head(6).to_csv(sep=" ", index_label=False).splitlines()
    lines[3] = "2 7.8"
    _, answered = grade(served, "\n".join([*lines, "# the end"]).encode())
    assert_graded(served, answered, good.iloc[[0, 1, 3, 4, 5]])
    ending = "\n".join(good.to_csv(index=False).splitlines()[:-1])
    stray = ending + '\n"' + good.tail(1).to_csv(index=False, header=False).strip()
    _, answered = grade(served, stray.encode())
    assert_graded(served, answered, good)
    behind = "\n".join(
        f"{line},ok" if n else line for n, line in enumerate(good.to_csv(index=False).splitlines())
    )
    _, answered = grade(served, behind.encode())
    assert_graded(served, answered, good)
    _, answered = grade(served, behind.replace("red", "rosé", 1).encode())
    assert [line.number for line in answered.lines if line.problem] == [2]


def test_a_bad_row_never_costs_the_others(served, good):
    lines = good.head(8).assign(cellar="shelf").to_csv(index=False).splitlines()
    lines[2] = '"' + lines[2]  # a quote that never ends
    lines[4] = lines[4].replace("shelf", 'a "fine" one, too')
    lines[5] = "1,2,3"
    lines[6] = lines[6].replace("shelf", '"two\nlines"')
    lines[7] = lines[7].replace("red", "rosé")
    table, answered = grade(served, "\n".join(lines).encode())
    problems = {line.number: line.problem for line in answered.lines}
    assert problems == {
        2: "", 3: "", 4: "", 7: "", 9: "",
        5: "The row has 14 cells, the header has 13.",
        6: "The row has 3 cells, the header has 13.",
        8: "Type is “rosé”: give red or white.",
    }  # fmt: skip
    assert answered.lines[3].number == 5
    assert table.rows[3].cells[12] == 'a "fine" one, too', "no text is lost"
    kept = good.iloc[[0, 1, 2, 5, 7]]
    grades = model.predict(served.model, served.spec, kept)[0]
    assert [line.answer.grade for line in answered.graded] == grades.tolist()


def test_no_column_of_the_file_is_lost_to_the_answer(served, good):
    content = good.assign(note="mine", shelf="a").to_csv(index=False).encode()
    for _ in range(2):  # the answer, and the answer to the answer
        content = answer_file(served, content)
        first = pd.read_csv(io.BytesIO(content))
        assert (first["note"] == "mine").all()
        assert first["note_"].isna().all()
        assert list(first)[:14] == [*FEATURES, "note", "shelf"]
        assert len(first.columns) == 14 + 13

    plain = answer_file(served, good.assign(shelf="a").to_csv(index=False).encode())
    earlier = pd.read_csv(io.BytesIO(plain))
    changed = earlier.assign(alcohol=earlier["alcohol"] + 1, model_version=0)
    again = pd.read_csv(io.BytesIO(answer_file(served, changed.to_csv(index=False).encode())))
    assert list(again) == list(earlier)
    assert (again["model_version"] == 1).all()
    assert (again["predicted_score"] > earlier["predicted_score"]).all()


def test_with_the_tasters_grades_the_answer_says_how_well_they_are_predicted(served, raw):
    wines = raw[[*FEATURES, "quality"]].sample(300, random_state=3)
    _, answered = grade(served, wines.to_csv(index=False).encode())
    grades, scores, _ = model.predict(served.model, served.spec, wines)
    truth = wines["quality"].to_numpy()
    assert answered.scores["wines"] == 300
    assert answered.scores["accuracy"] == pytest.approx((grades == truth).mean())
    assert answered.scores["within_one"] == pytest.approx((abs(grades - truth) <= 1).mean())
    assert answered.scores["rmse"] == pytest.approx(np.sqrt(((scores - truth) ** 2).mean()))
    known = set(map(tuple, served.wines[[*FEATURES]].to_numpy()))
    assert answered.seen == sum(tuple(wine) in known for wine in wines[[*FEATURES]].to_numpy())
    assert answered.seen > 20
    _, without = grade(served, wines.drop(columns="quality").to_csv(index=False).encode())
    assert without.scores is None
    wines["quality"] = [11, 6.5, *wines["quality"][2:]]
    _, answered = grade(served, wines.to_csv(index=False).encode())
    assert (answered.scores["wines"], answered.off_scale) == (298, 2)
    _, answered = grade(served, wines.assign(quality=88).to_csv(index=False).encode())
    assert (answered.scores, answered.off_scale) == (None, 300)


def test_one_decimal_comma_without_quotes_costs_no_other_row(served, good):
    lines = good[["type", *NAMES]].to_csv(index=False).splitlines()
    lines[1] = lines[1].replace(".4", ",4")
    _, answered = grade(served, "\n".join(lines).encode())
    assert [line.number for line in answered.lines if line.problem] == [2]


def test_a_row_of_a_table_of_fixed_width_with_an_empty_cell_is_refused(served, good):
    lines = good[["type", *NAMES]].assign(lot=range(11, 31)).to_string(index=False).splitlines()
    lines[2] = lines[2].replace(" 9.8 ", "     ")  # its lot would be its alcohol
    _, answered = grade(served, "\n".join(lines).encode())
    problems = [line.problem for line in answered.lines if line.problem]
    assert problems == ["The row has 12 cells, the header has 13."]


def test_rows_that_all_lack_a_cell_get_no_grade(served, good):
    lines = good.assign(lot=7).to_csv(index=False).splitlines()
    for place in range(11):  # the colours are in the column of the last measurement then
        cells = [line.split(",") for line in lines[1:]]
        rows = [",".join(row[:place] + row[place + 1 :]) for row in cells]
        _, answered = grade(served, "\n".join([lines[0], *rows]).encode())
        assert not answered.graded


def test_the_colour_is_read_from_the_column_that_tells_it_or_asked_for(served, good):
    def columns(**own):
        wines = good.drop(columns="type").assign(**own)
        table, answered = grade(served, wines.to_csv(index=False).encode(), "red")
        return table.names, answered

    is_red = (good["type"] == "red").astype(int)
    marks = ["R", *[""] * 18, "W"]
    for own in (marks, ["red", *[""] * 18, "white"]):
        names, answered = columns(released=own)
        assert "type" not in names, "a few letters or words are no colours"
        assert answered.colour is None
    for own in (
        {"released": marks, "is_red": is_red},
        {"is_white": 1.0 - is_red},
        {"is_red": is_red.astype(float).map("{:.1f}".format).str.replace(".", ",")},
        {"is_white": is_red.map({1: "FALSE", 0: "TRUE"})},
        {"type_red": is_red == 1, "type_white": is_red == 0},
        {"Color_white": 1 - is_red},
        {"red": is_red},
        {"style": good["type"], "shade": "ruby"},
        {"colour": 5.64, "style": good["type"] + " wine"},
        {"R/W": good["type"], "style": good["type"]},
    ):
        names, answered = columns(**own)
        assert_graded(served, answered, good)
        assert answered.colour == [*NAMES, *own][names.index("type")]
    _, answered = columns(type_rosé=0, type_white=1 - is_red)
    assert [line.answer is None for line in answered.lines] == (is_red == 1).tolist(), "or rosé"
    letters = good["type"].str[0].where(good.index != 3, "x")
    _, answered = columns(type=letters.str.upper())
    assert [n for n, line in enumerate(answered.lines) if line.answer is None] == [3], "not all"


@pytest.mark.parametrize("last", ["Max", "Count", "50%", "a"])
def test_a_wine_is_no_sum_for_its_name(served, good, last):
    wines = good.head(3).assign(sample=["x", "y", last])
    _, answered = grade(served, wines.to_csv(index=False).encode())
    assert_graded(served, answered, good.head(3))
    wines = wines.drop(columns="type").assign(is_red=1)
    _, answered = grade(served, wines.to_csv(index=False).encode())
    assert_graded(served, answered, good.head(3))


def test_what_pandas_describes_below_the_wines_is_left_out(served, good):
    wines = good[good["type"] == "red"][[*NAMES]]
    both = pd.concat([wines, wines.describe()]).to_csv().encode()
    _, answered = grade(served, both, "red")
    assert_graded(served, answered, good[good["type"] == "red"])
    assert len(answered.left_out) == 8


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("volatile_acidity", "(g/L acetic acid)"), ("density", "(g/mL at 20 °C)"),
        ("total_sulfur_dioxide", "(mg/L SO2)"), ("sulphates", "(g/L K2SO4)"), ("alcohol", "(% v/v)"),
        ("citric_acid", "(g/litre)"), ("chlorides", "[g dm-3]"), ("residual_sugar", "(g / dm-3)"),
        ("ph", "(-)"), ("ph", "¹"), ("alcohol", "º"), ("density", "(kg/L)"),
        ("fixed_acidity", "(g(tartaric acid)/dm³)"), ("fixed_acidity", "(g tartaric acid / L)"),
        ("residual_sugar", "(g per litre)"), ("citric_acid", "[g·L⁻¹]"), ("free_sulfur_dioxide", "[ppm]"),
        ("alcohol", "(% (v/v) at 20 °C)"), ("chlorides", "(g/L NaCl)"),
    ],
)  # fmt: skip
def test_a_usual_unit_is_no_other_unit(served, good, name, unit):
    content = good.rename(columns={name: f"{name} {unit}"}).to_csv(index=False).encode()
    _, answered = grade(served, content)
    assert_graded(served, answered, good)


@pytest.mark.parametrize(
    "unit",
    ["g/100 ml", "mg/L", "kg/m3", "g/hL", "μg/dm³", "g per 100 ml", "g dL-1", "g·hL⁻¹", "mg dm⁻³", "%",
     "% w/v", "mmol/L", "meq/L", "mM", "ppm", "oz/gal", "g/bottle", "g/100 g", "°Bx",
     "milligrams per litre"],
)  # fmt: skip
def test_another_unit_is_refused_in_the_header_and_below_it(served, good, unit):
    header = good.rename(columns={"residual_sugar": f"residual_sugar ({unit})"}).to_csv(index=False)
    first, *rows = good.to_csv(index=False).splitlines()
    cells = ["g/l", "g/l", "g/l", "1", unit, "g/l", "mg/l", "mg/l", "g/l", "g/ml", "%", ""]
    units = ",".join(cells)
    below = "\n".join([first, "# lab 3", "", units, *rows])
    above = "\n".join([units, first, *rows])
    lower = "\n".join([first, ",".join(["Real"] * 12), units, *rows])
    for content in (header, below, above, lower):
        with pytest.raises(files.BadFile, match=r"residual_sugar is in .*: give g/dm³\.$"):
            files.read(content.encode(), served.spec.columns)
    comment = "\n".join([first, f"# residual sugar was in {unit}", *rows])
    _, answered = grade(served, comment.encode())
    assert_graded(served, answered, good)
    one = good.astype({"residual_sugar": object})
    one.loc[0, "residual_sugar"] = f"190 {unit}"
    _, answered = grade(served, one.to_csv(index=False).encode())
    assert [line.number for line in answered.lines if line.problem] == [2], "the others are graded"


@pytest.mark.parametrize(
    ("name", "unit", "says"),
    [
        ("alcohol", "% w/w", "alcohol is in % by mass: give % vol."),
        ("alcohol", "% w/v", "alcohol is in % by mass: give % vol."),
        ("alcohol", "wt%", "alcohol is in % by mass: give % vol."),
        ("alcohol", "proof", "alcohol is in proof: give % vol."),
        ("fixed_acidity", "g/L H₂SO₄", "give g/dm³ of tartaric acid."),
        ("fixed_acidity", "g/L as sulphuric acid", "give g/dm³ of tartaric acid."),
        ("volatile_acidity", "g H2SO4/L", "give g/dm³ of acetic acid."),
        ("chlorides", "g/L Cl⁻", "give g/dm³ of sodium chloride."),
        ("sulphates", "g/L SO4", "give g/dm³ of potassium sulphate."),
    ],
)
def test_another_substance_or_share_is_refused(served, good, name, unit, says):
    content = good.rename(columns={name: f"{name} ({unit})"}).to_csv(index=False)
    with pytest.raises(files.BadFile) as refused:
        files.read(content.encode(), served.spec.columns)
    assert str(refused.value).endswith(says)


def test_blanks_before_quotes_and_a_wrong_hint_split_no_text(served, good):
    wines = good.head(3).assign(cellar="Ch. A, B")
    text = wines.to_csv(index=False).replace(",", ", ").replace("Ch. A,  B", "Ch. A, B")
    table, answered = grade(served, text.encode())
    assert_graded(served, answered, good.head(3))
    assert [row.cells[12] for row in table.rows] == ["Ch. A, B"] * 3
    for hint, separator in ((",", ";"), (";", ";"), ("\t", "\t")):
        text = f"sep={hint}\n" + good.to_csv(index=False, sep=separator)
        table, answered = grade(served, text.encode())
        assert_graded(served, answered, good)
        assert answer_file(served, text.encode()).startswith(f"sep={separator}\n".encode())


def many(good, count):
    return pd.concat([good] * (count // len(good) + 1)).head(count)


@pytest.mark.parametrize(
    ("what", "make", "says"),
    [
        ("a header of 100,000 columns", lambda good: ",".join(map(str, range(100_000))) + "\n1,2\n",
         "The file has 100,000 columns: give at most 200."),
        ("one column 100,000 times", lambda good: "alcohol," * 100_000 + "\n",
         "The file has 100,001 columns: give at most 200."),
        ("20,001 wines", lambda good: many(good, 20_001).to_csv(index=False),
         "The file has 20,001 wines: give at most 20,000 at a time."),
        ("a million lines", lambda good: "\n" * 1_000_000,
         "The file has more than 100,000 lines: give fewer wines at a time."),
        ("a cell of 4 MB", lambda good: good.to_csv(index=False) + "x" * 4_000_000, None),
        ("one quote, then 4 MB", lambda good: good.to_csv(index=False) + '"' + "x\n" * 90_000, None),
        ("a quote in each of 19,000 rows", lambda good: good.to_csv(index=False) + '"1,2\n' * 19_000, None),
        ("90,000 quotes that each run to the end",
         lambda good: good.to_csv(index=False) + 'a","b","b","b\n' * 90_000,
         "The file has too many quotes that do not end."),
        ("cells of 32,000 digits",
         lambda good: many(good, 150).assign(lot="1" * 32_000 + "x").to_csv(index=False), None),
        ("a measurement of 30,000 digits and two lines",
         lambda good: many(good, 100).assign(ph="1" * 30_000 + "x\ny").to_csv(index=False), None),
        ("50 lines of 32,700 ligatures", lambda good: ("\ufdfa" * 32_700 + "\n") * 50,
         "No row of the file names the measurements: give a header with "
         f"{', '.join(NAMES)} and type, separated by commas, semicolons or tabs."),
        ("49 lines of 32,000 brackets above the header",
         lambda good: ("(" * 32_000 + "\n") * 49 + good.to_csv(index=False), None),
        ("5 MB of commas", lambda good: good.to_csv(index=False) + "," * 4_900_000, None),
        ("a wine with 4.8 million commas", lambda good: good.to_csv(index=False).strip() + "," * 4_800_000,
         None),
        ("40,000 rows of letters", lambda good: good.to_csv(index=False) + ("ab," * 11 + "ab\n") * 40_000,
         "The file has 40,020 wines: give at most 20,000 at a time."),
        ("rows of 200 letters",
         lambda good: ",".join([*FEATURES, *map(str, range(188))]) + "\n" + ("ab," * 199 + "ab\n") * 5_000, None),
        ("rows of half a unit",
         lambda good: good.to_csv(index=False) + (",".join(["mg (" * 50] * 11) + ",red\n") * 2_000, None),
        ("rows of a unit and spaces",
         lambda good: good.to_csv(index=False) + (",".join([f"g{' ' * 198}x"] * 11) + ",red\n") * 2_000, None),
        ("6 MB", lambda good: "x" * 6_000_000, "The file is larger than 5 MB."),
    ],
)  # fmt: skip
def test_no_file_takes_long(served, good, what, make, says):
    content = make(good).encode()
    began = time.process_time()
    if says is None:
        grade(served, content)
    else:
        with pytest.raises(files.BadFile) as refused:
            files.read(content, served.spec.columns)
        assert str(refused.value) == says
    assert time.process_time() - began < 5  # hours, once; 0.1 s on a machine that is idle


def test_rows_are_numbered_as_in_a_spreadsheet(served, good):
    first, *rows = good.head(3).to_csv(index=False).splitlines()
    rows[2] = "x" + rows[2]
    text = "\n".join(["", first, rows[0], "", ",,", *rows[1:]])
    _, answered = grade(served, text.encode())
    assert [line.number for line in answered.lines] == [3, 6, 7]
    assert [number for number, _ in answered.problems] == [7]


# Files that people have: each is written from six wines, and the page in docs/ has the result.
def as_csv(wines, below=None, **options):
    """Return wines as the text of a CSV file, with sums and means of ``below`` under them."""
    wines = wines.drop(columns="quality")
    if below is not None:
        wines = pd.concat([wines, below.agg(["sum", "mean"])])
    return wines.to_csv(index=below is not None, **options)


def spaced(wines):
    return wines.rename(columns=lambda name: name.replace("_", " "))


# what is unusual about a file, and how to write it from a frame with quality
ACCEPTED = [
    ("from a German Excel: semicolons, decimal comma",
     lambda w: as_csv(spaced(w), sep=";", decimal=",")),
    ("the same in Windows' encoding, with umlauts",
     lambda w: as_csv(spaced(w).assign(Weingut="Schloß Müller"), sep=";", decimal=",").encode("cp1252")),
    ("`sep=;` in the first line", lambda w: "sep=;\r\n" + as_csv(w, sep=";", decimal=",", lineterminator="\r\n")),
    ("from R: dotted names, row names",
     lambda w: w.rename(columns=lambda n: n.replace("_", ".")).to_csv()),
    ("from R's write.table: separated by spaces, no name above the row names",
     lambda w: w.drop(columns="quality").to_csv(sep=" ", index_label=False, quoting=csv.QUOTE_NONNUMERIC)),
    ("Kaggle's winequalityN: `type` first, `quality` last",
     lambda w: spaced(w)[["type", *[c for c in spaced(w) if c not in ("type",)]]].to_csv(index=False)),
    ("two columns without a name", lambda w: as_csv(w.assign(**{"": "ok", " ": "late"}))),
    ("a title and an empty line above the header",
     lambda w: "Lab report 2026" + "," * 11 + "\n\n" + as_csv(w)),
    ("comment lines above the header",
     lambda w: "# LabSoft 4.2\n# 2026-11-23, 14:05\n" + as_csv(w)),
    ("a comment below the wines", lambda w: as_csv(w) + "# exported by LabSoft\n"),
    ("a comment with a comma in it", lambda w: as_csv(w) + "# exported by LabSoft, 14:05\n"),
    ("a count below the wines", lambda w: as_csv(w) + "Total: 6 wines,,,,,,,,,,,\n"),
    ("sums and means below the wines",
     lambda w: as_csv(w.set_index(pd.Index(list("abcdef"), name="sample")), below=w[[*NAMES]])),
    ("a mean below the wines, in Portuguese",
     lambda w: as_csv(w.assign(lote=list("abcdef"))) + f"{','.join(map(str, w[[*NAMES]].mean()))},,Média\n"),
    ("the header again among the wines",
     lambda w: as_csv(w.head(3)) + "\nWhite wines\n" + as_csv(w.tail(3))),
    ("units in a row of their own",
     lambda w: as_csv(w).replace("\n", "\ng/l,g/l,g/l,-,g/l,g/l,mg/l,mg/l,g/l,g/ml,% vol,\n", 1)),
    ("units in brackets",
     lambda w: as_csv(w.rename(columns=spelled("labels with units")))),
    ("units in brackets, as on UCI's page", lambda w: as_csv(w.rename(columns=spelled("as UCI's page")))),
    ("units after the numbers", lambda w: as_csv(w.assign(
        alcohol=w["alcohol"].map("{} Vol.-%".format), density=w["density"].map("{} g/ml".format)))),
    ("`Free SO₂` and `Total SO₂`",
     lambda w: as_csv(w.rename(columns=lambda n: n.replace("_sulfur_dioxide", " SO₂")))),
    ("a space after each comma, text in quotes",
     lambda w: as_csv(w, quoting=csv.QUOTE_NONNUMERIC).replace(",", ", ")),
    ("hyphens in the names", lambda w: as_csv(w.rename(columns=lambda n: n.replace("_", "-")))),
    ("a column of formulas", lambda w: as_csv(w.assign(name="=1+1"))),
    ("empty columns at the right", lambda w: as_csv(w).replace("\n", ",,,\n")),
    ("empty lines below the wines", lambda w: as_csv(w) + ",,,,,,,,,,,\n" * 50),
    ("UTF-16, as Excel's Unicode text", lambda w: as_csv(w, sep="\t").encode("utf-16")),
    ("UTF-16, big-endian, without a byte order mark", lambda w: as_csv(w).encode("utf-16-be")),
    ("a byte order mark", lambda w: as_csv(w).encode("utf-8-sig")),
    ("line ends of old Macs", lambda w: as_csv(w, lineterminator="\r")),
    ('numbers as `="7.4"`', lambda w: as_csv(w.map('="{}"'.format))),
    ("everything in quotes", lambda w: as_csv(w, quoting=csv.QUOTE_ALL)),
    ("separated by vertical bars", lambda w: as_csv(w, sep="|")),
    ("decimal commas in quotes, separated by commas", lambda w: as_csv(w, decimal=",")),
    ("colours in capitals", lambda w: as_csv(w.assign(type=w["type"].str.upper()))),
    ("`R` and `W`, `Red wine` and `White wine`",
     lambda w: as_csv(w.assign(type=[t[0].upper() if n % 2 else f"{t.title()} wine"
                                   for n, t in enumerate(w["type"])]))),
    ("`Colour` for `type`", lambda w: as_csv(w.rename(columns={"type": "Colour"}))),
    ("`Style` for `type`", lambda w: as_csv(w.rename(columns={"type": "Style"}))),
    ("`type` beside a `colour` such as ruby", lambda w: as_csv(w.assign(colour="ruby")[["colour", *w]])),
    ("`type_red` and `type_white` of pandas.get_dummies",
     lambda w: as_csv(pd.get_dummies(w, columns=["type"]))),
    ("`is_red` with 1 and 0",
     lambda w: as_csv(w.assign(is_red=(w["type"] == "red").astype(int)).drop(columns="type"))),
]  # fmt: skip


@pytest.fixture(scope="module")
def proven():
    """The rows of docs/files-of-wines.md, in the order in which the tests prove them."""
    return []


@pytest.fixture(scope="module")
def six(raw):
    """The six wines of the files that people have."""
    return pd.concat([raw.head(3), raw.tail(3)])[[*FEATURES, "quality"]].reset_index(drop=True)


def as_bytes(content):
    return content if isinstance(content, bytes) else content.encode()


def test_files_as_people_have_them_are_graded(served, six, proven):
    for what, make in ACCEPTED:
        table, answered = grade(served, as_bytes(make(six)))
        assert_graded(served, answered, six)
        separator = {"\t": "tab", " ": "space"}.get(
            table.dialect.separator, table.dialect.separator
        )
        left = len(answered.left_out)
        note = (
            f"; left out: {left} row{'s' * (left > 1)} that hold{'s' * (left == 1)} no wine"
            if left
            else ""
        )
        read_as = f"{table.dialect.encoding}, `{separator}`, decimal `{table.decimal}`"
        proven.append((what, f"all 6 wines graded{note}", read_as))
        text = answer_file(served, as_bytes(make(six))).decode(table.dialect.encoding)
        lines = io.StringIO(text.removeprefix(f"{table.dialect.hint}\r\n"), newline="")
        header, *rows = csv.reader(lines, delimiter=table.dialect.separator, strict=True)
        grades = [row[header.index("predicted_grade")] for row in rows]
        assert grades == [str(line.answer.grade) for line in answered.lines]


def test_ucis_own_files_are_graded_once_the_colour_is_known(served, raw, proven):
    for colour in ("red", "white"):
        wines = raw[raw["type"] == colour].head(6)
        text = wines[[*NAMES, "quality"]].rename(columns=lambda n: n.replace("_", " ")).to_csv(
            index=False, sep=";", quoting=csv.QUOTE_NONNUMERIC
        )  # fmt: skip
        table = files.read(text.encode(), served.spec.columns)
        assert "type" not in table.names
        answered = graded.answer_all(table, served, colour)
        assert_graded(served, answered, wines)
        assert answered.scores["wines"] == 6
        proven.append(
            (
                f"UCI's own winequality-{colour}.csv: no column for the colour",
                "the page asks for the colour once; then all 6 wines graded",
                "utf-8, `;`, decimal `.`",
            )
        )


# what is wrong with a file, and how to write it from a frame of wines
REFUSED = [
    ("an empty file", lambda w: b""),
    ("a header and no wines", lambda w: w.head(0).to_csv(index=False)),
    ("a picture", lambda w: b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    ("an Excel workbook", lambda w: b"PK\x03\x04\x14\0\x06\0"),
    ("a letter", lambda w: "Dear all,\nplease find the wines attached.\n"),
    ("wines without a header", lambda w: w.to_csv(index=False, header=False)),
    ("no column `density`", lambda w: w.drop(columns="density").to_csv(index=False)),
    ("`alcohol` and `Alcohol`", lambda w: w.assign(Alcohol=10).to_csv(index=False)),
    ("`residual_sugar (g/100 ml)`",
     lambda w: w.rename(columns={"residual_sugar": "residual_sugar (g/100 ml)"}).to_csv(index=False)),
    ("a row of units with `g/l` for sulphur dioxide",
     lambda w: w.to_csv(index=False).replace("\n", "\ng/l,g/l,g/l,-,g/l,g/l,g/l,g/l,g/l,g/ml,% vol,\n", 1)),
    ("a row of units above the header, with `mg/l` for residual sugar",
     lambda w: "g/l,g/l,g/l,-,mg/l,g/l,mg/l,mg/l,g/l,g/ml,% vol,\n" + w.to_csv(index=False)),
    ("`fixed_acidity (g/L H2SO4)`",
     lambda w: w.rename(columns={"fixed_acidity": "fixed_acidity (g/L H2SO4)"}).to_csv(index=False)),
    ("`alcohol (% w/w)`", lambda w: w.rename(columns={"alcohol": "alcohol (% w/w)"}).to_csv(index=False)),
    ("two tables, the second with the columns in another order",
     lambda w: w.head(3).to_csv(index=False) + w.tail(3)[[*FEATURES[::-1]]].to_csv(index=False)),
    ("two tables, the first without `type`",
     lambda w: w.head(3)[[*NAMES]].to_csv(index=False) + w.tail(3).to_csv(index=False)),
    ("`T`, `B` and `R` for tinto, branco and rosé", lambda w: w.assign(type=list("TTRBBB")).to_csv(index=False)),
    ("a decimal comma without quotes in the last column",
     lambda w: w[["type", *NAMES]].to_csv(index=False).replace("alcohol", "alcohol,").replace(".4\n", ",4\n")),
    ("decimal commas without quotes, separated by commas",
     lambda w: w.to_csv(index=False, decimal=",", quoting=csv.QUOTE_NONE, quotechar=None,
                        sep=";").replace(";", ",")),
    ("20,001 wines", lambda w: pd.concat([w] * 3334).head(20_001).to_csv(index=False)),
    ("a header of 100,000 columns", lambda w: ",".join(map(str, range(100_000))) + "\n1,2\n"),
]  # fmt: skip


def test_a_file_that_is_no_table_of_wines_is_refused_in_a_sentence(served, six, proven):
    for what, make in REFUSED:
        with pytest.raises(files.BadFile) as error:
            files.read(as_bytes(make(six[[*FEATURES]])), served.spec.columns)
        proven.append((what, f"refused: {error.value}", ""))


WRONG = [
    ("alcohol", ""), ("alcohol", "strong"), ("alcohol", "nan"), ("alcohol", "1_0"), ("ph", "-3"),
    ("ph", "33"), ("density", "996.8"), ("free_sulfur_dioxide", "99"), ("type", "rosé"), ("type", ""),
]  # fmt: skip


def test_a_wine_that_is_none_is_named_by_its_row_and_the_others_are_graded(served, six, proven):
    good = six[[*FEATURES]].head(1).astype(str)
    rows = [good.assign(**{name: value}) for name, value in WRONG]
    _, answered = grade(served, pd.concat([*rows, good]).to_csv(index=False).encode())
    assert len(answered.graded) == 1
    for number, ((name, value), line) in enumerate(
        zip(WRONG, answered.lines[:-1], strict=True), start=2
    ):
        assert line.number == number
        what = f"a row whose `{name}` is {f'`{value}`' if value else 'empty'}"
        proven.append((what, f"no grade for the row: {line.problem}", "the others are graded"))


INTRODUCTION = """# Files of wines

How the predictor handles typical CSV files. It returns a file with the same encoding, separator, decimal
mark and line ends, and adds columns with the grades. tests/apps/test_predictor_files.py tests each row and
writes this page.

| file | result | read as |
| --- | --- | --- |
"""


def test_the_page_says_what_these_tests_have_proven(proven):
    page = REPOSITORY / "docs/files-of-wines.md"
    cells = [[cell.replace("|", "\\|") for cell in row] for row in proven]
    text = INTRODUCTION + "".join(f"| {' | '.join(row)} |\n" for row in cells)
    if os.environ.get("WRITE_TABLES"):
        page.write_text(text)
    assert page.read_text() == text, (
        "when all tests of this file pass: "
        "WRITE_TABLES=1 python -m pytest tests/apps/test_predictor_files.py -m 'not system'"
    )


@pytest.fixture
def page(shared_page):
    """The predictor's page, open at the tab for files."""
    shared_page.get_by_role("tab", name="Many wines").click()
    return shared_page


def give(page, path):
    """Give the page a file, in place of the one before."""
    clear = page.get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
        expect(page.locator("#graded")).to_have_text("")
    page.locator("input[type=file]").set_input_files(path)


def download(page, name="graded_wines.csv"):
    """Return the bytes of the file that the page's button downloads."""
    with page.expect_download() as given:
        page.get_by_role("button", name="Download the graded wines").click()
    assert given.value.suggested_filename == name
    return given.value.path().read_bytes()


def test_the_page_shows_the_rows_and_gives_the_file_back(page, predictor, six, tmp_path):
    wines = six.astype({"type": object})
    wines.loc[1, "type"] = "rosé"
    wines.loc[2, "residual_sugar"] = 60
    content = wines.to_csv(index=False, sep=";", decimal=",").encode("utf-8-sig")
    (tmp_path / "wines.csv").write_bytes(content + b"# the end\n")
    give(page, tmp_path / "wines.csv")
    expect(page.locator("#graded h2").first).to_have_text("5 of 6 wines graded")
    expect(page.locator("#graded .scores")).to_contain_text(
        "of 5 predicted grades are the tasters'"
    )
    lists = page.locator("#graded ul.rows")
    expect(lists.nth(0)).to_have_text("Row 3: Type is “rosé”: give red or white.")
    expect(lists.nth(1)).to_contain_text("Row 4: Outside the data: this grade is a guess.")
    expect(lists.nth(2)).to_have_text("Row 8: # the end")
    rows = [row.split("\t") for row in page.locator("#graded .graded tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == ["2", "3", "4", "5", "6", "7"]
    grade, score = predictor.answer(six[[*FEATURES]].iloc[0].to_dict())
    assert rows[0][1:4] == ["red", str(grade), f"{score:.2f}"]
    assert rows[0][5] == str(six["quality"][0])
    assert rows[1][6] == "no grade: Type is “rosé”: give red or white."
    assert rows[2][6] == "outside the data"
    assert download(page) == answer_file(predictor.served, content)


def test_the_page_asks_for_the_colour_once(page, predictor, raw, tmp_path):
    wines = raw[raw["type"] == "white"].head(4)
    wines[[*NAMES]].to_csv(tmp_path / "white.tsv", index=False, sep="\t")
    asked = page.get_by_role("radiogroup", name="The file has no column for the colour")
    give(page, tmp_path / "white.tsv")
    expect(page.get_by_label("All are white")).to_be_visible()
    expect(page.locator("#graded")).to_have_text("Choose the colour of the wines to grade them.")
    expect(page.get_by_role("button", name="Download the graded wines")).to_have_count(0)
    page.get_by_label("All are white").check()
    expect(page.locator("#graded h2").first).to_have_text("4 of 4 wines graded")
    answer = pd.read_csv(io.BytesIO(download(page, "graded_wines.tsv")), sep="\t")
    grades = model.predict(predictor.served.model, predictor.served.spec, wines)[0]
    assert answer["predicted_grade"].tolist() == grades.tolist()
    # a file that says so itself is not asked about
    wines[[*FEATURES]].to_csv(tmp_path / "typed.csv", index=False)
    give(page, tmp_path / "typed.csv")
    expect(page.locator("#graded h2").first).to_have_text("4 of 4 wines graded")
    expect(asked).to_have_count(0)
    expect(page.get_by_label("All are white")).to_be_hidden()


def test_a_file_that_is_refused_leaves_nothing_to_download(page, tmp_path, six):
    (tmp_path / "letter.csv").write_text("Dear all,\nthe wines are attached.\n")
    give(page, tmp_path / "letter.csv")
    expect(page.locator("#graded .banner.bad")).to_contain_text(
        "No row of the file names the measurements"
    )
    expect(page.get_by_role("button", name="Download the graded wines")).to_have_count(0)
    six.to_csv(tmp_path / "wines.csv", index=False)
    give(page, tmp_path / "wines.csv")
    expect(page.locator("#graded h2").first).to_have_text("6 of 6 wines graded")


def test_the_file_of_examples_can_be_given_back(page, predictor, tmp_path):
    with page.expect_download() as given:
        page.get_by_role("link", name="Get a file of examples").click()
    given.value.save_as(tmp_path / "wines.csv")
    examples = model.example_frame(predictor.served.spec)
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "wines.csv"), examples[[*FEATURES]], check_dtype=False
    )
    give(page, tmp_path / "wines.csv")
    count = len(examples)
    expect(page.locator("#graded h2").first).to_have_text(f"{count} of {count} wines graded")

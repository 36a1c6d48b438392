"""Files of wines in the predictor: graded as wine.model grades them, and told what is wrong."""

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from tests.apps.conftest import load
from wine import model
from wine.columns import FEATURES, GRADES, NAMES

checks = load("predictor", "checks")


@pytest.fixture
def page(open_page, predictor):
    """The predictor's page, open at the tab for files."""
    # "Method not implemented" is what Gradio says of itself when a file is uploaded
    page = open_page(predictor.url, expected="Method not implemented")
    page.get_by_role("tab", name="Many wines").click(timeout=20_000)
    return page


def give(page, file):
    """Give the page a file, in place of the one before."""
    clear = page.get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
        expect(page.locator("#graded")).to_have_text("")
    page.locator("input[type=file]").set_input_files(file)


def download(page):
    """The file that the page's button gives, as a frame."""
    with page.expect_download() as given:
        page.get_by_role("button", name="Download the graded wines").click()
    assert given.value.suggested_filename == "graded_wines.csv"
    return pd.read_csv(given.value.path(), keep_default_na=True)


def test_a_file_of_wines_comes_back_with_the_grades_of_wine_model(page, fitted, raw, tmp_path):
    good = raw[[*FEATURES]].sample(300, random_state=1).reset_index(drop=True)
    given = good.assign(cellar=[f"shelf {i}; „left“" for i in range(len(good))])
    spoilt = given.iloc[[0, 1, 2]].astype(object)
    spoilt.loc[0, "alcohol"] = "strong"
    spoilt.loc[1, ["free_sulfur_dioxide", "total_sulfur_dioxide"]] = [80, 20]
    spoilt.loc[2, "type"] = "rosé"
    beyond = given.iloc[[3]].assign(alcohol=16.0)
    pd.concat([given, spoilt, beyond]).to_csv(tmp_path / "cellar.csv", index=False)

    give(page, tmp_path / "cellar.csv")
    expect(page.locator("#graded h2").first).to_have_text("301 of 304 wines graded")
    assert page.locator("#graded .rows").nth(0).locator("li").all_inner_texts() == [
        "Row 302: Alcohol is “strong”: give a number in % vol.",
        "Row 303: Free sulphur dioxide 80 mg/dm³ is above the total of 20 mg/dm³, of which it is "
        "a part.",
        "Row 304: Type is “rosé”: give red or white.",
    ]
    expect(page.locator("#graded .rows").nth(1)).to_contain_text("Row 305: Alcohol 16 % vol is ab")

    graded = download(page)
    wines = pd.concat([good, beyond[[*FEATURES]]])
    grades, expected, chances = model.predict(*fitted, wines)
    answered = graded[graded["problem"].isna()]
    assert answered["predicted_grade"].astype(int).tolist() == grades.tolist()
    np.testing.assert_allclose(answered["expected_grade"], expected, atol=5e-4)
    columns = [f"probability_{grade}" for grade in GRADES]
    np.testing.assert_allclose(answered[columns], chances, atol=5e-5)
    assert len(set(grades)) > 3
    pd.testing.assert_frame_equal(
        answered[[*FEATURES]].astype(wines.dtypes).reset_index(drop=True),
        wines.reset_index(drop=True),
    )
    assert graded["cellar"].tolist()[:300] == given["cellar"].tolist()
    assert (graded["model_version"] == 1).all()

    refused = graded.loc[300:302]
    assert refused[["predicted_grade", "expected_grade", *columns]].isna().all(axis=None)
    assert [text.split(" is ")[0] for text in refused["problem"]] == [
        "Alcohol",
        "Free sulphur dioxide 80 mg/dm³",
        "Type",
    ]
    assert graded.loc[303, "note"].startswith("Alcohol 16 % vol is above")

    table = page.locator("#graded table tbody tr").all_inner_texts()
    counted = {int(row.split()[0]): sum(map(int, row.split()[1:])) for row in table}
    assert counted == {int(g): int((grades == g).sum()) for g in set(grades)}


def test_the_file_of_examples_can_be_given_back(page, fitted, tmp_path):
    with page.expect_download() as given:
        page.get_by_role("link", name="Get a file of examples").click()
    given.value.save_as(tmp_path / "wines.csv")
    examples = pd.DataFrame(fitted[1]["examples"])
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "wines.csv"), examples[[*NAMES, "type"]], check_dtype=False
    )
    give(page, tmp_path / "wines.csv")
    count = len(examples)
    expect(page.locator("#graded h2")).to_have_text(f"{count} of {count} wines graded")
    assert (
        download(page)["predicted_grade"].tolist() == model.predict(*fitted, examples)[0].tolist()
    )


def test_no_column_of_the_file_is_lost_to_the_answer(page, raw, tmp_path):
    wines = raw[[*FEATURES]].head(3).reset_index(drop=True).assign(shelf=["a", "b", "c"])
    wines.assign(note="from the cellar").to_csv(tmp_path / "noted.csv", index=False)
    give(page, tmp_path / "noted.csv")
    expect(page.locator("#graded .banner.bad")).to_have_text(
        "The file has a column 'note', as the answer will: give yours another name."
    )
    wines.to_csv(tmp_path / "wines.csv", index=False)
    give(page, tmp_path / "wines.csv")
    expect(page.locator("#graded h2")).to_have_text("3 of 3 wines graded")
    graded = download(page)
    # an earlier answer is graded anew
    graded.assign(alcohol=13.5, model_version=0).to_csv(tmp_path / "again.csv", index=False)
    give(page, tmp_path / "again.csv")
    expect(page.locator("#graded h2")).to_have_text("3 of 3 wines graded")
    again = download(page)
    assert list(again) == list(graded)
    assert again["shelf"].tolist() == ["a", "b", "c"]
    assert (again["model_version"] == 1).all()
    assert (again["expected_grade"] > graded["expected_grade"]).all()


def test_a_file_that_is_no_table_of_wines_is_refused_in_words(
    page, predictor, raw, proven, tmp_path
):
    head = raw[[*FEATURES]].head(2)
    text = head.to_csv(index=False)
    files = {
        "an empty file": b"",
        "a header and no wines": text.splitlines()[0].encode(),
        "a picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        "a spreadsheet's text in UTF-16": text.encode("utf-16"),
        "a letter": b"Dear all,\nplease find the wines attached.\n",
        "a quote that never ends": text.encode() + b'"7.4,0.7',
        "no column `density`": head.drop(columns="density").to_csv(index=False).encode(),
        "`alcohol` and `Alcohol`": head.assign(Alcohol=10).to_csv(index=False).encode(),
        "a column `note` of its own": head.assign(note="cellar").to_csv(index=False).encode(),
        "a row of 3 fields": text.encode() + b"1,2,3\n",
        "a row of 13 fields": text.encode() + text.splitlines()[1].encode() + b",13\n",
        "5,002 wines": pd.concat([head] * 2501).to_csv(index=False).encode(),
    }
    for name, content in files.items():
        (tmp_path / "wines.csv").write_bytes(content)
        give(page, tmp_path / "wines.csv")
        refusal = page.locator("#graded .banner.bad")
        expect(refusal).to_be_visible()
        expect(page.get_by_role("button", name="Download the graded wines")).to_have_count(0)
        proven.row(name, refusal.inner_text().strip(), "none is graded")
    (tmp_path / "at last.csv").write_text(text)
    give(page, tmp_path / "at last.csv")
    expect(page.locator("#graded h2")).to_have_text("2 of 2 wines graded")
    expect(page.get_by_role("button", name="Download the graded wines")).to_be_visible()
    assert "Traceback" not in predictor.output


def test_a_wine_that_is_none_is_told_by_its_row_and_the_others_are_graded(
    page, predictor, raw, proven, tmp_path
):
    good = raw[[*FEATURES]].head(1).astype(object)
    wrong = [
        ("alcohol", ""), ("alcohol", "strong"), ("alcohol", "nan"), ("alcohol", "1_0"),
        ("ph", -3), ("ph", 33), ("density", 996.8), ("free_sulfur_dioxide", 99),
        ("type", "rosé"), ("type", ""),
    ]  # fmt: skip
    rows = [good.assign(**{name: value}) for name, value in wrong]
    pd.concat([*rows, good]).to_csv(tmp_path / "wines.csv", index=False)
    give(page, tmp_path / "wines.csv")
    expect(page.locator("#graded h2").first).to_have_text(f"1 of {len(wrong) + 1} wines graded")
    told = page.locator("#graded .rows").nth(0).locator("li").all_inner_texts()
    for number, ((name, value), line) in enumerate(zip(wrong, told, strict=True), start=2):
        row, _, said = line.partition(": ")
        assert row == f"Row {number}"
        proven.row(f"`{name}` is `{value}`" if value != "" else f"`{name}` is empty", said,
                   "the others are graded")  # fmt: skip
    assert "Traceback" not in predictor.output


def test_the_page_says_what_these_tests_have_proven(proven):
    proven.compare(
        "bad-csv.md",
        """# Wrong files of wines

What the predictor's page answers to a CSV file that it cannot grade, or not all of. Every row was
proven in a browser, on the running app. This page is generated by
tests/apps/test_predictor_files.py.
""",
        ("given", "it says", "what becomes of the wines"),
    )


@pytest.fixture(scope="module")
def spec(fitted):
    """The columns by name, and the types, as the app has them from spec.json."""
    return {column["name"]: column for column in fitted[1]["columns"]}, fitted[1]["types"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_reading_takes_any_separator_order_and_way_to_write_a_name(raw, spec, separator, encoding):
    columns, types = spec
    wines = raw[[*reversed(FEATURES)]].head(20)
    labelled = wines.rename(columns={name: column["label"] for name, column in columns.items()})
    text = labelled.to_csv(index=False, sep=separator, lineterminator="\r\n")
    frame = checks.read_csv(text.encode(encoding), columns)
    read, problems, notes = checks.check_rows(frame, columns, types)
    assert not problems.any()
    assert not notes.any()
    pd.testing.assert_frame_equal(
        read[[*FEATURES]].reset_index(drop=True), wines[[*FEATURES]], check_dtype=False
    )


def test_rows_are_numbered_as_in_the_file(raw, spec):
    columns, types = spec
    first, *rows = raw[[*FEATURES]].head(3).to_csv(index=False).splitlines()
    rows[2] = "x" + rows[2]
    frame = checks.read_csv("\n".join(["", first, rows[0], "", ",,", *rows[1:]]).encode(), columns)
    wines, problems, _ = checks.check_rows(frame, columns, types)
    assert list(wines.index) == [3, 6]
    assert problems[problems != ""].index.tolist() == [7]


def test_columns_of_nothing_at_the_right_are_left_out(raw, spec):
    text = raw[[*FEATURES]].head(2).to_csv(index=False)
    plain = checks.read_csv(text.encode(), spec[0])
    wider = checks.read_csv(text.replace("\n", ",, \n").encode(), spec[0])
    pd.testing.assert_frame_equal(wider, plain)
    with pytest.raises(checks.BadFile, match="Row 2 has 13 fields, the header has 12"):
        checks.read_csv(text.replace("red\n", "red,5\n", 1).encode(), spec[0])


def test_a_column_given_twice_is_refused(raw, spec):
    twice = raw[[*FEATURES]].head(1).assign(**{"Alcohol": 10}).to_csv(index=False)
    with pytest.raises(checks.BadFile, match="two columns 'alcohol'"):
        checks.read_csv(twice.encode(), spec[0])

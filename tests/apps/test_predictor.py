"""The predictor's form in a real browser: every way to change a wine changes what is said of it.

What the page says is compared with the pipeline's own ``wine.model`` on the values in the form.
"""

import json

import pytest
from playwright.sync_api import expect

from tests.apps.conftest import PHONE, answer_of, assert_accessible, assert_fits
from wine.columns import BY_NAME, NAMES


@pytest.fixture
def page(open_page, predictor):
    """The predictor's page at a desktop's size, filled."""
    return filled(open_page(predictor.url))


def filled(page):
    expect(page.locator("#result .grade")).to_be_visible(timeout=20_000)
    return page


def field(page, name):
    return page.locator(f"#n-{name}")


def wine_in(page):
    """The wine in the form, as numbers."""
    wine = {name: float(field(page, name).input_value()) for name in NAMES}
    return wine | {"type": page.locator("input[name=type]:checked").input_value()}


def assert_answers(page, fitted):
    """The page comes to show what wine.model says of the wine in its form; returns that."""
    grade, expected = answer_of(fitted, wine_in(page))
    expect(page.locator("#result .expected")).to_have_text(f"{expected:.2f}")
    expect(page.locator("#result .grade")).to_have_attribute("data-grade", str(grade))
    return grade, expected


def test_typing_changes_the_answer(page, fitted):
    grade, before = assert_answers(page, fitted)
    field(page, "alcohol").fill("12.5")
    field(page, "sulphates").fill("0.9")
    field(page, "volatile_acidity").fill("0,3")  # many write a comma
    expect(page.locator("#result .expected")).not_to_have_text(f"{before:.2f}")
    expect(page.locator("[data-name=volatile_acidity] .slide")).to_have_value("0.3")
    field(page, "volatile_acidity").fill("0.3")
    better, after = assert_answers(page, fitted)
    assert better > grade
    assert after > before + 0.5
    expect(page.locator("#result .glass").first).to_have_attribute(
        "aria-label", f"a glass of red wine, filled to grade {better}"
    )


def test_moving_a_slider_changes_field_and_answer(page, fitted):
    _, before = assert_answers(page, fitted)
    slider = page.locator("[data-name=alcohol] .slide")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    expect(field(page, "alcohol")).to_have_value(slider.input_value())
    assert assert_answers(page, fitted)[1] > before + 0.2
    assert 13 < wine_in(page)["alcohol"] < 14


@pytest.mark.parametrize("key", ["Home", "End"])
def test_no_end_of_a_slider_is_outside_the_data(page, fitted, key):
    # the largest free sulphur dioxide is above that wine's total: there it stays as it is
    names = [name for name in NAMES if (name, key) != ("free_sulfur_dioxide", "End")]
    for name in names:
        slider = page.locator(f"[data-name={name}] .slide")
        slider.press(key)
        end = slider.get_attribute("min" if key == "Home" else "max")
        assert float(field(page, name).input_value()) == pytest.approx(float(end))
    assert_answers(page, fitted)
    assert page.locator(".message").all_inner_texts() == [""] * len(NAMES)


def test_red_or_white_changes_the_answer(page, fitted):
    red = assert_answers(page, fitted)
    page.get_by_label("white", exact=True).check()
    white = assert_answers(page, fitted)
    assert white[1] != red[1]
    expect(page.locator("#result .nearest tbody th").first).to_contain_text("white-")


def test_an_example_fills_the_form_and_is_its_own_nearest_wine(page, fitted):
    examples = fitted[1]["examples"]
    buttons = page.locator(".example")
    assert buttons.count() == 2 + len(examples)
    for wine in examples:
        button = page.get_by_role("button", name=f"{wine['type']}, graded {wine['quality']}")
        button.click()
        expect(page.locator("#result .nearest tbody th").first).to_have_text(wine["wine_id"])
        assert wine_in(page) == {name: wine[name] for name in (*NAMES, "type")}
        assert_answers(page, fitted)
        first = page.locator("#result .nearest tbody tr").first.locator("td").all_inner_texts()
        assert first[:2] == [str(wine["quality"]), "0.0"]


def test_what_moves_the_wine_adds_up_to_the_answer(page, fitted):
    page.get_by_role("button", name="white, graded 8").click()
    _, expected = assert_answers(page, fitted)
    said = page.locator("#result .effects td:last-child").all_inner_texts()
    effects = [float(text.replace("−", "-")) for text in said]
    _, typical = answer_of(
        fitted, {column["name"]: column["typical"]["white"] for column in fitted[1]["columns"]}
        | {"type": "white"}
    )  # fmt: skip
    assert sum(effects) == pytest.approx(expected - typical, abs=0.01 * len(NAMES))
    assert abs(effects[0]) == max(map(abs, effects))
    bars = page.locator("#result .chances td:last-child").all_inner_texts()
    percents = [float(text.removesuffix("%").strip().replace("<", "")) for text in bars]
    assert sum(percents) == pytest.approx(100, abs=4)


BAD = [
    ("alcohol", "", "Alcohol is empty: give a number in % vol."),
    ("ph", " ", "pH is empty: give a number."),
    ("alcohol", "strong", "Alcohol is “strong”: give a number in % vol."),
    ("chlorides", "NaN", "Chlorides is “NaN”: give a number in g/dm³."),
    ("chlorides", "1e999", "Chlorides is “1e999”: give a number in g/dm³."),
    ("residual_sugar", "-1", "Residual sugar is -1 g/dm³: it cannot be negative."),
    ("residual_sugar", "900", "Residual sugar is 900 g/dm³: a table wine has 0 to 300 g/dm³."),
    ("density", "9.98", "Density is 9.98 g/cm³: a table wine has 0.95 to 1.15 g/cm³."),
    (
        "free_sulfur_dioxide",
        "50",
        "Free sulphur dioxide 50 mg/dm³ is above the total of 38 mg/dm³, of which it is a part.",
    ),
]


def test_a_bad_value_is_told_beside_its_field_and_gets_no_grade(page, fitted):
    for name, typed, said in BAD:
        good = field(page, name).input_value()
        field(page, name).fill(typed)
        message = page.locator(f"#m-{name}")
        expect(message).to_have_text(said)
        expect(message).to_be_visible()
        expect(field(page, name)).to_have_attribute("aria-invalid", "true")
        assert f"m-{name}" in field(page, name).get_attribute("aria-describedby")
        above, below = field(page, name).bounding_box(), message.bounding_box()
        assert 0 < below["y"] - above["y"] < 150
        expect(page.locator("#result .grade")).to_have_count(0)
        expect(page.locator("#result .problems")).to_have_text(said)
        expect(page.locator("#result .glass").first).to_have_attribute(
            "aria-label", "an empty glass"
        )
        field(page, name).fill(good)
        expect(message).to_be_hidden()
        expect(field(page, name)).to_have_attribute("aria-invalid", "false")
        assert_answers(page, fitted)


def test_a_value_outside_the_data_is_allowed_and_said_aloud(page, fitted):
    for name, typed, said in [
        ("alcohol", "15.5", "Alcohol 15.5 % vol is above anything the model has seen (8 to 14.9"),
        ("ph", "2.5", "pH 2.5 is below anything the model has seen (2.72 to 4.01)"),
    ]:
        field(page, name).fill(typed)
        expect(page.locator(f"#m-{name}")).to_contain_text(said)
        expect(page.locator(f"#m-{name}")).to_have_attribute("role", "alert")
        expect(field(page, name)).to_have_attribute("aria-invalid", "false")
        assert_answers(page, fitted)


def test_the_keyboard_reaches_every_field_in_order(page, fitted):
    page.get_by_role("tab", name="One wine").focus()
    reached = []
    while not reached or reached[-2:-1] != ["n-alcohol"]:  # the last field, and its slider
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
              const at = document.activeElement;
              const outline = getComputedStyle(at.closest("label") || at).outlineStyle;
              return [at.id || at.className || at.tagName, outline];
            }"""
        )
        reached.append(name)
        assert outline != "none" or not name.startswith(("n-", "example", "slide"))
        assert len(reached) < 60, reached
    numbers = [name.removeprefix("n-") for name in reached if name.startswith("n-")]
    assert numbers == [column["name"] for column in fitted[1]["columns"]]
    assert reached.count("slide") == len(NAMES)
    assert reached.count("example") == page.locator(".example").count()

    page.get_by_label("red", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert wine_in(page)["type"] == "white"
    page.get_by_role("button", name="red, graded 7").press("Enter")
    expect(page.get_by_label("red", exact=True)).to_be_checked()
    assert_answers(page, fitted)
    page.get_by_role("tab", name="From a program").press("Enter")
    expect(page.get_by_label("Python example")).to_be_visible()


DARK = {"color_scheme": "dark"}


@pytest.mark.parametrize(
    "options", [{}, DARK, {"viewport": PHONE}], ids=["desktop", "dark", "phone"]
)
def test_every_tab_can_be_read(open_page, predictor, fitted, tmp_path, options):
    # which Gradio says of itself when a file is uploaded
    page = filled(open_page(predictor.url, expected="Method not implemented", **options))
    assert page.evaluate("document.body.classList.contains('dark')") == ("color_scheme" in options)

    def assert_readable():
        assert_fits(page)
        assert_accessible(page)

    # a bad value and one outside the data
    field(page, "residual_sugar").fill("70")
    field(page, "chlorides").fill("")
    expect(page.locator("#m-chlorides")).to_be_visible()
    assert_readable()
    # all there is to a result
    page.get_by_role("button", name="white, graded 8").click()
    expect(page.locator("#result .effects")).to_be_visible()
    assert_readable()
    table = page.get_by_role("region", name="The nearest real wines")
    assert table.evaluate("e => e.scrollWidth <= e.clientWidth"), "the table's end is not seen"

    example = fitted[1]["examples"][0]
    header = [*NAMES, "type"]
    rows = [header] + [[str(example[name] * times) for name in header] for times in (1, 2)]
    (tmp_path / "wines.csv").write_text("\n".join(map(",".join, rows)))
    page.get_by_role("tab", name="Many wines").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "wines.csv")
    expect(page.locator("#graded h2").first).to_have_text("1 of 2 wines graded")
    assert_readable()
    page.get_by_role("tab", name="From a program").click()
    expect(page.get_by_label("curl example")).to_be_visible()
    assert_readable()


def test_the_dock_of_a_phone_covers_no_field_in_use(open_page, predictor):
    page = filled(open_page(predictor.url, viewport=PHONE))
    for name in NAMES:
        field(page, name).focus()
        inside, dock = field(page, name).bounding_box(), page.locator(".dock").bounding_box()
        assert inside["y"] + inside["height"] <= dock["y"], name


def test_the_likely_grades_are_those_of_the_coloured_bars(page, fitted):
    sizes = set()
    for wine in fitted[1]["examples"]:
        page.get_by_role("button", name=f"{wine['type']}, graded {wine['quality']}").click()
        assert_answers(page, fitted)
        rows = page.locator("#result .chances tr.inside")
        grades = [text.split("(")[0] for text in rows.locator("th").all_inner_texts()]
        shares = [
            int(text.rstrip("\xa0%")) for text in rows.locator("td:last-child").all_inner_texts()
        ]
        together = "together " if len(grades) > 1 else ""
        expect(page.locator("#result .verdict")).to_contain_text(
            f"Most likely {' or '.join(grades)} ({together}{sum(shares)} %)"
        )
        sizes.add(len(grades))
    assert sizes == {1, 2}


def test_the_page_tells_what_answers_and_how_sure_it_is(page, fitted):
    spec = fitted[1]
    expect(page.locator("#head .version")).to_contain_text(f"Model version 1 ({spec['model']})")
    expect(page.locator("#head .version")).to_contain_text(f"fitted on {spec['wines']:,} wines")
    within, exact = (100 * spec["metrics"]["cv"][name] for name in ("within_one", "accuracy"))
    expect(page.locator("#result")).to_contain_text(f"within one grade in {within:.0f} % of cases")
    expect(page.locator("#result")).to_contain_text(f"exactly right in {exact:.0f} %")
    for name, column in BY_NAME.items():
        measure = page.locator(f"[data-name={name}]")
        expect(measure.locator("label")).to_have_text(column.label)
        expect(measure.locator(".unit")).to_have_text(column.unit)
    example = json.loads(page.locator(".example").first.get_attribute("data-wine"))
    assert wine_in(page) == example

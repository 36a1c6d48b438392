"""The predictor's form in a real browser: every way to change a wine changes the answer.

What the page says is compared with the pipeline's own ``wine.model`` on the values in the form.
"""

import pytest
from playwright.sync_api import expect

from tests.apps.conftest import DESKTOP, PHONE, UPLOADED, assert_fits, assert_readable, load
from wine.columns import BY_NAME, NAMES

TOUCH = {"viewport": PHONE, "has_touch": True, "is_mobile": True}


@pytest.fixture
def page(shared_page, predictor):
    """The predictor's page at a desktop's size, with the typical red wine."""
    shared_page.get_by_role("tab", name="One wine").click()
    shared_page.get_by_label("What if one measurement were different?").select_option("Alcohol")
    shared_page.get_by_role("button", name="typical red").click()
    assert_answers(shared_page, predictor)
    return shared_page


def filled(page):
    expect(page.locator("#result .grade")).to_be_visible(timeout=20_000)
    return page


def field(page, name):
    return page.locator(f"#n-{name}")


def wine_in(page):
    """Return the wine in the form, as numbers."""
    wine = {name: float(field(page, name).input_value()) for name in NAMES}
    return wine | {"type": page.locator("input[name=type]:checked").input_value()}


def assert_answers(page, predictor):
    """Check that the page shows wine.model's answer for the wine in its form; return that."""
    grade, score = predictor.answer(wine_in(page))
    expect(page.locator("#result .expected")).to_have_text(f"{score:.2f}")
    expect(page.locator("#result .grade")).to_have_attribute("data-grade", str(grade))
    return grade, score


def test_typing_changes_the_answer(page, predictor):
    grade, before = assert_answers(page, predictor)
    field(page, "alcohol").fill("12.5")
    field(page, "sulphates").fill("0.9")
    field(page, "volatile_acidity").fill("0,3")  # many write a comma
    expect(page.locator("#result .expected")).not_to_have_text(f"{before:.2f}")
    expect(page.locator("[data-name=volatile_acidity] .slide")).to_have_value("0.3")
    field(page, "volatile_acidity").fill("0.3")
    better, after = assert_answers(page, predictor)
    assert better > grade
    assert after > before + 0.5
    expect(page.locator("#result .glass").first).to_have_attribute(
        "aria-label", f"a glass of red wine, filled to grade {better}"
    )


def test_moving_a_slider_changes_field_and_answer(page, predictor):
    _, before = assert_answers(page, predictor)
    slider = page.locator("[data-name=alcohol] .slide")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + box["height"] / 2, steps=5)
    page.mouse.up()
    assert float(field(page, "alcohol").input_value()) == float(slider.input_value())
    assert assert_answers(page, predictor)[1] > before + 0.2
    assert 12 < wine_in(page)["alcohol"] < 14


def test_no_end_of_a_slider_is_outside_the_data(page, predictor):
    for colour, key in (("red", "End"), ("white", "Home")):
        # the largest free sulphur dioxide is above that wine's total: there it stays as it is
        names = [name for name in NAMES if (name, key) != ("free_sulfur_dioxide", "End")]
        page.get_by_role("button", name=f"typical {colour}").click()
        for name in names:
            slider = page.locator(f"[data-name={name}] .slide")
            slider.press(key)
            end = slider.get_attribute("min" if key == "Home" else "max")
            assert float(field(page, name).input_value()) == pytest.approx(float(end))
            real = predictor.served.wines.query("type == @colour")[name]
            assert real.quantile(0.002) <= float(end) <= real.quantile(0.998)
        assert_answers(page, predictor)
        assert page.locator(".message").all_inner_texts() == [""] * len(NAMES)


def test_red_or_white_changes_the_answer(page, predictor):
    red = assert_answers(page, predictor)
    page.get_by_label("white", exact=True).check()
    white = assert_answers(page, predictor)
    assert white[1] != red[1]
    expect(page.locator("#result .nearest tbody th").first).to_contain_text("white-")


def test_an_example_fills_the_form_and_is_called_seen(page, predictor):
    examples = predictor.served.spec.examples
    buttons = page.locator(".example")
    assert buttons.count() == 2 + len(examples)
    expect(page.locator("#form [data-type]")).to_contain_text(
        "one of those the model was fitted on"
    )
    expect(page.locator("#result")).not_to_contain_text("fitted on this very wine")
    for example in examples:
        page.get_by_role("button", name=f"{example.type}, graded {example.quality}").click()
        expect(page.locator("#result .nearest tbody th").first).to_have_text(example.wine_id)
        assert wine_in(page) == {**example.values, "type": example.type}
        assert_answers(page, predictor)
        first = page.locator("#result .nearest tbody tr").first.locator("td").all_inner_texts()
        assert first[:2] == [str(example.quality), "0.0"]
        expect(page.locator("#result")).to_contain_text("The model was fitted on this very wine")


def test_what_moves_the_wine_adds_up_to_the_answer(page, predictor):
    page.get_by_role("button", name="white, graded 4").click()
    _, score = assert_answers(page, predictor)
    shown = page.locator("#result .effects td:last-child").all_inner_texts()
    effects = [float(text.replace("−", "-")) for text in shown]
    _, typical = predictor.answer(predictor.served.typical("white"))
    assert sum(effects) == pytest.approx(score - typical, abs=0.01 * len(NAMES))
    assert abs(effects[0]) == max(map(abs, effects))
    bars = page.locator("#result .chances td:last-child").all_inner_texts()
    percents = [float(text.removesuffix("%").strip().replace("<", "")) for text in bars]
    assert sum(percents) == pytest.approx(100, abs=4)


BAD = [  # of each kind one: test_predictor_checks.py has them all
    ("ph", " ", "pH is empty: give a number."),
    ("chlorides", "NaN", "Chlorides is “NaN”: give a number in g/dm³."),
    ("density", "9.98", "Density is 9.98 g/cm³: a table wine has 0.95 to 1.15 g/cm³."),
    (
        "free_sulfur_dioxide",
        "50",
        "Free sulphur dioxide 50 mg/dm³ is above the total of {total} mg/dm³, of which it is a part.",
    ),
]


def test_a_bad_value_gets_a_message_at_its_field_and_no_grade(page, predictor):
    total = f"{predictor.served.typical('red')['total_sulfur_dioxide']:g}"
    for name, typed, text in BAD:
        text = text.format(total=total)
        good = field(page, name).input_value()
        field(page, name).fill(typed)
        message = page.locator(f"#m-{name}")
        expect(message).to_have_text(text)
        expect(message).to_be_visible()
        expect(field(page, name)).to_have_attribute("aria-invalid", "true")
        assert f"m-{name}" in field(page, name).get_attribute("aria-describedby")
        above, below = field(page, name).bounding_box(), message.bounding_box()
        assert 0 < below["y"] - above["y"] < 150
        expect(page.locator("#result .grade")).to_have_count(0)
        expect(page.locator("#result .problems")).to_have_text(text)
        expect(page.locator("#result .glass").first).to_have_attribute(
            "aria-label", "an empty glass"
        )
        field(page, name).fill(good)
        expect(message).to_be_hidden()
        expect(field(page, name)).to_have_attribute("aria-invalid", "false")
        assert_answers(page, predictor)


def test_a_wine_outside_the_data_is_graded_and_called_a_guess(page, predictor):
    expect(page.locator("#result .outside")).to_have_count(0)
    field(page, "residual_sugar").fill("60")
    message = page.locator("#m-residual_sugar")
    expect(message).to_contain_text("60 g/dm³ is above any red wine the model has seen (")
    expect(message).to_have_attribute("role", "status")
    expect(field(page, "residual_sugar")).to_have_attribute("aria-invalid", "false")
    assert_answers(page, predictor)
    outside = page.locator("#result .outside")
    expect(outside).to_contain_text("Outside the data: this grade is a guess.")
    expect(outside).to_contain_text("The nearest real red wine is ")
    page.get_by_label("white", exact=True).check()
    field(page, "residual_sugar").fill("12")
    expect(message).to_have_text("")


def test_a_grade_that_is_not_the_most_probable_one_is_explained(page, predictor, wines):
    why = load("predictor", "page").why
    odd = next(
        (wine, why(predictor.served, answer))
        for wine, answer in zip(
            wines.to_dict("records"),
            predictor.served.answers(wines.to_dict("records")),
            strict=True,
        )
        if answer.grade != answer.most_probable
    )
    wine, sentence = odd
    page.get_by_label(wine["type"], exact=True).check()
    for name in NAMES:
        field(page, name).fill(str(wine[name]))
    assert_answers(page, predictor)
    expect(page.locator("#result .why")).to_have_text(sentence)
    page.get_by_role("button", name="typical red").click()
    expect(page.locator("#result .why")).to_have_count(0)


def test_the_scale_shows_the_score_between_the_cut_points(page, predictor):
    _, score = assert_answers(page, predictor)
    bands, mark = page.locator("#result .band"), page.locator("#result .mark").bounding_box()
    assert bands.all_inner_texts() == ["3", "4", "5", "6", "7", "8", "9"]
    whole = page.locator("#result .bands").bounding_box()
    middle = mark["x"] + mark["width"] / 2
    assert (middle - whole["x"]) / whole["width"] == pytest.approx((score - 3) / 6, abs=0.01)
    chosen = page.locator("#result .band.chosen").bounding_box()
    assert chosen["x"] - 1 <= middle <= chosen["x"] + chosen["width"] + 1
    number = page.locator("#result .band").nth(0).bounding_box()["y"] + 20  # their numbers' height
    assert mark["y"] >= number - 2, "the mark lies on a number"
    label = page.locator("#result .scale").get_attribute("aria-label")
    for cut in predictor.served.spec.cuts:
        assert f"{cut:.2f}" in label


def test_a_what_if_curve_follows_the_wine_and_the_measurement_chosen(page, predictor):
    def curve():
        return page.locator("#what-if .plot").get_attribute("aria-label")

    assert curve().startswith("Predicted score along Alcohol from ")
    before = curve()
    field(page, "volatile_acidity").fill("1.0")
    assert_answers(page, predictor)
    expect(page.locator("#what-if .plot")).not_to_have_attribute("aria-label", before)
    chosen = page.get_by_label("What if one measurement were different?")
    chosen.select_option("Sulphates")
    expect(page.locator("#what-if p")).to_contain_text(
        f"This wine: {wine_in(page)['sulphates']:g} g/dm³, score "
    )
    assert curve().startswith("Predicted score along Sulphates from ")
    expect(chosen).to_have_value("sulphates")
    _, score = predictor.answer(wine_in(page))
    expect(page.locator("#what-if p")).to_contain_text(f"score {score:.2f}")


def test_a_link_and_a_reload_bring_the_wine_back(open_page, predictor):
    page = filled(open_page(predictor.url, permissions=["clipboard-read", "clipboard-write"]))
    start = field(page, "alcohol").input_value()
    page.get_by_role("button", name="typical white").click()
    field(page, "alcohol").fill("12,75")
    expect(page.locator("[data-name=alcohol] .slide")).to_have_value("12.8")
    field(page, "citric_acid").fill("0.41")
    grade, score = page.locator("#result .grade"), page.locator("#result .expected")
    _, expected = predictor.answer(
        predictor.served.typical("white") | {"alcohol": 12.75, "citric_acid": 0.41}
    )
    expect(score).to_have_text(f"{expected:.2f}")
    button = page.get_by_role("button", name="Copy a link to this wine")
    button.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    for again in (page.reload, lambda: page.goto(predictor.url), lambda: page.goto(link)):
        again()
        expect(grade).to_be_visible(timeout=20_000)
        typical = page.url.rstrip("/") == predictor.url
        expect(field(page, "alcohol")).to_have_value(start if typical else "12,75")
    expect(score).to_have_text(f"{expected:.2f}")
    expect(page.get_by_label("white", exact=True)).to_be_checked()


def test_a_link_with_wrong_values_gets_messages_at_the_fields(open_page, predictor):
    page = open_page(f"{predictor.url}/?type=pink&alcohol=<b>x</b>&ph=&unknown=1")
    expect(page.locator("#m-alcohol")).to_have_text(
        "Alcohol is “<b>x</b>”: give a number in % vol.", timeout=20_000
    )
    expect(page.locator("#m-ph")).to_have_text("pH is empty: give a number.")
    expect(page.get_by_label("red", exact=True)).to_be_checked()


def test_a_description_can_be_read_on_touch(open_page, predictor):
    page = filled(open_page(predictor.url, **TOUCH))
    for name, column in BY_NAME.items():
        button = page.get_by_role("button", name=f"About {column.label}", exact=True)
        text = page.locator(f"#d-{name}")
        expect(text).to_be_hidden()
        button.tap()
        expect(text).to_contain_text(column.description)
        expect(text).to_contain_text("Real red wines have ")
        expect(button).to_have_attribute("aria-expanded", "true")
    button.tap()
    expect(text).to_be_hidden()
    assert_fits(page)


def test_an_old_answer_is_grey_while_the_server_is_away(open_page, predictor):
    page = filled(open_page(predictor.url, expected="ERR_FAILED|Connection errored out|fetch"))
    page.clock.install()
    page.reload()
    filled(page)
    away = {"on": False}
    page.route("**/gradio_api/**", lambda route: route.abort() if away["on"] else route.continue_())
    assert_answers(page, predictor)
    stale = page.locator("#result.stale")
    expect(stale).to_have_count(0)
    for away["on"], count in ((True, 1), (False, 0)):
        page.clock.run_for(5000)  # the page asks every five seconds
        expect(stale).to_have_count(count)


def test_the_page_links_to_what_it_is_made_of_and_nowhere_else(page, predictor):
    about = page.locator("#head .about")
    expect(about).to_contain_text("Tasters graded 1,000 Portuguese wines from 3 to 9")
    links = {
        link.inner_text(): link.get_attribute("href") for link in about.get_by_role("link").all()
    }
    assert links == {
        "Data (UCI)": "https://archive.ics.uci.edu/dataset/186/wine+quality",
        "Paper (Cortez et al. 2009)": "https://doi.org/10.1016/j.dss.2009.05.016",
    }


def test_a_shared_link_shows_title_text_and_picture(page, predictor):
    tags = {
        tag.get_attribute("property") or tag.get_attribute("name"): tag.get_attribute("content")
        for tag in page.locator("meta[property^=og], meta[name^=twitter]").all()
    }
    assert tags == {
        "og:type": "website",
        "og:url": f"{predictor.url}/",
        "og:title": "How good is this wine?",
        "og:description": load("predictor", "app").DESCRIPTION,
        "og:image": f"{predictor.url}/share.png",
        "twitter:card": "summary_large_image",
    }
    picture = page.request.get(tags["og:image"])
    assert picture.headers["content-type"] == "image/png"
    assert picture.body().startswith(b"\x89PNG")
    assert page.request.get(f"{predictor.url}/favicon.ico").body().startswith(b"<svg")


def test_the_keyboard_reaches_every_field_in_order(page, predictor):
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
    assert numbers == [column.name for column in predictor.served.spec.columns]
    assert reached.count("slide") == len(NAMES)
    assert reached.count("example") == page.locator(".example").count()

    page.get_by_label("red", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert wine_in(page)["type"] == "white"
    page.get_by_role("button", name="red, graded 5").press("Enter")
    expect(page.get_by_label("red", exact=True)).to_be_checked()
    assert_answers(page, predictor)
    page.get_by_role("tab", name="From a program").press("Enter")
    expect(page.get_by_label("Python example", exact=True)).to_be_visible()


def test_every_tab_can_be_read(open_page, predictor, tmp_path):
    page = filled(open_page(predictor.url, expected=UPLOADED))
    # a bad value and one outside the data, and a description
    field(page, "residual_sugar").fill("70")
    field(page, "chlorides").fill("")
    page.get_by_role("button", name="About pH").click()
    expect(page.locator("#m-chlorides")).to_be_visible()
    assert_readable(page)
    # a whole result
    page.get_by_role("button", name="white, graded 4").click()
    field(page, "residual_sugar").fill("70")
    expect(page.locator("#result .effects")).to_be_visible()
    expect(page.locator("#result .outside")).to_be_visible()
    assert_readable(page)
    for viewport in (PHONE, DESKTOP):
        page.set_viewport_size(viewport)
        table = page.get_by_role("region", name="The nearest real wines")
        assert table.evaluate("e => e.scrollWidth <= e.clientWidth"), "the table's end is hidden"
        assert page.locator("#what-if .plot span").first.evaluate(
            "e => parseFloat(getComputedStyle(e).fontSize) >= 11"
        )
        for name in NAMES:  # every label in one line
            assert page.locator(f"label[for=n-{name}]").bounding_box()["height"] < 30, name

    typical = predictor.served.typical("red")
    rows = [[*typical], [str(value) for value in typical.values()], ["?"] * len(typical)]
    (tmp_path / "wines.csv").write_text("\n".join(map(",".join, rows)))
    page.get_by_role("tab", name="Many wines").click()
    page.locator("input[type=file]").set_input_files(tmp_path / "wines.csv")
    expect(page.locator("#graded h2").first).to_have_text("1 of 2 wines graded")
    assert_readable(page)
    page.get_by_role("tab", name="From a program").click()
    expect(page.get_by_label("curl example", exact=True)).to_be_visible()
    assert_readable(page)


def test_the_dock_of_a_phone_covers_no_field_in_use(open_page, predictor):
    page = filled(open_page(predictor.url, viewport=PHONE))
    for name in NAMES:
        field(page, name).focus()
        inside, dock = field(page, name).bounding_box(), page.locator(".dock").bounding_box()
        assert inside["y"] + inside["height"] <= dock["y"], name


def test_the_likely_grades_are_those_of_the_coloured_bars(page, predictor):
    sizes = set()
    for example in predictor.served.spec.examples:
        page.get_by_role("button", name=f"{example.type}, graded {example.quality}").click()
        assert_answers(page, predictor)
        rows = page.locator("#result .chances tr.inside")
        grades = [text.split("(")[0] for text in rows.locator("th").all_inner_texts()]
        shares = [
            int(text.rstrip("\xa0%")) for text in rows.locator("td:last-child").all_inner_texts()
        ]
        together = "together " if len(grades) > 1 else ""
        expect(page.locator("#result .verdict")).to_contain_text(
            f"Likely grades {' or '.join(grades)} ({together}{sum(shares)} %)"
        )
        sizes.add(len(grades))
    assert sizes == {1, 2}


def test_the_page_says_which_model_answers_and_how_sure_it_is(page, predictor):
    spec = predictor.served.spec
    expect(page.locator("#head .version")).to_contain_text(f"Model version 1 ({spec.model})")
    expect(page.locator("#head .version")).to_contain_text(f"fitted on {spec.wines:,} wines")
    within, exact = (100 * spec.metrics.cv[name] for name in ("within_one", "accuracy"))
    expect(page.locator("#result")).to_contain_text(f"within one grade for {within:.0f} %")
    expect(page.locator("#result")).to_contain_text(f"exactly right for {exact:.0f} %")
    for name, column in BY_NAME.items():
        measure = page.locator(f"[data-name={name}]")
        expect(measure.locator("label")).to_have_text(column.label)
        expect(measure.locator(".unit")).to_have_text(column.unit)
    assert wine_in(page) == predictor.served.typical("red")

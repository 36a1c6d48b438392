"""The monitor's page shows what Hopsworks holds, also while that changes or is unavailable."""

import dataclasses
import datetime
import json
import re

import bs4
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect
from sklearn.metrics import cohen_kappa_score

from tests.apps.conftest import (
    DESKTOP,
    PHONE,
    assert_accessible,
    assert_fits,
    assert_readable,
    connected,
    daily,
    day,
    load,
    opened,
    predictions,
    project_of,
)
from tests.servers import Hopsworks
from wine import features
from wine.columns import GRADES, MEASUREMENTS, NAMES
from wine.groups import DAILY, PREDICTION

page = load("monitor", "page")
LEGIBLE = 11  # px
SOON = 60_000  # ms in which what has changed is shown, on a busy machine


def text_of(html):
    """Return the text of HTML, with single spaces."""
    return " ".join(bs4.BeautifulSoup(html, "html.parser").get_text(" ").split())


def table_of(html, name):
    """Return the cells of a table's body as texts, row by row."""
    rows = bs4.BeautifulSoup(html, "html.parser").select(f"table.{name} tbody tr")
    return [[text_of(str(cell)) for cell in row.select("td, th")] for row in rows]


def chart(plot):
    """Return a chart's values, and its layers by name."""
    layers = {layer["name"]: layer for layer in json.loads(plot.plot)["layer"]}
    return json.loads(plot.plot)["data"]["values"], layers


def percent(share):
    """Return a share as the page shows it: 100 % only for all."""
    return ">99 %" if 0.995 <= share < 1 else f"{share:.0%}".replace("%", " %")


@pytest.mark.parametrize(
    ("count", "agree", "sentence"),
    [
        (0, 0, "No daily wine has a prediction yet."),
        (1, 1, "The one daily wine agrees with its reference grade."),
        (1, 0, "The one daily wine does not agree with its reference grade."),
        (9, 1, "1 of 9 daily wines agrees with its reference grade."),
        (9, 8, "8 of 9 daily wines agree with their reference grade."),
        (30, 0, "0 of 30 daily wines agree with their reference grade, fewer than expected."),
        (30, 16, "16 of 30 daily wines agree with their reference grade, as expected."),
        (30, 30, "30 of 30 daily wines agree with their reference grade, more than expected."),
    ],
)
def test_the_verdict_is_a_sentence(window, count, agree, sentence):
    def change(year):
        year = year.tail(count) if count else year.head(0)
        same = np.arange(len(year)) < agree
        return year.assign(
            predicted_grade=year["reference_grade"].where(same, year["reference_grade"] - 1.0)
        )

    assert page.sentence(window(change)) == sentence


def test_the_accuracy_on_unseen_wines_is_the_large_figure(window, trained):
    html = page.summary(window())
    accuracy = f"{trained.spec.metrics.cv['accuracy']:.0%}".replace("%", "\N{NO-BREAK SPACE}%")
    assert bs4.BeautifulSoup(html, "html.parser").select_one(".big").text == accuracy
    assert (
        f"This is not the model's accuracy: on unseen wines it is right for {accuracy}."
        in html.replace("&#39;", "'")
    )
    without = page.summary(window(served=None))
    assert "unseen wines it is right" not in text_of(without)
    assert "A verdict" not in without


@pytest.mark.parametrize("count", [0, 1, 2, 9, 10, 60])
@pytest.mark.parametrize("model", [True, False])
def test_any_number_of_wines_can_be_shown(window, count, model):
    shown = window(
        lambda year: year.tail(count) if count else year.head(0),
        **({} if model else {"served": None}),
    )
    html = page.summary(shown) + page.details(shown)
    assert "nan" not in text_of(html).lower()
    assert (page.agreement_chart(shown) is None) == (count < 10)
    assert (page.wines_chart(shown) is None) == (count < 2)
    observed = table_of(html, "scores")[0]
    assert observed[0] == f"Observed: {min(count, 30)} daily wine{'' if count == 1 else 's'}"
    assert count > 1 or observed[3] == "–", "kappa is undefined for one wine"
    assert len(table_of(html, "wines")) == min(count, 30)


def test_the_tables_hold_what_was_counted(window):
    shown = window(days=365)
    html = page.summary(shown) + page.details(shown)
    wines = shown.graded.astype({"predicted_grade": int})
    counts = pd.crosstab(wines["reference_grade"], wines["predicted_grade"])
    counts = counts.reindex(index=GRADES, columns=GRADES, fill_value=0)
    matrix = [[int(cell.replace("·", "0")) for cell in row] for row in table_of(html, "matrix")]
    assert matrix == [[grade, *row] for grade, row in zip(GRADES, counts.to_numpy(), strict=True)]
    for row, part in zip(
        table_of(html, "scores"), (wines, *(wines[wines["type"] == t] for t in ("red", "white"))),
        strict=False,
    ):  # fmt: skip
        away = abs(part["reference_grade"] - part["predicted_grade"])
        kappa = cohen_kappa_score(
            part["reference_grade"], part["predicted_grade"], labels=GRADES, weights="quadratic"
        )
        shares = [percent((away <= most).mean()) for most in (0, 1)]
        assert row[1:] == [*shares, f"{kappa:.2f}"]
    measured = table_of(html, "drifts")
    for row, column in zip(measured, MEASUREMENTS, strict=False):
        assert row[0] == f"{column.label} {column.unit}".strip()
        assert row[1] == f"{wines[column.name].median():.{column.decimals}f}"


def test_the_values_of_both_charts_are_in_a_table(window):
    shown = window(days=90)
    points, _ = chart(page.agreement_chart(shown))
    _, layers = chart(page.wines_chart(shown))
    crosses = layers["cross"]["data"]["values"]
    rows = table_of(page.details(shown), "wines")[::-1]
    assert len(rows) == len(points) == len(crosses) == 90
    for row, point, cross in zip(rows, points, crosses, strict=True):
        fields = (
            "colour",
            "reference grade",
            "predicted grade",
            "predicted score",
            "model version",
        )
        values = [cross[field] for field in fields]
        assert [row[n] for n in (1, 2, 3, 6)] == [str(value) for value in (*values[:3], values[4])]
        assert float(row[5]) == values[3]
        assert [row[n] for n in (0, 7, 8)] == [point[key] for key in ("day", "agree", "range")]


def test_agreement_over_time_is_of_the_last_thirty_wines(window):
    shown = window(days=365)
    points, layers = chart(page.agreement_chart(shown))
    same = (shown.graded["reference_grade"] == shown.graded["predicted_grade"]).to_numpy()
    assert len(points) == 365 - 9
    for end in (10, 30, 31, 365):
        point, part = points[end - 10], same[max(0, end - 30) : end]
        assert point["day"] == f"{shown.graded['day'].iloc[end - 1].date()}"
        assert point["share"] == part.mean()
        assert point["agree"] == f"{part.sum()} of {len(part)}"
        low, high = shown.expected_range(len(part))
        assert (point["low"], point["high"]) == (low / len(part), high / len(part))
    assert "version" not in layers
    assert len(chart(page.agreement_chart(window()))[0]) == 30


def test_a_new_model_version_is_marked(window):
    def change(year):
        year.loc[year.index[-5:], "model_version"] = 2.0
        return year

    marks = [{"day": f"{day(4)}", "version": "version 2"}]
    shown = window(change)
    for plot in (page.agreement_chart(shown), page.wines_chart(shown)):
        assert chart(plot)[1]["version"]["data"]["values"] == marks
    assert f"Version 2 since {day(4)}." in text_of(page.summary(shown))
    assert f"{shown.agree} of 25 daily wines predicted by version 1 agree" in page.sentence(shown)
    points, _ = chart(page.agreement_chart(shown))
    assert [point["range"] != "–" for point in points] == [True] * 25 + [False] * 5
    none_yet = window(served=dataclasses.replace(shown.history.model, version=2))
    assert (
        page.sentence(none_yet) == "No daily wine of the last 30 days was predicted by version 2."
    )
    html = page.summary(none_yet) + page.details(none_yet)
    assert "A verdict needs at least 10 such wines in the period; there are none." in text_of(html)
    assert "nan" not in text_of(html).lower()


def test_long_windows_have_only_the_wines_whose_grades_differ(window):
    crosses = chart(page.wines_chart(window()))[1]["cross"]["data"]["values"]
    assert len(crosses) == 30
    shown = window(days=365)
    crosses = chart(page.wines_chart(shown))[1]["cross"]["data"]["values"]
    assert len(crosses) == 365 - shown.agree
    assert all(row["reference grade"] != row["predicted grade"] for row in crosses)


def test_the_app_sends_what_is_new(served_pipeline, trained, tmp_path):
    pipeline = served_pipeline.copy(tmp_path / "hopsworks")
    app, live = load("monitor", "app"), load("monitor", "live")
    with project_of(pipeline) as project:
        reading = live.Live(app.read, 3600, lambda: project)
        blocks = app.build(reading)
        functions = {function.name: function.fn for function in blocks.fns.values()}
        title, seen, *rest = functions["show"](30, "")
        assert "As of" in title
        assert "No daily wine has a prediction yet." in rest[2]
        assert functions["show"](30, seen)[2:] == [{"__type__": "update"}] * 8, "nothing new"
        assert functions["show"](90, seen)[1] != seen

        wines = daily([day(1), day(0)], trained.data.train)
        features.write(project.get_feature_store(), DAILY, wines)
        features.write(
            project.get_feature_store(),
            PREDICTION,
            predictions(wines, wines["reference_grade"]),
        )
        _, new, *rest = functions["refresh"](30, seen)
        assert new != seen
        assert "2 of 2 daily wines agree with their reference grade." in text_of(rest[2])


def test_what_is_late_is_judged_by_the_time_of_the_read(year):
    app, live, history = load("monitor", "app", "live", "history")
    three_days_old = history.History(year[:-3], None, "")
    reading = live.Live(lambda project, last: three_days_old, 3600, lambda: None)
    show = next(f.fn for f in app.build(reading).fns.values() if f.name == "show")
    assert "the schedule may have stopped" in show(30, "")[4]
    earlier = reading.now().as_of - datetime.timedelta(days=3)
    reading._state = dataclasses.replace(reading.now(), as_of=earlier)
    assert "the schedule may have stopped" not in show(30, "")[4]


@pytest.fixture(scope="module")
def year_monitor(year, trained):
    """The address of a monitor, in this process, of a year of daily wines and two versions."""
    history = load("monitor", "history")
    model = history.Model(1, trained.spec, trained.data.wines)
    wines = year.astype({"model_version": float})
    wines.loc[wines.index[-10:], "model_version"] = 2.0
    with opened("monitor", lambda project, last: history.History(wines, model, "")) as url:
        yield url


def test_windows_hover_values_and_download(year_monitor, year, open_page):
    shown = open_page(year_monitor, timezone_id="America/Los_Angeles")
    expect(shown.locator(".sentence")).to_contain_text("of 20 daily wines", timeout=SOON)
    points = shown.locator("#agreement .mark-symbol path")
    expect(points).to_have_count(30)
    points.last.hover()
    tip = shown.locator("#vg-tooltip-element")
    for value in (f"day{day(0)}", "of 30", "expected–", "model version2"):
        expect(tip).to_contain_text(value)
    shown.get_by_text("90 days").click()
    expect(shown.locator(".sentence")).to_contain_text("of 80 daily wines")
    expect(points).to_have_count(90)
    with shown.expect_download() as given:
        shown.get_by_text("Download as CSV").click()
    assert given.value.suggested_filename == "daily_wines.csv"
    downloaded = pd.read_csv(given.value.path())
    assert downloaded["wine_id"].tolist() == year["wine_id"].tolist(), "all there is"
    columns = [*NAMES, "reference_grade", "predicted_grade"]
    pd.testing.assert_frame_equal(downloaded[columns], year[columns], check_dtype=False)


def test_everyone_can_read_it(year_monitor, open_page):
    shown = open_page(year_monitor)
    expect(shown.locator(".chart svg.marks")).to_have_count(2, timeout=SOON)
    assert_readable(shown)
    for viewport in (DESKTOP, PHONE):
        shown.set_viewport_size(viewport)
        sizes = shown.locator(".chart svg.marks text").evaluate_all(
            "all => all.map(t => parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a)"
        )
        assert len(sizes) > 10
        assert min(sizes) >= LEGIBLE
    shown.get_by_label("365 days").check()  # the widest numbers
    expect(shown.locator(".sentence")).to_contain_text("of 355 daily wines")
    whole = "e => e.scrollWidth <= e.clientWidth"
    assert shown.locator(".scroll:has(table.scores)").evaluate(whole), "QWK is cut on a phone"
    for scheme in ("light", "dark"):
        shown.emulate_media(color_scheme=scheme)
        dark = "" if scheme == "dark" else "!"
        shown.wait_for_function(f"{dark}document.body.classList.contains('dark')")
        ((card,),) = colours(shown, "#agreement", "backgroundColor")
        for mark in ("expected_marks line", "unseen_marks line", "version_marks line",
                     "cross_marks path", "red_marks path", "white_marks path", "mark-line path"):  # fmt: skip
            first, *_ = colours(shown, f".chart svg .{mark}", "stroke")
            assert contrast(*first, card) >= 3, mark
        cells = colours(shown, "table.matrix td", "color", "backgroundColor")
        assert len(cells) == 49
        assert min(contrast(*cell) for cell in cells) >= 4.5


def colours(page, selector, *properties):
    """Return colours of each element of a selector, as [red, green, blue]."""
    elements = page.locator(selector).evaluate_all(
        "(all, names) => all.map(e => names.map(name => getComputedStyle(e)[name]))", properties
    )
    return [[_rgb(text) for text in texts] for texts in elements]


def _rgb(text):
    numbers = np.array([float(part) for part in re.findall(r"[\d.]+", text)[:3]])
    return numbers * (255 if text.startswith("color(srgb") else 1)


def contrast(one, other):
    """Return the contrast of two colours as WCAG defines it, 1 to 21."""

    def luminance(colour):
        part = colour / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_follows_the_wines_as_they_come_and_outlives_hopsworks(
    served_pipeline, start_app, open_page, trained, tmp_path
):
    server = Hopsworks(served_pipeline.copy(tmp_path / "hopsworks"))
    app = start_app("monitor", **server.env).wait()
    shown = open_page(app.url, viewport=PHONE)
    sentence, head = shown.locator(".sentence"), shown.locator("#head")
    expect(sentence).to_contain_text("No daily wine has a prediction yet.", timeout=SOON)
    assert_accessible(shown)

    wines = daily([day(back) for back in range(4, -1, -1)], trained.data.train)
    graded = predictions(wines, wines["reference_grade"])
    with connected(server.env) as project:
        store = project.get_feature_store()
        features.write(store, DAILY, wines[-1:])
        expect(shown.locator(".today")).to_contain_text("not predicted yet", timeout=SOON)
        features.write(store, PREDICTION, graded[-1:])
        expect(sentence).to_contain_text("The one daily wine agrees", timeout=SOON)
        assert_accessible(shown)
        assert_fits(shown)
        features.write(store, DAILY, wines[:-1])
        features.write(store, PREDICTION, graded[:-1])
    expect(sentence).to_contain_text("5 of 5 daily wines agree", timeout=SOON)

    assert app.keys()
    server.kill()
    away = "127.0.0.1 cannot be reached. The data are of"
    expect(head).to_contain_text(away, timeout=SOON)
    late = open_page(app.url)
    for kept in (shown, late):
        expect(kept.locator("#head")).to_contain_text(away, timeout=SOON)
        expect(kept.locator(".sentence")).to_contain_text("5 of 5 daily wines")
    assert_accessible(shown)
    server.start()
    for back in (shown, late):
        expect(back.locator("#head")).not_to_contain_text("reached", timeout=SOON)
    server.kill()
    assert "Reading data" not in app.output, "the client's own drawing"
    for page in (shown, late):
        page.close()
    app.assert_stops_and_leaves_nothing()


def test_without_a_connection_the_page_says_how_to_connect(open_page):
    failure = "NotConnected", "HOPSWORKS_API_KEY is not set."
    with opened("monitor", failure=failure) as url:
        shown = open_page(url, viewport=PHONE)
        head = shown.locator("#head")
        expect(head).to_contain_text("Not connected to Hopsworks. HOPSWORKS_API_KEY is not set.")
        expect(head).to_contain_text("How to connect")
        expect(shown.get_by_role("button", name="Refresh")).to_be_hidden()
        assert_readable(shown)

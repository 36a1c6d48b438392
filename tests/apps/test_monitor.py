"""The monitor in a real browser: what it shows is what Hopsworks holds, as that comes and goes."""

import os
import re
from contextlib import contextmanager
from unittest.mock import patch  # for the environment only; the client is never replaced

import hopsworks
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

import hopsworks_local
from tests.apps.conftest import (
    PHONE,
    assert_accessible,
    assert_fits,
    daily,
    day,
    load,
    model_folder,
    predictions,
)
from tests.processes import succeeded
from tests.servers import Hopsworks
from wine import features
from wine.columns import GRADES, MEASUREMENTS
from wine.connection import connect
from wine.groups import DAILY, PREDICTION
from wine.metrics import confusion, score_counts

TALLY = "Resources/images/tally.json"
LEGIBLE = 11  # px


@contextmanager
def project_of(pipeline):
    """The project in a pipeline's Hopsworks, to write to."""
    with (
        hopsworks_local.start(pipeline.store, "wine") as server,
        patch.dict(os.environ, server.env),
    ):
        yield connect()
        hopsworks.logout()


def shows(page, text, seconds=20):
    """Wait until the page says ``text``; it is not loaded again for that."""
    expect(page.locator("#head")).to_contain_text("As of", timeout=seconds * 1000)
    expect(page.locator("body")).to_contain_text(text, timeout=seconds * 1000)


def figure_of(page):
    """The confusion matrix's figure, read as eyes do: where its numbers stand among its cells."""
    cells = page.locator("svg.confusion rect.cell").evaluate_all(
        "all => all.map(cell => [cell.x.baseVal.value, cell.y.baseVal.value])"
    )
    columns, rows = (sorted({place[axis] for place in cells}) for axis in (0, 1))
    assert len(columns) == len(rows) == len(GRADES)
    counts = [[0] * 7 for _ in range(7)]
    for x, y, text in page.locator("svg.confusion text.count").evaluate_all(
        "all => all.map(text => [+text.getAttribute('x'), +text.getAttribute('y'), text.textContent])"
    ):
        row, column = (
            sum(at < here for at in places) - 1 for places, here in ((rows, y), (columns, x))
        )
        counts[row][column] = int(text.replace(",", ""))
    return counts


def table_of(page):
    """The confusion matrix's table."""
    return [
        [int(text.replace(",", "")) for text in row.locator("td").all_inner_texts()]
        for row in page.locator("table.matrix tbody tr").all()
    ]


def assert_counts(page, counts):
    """Figure, table and scores are those of counts (7, 7) of labels against predictions."""
    assert table_of(page) == counts.tolist()
    assert figure_of(page) == counts.tolist()
    shown = page.locator(".promise tbody td:nth-child(2)").all_inner_texts()
    scores = score_counts(counts)
    assert shown[:2] == [f"{scores['accuracy']:.0%}", f"{scores['within_one']:.0%}"]
    alone = (counts.sum(axis=0) > 0).sum() == (counts.sum(axis=1) > 0).sum() == 1 and counts.trace()
    assert shown[2] == ("–" if alone else f"{scores['qwk']:.2f}")


def assert_legible(page):
    """No text of a figure is smaller on the screen than LEGIBLE, or cut off by its figure."""
    texts = page.locator("svg.figure text").evaluate_all(
        """all => all.map(text => {
          const matrix = text.getScreenCTM(), scale = Math.hypot(matrix.a, matrix.b)
          const size = parseFloat(getComputedStyle(text).fontSize) * scale
          const here = text.getBoundingClientRect(), all = text.ownerSVGElement.getBoundingClientRect()
          return [text.textContent, size, here.left >= all.left - 1 && here.right <= all.right + 1]
        })"""
    )
    assert len(texts) > 30
    assert [text for text in texts if text[1] < LEGIBLE or not text[2]] == []
    assert_apart(page)


def assert_apart(page):
    """No text of a figure stands upon another one of its figure."""
    upon = page.locator("svg.figure").evaluate_all(
        """all => all.flatMap(figure => {
          const texts = [...figure.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()])
          const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
          return texts.flatMap(([said, a], i) =>
            texts.slice(i + 1).filter(([, b]) => meet(a, b)).map(([other]) => [said, other]))
        })"""
    )
    assert upon == []


def colours(page, selector, *properties):
    """Properties of the first element of a selector that are colours, as [red, green, blue]."""
    said = page.locator(selector).first.evaluate(
        "(e, names) => names.map(name => getComputedStyle(e)[name])", properties
    )
    return [np.array([float(part) for part in re.findall(r"[\d.]+", text)[:3]]) for text in said]


def contrast(one, other):
    """The contrast of two colours as WCAG defines it, 1 to 21."""

    def luminance(colour):
        part = colour / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(scope="module")
def thousand(pipeline_root, train, tmp_path_factory):
    """A pipeline after a thousand daily wines, the last of today, all predicted by its model."""
    pipeline = pipeline_root.copy(tmp_path_factory.mktemp("thousand") / "hopsworks")
    with project_of(pipeline) as project:
        made = daily([day(back) for back in range(1000)], train)
        features.write(project.get_feature_store(), DAILY, made)
    succeeded(pipeline.run("inference.py", "--recount"))
    return pipeline


@pytest.fixture(scope="module")
def long_monitor(thousand, start_app):
    """The monitor of a thousand wines, an App."""
    with hopsworks_local.start(thousand.store, "wine") as server:
        yield start_app("monitor", **server.env).wait()


def test_the_page_follows_the_wines_as_they_come_and_outlives_hopsworks(
    pipeline_root, reader, start_app, open_page, tmp_path
):
    pipeline = pipeline_root.copy(tmp_path / "hopsworks")
    with project_of(pipeline) as project:
        for name in (DAILY.name, PREDICTION.name):
            project.get_feature_store().get_feature_group(name, 1).delete()
        project.get_dataset_api().remove(TALLY)
    last, first = day(0), day(5)  # kept, should these tests run over midnight
    server = Hopsworks(pipeline)
    app = start_app("monitor", **server.env)
    page = open_page(app.wait().url)
    shows(page, "There is no daily wine yet: daily.py makes the first.")
    shows(page, "None yet.")
    assert_accessible(page)

    succeeded(pipeline.run("daily.py", "--date", first))
    shows(page, f"The wine of {first}")
    shows(page, f"The last daily wine is of {first}, 5 days ago")
    shows(page, "Not predicted yet: inference.py does that.")
    assert page.locator(".today .predicted").count() == 0

    succeeded(pipeline.run("inference.py"))
    expect(page.locator(".today .predicted")).to_be_visible(timeout=20_000)
    shows(page, "1 daily wine so far")
    stored = reader(pipeline).read(PREDICTION)
    assert_counts(page, confusion(stored["quality"], stored["predicted"]))

    unhurried = start_app("monitor", **server.env | {"REFRESH_SECONDS": "3600"})
    asked = open_page(unhurried.wait().url)
    shows(asked, f"The wine of {first}")
    succeeded(pipeline.run("daily.py", "--date", last, "--days", "5"))
    succeeded(pipeline.run("inference.py"))
    shows(page, "6 daily wines so far")
    stored = reader(pipeline).read(PREDICTION).iloc[::-1]
    newest = stored.iloc[0]
    shows(page, f"The wine of {last}: {newest['type']}")
    assert page.locator(".today .pair b").all_inner_texts() == [
        str(newest["quality"]),
        str(newest["predicted"]),
    ]
    shows(page, f"expected {newest['expected']:.2f}")
    expect(page.locator("#head")).not_to_contain_text("days ago")
    assert_counts(page, confusion(stored["quality"], stored["predicted"]))

    expect(asked.locator("body")).to_contain_text(f"The wine of {first}")
    asked.get_by_role("button", name="Refresh").click()
    shows(asked, f"The wine of {last}")

    server.kill()
    shows(page, "127.0.0.1 cannot be reached. What you see is what was read at")
    asked.get_by_role("button", name="Refresh").click()
    shows(asked, "127.0.0.1 cannot be reached.")
    late = open_page(app.url)
    for kept in (page, asked, late):
        shows(kept, f"The wine of {last}")
        assert_counts(kept, confusion(stored["quality"], stored["predicted"]))
    assert_accessible(page)

    server.start()
    for back in (page, late):
        expect(back.locator("#head")).not_to_contain_text("reached", timeout=20_000)
        shows(back, f"The wine of {last}")
    server.kill()
    assert "Reading data" not in app.output, "the client's own drawing"


def test_a_thousand_wines_are_shown_and_counted_right(thousand, long_monitor, reader, open_page):
    page = open_page(long_monitor.url)
    shows(page, "1,000 daily wines so far")

    hopsworks = reader(thousand)
    stored = hopsworks.read(PREDICTION)
    counts = confusion(stored["quality"], stored["predicted"])
    assert counts.sum() == 1000
    assert hopsworks.tally()["all"] == counts.tolist()
    assert_counts(page, counts)

    rows = page.locator("table.latest tbody tr").all()
    wines = hopsworks.read(DAILY).merge(
        stored[["wine_id", "predicted", "expected", "model_version"]], on="wine_id"
    )
    latest = wines.tail(30).iloc[::-1]
    assert len(rows) == 30
    for row, wine in zip(rows, latest.to_dict("records"), strict=True):
        away = wine["predicted"] - wine["quality"]
        assert row.locator("th, td").all_inner_texts() == [
            wine["wine_id"],
            wine["type"],
            str(wine["predicted"]),
            str(wine["quality"]),
            f"{away:+d}".replace("-", "−") if away else "✓ same",
            f"{wine['expected']:.2f}",
            str(wine["model_version"]),
            f"{wine['alcohol']:.1f}",
            f"{wine['volatile_acidity']:.2f}",
            f"{wine['residual_sugar']:.1f}",
            f"{wine['sulphates']:.2f}",
        ]
    expect(page.locator(".drift h3")).to_have_text(
        [f"{column.label} {column.unit}".strip() for column in MEASUREMENTS]
    )


def test_the_download_holds_what_the_feature_groups_hold(thousand, long_monitor, reader, open_page):
    page = open_page(long_monitor.url)
    shows(page, "1,000 daily wines so far")
    with page.expect_download() as given:
        page.get_by_text("Download as CSV").click()
    assert given.value.suggested_filename == "daily_wines.csv"
    downloaded = pd.read_csv(given.value.path(), parse_dates=["day", "filed"])

    hopsworks = reader(thousand)
    said = ["wine_id", "predicted", "expected", "probability", "model_version"]
    held = hopsworks.read(DAILY).merge(hopsworks.read(PREDICTION)[said], on="wine_id")
    held = held[held["day"] >= pd.Timestamp(day(365))].reset_index(drop=True)
    pd.testing.assert_frame_equal(downloaded[held.columns], held, check_dtype=False)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"viewport": PHONE},
        {"color_scheme": "dark"},
        {"viewport": PHONE, "color_scheme": "dark"},
    ],
    ids=["desktop", "phone", "dark", "phone-dark"],
)
def test_everyone_can_read_it(long_monitor, open_page, options):
    page = open_page(long_monitor.url, **options)
    shows(page, "1,000 daily wines so far")
    expect(page.locator("svg.curve")).to_have_count(3)
    assert_accessible(page)
    assert_fits(page)
    assert_legible(page)
    for _ in range(4):  # to the first button, and on to the download
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == "Refresh":
            break
    else:
        raise AssertionError("the keyboard does not reach the buttons")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_count_and_line_stands_out(long_monitor, open_page, scheme):
    page = open_page(long_monitor.url, color_scheme=scheme)
    shows(page, "1,000 daily wines so far")
    (card,) = colours(page, ".time", "backgroundColor")
    for line in ("promise.p0", "promise.p1", "line", "label.white", "label.red", "cross"):
        assert contrast(*colours(page, f".figure .{line}", "stroke"), card) >= 3, line

    figures = load("monitor", "figures")
    for share in range(1, 101):
        counts = np.zeros((7, 7), dtype=int)
        counts[0, :2] = share, 100 - share
        page.locator("#content").evaluate(
            "(e, svg) => { e.innerHTML = svg }",
            f'<div class="ours">{figures.confusion(counts)}</div>',
        )
        cell, shade, text = (
            colours(page, f".{kind}", "fill")[0] for kind in ("cell", "shade", "count")
        )
        opacity = float(page.locator(".shade").first.get_attribute("fill-opacity"))
        assert opacity == share / 100
        assert contrast(text, cell + (shade - cell) * opacity) >= 4.5, share


@pytest.mark.parametrize("count", [2, 5])
def test_the_first_week_can_be_read_on_a_phone(
    empty_pipeline, train, start_app, open_page, tmp_path, count
):
    pipeline = empty_pipeline.copy(tmp_path / "hopsworks")
    wines = daily([day(back) for back in range(count)], train)
    with project_of(pipeline) as project:
        store = project.get_feature_store()
        features.write(store, DAILY, wines)
        features.write(store, PREDICTION, predictions(wines, wines["quality"]))
    with hopsworks_local.start(pipeline.store, "wine") as server:
        app = start_app("monitor", **server.env).wait()
        page = open_page(app.url, viewport=PHONE)
        shows(page, f"{count} daily wines so far")
        assert page.locator("svg.recent circle").count() == count
        expect(page.locator("svg.recent")).to_contain_text(f"{day(0):%d %b}")
        assert_apart(page)


def test_a_model_that_is_not_the_registered_one_is_no_lost_connection(
    pipeline_root, start_app, open_page, tmp_path
):
    pipeline = pipeline_root.copy(tmp_path / "hopsworks")
    with open(model_folder(pipeline) / "wines.csv", "a") as file:
        file.write("\n")
    with hopsworks_local.start(pipeline.store, "wine") as server:
        app = start_app("monitor", **server.env).wait()
        page = open_page(app.url)
        expect(page.locator("#head .banner")).to_have_text(
            "The wines.csv of the model's version 1 is not the file that was registered.",
            timeout=20_000,
        )
        assert page.get_by_role("heading").all_inner_texts() == ["Nothing to show yet"]
        assert_accessible(page)


def test_wines_of_one_grade_and_no_model(
    empty_pipeline, train, reader, start_app, open_page, tmp_path
):
    pipeline = empty_pipeline.copy(tmp_path / "hopsworks")
    wines = daily([day(back) for back in range(60)], train[train["quality"] == 6])
    with project_of(pipeline) as project:
        store = project.get_feature_store()
        features.write(store, DAILY, wines)
        features.write(store, PREDICTION, predictions(wines, wines["quality"]))
    with hopsworks_local.start(pipeline.store, "wine") as server:
        app = start_app("monitor", **server.env).wait()
        page = open_page(app.url, viewport=PHONE)
        shows(page, "60 daily wines so far")
        assert_counts(page, confusion(wines["quality"], wines["quality"]))
        assert (
            page.locator("svg.curve")
            .last.get_attribute("aria-label")
            .startswith("QWK over time, not defined yet")
        )
        shows(page, "Compared with the training wines as soon as a model is served.")
        assert "nan" not in page.locator("body").inner_text().lower()
        assert_accessible(page)
        assert_fits(page)


def test_without_a_key_or_with_a_refused_one_it_says_how_to_connect(start_app, open_page, tmp_path):
    with hopsworks_local.start(tmp_path, "wine") as server:
        cases = {
            "HOPSWORKS_API_KEY is not set.": {},
            "127.0.0.1 refused the API key: check HOPSWORKS_API_KEY and its scopes.": {
                **server.env,
                "HOPSWORKS_API_KEY": "0123456789abcdef.wrong",
            },
        }
        started = {said: start_app("monitor", **variables) for said, variables in cases.items()}
        for said, app in started.items():
            page = open_page(app.wait().url, viewport=PHONE)
            head = page.locator("#head")
            expect(head).to_contain_text(f"Not connected to Hopsworks. {said}", timeout=20_000)
            expect(head).to_contain_text("How to connect")
            expect(page.get_by_role("button", name="Refresh")).to_be_hidden()
            assert_accessible(page)
            assert_fits(page)

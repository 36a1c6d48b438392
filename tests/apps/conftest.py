"""A browser, local Hopsworks with a served model, and apps on them."""

import atexit
import contextlib
import datetime
import functools
import importlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch  # for the environment only; the client is never replaced
from urllib.parse import urlsplit

import hopsworks as client
import numpy as np
import pandas as pd
import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from filelock import FileLock
from playwright.sync_api import expect, sync_playwright

import hopsworks_local
from apps.assemble import assemble, sources
from tests.model_folder import save as save_model_folder
from tests.processes import today
from tests.servers import port_of, reserved
from wine import features, model, serving
from wine import train as training
from wine.connection import connect
from wine.generator import generate
from wine.groups import WINE

START_SECONDS = 180
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
UPLOADED = "Method not implemented"  # which Gradio warns of itself when a file is uploaded
NOON = datetime.datetime.combine(today(), datetime.time(12), datetime.UTC)
expect.set_options(timeout=15_000)  # other tests may keep the machine busy
QUIET = (  # without these, Chromium asks its maker's hosts for this and that
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@dataclass(frozen=True)
class App:
    """A running app: its address, its process (a group of its own) and what it printed."""

    url: str
    process: subprocess.Popen
    log: Path

    @property
    def output(self):
        """What the app has printed until now, both streams."""
        return self.log.read_text()

    def wait(self):
        """Wait until the app answers; AssertionError shows its output if it does not."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            assert self.process.poll() is None, f"the app stopped:\n{self.output}"
            try:
                requests.get(self.url, timeout=5).raise_for_status()
                return self
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.1)
        raise AssertionError(f"no answer within {START_SECONDS} s:\n{self.output}")

    def stop(self):
        """Stop the app, as Spaces do, and all it started; return its exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(timeout=30)

    def keys(self):
        """Return the app's temporary files that hold a key to all data."""
        return list(self.log.parent.glob("temporary/hopsworks-*/client_key.pem"))

    def assert_stops_and_leaves_nothing(self):
        assert self.stop() == 128 + signal.SIGTERM
        assert list((self.log.parent / "temporary").iterdir()) == []


@pytest.fixture(scope="session")
def start_app(empty_pipeline, tmp_path_factory):
    """Starts apps: ``start_app("predictor", HOPSWORKS_HOST=...)`` returns an App at once, which
    may not answer yet (``wait``); all are stopped with the session.

    The app is assembled as its Space is. Variables are added to those of the machine;
    REFRESH_SECONDS is 1 unless given. Each app keeps its files in a folder of its own.
    """
    started, places = [], []

    def start(name, python=sys.executable, **variables):
        folder = tmp_path_factory.mktemp(name)
        assemble(sources(name, empty_pipeline.root), folder / "app")
        places.append(reserved())
        port = port_of(places[-1])
        env = {k: v for k, v in empty_pipeline.env.items() if not k.startswith("GRADIO_")}
        env |= {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "files")}
        env |= {"REFRESH_SECONDS": "1", "PYTHONUNBUFFERED": "1"} | variables
        (folder / "temporary").mkdir()
        env["TMPDIR"] = str(folder / "temporary")
        with open(folder / "log", "w") as log:
            process = subprocess.Popen(
                [python, "app.py"],
                cwd=folder / "app",
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(App(f"http://127.0.0.1:{port}", process, folder / "log"))
        return started[-1]

    yield start
    for app in started:
        app.stop()
    for place in places:
        place.close()


@pytest.fixture(scope="session")
def served_pipeline(empty_pipeline, wines, trained, tmp_path_factory):
    """A pipeline without daily wines, whose version 1 is the ``trained`` model."""
    pipeline = empty_pipeline.copy(tmp_path_factory.mktemp("served") / "hopsworks")
    with project_of(pipeline) as project:
        features.write(project.get_feature_store(), WINE, wines)
        training.register(project, trained, None)
    return pipeline


@pytest.fixture(scope="session")
def year(trained):
    """A year of daily wines up to today, predicted by the trained model."""
    wines = daily([day(back) for back in range(364, -1, -1)], trained.data.train)
    grades, scores, _ = model.predict(trained.model, trained.spec, wines)
    return wines.assign(
        predicted_grade=grades.astype(float), predicted_score=scores, model_version=1.0
    )


@pytest.fixture(scope="session")
def window(year, trained):
    """Makes windows of the year's wines, changed by ``change(wines)``, with the trained model."""
    history, verdict = load("monitor", "history"), load("monitor", "verdict")
    served = history.Model(1, trained.spec, trained.data.wines)

    def make(change=lambda wines: wines, *, days=30, served=served, now=NOON):
        wines = change(year.copy()).reset_index(drop=True)
        return verdict.Window(history.History(wines, served, ""), days, now)

    return make


@contextlib.contextmanager
def project_of(pipeline):
    """The project in a pipeline's Hopsworks, to write to."""
    with hopsworks_local.start(pipeline.store, "wine") as server, connected(server.env) as project:
        yield project


@contextlib.contextmanager
def connected(env):
    """The project of the Hopsworks that the variables ``env`` name."""
    with patch.dict(os.environ, env):
        yield connect()
        client.logout()


@pytest.fixture(scope="session")
def trained_folder(trained, tmp_path_factory):
    """The folder of the ``trained`` model, as it is registered."""
    folder = tmp_path_factory.mktemp("model")
    save_model_folder(folder, trained)
    return folder


@dataclass(frozen=True)
class Predictor:
    """A running predictor: its address and the served.Served that answers."""

    url: str
    served: Any

    def answer(self, wine):
        """Return ``wine.model``'s grade and predicted score of one wine, a dict of FEATURES."""
        return answer_of((self.served.model, self.served.spec), wine)


@pytest.fixture(scope="session")
def served(trained_folder):
    """The ``trained`` model, as the predictor serves it."""
    now = datetime.datetime.now(datetime.UTC)
    description = model.describe(trained_folder, "trained")
    return load("predictor", "served").Served(trained_folder, 1, now, description)


@pytest.fixture(scope="session")
def predictor(served):
    """The predictor in this process, with the ``trained`` model: a Predictor."""
    with opened("predictor", lambda project, last: served) as url:
        yield Predictor(url, served)


@contextlib.contextmanager
def opened(name, read=None, failure=None, log_in=lambda: None, first=15):
    """An app in this process that shows what ``read`` returns; gives its address.

    ``failure`` names an exception of live.py and its text, to be raised instead. Pages wait
    ``first`` seconds for the first read.
    """
    app, live, look = load(name, "app", "live", "look")

    def fail(project, last):
        raise getattr(live, failure[0])(failure[1])

    read = fail if failure else read
    reading = live.Live(read, 60, log_in=log_in)
    reading.first = functools.partial(reading.first, timeout=first)
    blocks, place = app.build(reading), reserved()
    settings = look.settings(blocks, app.DESCRIPTION, getattr(app, "MIDDLEWARE", ()))
    footer = ["api"] if name == "predictor" else []
    blocks.launch(
        **settings, server_port=port_of(place), prevent_thread_lock=True, quiet=True,
        footer_links=footer,
    )  # fmt: skip
    yield f"http://127.0.0.1:{port_of(place)}"
    blocks.close(verbose=False)
    place.close()


# not for the whole session: while it lives, no other test of the process could use asyncio
@pytest.fixture(scope="package")
def browser():
    """Chromium without a window: the machine's own, or one that is installed now."""
    executable = _chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=[*QUIET])
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Opens pages; see ``pages``."""
    with pages(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def shared_page(browser, predictor):
    """A page of the predictor that a module's tests share, since loading one takes a second."""
    with pages(browser) as open_page:
        page = open_page(predictor.url, expected=UPLOADED)
        expect(page.locator("#result .grade")).to_be_visible(timeout=20_000)
        yield page


@contextlib.contextmanager
def pages(browser):
    """Give a function that opens pages: ``open_page(url, viewport=PHONE, color_scheme="dark")``.

    The options are those of a browser context. In the end no page may have an error or a warning
    on its console, have failed, or have made a request to another host, unless it matches
    ``expected``, a regular expression.
    """
    contexts, troubles = [], []

    def open_page(url, *, expected=None, **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        contexts.append(context)

        def trouble(text):
            if not (expected and re.search(expected, text)):
                troubles.append(text)

        def on_console(message):
            if message.type in ("error", "warning"):
                trouble(f"console {message.type}: {message.text} ({message.location['url']})")

        def on_request(request):
            if urlsplit(request.url).scheme not in ("data", "blob") and not _is_here(request.url):
                trouble(f"request to another host: {request.url}")

        context.on("console", on_console)
        context.on("weberror", lambda error: trouble(f"page error: {error.error}"))
        context.on("request", on_request)
        page = context.new_page()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles, "\n".join(troubles)


def model_folder(pipeline):
    """Where a pipeline's local Hopsworks keeps the files of the first registered model."""
    return pipeline.store / "wine/files/Models" / serving.NAME / "1/Files"


def day(back):
    """Return the date so many days ago (UTC)."""
    return today() - datetime.timedelta(days=back)


def daily(days, wines):
    """Return rows of ``daily_wine``."""
    return pd.DataFrame([generate(day, wines) for day in days])


def predictions(wines, predicted, version=1):
    """Return rows of ``wine_prediction`` for daily wines and their predicted grades."""
    predicted = np.asarray(predicted, dtype=np.int64)
    return wines[["wine_id", "day", "type", "reference_grade"]].assign(
        predicted_grade=predicted,
        predicted_score=predicted + 0.125,
        probability=0.5,
        model_version=version,
    )


def answer_of(fitted, wine):
    """Return ``wine.model``'s grade and predicted score of one wine, a dict of FEATURES."""
    grades, scores, _ = model.predict(*fitted, pd.DataFrame([wine]))
    return int(grades[0]), float(scores[0])


@functools.cache
def space(name):
    """Return the folder of a Space, assembled in a temporary folder."""
    folder = tempfile.TemporaryDirectory(prefix=f"{name}-")
    atexit.register(folder.cleanup)
    return assemble(sources(name), Path(folder.name) / "app")


def load(app, name, *others):
    """Import modules of a Space again: one, or a list of several.

    Both apps have modules of the same names, so none stays importable.
    """
    folder = str(space(app))
    sys.path.insert(0, folder)
    try:
        modules = [importlib.import_module(each) for each in (name, *others)]
        return modules if others else modules[0]
    finally:
        sys.path.remove(folder)
        for key, module in [*sys.modules.items()]:
            if (getattr(module, "__file__", None) or "").startswith(folder):
                del sys.modules[key]


def assert_accessible(page, rules=None):
    """Check that axe-core has no serious or critical finding, by all its rules or some."""
    # what is still fading in is paler than it will be
    page.wait_for_function("document.getAnimations().every(a => a.playState !== 'running')")
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    findings = Axe().run(page, options=options).response["violations"]
    texts = [
        f"{finding['impact']}: {finding['help']} ({finding['id']})\n    {node['html'][:200]}\n    "
        + node["failureSummary"].replace("\n", "\n    ")
        for finding in findings
        if finding["impact"] in ("serious", "critical")
        for node in finding["nodes"]
    ]
    assert not texts, f"{page.url} has {len(texts)} serious findings\n" + "\n".join(texts)


def assert_readable(page):
    """Check that the page fits a desktop and a phone, and that axe-core finds nothing in light and dark."""
    for viewport in (PHONE, DESKTOP):
        page.set_viewport_size(viewport)
        assert_fits(page)
    assert_accessible(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.body.classList.contains('dark')")
    assert_accessible(page, ["color-contrast"])
    page.emulate_media(color_scheme="light")
    page.wait_for_function("!document.body.classList.contains('dark')")


def assert_fits(page):
    """Check that nothing is beyond the window's side, except in parts that scroll."""
    width = page.viewport_size["width"]
    beyond = page.evaluate(
        """(width) => {
          const inside = (e) => e.getBoundingClientRect().right <= width + 1;
          const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
          const held = (e) => e && ((scrolls(e) && inside(e)) || held(e.parentElement));
          return [...document.querySelectorAll("body *")]
            .filter(e => !inside(e) && !held(e.parentElement)).map(e => e.outerHTML.slice(0, 120));
        }""",
        width,
    )
    assert not beyond, f"beyond the side of a window of {width} px: {beyond}"
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def _is_here(url):
    return urlsplit(url).hostname == "127.0.0.1"


def _chromium():
    """Return the path of the machine's browser; None for playwright's own, installed if needed."""

    def on_path():
        return shutil.which("chromium") or shutil.which("google-chrome")

    with FileLock(Path(tempfile.gettempdir()) / "chromium.lock"):  # tests run in two processes
        if not on_path() and shutil.which("apt-get") and os.geteuid() == 0:
            subprocess.run(["apt-get", "update", "-q"], check=False)
            subprocess.run(["apt-get", "install", "-q", "-y", "chromium"], check=False)
        if not on_path():
            subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return on_path()

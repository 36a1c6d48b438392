"""The wine predictor: measurements in, grade out, with the model that Hopsworks serves.

A Hugging Face Space; `make apps` opens it on the local Hopsworks.
"""

import functools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import files
import gradio as gr
import page
from calls import Calls
from checks import check
from graded import answer_all, as_file
from live import Live, refresh_seconds
from look import banner, launch, nothing
from served import Served, latest
from starlette.middleware import Middleware

from wine.columns import NAMES, TYPES

HERE = Path(__file__).parent
DESCRIPTION = (
    "Give eleven laboratory measurements of a wine, and see which grade tasters would give it, how sure "
    "the model is, and why."
)
FIRST = "alcohol"  # the what-if curve's measurement until another is chosen
MAX_CALL = 1000  # wines of one call of predict_many
CALLS = {"predict": "a wine", "predict_many": "a list of wines"}
MIDDLEWARE = [Middleware(Calls, names=CALLS)]
ONLY = {f"All are {kind}": kind for kind in TYPES}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}

html = functools.partial(gr.HTML, elem_classes="ours", apply_default_css=False)
# a visitor's mistake: the log gets no traceback
refusal = functools.partial(gr.Error, print_exception=False)


def served_by(live: Live) -> Served:
    """Return the served model; gr.Error says why there is none."""
    state = live.now() if live.now().value else live.first()
    if state.value is None:
        raise refusal(f"There is no model yet. {state.trouble or 'Try again in a moment.'}")
    return state.value


def checked(wine: Any, served: Served) -> dict[str, Any]:
    """Return the wine of a call; ValueError says in a sentence what is wrong."""
    if not isinstance(wine, dict):
        raise ValueError("Give the wine as an object with a value for every measurement.")
    result, problems = check(wine, served.spec)
    unknown = sorted(map(str, set(wine) - {*NAMES, "type"}))
    if unknown:
        problems["unknown"] = f"A wine has no {', '.join(unknown)[:200]}."
    if problems:
        raise ValueError(" ".join(problems.values()))
    return result


def add_api(live: Live) -> None:
    """Add the API's calls, predict and predict_many."""

    def predict(wine: dict) -> dict:
        """Predict the grade of one wine.

        wine: every measurement by name, as a number in the unit the page shows, and type, "red"
        or "white". Returns grade, predicted_score, the probability of every grade, likely_grades
        (an 80 % prediction set), outside_data with notes that say why, the nearest real wine and
        the version of the model.
        """
        served = served_by(live)
        try:
            wine = checked(wine, served)
        except ValueError as error:
            raise refusal(str(error)) from error
        return page.as_json(served, [wine])[0]

    def predict_many(wines: list) -> list:
        """Predict the grades of up to 1,000 wines.

        wines: a list of wines as predict takes them. Returns a list of answers as predict gives
        them, in the same order; for a wine that cannot be graded, an object with error, a
        sentence.
        """
        served = served_by(live)
        if not isinstance(wines, list) or not 1 <= len(wines) <= MAX_CALL:
            raise refusal(f"Give the wines as a list of 1 to {MAX_CALL:,} objects.")
        answers = []
        for wine in wines:
            try:
                answers.append(checked(wine, served))
            except ValueError as error:
                answers.append({"error": str(error)})
        good = [place for place, wine in enumerate(answers) if "error" not in wine]
        if good:
            results = page.as_json(served, [answers[place] for place in good])
            for place, answer in zip(good, results, strict=True):
                answers[place] = answer
        return answers

    gr.api(predict, api_name="predict", concurrency_limit=4)
    gr.api(predict_many, api_name="predict_many", concurrency_limit=2)


def add_one_wine(live: Live) -> tuple[Any, Any, Any, Any]:
    """Add the tab for one wine; return its components."""
    with gr.Tab("One wine"), gr.Row(elem_id="one-wine"):
        with gr.Column(elem_id="form-area", min_width=0):
            form = html(
                html_template="${form}",
                form="",
                notes={},
                js_on_load=(HERE / "form.js").read_text(),
                elem_id="form",
            )
        with gr.Column(elem_id="result-area", min_width=0):
            result = html(elem_id="result")
        with gr.Column(elem_id="what-if", min_width=0):
            along = html(
                value=FIRST,
                html_template=page.along(FIRST),
                js_on_load="element.addEventListener('change', (event) => "
                "{ props.value = event.target.value; trigger('input'); });",
            )
            curve = html()

    def update(raw: dict[str, Any], name: str) -> tuple[str, Any, str]:
        """Answer the form: the result, the messages under the fields, and the what-if curve."""
        result, notes, curve = respond(served_by(live), raw, name)
        return result, gr.HTML(notes=notes), curve

    def draw(raw: dict[str, Any] | None, name: str, request: gr.Request) -> str:
        """Draw the what-if curve along another measurement."""
        served = served_by(live)
        wine, _ = check(raw or started(served, request.query_params), served.spec)
        return page.what_if(served, wine, name) if wine else page.NO_CURVE

    form.input(update, [form, along], [result, form, curve], trigger_mode="always_last", **QUIET)
    along.input(draw, [form, along], curve, **QUIET)
    return form, result, along, curve


def respond(served: Served, raw: dict[str, Any], name: str) -> tuple[str, dict[str, Any], str]:
    """Return the result for the form's wine, the fields' messages, and the what-if curve."""
    wine, problems = check(raw, served.spec)
    bad = {key: {"text": text, "bad": True} for key, text in problems.items()}
    if wine is None:
        return page.no_result(problems), {"asked": raw.get("asked"), "fields": bad}, page.NO_CURVE
    answer, base, effects = served.explain(wine)
    outside = {key: {"text": text, "bad": False} for key, text in answer.notes.items()}
    result = page.result(served, wine, answer, base, effects)
    notes = {"asked": raw.get("asked"), "fields": outside}
    return result, notes, page.what_if(served, wine, name)


def started(served: Served, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the wine that a page starts with: the one in the link, as text, or the typical one."""
    kind = query["type"] if query.get("type") in TYPES else TYPES[0]
    given = {name: query[name][:40] for name in NAMES if name in query}
    return served.typical(kind) | given


def add_many_wines(live: Live) -> Any:
    """Add the tab for files of wines; return its introduction."""
    with gr.Tab("Many wines"):
        intro = html()
        upload = gr.File(
            label="A CSV file of wines", file_types=[".csv", ".tsv", ".txt"], height=140
        )
        colour = gr.Radio(list(ONLY), label="The file has no column for the colour", visible=False)
        download = gr.DownloadButton("Download the graded wines", visible=False, variant="primary")
        graded = html(elem_id="graded")

    def grade(path: str | None, only: str | None = None) -> tuple[Any, str, Any]:
        """Grade a file: the question for the colour, the result, and the graded file."""
        asked, hidden = gr.Radio(visible=False, value=None), gr.DownloadButton(visible=False)
        if path is None:
            return asked, "", hidden
        served = served_by(live)
        try:
            table = files.read(Path(path).read_bytes(), served.spec.columns)
        except files.BadFile as error:
            return asked, banner(str(error)), hidden
        if "type" not in table.names:
            asked = gr.Radio(visible=True, value=only)
            if only is None:
                text = "Choose the colour of the wines to grade them."
                return asked, banner(text, bad=False), hidden
        answered = answer_all(table, served, ONLY.get(only))
        target = Path(tempfile.mkdtemp(dir=Path(path).parent)) / f"graded_wines{Path(path).suffix}"
        target.write_bytes(as_file(table, answered, served.version))
        button = gr.DownloadButton(value=str(target), visible=True)
        return asked, page.graded(answered), button

    outputs = [colour, graded, download]
    upload.change(grade, upload, outputs, api_visibility="private", concurrency_limit=4)
    colour.input(grade, [upload, colour], outputs, api_visibility="private", concurrency_limit=4)
    return intro


def build(live: Live) -> gr.Blocks:
    """Return the app for the model that ``live`` reads."""
    with gr.Blocks(
        title="How good is this wine?",
        analytics_enabled=False,
        delete_cache=(3600, 86400),  # uploaded and graded files are kept for a day
        fill_width=True,  # as wide as the style sheet says
    ) as app:
        # first: the page takes the first function for predict, and would warn in its console
        add_api(live)
        version = gr.Number(visible=False, precision=0)  # the version this page was filled by
        head = html("<p>Looking for the model …</p>", elem_id="head")
        with gr.Tabs(visible=False) as tabs:
            form, result, along, curve = add_one_wine(live)
            intro = add_many_wines(live)
            with gr.Tab("From a program"):
                usage = html(elem_id="usage")

        def show(
            version: int | None, raw: dict[str, Any] | None, name: str, request: gr.Request
        ) -> tuple[Any, ...]:
            """Fill the page at load, and again when another version is served."""
            state = live.first()
            served = state.value
            if served is None:
                text = nothing(state, "No model to show yet")
                return text, gr.Tabs(visible=False), *[gr.skip()] * 5, None
            if served.version == version:
                return page.head(served, state), *[gr.skip()] * 6, version
            raw = raw or started(served, request.query_params)
            result, notes, curve = respond(served, raw, name)
            form = gr.HTML(form=page.form(served, raw, notes["fields"]), notes=notes)
            host = os.environ.get("SPACE_HOST")
            url = f"https://{host}" if host else f"http://{request.headers.get('host')}"
            return (
                *(page.head(served, state), gr.Tabs(visible=True), form, result, curve),
                *(page.many_intro(served), page.program(url, served), served.version),
            )

        filled = [head, tabs, form, result, curve, intro, usage, version]
        # without a limit, since pages would wait for each other's first answer
        at_once = QUIET | {"concurrency_limit": None}
        app.load(show, [version, form, along], filled, **at_once)
        gr.Timer(min(live.seconds, 15)).tick(show, [version, form, along], filled, **at_once)
    return app


if __name__ == "__main__":
    live = Live(latest, refresh_seconds())  # how often to look for a new version
    launch(build(live), live, DESCRIPTION, MIDDLEWARE, footer_links=["api"])

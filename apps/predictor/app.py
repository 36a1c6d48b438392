"""The wine predictor: measurements in, grade out, by the model that Hopsworks serves.

A Hugging Face Space; `make apps` opens it on the local Hopsworks.
"""

import functools
import os
import tempfile
from pathlib import Path

import gradio as gr
import numpy as np
import pandas as pd
from checks import BadFile, check, check_rows, read_csv
from live import Live, refresh_seconds
from look import banner, launch, nothing
from page import form as form_html
from page import head as head_html
from page import many_intro, many_result, no_result, program
from page import result as result_html
from served import latest

FOLDER = Path(__file__).parent
# what the asker should know, and no fault of the app: its log gets no traceback
refusal = functools.partial(gr.Error, print_exception=False)
html = functools.partial(gr.HTML, elem_classes="ours", apply_default_css=False)


def build(live):
    """The app that asks the model which ``live`` reads."""

    def model():
        """The served model; gr.Error says why there is none."""
        state = live.now() if live.now().value else live.first()
        if state.value is None:
            raise refusal(f"There is no model yet. {state.trouble or 'Try again in a moment.'}")
        return state.value

    def predict(wine: dict) -> dict:
        """Predict the grade of one wine.

        wine: every measurement by name, as a number in the unit the page shows, and type, "red" or
        "white". Returns grade, expected grade, the probability of every grade, grade_set (the
        most likely grades: sets made this way hold the tasters' grade for 80 % of all wines), notes on
        values outside the range of the data, and the version of the model.
        """
        served = model()
        if not isinstance(wine, dict):
            raise refusal("Give the wine as an object with a value for every measurement.")
        checked, problems, notes = check(wine, served.columns, served.spec["types"])
        unknown = sorted(set(wine) - {*served.names, "type"})
        if unknown:
            problems["unknown"] = f"A wine has no {', '.join(map(str, unknown))}."
        if problems:
            raise refusal(" ".join(problems.values()))
        answer = served.predict(checked)
        return answer | {
            "probabilities": {str(g): chance for g, chance in answer["probabilities"].items()},
            "notes": list(notes.values()),
            "model_version": served.version,
        }

    def update(raw):
        """The form's answer: the result, and what to say under each field."""
        served = model()
        wine, problems, notes = check(raw, served.columns, served.spec["types"])
        said = {name: {"text": text, "bad": False} for name, text in notes.items()}
        said |= {name: {"text": text, "bad": True} for name, text in problems.items()}
        if wine is None:
            return no_result(problems), gr.HTML(notes=said)
        answer = served.explain(wine)
        return result_html(served, wine, answer, served.nearest(wine)), gr.HTML(notes=said)

    def show(version, raw, request: gr.Request):
        """Fill the page: at load, and again when another version is served."""
        state = live.first()
        served = state.value
        skip = gr.skip()
        if served is None:
            said = nothing(state, "No model to show yet")
            return said, gr.Tabs(visible=False), skip, skip, skip, skip, None
        if served.version == version:
            return head_html(served, state), skip, skip, skip, skip, skip, version
        raw = raw or served.typical(served.spec["types"][0])
        answer, _ = update(raw)
        host = os.environ.get("SPACE_HOST")
        url = f"https://{host}" if host else f"http://{request.headers.get('host')}"
        return (
            head_html(served, state),
            gr.Tabs(visible=True),
            gr.HTML(form=form_html(served)),
            answer,
            many_intro(served),
            program(url, served),
            served.version,
        )

    def grade_file(path):
        """Grade a CSV file of wines: what came of it, and the file with the grades added."""
        if path is None:
            return "", gr.DownloadButton(visible=False)
        served = model()
        added = ["predicted_grade", "expected_grade", *(f"probability_{g}" for g in served.grades)]
        added += ["model_version", "note", "problem"]
        try:
            frame = read_csv(Path(path).read_bytes(), served.columns, added)
        except BadFile as error:
            return banner(str(error)), gr.DownloadButton(visible=False)
        wines, problems, notes = check_rows(frame, served.columns, served.spec["types"])
        expected = served.expected(wines) if len(wines) else np.empty(0)
        grades, chances = served.decode(expected)
        out = frame.copy()
        out["predicted_grade"] = pd.Series(grades, wines.index, dtype="Int64")
        out["expected_grade"] = pd.Series(expected.round(3), wines.index)
        for place, grade in enumerate(served.grades):
            out[f"probability_{grade}"] = pd.Series(chances[:, place].round(4), wines.index)
        out["model_version"], out["note"], out["problem"] = served.version, notes, problems
        target = Path(tempfile.mkdtemp(dir=Path(path).parent)) / "graded_wines.csv"
        out.to_csv(target, index=False)
        said = many_result(problems, notes, list(grades), list(wines["type"]))
        return said, gr.DownloadButton(value=str(target), visible=True)

    with gr.Blocks(
        title="How good is this wine?",
        analytics_enabled=False,
        delete_cache=(3600, 86400),  # for a day, files given and graded can be had in an open page
        fill_width=True,  # as wide as the style sheet says
    ) as app:
        version = gr.Number(visible=False, precision=0)  # the version this page was filled by
        head = html("<p>Looking for the model …</p>", elem_id="head")
        with gr.Tabs(visible=False) as tabs:
            with gr.Tab("One wine"), gr.Row():
                with gr.Column(scale=7, min_width=320):
                    form = html(
                        html_template="${form}",
                        form="",
                        notes={},
                        js_on_load=(FOLDER / "form.js").read_text(),
                        elem_id="form",
                    )
                with gr.Column(scale=5, min_width=320, elem_classes="sticky"):
                    result = html(elem_id="result")
            with gr.Tab("Many wines"):
                intro = html()
                upload = gr.File(label="A CSV file of wines", file_types=[".csv"], height=140)
                graded = html(elem_id="graded")
                download = gr.DownloadButton(
                    "Download the graded wines", visible=False, variant="primary"
                )
            with gr.Tab("From a program"):
                usage = html(elem_id="usage")

        # first, because the page takes whatever is first for predict, and would warn in its console
        gr.api(predict, api_name="predict", concurrency_limit=4)

        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        filled = [head, tabs, form, result, intro, usage, version]
        # one by one, pages would wait for one another's first answer
        at_once = quiet | {"concurrency_limit": None}
        app.load(show, [version, form], filled, **at_once)
        gr.Timer(min(live.seconds, 15)).tick(show, [version, form], filled, **at_once)
        form.input(update, form, [result, form], trigger_mode="always_last", **quiet)
        upload.change(grade_file, upload, [graded, download], api_visibility="private")
    return app


if __name__ == "__main__":
    live = Live(latest, refresh_seconds())  # how often to look for a new version
    launch(build(live), live, footer_links=["api"])

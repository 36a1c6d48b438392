"""The wine monitor: how well the served model predicts the wine of the day, live from Hopsworks.

A Hugging Face Space; `make apps` opens it on the local Hopsworks.
"""

import datetime
import functools
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import gradio as gr
import page
from history import History, read, write_csv
from live import Live, State, refresh_seconds
from look import launch, nothing
from verdict import Window

DESCRIPTION = (
    "One generated wine a day, its predicted grade, and how often such predictions are right."
)
WINDOWS = {"30 days": 30, "90 days": 90, "365 days": 365}
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
html = functools.partial(gr.HTML, elem_classes="ours", apply_default_css=False)


def build(live: Live) -> gr.Blocks:
    """Return the app that shows what ``live`` reads."""
    draw = drawer()

    def show(days: int, seen: str, state: State | None = None) -> list[Any]:
        """Fill the page; what is there already (as ``seen`` says) is not sent again."""
        state = state or live.first()
        if state.value is None:
            hidden = gr.Column(visible=False)
            text = nothing(state, "Nothing to show yet")
            return [text, "", gr.Row(visible=False), gr.skip(), "", hidden, hidden, None, None, ""]
        # what is late is judged by the time of the read
        hour = state.as_of.replace(minute=0, second=0, microsecond=0)
        shown, title = f"{state.value.digest} {days} {hour}", page.head(state)
        if shown == seen:
            return [title, seen, *[gr.skip()] * 8]
        return [title, shown, *draw(state.value, days, hour)]

    def refresh(days: int, seen: str) -> list[Any]:
        """Read once more, now, and fill the page."""
        return show(days, seen, live.refreshed())

    with gr.Blocks(
        title="How well are the daily wines predicted?",
        analytics_enabled=False,
        # a page gets a new link at most once an hour: the file behind it must last
        delete_cache=(3600, 86400),
        fill_width=True,  # as wide as the style sheet says
    ) as app:
        days, seen, again, filled = add_page()
        # one by one, pages would wait for one another's first answer
        at_once = QUIET | {"concurrency_limit": None}
        app.load(show, [days, seen], filled, **at_once)
        days.change(show, [days, seen], filled, **at_once)
        gr.Timer(min(live.seconds, 15)).tick(show, [days, seen], filled, **at_once)
        again.click(refresh, [days, seen], filled, api_visibility="private")
    return app


def drawer() -> Callable[[History, int, datetime.datetime], list[Any]]:
    """Return a function that draws what fills the page below its title, once for all visitors."""
    files = tempfile.TemporaryDirectory(prefix="monitor-")
    drawing = threading.Lock()

    @functools.lru_cache(maxsize=len(WINDOWS))
    def drawn(history: History, days: int, hour: datetime.datetime) -> list[Any]:
        window = Window(history, days, hour)
        plots = [page.agreement_chart(window), page.wines_chart(window)]
        cards = [gr.Column(visible=plot is not None) for plot in plots]
        file = gr.DownloadButton(value=str(write_csv(history, files.name)))
        controls = gr.Row(visible=True)
        return [controls, file, page.summary(window), *cards, *plots, page.details(window)]

    def draw(history: History, days: int, hour: datetime.datetime) -> list[Any]:
        with drawing:  # or pages that come at once would each draw it, and write the one file
            return drawn(history, days, hour)

    return draw


def add_page() -> tuple[Any, Any, Any, list[Any]]:
    """Add what the page holds; returns the window, what is shown, the button and all it fills."""
    seen = gr.Textbox(visible=False)  # which read, window and hour this page shows
    head = html("<p>Asking Hopsworks …</p>", elem_id="head")
    with gr.Row(visible=False, elem_id="controls") as controls:
        days = gr.Radio(
            [*WINDOWS.items()], value=30, label="Period", container=False, min_width=280
        )
        again = gr.Button("Refresh", size="md", scale=0, min_width=110)
        download = gr.DownloadButton("Download as CSV", size="md", scale=0, min_width=180)
    summary = html(elem_id="summary")
    cards, plots = [], []
    for name in ("agreement", "wines"):
        with gr.Column(visible=False, elem_id=name, elem_classes="chart") as card:
            html(page.chart_title(name))
            plots.append(gr.Plot(show_label=False, container=False))
        cards.append(card)
    details = html(elem_id="details")
    filled = [head, seen, controls, download, summary, *cards, *plots, details]
    return days, seen, again, filled


if __name__ == "__main__":
    live = Live(read, refresh_seconds())
    launch(build(live), live, DESCRIPTION, footer_links=[])  # it has no API

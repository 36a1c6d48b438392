"""The wine monitor: how well the served model predicts the wine of the day, live from Hopsworks.

A Hugging Face Space; `make apps` opens it on the local Hopsworks.
"""

import datetime
import functools
import tempfile
import threading

import gradio as gr
from history import read, write_csv
from live import Live, refresh_seconds
from look import launch, nothing
from page import content as content_html
from page import head as head_html

html = functools.partial(gr.HTML, elem_classes="ours", apply_default_css=False)


def build(live):
    """The app that shows what ``live`` reads."""
    files = tempfile.TemporaryDirectory(prefix="monitor-")
    drawing = threading.Lock()

    @functools.lru_cache(maxsize=1)
    def drawn(history):
        """The page's content and its file, made once for all visitors."""
        return content_html(history), str(write_csv(history, files.name))

    def show(seen, state=None):
        """Fill the page; what is there already (of digest ``seen``) is not sent again."""
        state = state or live.first()
        if state.value is None:
            text = nothing(state, "Nothing to show yet")
            return text, gr.Row(visible=False), "", gr.skip(), ""
        head = head_html(state, datetime.datetime.now(datetime.UTC))
        if state.value.digest == seen:
            return head, gr.skip(), gr.skip(), gr.skip(), seen
        with drawing:  # or pages that come at once would each draw it, and write the one file
            content, file = drawn(state.value)
        button = gr.DownloadButton(value=file)
        return head, gr.Row(visible=True), content, button, state.value.digest

    def refresh(seen):
        """Read once more, now, and fill the page."""
        return show(seen, live.refreshed())

    with gr.Blocks(
        title="How well are the daily wines predicted?",
        analytics_enabled=False,
        # a page gets a new link only when the data change, once a day: the file behind it must last
        delete_cache=(3600, 7 * 86400),
        fill_width=True,  # as wide as the style sheet says
    ) as app:
        seen = gr.Textbox(visible=False)  # the digest of what this page shows
        head = html("<p>Asking Hopsworks …</p>", elem_id="head")
        with gr.Row(visible=False, elem_id="buttons") as buttons:
            again = gr.Button("Refresh", size="sm", scale=0, min_width=140)
            download = gr.DownloadButton("Download as CSV", size="sm", scale=0, min_width=170)
        content = html(elem_id="content")

        filled = [head, buttons, content, download, seen]
        quiet = {"show_progress": "hidden", "api_visibility": "private"}
        # one by one, pages would wait for one another's first answer
        at_once = quiet | {"concurrency_limit": None}
        app.load(show, seen, filled, **at_once)
        gr.Timer(min(live.seconds, 15)).tick(show, seen, filled, **at_once)
        again.click(refresh, seen, filled, api_visibility="private")
    return app


if __name__ == "__main__":
    live = Live(read, refresh_seconds())  # how old what is shown may be
    launch(build(live), live, footer_links=[])  # it has no API

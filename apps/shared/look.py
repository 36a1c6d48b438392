"""The look both apps share: templates, theme, style sheet, the wine glass, and how an app is launched."""

import datetime
import functools
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import jinja2
from links import links
from live import Live, State
from markupsafe import Markup
from sharing import Sharing
from starlette.middleware import Middleware

HERE = Path(__file__).parent
SYSTEM_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
MONOSPACE = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]
BURGUNDY = gr.themes.Color(
    "#fbf3f5", "#f5e1e7", "#eac3cf", "#d998ac", "#c06480", "#a63f60", "#8b1e3f", "#751835",
    "#5f142b", "#4a1022", "#2e0915",
)  # fmt: skip

# System fonts, so that a page makes no request to another host.
THEME = gr.themes.Soft(
    primary_hue=BURGUNDY, secondary_hue=BURGUNDY, neutral_hue="stone",
    font=SYSTEM_FONTS, font_mono=MONOSPACE, radius_size="lg",
).set(
    body_background_fill="#faf7f4",
    body_background_fill_dark="#171314",
    block_background_fill_dark="#211b1d",
    background_fill_primary_dark="#211b1d",
)  # fmt: skip

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, **values: Any) -> Markup:
    """Return the HTML of a template in templates/, with all values escaped."""
    return Markup(TEMPLATES.get_template(template).render(**values))


def banner(text: str, *, bad: bool = True) -> str:
    """Return a message as wide as the page; ``text`` is plain text."""
    parts: Any = TEMPLATES.get_template("parts.html").module
    return str(parts.banner(text, bad))


def moment(when: datetime.datetime) -> str:
    """Return a UTC time as people read it: 2026-11-23 09:30 UTC."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def nothing(state: State, heading: str) -> Markup:
    """Return what the page shows without a value: it connects, why nothing is there, how to connect."""
    return render("nothing.html", state=state, heading=heading)


TEMPLATES.globals |= {"moment": moment, "links": links}


def launch(
    app: gr.Blocks,
    live: Live,
    description: str,
    middleware: Sequence[Middleware] = (),
    **options: Any,
) -> None:
    """Start reading and open the app; see ``settings``."""
    signal.signal(signal.SIGTERM, _end)
    live.start()
    app.launch(**settings(app, description, middleware), **options)


def settings(
    app: gr.Blocks, description: str, middleware: Sequence[Middleware] = ()
) -> dict[str, Any]:
    """Return the options of ``launch``: this look with the folder's own page.css.

    ``description`` is what a shared link shows beside the title.
    """
    _describe_once(app)
    css = "".join((HERE / file).read_text() for file in ("shared.css", "page.css"))
    sharing = Middleware(Sharing, title=str(app.title), description=description)
    return {
        "theme": THEME,
        # not as css=, of which Gradio rewrites every rule: in @media they would mostly match nothing
        "head": f"<style>{css}</style><script>{(HERE / 'copy.js').read_text()}</script>",
        "favicon_path": HERE / "favicon.svg",
        "app_kwargs": {"middleware": [sharing, *middleware]},
        "ssr_mode": False,
        "max_file_size": "5mb",
        # each API call makes a session, and Gradio would keep 10,000 of them
        "state_session_capacity": 200,
    }


def _describe_once(app: gr.Blocks) -> None:
    """Let Gradio describe each part of the page once.

    It would do so for every session, and each API call is one: a fifth of the call's time.
    """
    block: Any
    for block in app.blocks.values():
        described = block.get_config()
        block.get_config = functools.partial(dict, described)


def _end(number: int, _: Any) -> None:
    """Exit by sys.exit: Spaces are stopped by SIGTERM, which would skip atexit's functions."""
    sys.exit(128 + number)

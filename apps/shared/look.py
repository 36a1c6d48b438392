"""The look both apps share: templates, theme, style sheet, the drawn glass, how an app is launched."""

import functools
import signal
import sys
from pathlib import Path

import gradio as gr
import jinja2
from links import links
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

# Fonts are the system's own, so that a page asks no other host for anything.
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


def render(template, **values):
    """The HTML of a template in templates/, with all values escaped."""
    return Markup(TEMPLATES.get_template(template).render(**values))


def _part(macro, *values):
    """What a macro of templates/parts.html, which templates import, makes of values: a str."""
    return str(getattr(TEMPLATES.get_template("parts.html").module, macro)(*values))


def glass(grade, kind, *, uid, size=150):
    """A wine glass as SVG: the fuller the better the grade (3-9), in the colour of ``kind``.

    ``uid`` tells several glasses of one page apart; without a grade the glass is empty.
    """
    return _part("glass", grade, kind, uid, size)


def kind_mark(kind):
    """The colour of a wine as a dot and, for those who do not see it, as a word."""
    return _part("kind_mark", kind)


def banner(text, *, bad=True):
    """A message across the page; ``text`` is plain text."""
    return _part("banner", text, bad)


def moment(when):
    """A UTC time for people: 2026-11-23 09:30 UTC."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def nothing(state, heading):
    """What to show in place of a value: that it is awaited, why there is none, how to connect."""
    return render("nothing.html", state=state, heading=heading)


TEMPLATES.globals |= {"moment": moment, "links": links}


def launch(app, live, description, middleware=(), **options):
    """Start to read, and open the app; see ``settings``."""
    signal.signal(signal.SIGTERM, _end)
    live.start()
    app.launch(**settings(app, description, middleware), **options)


def settings(app, description, middleware=()):
    """Return how an app is launched: with this look and its folder's own page.css.

    ``description`` is what a link to it shows beside its title where it is shared.
    """
    _describe_once(app)
    css = "".join((HERE / file).read_text() for file in ("shared.css", "page.css"))
    sharing = Middleware(Sharing, title=app.title, description=description)
    return {
        "theme": THEME,
        # not as css=, of which Gradio rewrites every rule: in @media they would mostly match nothing
        "head": f"<style>{css}</style><script>{(HERE / 'copy.js').read_text()}</script>",
        "favicon_path": HERE / "favicon.svg",
        "app_kwargs": {"middleware": [sharing, *middleware]},
        "ssr_mode": False,
        "max_file_size": "5mb",
        # every call of the API without a page is a session, of which Gradio keeps 10,000
        "state_session_capacity": 200,
    }


def _describe_once(app):
    """Keep how Gradio describes each part of the page.

    It would do so again for every session, which each call of the API is: a fifth of the call.
    """
    for block in app.blocks.values():
        described = block.get_config()
        block.get_config = functools.partial(dict, described)


def _end(number, _):
    """End the process with atexit's functions, which SIGTERM, by which Spaces are stopped, skips."""
    sys.exit(128 + number)

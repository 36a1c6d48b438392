"""The look the two apps share: colours, style sheet, the drawn glass, how the app is launched.

Both apps' folders hold this same file, since a Space sees only its own folder.
"""

from html import escape
from pathlib import Path

import gradio as gr

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

CSS = """
:root {
  --wine: #8b1e3f; --gold: #a67c00; --ink: #3b3b3b; --soft: #6a6461; --line: #e4dcd7;
  --card: #ffffff; --tint: #f6eeea; --accent: #8b1e3f; --bad: #a3201d; --bad-tint: #fdeceb;
  --warn: #7a5200; --warn-tint: #fdf3dc; --glass: #b9aea8; --up: #2c6e49; --down: #8b1e3f;
}
.dark {
  --ink: #ece5e2; --soft: #b9aeaa; --line: #41373a; --card: #211b1d; --tint: #2d2528;
  --accent: #f0a3b8; --bad: #ffb3ae; --bad-tint: #45201f; --warn: #f4d58a; --warn-tint: #3d3015;
  --gold: #d1a827; --glass: #7d7275; --up: #8fd3ac; --down: #f0a3b8;
}
.gradio-container { max-width: 1180px !important; margin: 0 auto !important; width: 100%; min-width: 0; }
.gradio-container .main, .gradio-container .wrap, .gradio-container .contain,
.gradio-container .html-container { min-width: 0; max-width: 100%; }
.ours { color: var(--ink); font-size: 15px; line-height: 1.5; }
.ours h1 { font-size: 1.7rem; font-weight: 700; margin: 0.2em 0 0.1em; letter-spacing: -0.01em; }
.ours h2 { font-size: 1.05rem; font-weight: 650; margin: 0 0 0.5em; }
.ours p { margin: 0 0 0.6em; }
.ours a { color: var(--accent); }
.ours .soft { color: var(--soft); }
.ours .small { font-size: 0.86rem; }
.ours .card {
  background: var(--card); border: 1px solid var(--line); border-radius: 16px;
  padding: 18px 20px; margin-bottom: 14px;
}
.ours .banner {
  border-radius: 12px; padding: 10px 14px; margin-bottom: 12px; background: var(--warn-tint);
  color: var(--warn); border-left: 5px solid currentColor;
}
.ours .banner.bad { background: var(--bad-tint); color: var(--bad); }
.ours .banner p:last-child { margin: 0; }
.ours code, .ours pre { font-family: ui-monospace, Menlo, monospace; font-size: 0.86em; }
.ours pre {
  background: var(--tint); color: var(--ink); border-radius: 10px; padding: 12px 14px;
  overflow-x: auto; margin: 0.4em 0 0.8em;
}
.ours table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.ours caption { text-align: left; }
.ours th, .ours td {
  padding: 6px 8px; text-align: right; border-bottom: 1px solid var(--line); color: var(--ink);
}
.ours th { font-weight: 600; }
.ours thead th { color: var(--soft); font-size: 0.82rem; vertical-align: bottom; }
.ours .left { text-align: left; }
.ours .scroll { overflow-x: auto; }
.ours .scroll:focus-visible, .ours a:focus-visible, .ours button:focus-visible,
.ours input:focus-visible, .ours summary:focus-visible {
  outline: 3px solid var(--accent); outline-offset: 2px;
}
.ours .dot {
  display: inline-block; width: 0.72em; height: 0.72em; border-radius: 50%;
  margin-right: 0.4em; border: 1px solid rgba(0, 0, 0, 0.25);
}
.ours .dot.red { background: var(--wine); }
.ours .dot.white { background: #e2bf4f; }
.ours .hidden {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
.ours .glass .wine { transition: transform 0.5s ease, fill 0.4s ease; }
@media (prefers-reduced-motion: reduce) { .ours * { transition: none !important; } }
@media (max-width: 640px) {
  .ours .card { padding: 14px; border-radius: 12px; }
  #head th code { overflow-wrap: anywhere; } /* names of variables are long */
  .gradio-container .main { padding: 12px !important; }
  .gradio-container .html-container { padding: 0 !important; }
}
"""

WINE_COLOURS = {"red": "#8b1e3f", "white": "#e2bf4f"}


def launch(app, **options):
    """Open the app with this look and its folder's own page.css."""
    own = Path(__file__).with_name("page.css").read_text()
    app.launch(
        theme=THEME,
        # not as css=, of which Gradio rewrites every rule: in @media they would mostly match nothing
        head=f"<style>{CSS}{own}</style>",
        ssr_mode=False,
        max_file_size="5mb",
        # every call of the API without a page is a session, of which Gradio keeps 10,000
        state_session_capacity=200,
        **options,
    )


def glass(grade, kind, *, uid, size=150):
    """A wine glass as SVG: the fuller the better the grade (3-9), in the colour of ``kind``.

    ``uid`` tells several glasses of one page apart; without a grade the glass is empty.
    """
    level = 0 if grade is None else (grade - 2) / 7
    colour = WINE_COLOURS.get(kind, "transparent")
    said = f"a glass of {kind} wine, filled to grade {grade}" if grade else "an empty glass"
    return f"""<svg class="glass" role="img" aria-label="{escape(said)}" viewBox="0 0 120 190"
 width="{size * 120 / 190:.0f}" height="{size}">
<defs><clipPath id="bowl-{uid}"><path d="M31 14 C 18 62 22 108 60 110 C 98 108 102 62 89 14 Z"/>
</clipPath></defs>
<g clip-path="url(#bowl-{uid})"><path class="wine" fill="{colour}"
 style="transform: translateY({112 - 88 * level:.1f}px)"
 d="M10 4 Q 35 -4 60 4 T 110 4 V 130 H 10 Z"/></g>
<path d="M31 14 C 18 62 22 108 60 110 C 98 108 102 62 89 14" fill="none"
 stroke="var(--glass)" stroke-width="3" stroke-linecap="round"/>
<ellipse cx="60" cy="14" rx="29" ry="4.5" fill="none" stroke="var(--glass)" stroke-width="2"/>
<path d="M60 110 V 170 M32 176 Q 60 164 88 176 Z" fill="none" stroke="var(--glass)"
 stroke-width="3.5" stroke-linecap="round" stroke-linejoin="round"/>
<path d="M35 34 Q 30 62 37 82" fill="none" stroke="#fff" stroke-opacity="0.5" stroke-width="4"
 stroke-linecap="round"/></svg>"""


def kind_mark(kind):
    """The colour of a wine as a dot and, for those who do not see it, as a word."""
    return f'<span class="dot {escape(kind)}" aria-hidden="true"></span>{escape(kind)}'


def nothing(state, heading):
    """What to show in place of a value: that it is awaited, why there is none, how to connect."""
    if state.trouble is None:
        return "<p>Still connecting to Hopsworks …</p>"
    if state.connected:
        return f"""<h1>{heading}</h1><div class="banner" role="status"><p>{escape(state.trouble)}</p></div>
<p class="soft">It is looked for again and again: this page fills by itself.</p>"""
    return f"""<div class="banner bad" role="status"><p><strong>Not connected to Hopsworks.</strong>
{escape(state.trouble)}</p></div>
<div class="card"><h2>How to connect</h2>
<p>This app reads everything from a Hopsworks project. Give it these variables: on Hugging Face
under <em>Settings, Variables and secrets</em>, elsewhere in the environment.</p>
<div class="scroll" tabindex="0" role="region" aria-label="the variables"><table>
<thead><tr><th class="left" scope="col">variable</th><th class="left" scope="col">holds</th></tr>
</thead><tbody>
<tr><th class="left" scope="row"><code>HOPSWORKS_API_KEY</code></th><td class="left">an API key with the
scopes project, featurestore, modelregistry and dataset.view; a secret</td></tr>
<tr><th class="left" scope="row"><code>HOPSWORKS_PROJECT</code></th><td class="left">the project's name;
needed when the key sees several</td></tr>
<tr><th class="left" scope="row"><code>HOPSWORKS_HOST</code></th><td class="left">your cluster's host;
the public one when left out</td></tr>
<tr><th class="left" scope="row"><code>HOPSWORKS_PORT</code></th><td class="left">its port; 443 when left
out</td></tr>
<tr><th class="left" scope="row"><code>HOPSWORKS_HOSTNAME_VERIFICATION</code></th><td class="left">false for a
cluster whose certificate is its own</td></tr>
<tr><th class="left" scope="row"><code>HOPSWORKS_TRUST_STORE_PATH</code></th><td class="left">or else the path
of a file with that certificate</td></tr></tbody></table></div>
<p class="soft small">It goes on trying: once the variables are right and the app was restarted, this
page fills by itself.</p></div>"""


def banner(text, *, bad=True):
    """A message across the page; ``text`` is plain text."""
    kind = "banner bad" if bad else "banner"
    return f'<div class="{kind}" role="status"><p>{escape(text)}</p></div>'


def moment(when):
    """A UTC time for people: 2026-11-23 09:30 UTC."""
    return f"{when:%Y-%m-%d %H:%M} UTC"

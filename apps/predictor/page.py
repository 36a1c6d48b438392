"""What the predictor shows, as HTML: every function is a string of it from values."""

import base64
import json
import math
from html import escape

import numpy as np
from checks import shown
from look import glass, kind_mark, moment


def head(served, state):
    """Title, which model answers and since when, and what is wrong if anything is."""
    trouble = ""
    if state.trouble:
        trouble = f"""<div class="banner" role="status"><p>{escape(state.trouble)} The model read at
{moment(state.as_of)} goes on answering.</p></div>"""
    return f"""<h1>How good is this wine?</h1>
<p class="soft">Laboratory measurements in, the grade tasters would give out.
<span class="version">Model version {served.version} ({escape(served.spec["model"])}) answers, registered
<span class="id">{moment(served.registered)}</span>, fitted on {served.spec["wines"]:,} wines.</span></p>{trouble}"""


def form(served):
    """The inputs, drawn from the model's spec: grouped, with unit, range and spread."""
    groups = {}
    for column in served.columns.values():
        groups.setdefault(column["group"], []).append(_measure(column, served))
    cards = "".join(
        f'<section class="card"><h2>{escape(title)}</h2>{"".join(measures)}</section>'
        for title, measures in groups.items()
    )
    first = served.spec["types"][0]
    radios = "".join(
        f'<label><input type="radio" name="type" value="{kind}"{" checked" * (kind == first)}>'
        f"{kind_mark(kind)}</label>"
        for kind in served.spec["types"]
    )
    return f"""<div class="form" data-type="{first}"><div class="card">
<fieldset class="choice"><legend>Colour</legend>{radios}</fieldset>
<fieldset class="choice" style="margin-top: 14px"><legend>Start from a typical or a real wine</legend>{_examples(served)}
</fieldset></div><div class="groups">{cards}</div></div>"""


def result(served, wine, answer, nearest):
    """The answer for a wine: grade, expected grade, probabilities, explanation, neighbours."""
    kind, grade, expected = wine["type"], answer["grade"], answer["expected"]
    within = served.spec["metrics"]["cv"]["within_one"]
    exact = served.spec["metrics"]["cv"]["accuracy"]
    likely = answer["grade_set"]
    # of the percentages as they are shown below
    together = sum(round(100 * answer["probabilities"][grade]) for grade in likely)
    return f"""<div class="{kind}-wine"><div class="card"><div class="verdict">
{glass(grade, kind, uid="result")}<div><h2 class="soft">Grade</h2>
<div class="grade" data-grade="{grade}">{grade} <small>of 10</small></div>
<p style="margin-top: 10px">Expected grade <strong class="expected">{expected:.2f}</strong>. Most likely
<strong>{_either(likely)}</strong> ({"together " * (len(likely) > 1)}{together}&nbsp;%).</p></div></div>
<p class="hidden" role="status">Grade {grade}, expected grade {expected:.2f}.</p>
{_chances(served, answer)}
<p class="soft small">On wines it has not seen, the model is within one grade in
<strong>{100 * within:.0f}&nbsp;%</strong> of cases and exactly right in {100 * exact:.0f}&nbsp;% (cross-validated). The
coloured grades are the most likely ones: sets made this way hold the tasters' grade for 80&nbsp;% of all wines.</p></div>
{_effects(served, wine, answer)}{_nearest(served, nearest)}
<div class="dock" aria-hidden="true">{glass(grade, kind, uid="dock", size=44)}<span>grade</span>
<b>{grade}</b><span class="soft">expected {expected:.2f}</span></div></div>"""


def no_result(problems):
    """What to show in place of an answer: an empty glass and what is wrong."""
    items = "".join(f"<li>{escape(text)}</li>" for text in problems.values())
    return f"""<div><div class="card"><div class="verdict">{glass(None, "", uid="result")}
<div><h2 class="soft">No grade yet</h2><div class="banner bad" role="alert"><ul class="problems"
style="margin: 0; padding-left: 1.1em">{items}</ul></div></div></div></div>
<div class="dock" aria-hidden="true">{glass(None, "", uid="dock", size=44)}<span>no grade yet: see the
messages</span></div></div>"""


def many_intro(served):
    """How a file of wines must look, with the examples as one."""
    lines = [",".join([*served.names, "type"])]
    for wine in served.spec["examples"]:
        lines.append(",".join(str(wine[name]) for name in served.names) + f",{wine['type']}")
    content = base64.b64encode("\n".join(lines).encode() + b"\n").decode()
    return f"""<p>One row for each wine, one column for each measurement and <code>type</code> (red or
white), separated by comma, semicolon or tab. Other columns are kept; those of an earlier answer are replaced.
<a download="wines.csv" href="data:text/csv;base64,{content}">Get a file of examples</a>.</p>"""


def many_result(problems, notes, grades, kinds):
    """What came of a file: how many wines were graded, and what is wrong by row.

    ``problems`` and ``notes`` hold one text for each row, by its number in the file, empty where
    there is nothing to say; ``grades`` and ``kinds`` are those of the graded wines.
    """
    bad = [(row, text) for row, text in problems.items() if text]
    said = [(row, text) for row, text in notes.items() if text]
    counts = "".join(
        f'<tr><th scope="row">{grade}</th>'
        + "".join(
            f"<td>{sum(g == grade and k == kind for g, k in zip(grades, kinds, strict=True))}</td>"
            for kind in ("red", "white")
        )
        + "</tr>"
        for grade in sorted(set(grades))
    )
    table = (
        f"""<table style="max-width: 320px"><caption class="hidden">wines by predicted grade</caption>
<thead><tr><th scope="col">grade</th><th scope="col">red</th><th scope="col">white</th></tr></thead>
<tbody>{counts}</tbody></table>"""
        if counts
        else ""
    )
    return f"""<div class="card" role="status"><h2>{len(grades):,} of {len(problems):,} wines graded</h2>{table}
{_by_row("Rows without a grade", bad)}{_by_row("Rows to look at", said)}</div>"""


def program(url, served):
    """How to ask the model from a program, for the address the page was opened at.

    Both examples can be run as they stand; the answer shown is this version's own.
    """
    wine = served.typical(served.spec["types"][0])
    answer = served.predict(wine) | {"notes": [], "model_version": served.version}
    answer["expected"] = round(answer["expected"], 3)
    answer["probabilities"] = {g: round(p, 3) for g, p in answer["probabilities"].items()}
    fields = ",\n".join(f"  {json.dumps(name)}: {json.dumps(v)}" for name, v in wine.items())
    python = f"""from gradio_client import Client

wine = {{
{fields},
}}
client = Client("{url}", verbose=False)
print(client.predict(wine=wine, api_name="/predict"))"""
    curl = f"""EVENT=$(curl -s {url}/gradio_api/call/predict \\
  -H 'Content-Type: application/json' -d '{{"data": [{{
{fields}
}}]}}' | cut -d '"' -f 4)
curl -sN {url}/gradio_api/call/predict/$EVENT"""
    rows = "".join(
        f"""<tr><th class="left" scope="row"><code>{column["name"]}</code></th>
<td class="left">{escape(column["unit"]) or "no unit"}</td><td>{_range(column["possible"])}</td>
<td>{_range(column["observed"])}</td></tr>"""
        for column in served.columns.values()
    )
    return f"""<p>The same model, the same checks: <code>predict</code> takes one wine, an object of all
{len(served.columns)} measurements and <code>type</code> ({" or ".join(served.spec["types"])}), as in these examples.</p>
<div class="pair"><section><h2>Python</h2>{_listing(python, "Python example")}</section>
<section><h2>curl</h2>{_listing(curl, "curl example")}</section>
<section><h2>The answer</h2>{_listing(json.dumps(answer, indent=2), "the answer")}
<p><code>grade_set</code> holds the most likely grades: sets made this way hold the tasters' grade for
80&nbsp;% of all wines. <code>notes</code> tells of values the
model has seen nothing like. What is wrong with a wine is said in words: as an <code>AppError</code> in Python, as
<code>event: error</code> in curl.</p></section>
<section><h2 id="fields-title">The measurements</h2><div class="scroll" tabindex="0" role="region"
aria-labelledby="fields-title"><table class="small" aria-labelledby="fields-title"><thead><tr>
<th class="left" scope="col">name</th><th class="left" scope="col">unit</th><th scope="col">allowed</th>
<th scope="col">real wines have</th></tr></thead><tbody>{rows}</tbody></table></div></section></div>"""


def _listing(text, label):
    return f'<pre tabindex="0" role="region" aria-label="{label}">{escape(text)}</pre>'


def _range(ends):
    return f"{ends[0]:g} to {ends[1]:g}"


def _measure(column, served):
    name, unit = column["name"], column["unit"]
    low, high = (f"{end:g}" for end in _slider_ends(column))
    typical = column["typical"][served.spec["types"][0]]
    label = escape(column["label"])
    shapes = "".join(
        f'<path class="spread {kind}" d="{_spread(served, name, kind)}"/>'
        for kind in served.spec["types"]
    )
    return f"""<div class="measure" data-name="{name}" data-decimals="{column["decimals"]}">
<div class="line"><label for="n-{name}" title="{escape(column["description"])}">{label}</label>
<input class="number" id="n-{name}" type="text" inputmode="decimal" autocomplete="off"
 value="{_as_typed(typical, column)}" aria-describedby="m-{name} d-{name}">
<span class="unit">{escape(unit)}</span></div>
<svg viewBox="0 0 100 26" preserveAspectRatio="none" aria-hidden="true">{shapes}</svg>
<input class="slide" type="range" min="{low}" max="{high}" step="{10 ** -column["decimals"]:g}"
 value="{typical:g}" aria-label="{label} slider{", " + escape(unit) if unit else ""}">
<div class="ends soft small" aria-hidden="true"><span>{low}</span><span>{high}</span></div>
<p class="hidden" id="d-{name}">{escape(column["description"])} Real wines have {low} to {high}
{escape(column["unit"])}.</p><p class="message" id="m-{name}" role="alert"></p></div>"""


def _as_typed(value, column):
    """A value as the field shows it: with the usual decimals, or more when it has more."""
    fixed = f"{value:.{column['decimals']}f}"
    return fixed if float(fixed) == value else str(value)


def _slider_ends(column):
    """The observed range at the field's decimals, rounded inwards: no end is out of range."""
    scale = 10 ** column["decimals"]
    low, high = column["observed"]
    return math.ceil(low * scale - 1e-6) / scale, math.floor(high * scale + 1e-6) / scale


def _spread(served, name, kind):
    """How the real wines of a colour spread over a slider's range, as the path of an area."""
    low, high = served.columns[name]["observed"]
    values = served.wines.loc[served.wines["type"] == kind, name]
    counts = np.histogram(values, bins=40, range=(low, high))[0].astype(float)
    heights = 26 - 25 * np.sqrt(counts / counts.max())  # by root, or tails could not be seen
    steps = " ".join(f"L{place * 2.5:g} {height:.0f}" for place, height in enumerate(heights, 0))
    return f"M0 26 {steps} L100 {heights[-1]:.0f} L100 26 Z"


def _examples(served):
    def button(wine, text):
        values = {name: wine[name] for name in (*served.names, "type")}
        return (
            f'<button type="button" class="example" data-wine="{escape(json.dumps(values))}">'
            f'<span class="dot {wine["type"]}" aria-hidden="true"></span>{escape(text)}</button>'
        )

    typical = [button(served.typical(kind), f"typical {kind}") for kind in served.spec["types"]]
    real = [
        button(wine, f"{wine['type']}, graded {wine['quality']}")
        for wine in served.spec["examples"]
    ]
    return "".join(typical + real)


def _chances(served, answer):
    rows = ""
    for grade, chance in answer["probabilities"].items():
        inside = "inside" if grade in answer["grade_set"] else ""
        chosen = "chosen" if grade == answer["grade"] else ""
        mark = '<span class="hidden">(predicted)</span>' if chosen else ""
        percent = "&lt;1" if 0 < chance < 0.005 else f"{100 * chance:.0f}"
        rows += f"""<tr class="{inside} {chosen}"><th scope="row">{grade}{mark}</th>
<td class="bar" aria-hidden="true"><div style="width: {100 * chance:.1f}%"></div></td>
<td>{percent}&nbsp;%</td></tr>"""
    return f"""<table class="chances" style="margin: 12px 0"><caption class="soft small">Probability of every
grade</caption><thead class="hidden"><tr><th scope="col">grade</th><td></td><th scope="col">probability</th></tr>
</thead><tbody>{rows}</tbody></table>"""


def _effects(served, wine, answer):
    effects = sorted(answer["effects"].items(), key=lambda item: -abs(item[1]))
    largest = max(0.2, abs(effects[0][1]))
    rows = ""
    for name, effect in effects:
        if abs(effect) < 0.005:
            continue
        column = served.columns[name]
        way = "up" if effect > 0 else "down"
        width = 50 * abs(effect) / largest
        left = f"margin-left: {50 - width:.1f}%; " if effect < 0 else ""
        rows += f"""<tr class="{way}"><th class="left" scope="row">{escape(column["label"])}
<span class="soft small id" style="font-weight: 400">{escape(shown(wine[name], column))}</span></th>
<td class="bar" aria-hidden="true"><div style="{left}width: {width:.1f}%"></div></td>
<td>{"+" if effect > 0 else "−"}{abs(effect):.2f}</td></tr>"""
    kind = wine["type"]
    lead = (
        f"The typical {kind} wine is expected at {answer['base']:.2f}, this one at "
        f"{answer['expected']:.2f}. "
    )
    if not rows:
        return f'<div class="card"><h2>What moves it</h2><p>{lead}Nothing sets it apart.</p></div>'
    return f"""<div class="card"><h2>What moves it</h2><p class="soft small">{lead}These measurements make the
difference, compared with the typical ones.</p><table class="effects"><caption class="hidden">change of the
expected grade by measurement</caption><thead class="hidden"><tr><th scope="col">measurement</th><td></td>
<th scope="col">change</th></tr></thead><tbody>{rows}</tbody></table></div>"""


def _nearest(served, nearest):
    telling = ("alcohol", "volatile_acidity")
    columns = [served.columns[name] for name in telling]
    heads = "".join(
        f'<th scope="col">{escape(c["label"].lower())}, {escape(c["unit"])}</th>' for c in columns
    )
    rows = ""
    for _, wine in nearest.iterrows():
        values = "".join(f"<td>{wine[c['name']]:.{c['decimals']}f}</td>" for c in columns)
        rows += f"""<tr><th class="left id" scope="row">{escape(wine["wine_id"])}</th>
<td><strong>{wine["quality"]}</strong></td><td>{wine["distance"]:.1f}</td>{values}</tr>"""
    return f"""<div class="card"><h2 id="nearest-title">The nearest real wines</h2><p class="soft small"
id="nearest-says">Distance in standard deviations; 0 is the very same wine.</p><div class="scroll" tabindex="0"
role="region" aria-labelledby="nearest-title"><table class="nearest" aria-labelledby="nearest-title"
aria-describedby="nearest-says"><thead><tr><th class="left" scope="col">wine</th><th scope="col">tasters'
grade</th><th scope="col">distance</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>"""


def _by_row(title, texts, most=20):
    if not texts:
        return ""
    items = "".join(f"<li>Row {place}: {escape(text)}</li>" for place, text in texts[:most])
    more = f"<li>... and {len(texts) - most:,} more, in the file</li>" if len(texts) > most else ""
    return f'<h2 style="margin-top: 1em">{title}</h2><ul class="rows">{items}{more}</ul>'


def _either(grades):
    *others, last = map(str, grades)
    return f"{', '.join(others)} or {last}" if others else last

"""What the predictor shows, as HTML: every function is a string of it from values."""

import base64
import json
from html import escape

import numpy as np
from checks import shown
from look import glass, kind_mark, moment

CSS = """
.ours .form { --mark: var(--wine); }
.ours .form[data-type=white] { --mark: var(--gold); }
.ours .groups { columns: 2; column-gap: 14px; }
.ours .groups .card { break-inside: avoid; }
.ours .measure { margin-top: 14px; }
.ours .measure:first-of-type { margin-top: 0; }
.ours .measure .line { display: flex; align-items: baseline; gap: 6px; }
.ours .measure label { font-weight: 600; flex: 1; }
.ours .measure .number {
  width: 5.2em; padding: 4px 8px; text-align: right; font: inherit; color: var(--ink);
  background: var(--tint); border: 1px solid var(--line); border-radius: 8px;
  font-variant-numeric: tabular-nums;
}
.ours .measure .number[aria-invalid=true] { border: 2px solid var(--bad); }
.ours .measure .unit { min-width: 3.7em; color: var(--soft); font-size: 0.86rem; }
.ours .measure svg { display: block; width: 100%; height: 26px; margin: 4px 0 -9px; }
.ours .measure .spread { fill: var(--glass); opacity: 0; transition: opacity 0.3s; }
.ours .form[data-type=red] .spread.red { fill: var(--wine); opacity: 0.35; }
.ours .form[data-type=white] .spread.white { fill: var(--gold); opacity: 0.5; }
.ours .measure .slide {
  width: 100%; margin: 0; height: 20px; accent-color: var(--mark); cursor: pointer;
}
.ours .measure .ends { display: flex; justify-content: space-between; gap: 8px; }
.ours .message { margin: 2px 0 0; font-size: 0.86rem; color: var(--warn); }
.ours .message:empty { display: none; }
.ours .message.bad { color: var(--bad); font-weight: 600; }
.ours .choice { display: flex; flex-wrap: wrap; gap: 8px; margin: 0; padding: 0; border: 0; }
.ours .choice legend { padding: 0; margin-bottom: 6px; font-weight: 600; }
.ours .choice label, .ours .example {
  border: 1px solid var(--line); border-radius: 999px; padding: 6px 14px; cursor: pointer;
  background: var(--card); color: var(--ink); font: inherit; font-size: 0.92rem;
}
.ours .choice label:has(:checked) { border-color: var(--accent); background: var(--tint); font-weight: 600; }
.ours .choice label:has(:focus-visible) { outline: 3px solid var(--accent); outline-offset: 2px; }
.ours .choice input {
  appearance: none; width: 1em; height: 1em; margin: 0 8px 0 0; vertical-align: -0.1em; border-radius: 50%;
  border: 2px solid var(--soft); background: var(--card);
}
.ours .choice input:checked { border: 5px solid var(--accent); }
.ours .example:hover, .ours .choice label:hover { border-color: var(--accent); }
.ours .verdict { display: flex; gap: 18px; align-items: center; }
.ours .verdict .glass { flex: none; }
.ours .grade { font-size: 3.9rem; font-weight: 750; line-height: 1; letter-spacing: -0.03em; }
.ours .grade small { font-size: 1rem; font-weight: 500; letter-spacing: 0; color: var(--soft); }
.ours .chances td, .ours .chances th, .ours .effects td, .ours .effects th { border: 0; padding: 3px 6px; }
.ours .chances .bar { width: 100%; padding: 3px 4px; }
.ours .chances .bar div {
  height: 14px; min-width: 1px; border-radius: 4px; background: var(--glass); transition: width 0.35s;
}
.ours .chances .inside .bar div { background: var(--mark); }
.ours .chances .chosen th, .ours .chances .chosen td { font-weight: 750; }
.ours .red-wine { --mark: var(--wine); } .ours .white-wine { --mark: var(--gold); }
.ours .effects .bar { width: 30%; position: relative; min-width: 90px; }
.ours .effects .bar::before {
  content: ""; position: absolute; left: 50%; top: 0; bottom: 0; border-left: 1px solid var(--glass);
}
.ours .effects .bar div { position: relative; height: 12px; border-radius: 3px; transition: all 0.35s; }
.ours .effects .up div { margin-left: 50%; background: var(--up); }
.ours .effects .down div { background: var(--down); }
.ours .id { white-space: nowrap; }
.ours .dock { display: none; }
.gradio-container .sticky { position: sticky; top: 12px; align-self: flex-start; }
@media (max-width: 900px) {
  .ours .groups { columns: 1; }
  .gradio-container .sticky { position: static; }
}
@media (max-width: 768px) {
  .ours .dock {
    display: flex; align-items: center; gap: 12px; position: fixed; left: 10px; right: 10px; bottom: 10px;
    z-index: 20; margin: 0; padding: 8px 16px; background: var(--card); border: 1px solid var(--line);
    border-radius: 16px; box-shadow: 0 6px 24px rgba(0, 0, 0, 0.25);
  }
  .ours .dock b { font-size: 1.6rem; line-height: 1; }
  .gradio-container { padding-bottom: 84px !important; }
}
"""


def head(served, state):
    """Title, which model answers and since when, and what is wrong if anything is."""
    trouble = ""
    if state.trouble:
        trouble = f"""<div class="banner" role="status"><p>{escape(state.trouble)} The model read at
{moment(state.as_of)} goes on answering.</p></div>"""
    return f"""<h1>How good is this wine?</h1>
<p class="soft">Eleven laboratory measurements in, the grade tasters would give out.
<span class="version">Model version {served.version} ({escape(served.spec["model"])}) answers, registered
{moment(served.registered)}, fitted on {served.spec["wines"]:,} wines.</span></p>{trouble}"""


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
<fieldset class="choice" style="margin-top: 14px"><legend>Start from a wine</legend>{_examples(served)}
</fieldset></div><div class="groups">{cards}</div></div>"""


def result(served, wine, answer, nearest):
    """The answer for a wine: grade, expected grade, probabilities, explanation, neighbours."""
    kind, grade, expected = wine["type"], answer["grade"], answer["expected"]
    within = served.spec["metrics"]["cv"]["within_one"]
    exact = served.spec["metrics"]["cv"]["accuracy"]
    held = _grades(answer["grade_set"])
    return f"""<div class="{kind}-wine"><div class="card"><div class="verdict">
{glass(grade, kind, uid="result")}<div><h2 class="soft">Grade</h2>
<div class="grade" data-grade="{grade}">{grade} <small>of 10</small></div>
<p style="margin-top: 10px">Expected grade <strong class="expected">{expected:.2f}</strong>. In 80&nbsp;% of
cases the tasters' grade is <strong>{held}</strong>.</p></div></div>
<p class="hidden" role="status">Grade {grade}, expected grade {expected:.2f}.</p>
{_chances(served, answer)}
<p class="soft small">On wines it has not seen, the model is within one grade in
<strong>{within:.0%}</strong> of cases and exactly right in {exact:.0%} (cross-validated).</p></div>
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
        lines.append(",".join(f"{wine[name]:g}" for name in served.names) + f",{wine['type']}")
    content = base64.b64encode("\n".join(lines).encode() + b"\n").decode()
    return f"""<p>One row for each wine, one column for each measurement and <code>type</code> (red or
white), separated by comma, semicolon or tab. Other columns are kept as they are.
<a download="wines.csv" href="data:text/csv;base64,{content}">Get a file of examples</a>.</p>"""


def many_result(rows, problems, notes, grades, kinds):
    """What came of a file: how many wines were graded, and what is wrong by row."""
    bad = [(place, text) for place, text in enumerate(problems, start=2) if text]
    said = [(place, text) for place, text in enumerate(notes, start=2) if text]
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
    return f"""<div class="card" role="status"><h2>{len(grades):,} of {rows:,} wines graded</h2>{table}
{_by_row("Rows without a grade", bad)}{_by_row("Rows to look at", said)}</div>"""


def program(url):
    """How to ask the model from a program, for the address the page was opened at."""
    example = '{"type": "red", "alcohol": 10.4, ...}'
    return f"""<p>The same model, the same checks: <code>predict</code> takes one wine, an object of all
eleven measurements and <code>type</code>, and answers with grade, expected grade and the
probability of every grade. What is wrong with a value is said in the error.</p>
<h2>Python</h2><pre tabindex="0" aria-label="Python example">from gradio_client import Client

client = Client("{escape(url)}")
client.predict(wine={escape(example)}, api_name="/predict")</pre>
<h2>curl</h2><pre tabindex="0" aria-label="curl example">curl -s {escape(url)}/gradio_api/call/predict \\
  -H 'Content-Type: application/json' \\
  -d '{{"data": [{escape(example)}]}}'
# answers {{"event_id": "..."}}; then
curl -sN {escape(url)}/gradio_api/call/predict/EVENT_ID</pre>"""


def complete_example(served):
    """A wine a program could send, as JSON text."""
    return json.dumps(served.typical(served.spec["types"][0]))


def _measure(column, served):
    name, unit = column["name"], column["unit"]
    low, high = column["observed"]
    typical = column["typical"][served.spec["types"][0]]
    label = escape(column["label"])
    shapes = "".join(
        f'<path class="spread {kind}" d="{_spread(served, name, kind)}"/>'
        for kind in served.spec["types"]
    )
    return f"""<div class="measure" data-name="{name}" data-decimals="{column["decimals"]}">
<div class="line"><label for="n-{name}" title="{escape(column["description"])}">{label}</label>
<input class="number" id="n-{name}" type="text" inputmode="decimal" autocomplete="off"
 value="{typical:.{column["decimals"]}f}" aria-describedby="m-{name} d-{name}">
<span class="unit">{escape(unit)}</span></div>
<svg viewBox="0 0 100 26" preserveAspectRatio="none" aria-hidden="true">{shapes}</svg>
<input class="slide" type="range" min="{low:g}" max="{high:g}" step="{10 ** -column["decimals"]:g}"
 value="{typical:g}" aria-label="{label} slider{", " + escape(unit) if unit else ""}">
<div class="ends soft small" aria-hidden="true"><span>{low:g}</span><span>{high:g}</span></div>
<p class="hidden" id="d-{name}">{escape(column["description"])} Real wines have {low:g} to
{escape(shown(high, column))}.</p><p class="message" id="m-{name}" role="alert"></p></div>"""


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
        button(wine, f"{wine['type']}, tasters gave {wine['quality']}")
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
<span class="soft small" style="font-weight: 400">{escape(shown(wine[name], column))}</span></th>
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
    return f"""<div class="card"><h2>The nearest real wines</h2><div class="scroll" tabindex="0" role="region"
aria-label="the nearest real wines"><table><caption class="soft small">Distance in standard deviations; 0 is the
very same wine.</caption><thead><tr><th class="left" scope="col">wine</th><th scope="col">tasters' grade</th>
<th scope="col">distance</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div></div>"""


def _by_row(title, texts, most=20):
    if not texts:
        return ""
    items = "".join(f"<li>Row {place}: {escape(text)}</li>" for place, text in texts[:most])
    more = f"<li>... and {len(texts) - most:,} more, in the file</li>" if len(texts) > most else ""
    return f'<h2 style="margin-top: 1em">{title}</h2><ul class="rows">{items}{more}</ul>'


def _grades(grades):
    return f"{grades[0]} to {grades[-1]}" if len(grades) > 1 else f"{grades[0]}"

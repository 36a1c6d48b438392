"""What the monitor shows, as HTML: every function is a string of it from a history."""

import datetime
from html import escape

import figures
import numpy as np
from history import FEWEST, GRADES, ROLLING, WINDOW_DAYS, distance, over_time, scores
from look import banner, glass, kind_mark, moment

STALE = datetime.timedelta(hours=36)
LATEST = 30
DRIFT_FEWEST = 20
TELLING = ("alcohol", "volatile_acidity", "residual_sugar", "sulphates")
NAMES = {"accuracy": "same grade", "within_one": "within one grade", "qwk": "QWK"}


def head(state, now):
    """Title, when the data were read, and a banner for what is wrong."""
    history, said = state.value, ""
    if state.trouble:
        said += banner(f"{state.trouble} What you see is what was read at {moment(state.as_of)}.")
    if len(history.wines):
        last = history.wines["day"].iloc[-1].to_pydatetime().replace(tzinfo=datetime.UTC)
        if now - last > STALE:
            days = (now.date() - last.date()).days
            said += banner(
                f"The last daily wine is of {last:%Y-%m-%d}, {days} day{'s' if days > 1 else ''} ago: the "
                "schedule may have stopped. daily.py fills the days missed.", bad=False,
            )  # fmt: skip
    else:
        said += banner("There is no daily wine yet: daily.py makes the first.", bad=False)
    return f"""<h1>How well are the daily wines predicted?</h1><p class="soft">One generated wine a day, and
what the served model said of it when it was new. <span class="as-of">As of <span class="id">{moment(state.as_of)}</span>.</span></p>
{said}"""


def content(history):
    """Everything below the title."""
    return f"""<div class="two">{_today(history)}{_promise(history)}</div>{_latest(history)}
<div class="two">{_matrix(history)}{_time(history)}</div>{_drift(history)}"""


def _today(history):
    if history.wines.empty:
        return f"""<section class="card today"><h2>The latest wine</h2><div class="pair">
{glass(None, "", uid="none", size=110)}</div><p>None yet.</p></section>"""
    wine = history.wines.iloc[-1]
    values = "".join(
        f"<div><dt>{escape(label)}</dt><dd>{wine[name]:.{decimals}f} {escape(unit)}</dd></div>"
        for name, (label, unit, decimals) in _labels(history).items()
    )
    if np.isnan(wine["predicted"]):
        said, right = (
            "not predicted yet: inference.py does that",
            glass(None, "", uid="p", size=110),
        )
        right += "<figcaption>prediction<b>?</b></figcaption>"
    else:
        grade, away = int(wine["predicted"]), abs(int(wine["predicted"]) - int(wine["quality"]))
        right = glass(grade, wine["type"], uid="p", size=110) + (
            f'<figcaption>prediction<b class="predicted">{grade}</b>expected '
            f"{wine['expected']:.2f}</figcaption>"
        )
        said = "the prediction agrees with the label" if not away else f"{away} away from the label"
    return f"""<section class="card today"><h2>The wine of {wine["day"]:%Y-%m-%d}: {kind_mark(wine["type"])}</h2>
<div class="pair"><figure>{glass(int(wine["quality"]), wine["type"], uid="l", size=110)}
<figcaption>label<b>{wine["quality"]}</b>of 10</figcaption></figure><figure>{right}</figure></div>
<p><strong>{said[0].upper() + said[1:]}.</strong></p><dl class="values">{values}</dl><p class="soft small">The
label is the grade of the nearest real wine, <span class="id">{escape(wine["source_id"])}</span>. Nobody tasted the wine of the day:
it does not exist.</p></section>"""


def _promise(history):
    found, total = scores(history.counts), int(history.counts.sum())
    metrics = history.model.spec["metrics"] if history.model else None
    rows = ""
    for key, name in NAMES.items():
        promised = "<td>?</td><td>?</td>"
        if metrics:
            low, high = metrics["test_interval"][key]
            promised = f"""<td>{_number(key, metrics["daily"][key])}</td><td>{_number(key, metrics["test"][key])}
<br><span class="soft small">{_number(key, low)} to {_number(key, high)}</span></td>"""
        rows += f"""<tr><th class="left" scope="row">{name}</th><td><strong>{_number(key, found[key])}</strong></td>
{promised}</tr>"""
    return f"""<section class="card promise"><h2>Found and promised</h2><div class="scroll"
tabindex="0" role="region" aria-label="found and promised"><table><thead><tr><td></td><th scope="col">{total:,}
daily {"wine" if total == 1 else "wines"} so far</th><th scope="col">promised for daily wines</th><th scope="col">promised for unknown
wines</th></tr></thead><tbody>{rows}</tbody></table></div><p class="soft small" style="margin-top: 10px">Two promises,
because they differ: a daily wine is a real wine, changed a little, and the served model has seen that real
wine. What it does with wines it knows nothing of is the right column, measured on a test part locked away
(with its 95&nbsp;% interval). QWK, quadratic weighted kappa, is 1 for perfect and 0 for no better than
chance.</p></section>"""


def _latest(history):
    if history.wines.empty:
        return ""
    labels = _labels(history)
    heads = "".join(
        f'<th scope="col">{escape(labels[n][0].lower())}<br>{escape(labels[n][1])}</th>'
        for n in TELLING
    )
    latest = history.wines.tail(LATEST)
    rows = ""
    for wine in latest.iloc[::-1].to_dict("records"):
        values = "".join(f"<td>{wine[name]:.{labels[name][2]}f}</td>" for name in TELLING)
        if np.isnan(wine["predicted"]):
            told = f'<td>–</td><td>{wine["quality"]}</td><td class="left">not predicted yet</td><td>–</td><td>–</td>'
        else:
            away = int(wine["predicted"]) - int(wine["quality"])
            mark = (
                '<span class="yes">✓ same</span>'
                if not away
                else f'<span class="no">{away:+d}</span>'
            )
            told = f"""<td><strong>{int(wine["predicted"])}</strong></td><td>{wine["quality"]}</td>
<td class="left">{mark.replace("-", "−")}</td><td>{wine["expected"]:.2f}</td><td>{int(wine["model_version"])}</td>"""
        rows += f"""<tr><th class="left" scope="row">{wine["day"]:%Y-%m-%d}</th><td class="left">{kind_mark(wine["type"])}</td>
{told}{values}</tr>"""
    return f"""<section class="card"><h2>The latest daily wines</h2>{figures.recent(latest)}<p class="soft small"
style="text-align: center">ring: label (red or gold by the wine's colour) · cross: prediction · dash: expected
grade</p><div class="scroll rows" tabindex="0" role="region" aria-label="the latest daily wines"><table class="latest"><thead><tr><th class="left" scope="col">day</th><th class="left"
scope="col">colour</th><th scope="col">predicted</th><th scope="col">label</th><th class="left"
scope="col">prediction<br>against label</th><th scope="col">expected<br>grade</th><th scope="col">model<br>version</th>{heads}</tr></thead>
<tbody>{rows}</tbody></table></div></section>"""


def _matrix(history):
    counts = history.counts
    since = f"all predictions up to {escape(history.counts_as_of)}" if history.counts_as_of else (
        f"the last {WINDOW_DAYS} days"
    )  # fmt: skip
    heads = "".join(f'<th scope="col">{grade}</th>' for grade in GRADES)
    rows = "".join(
        f'<tr><th scope="row">{grade}</th>{"".join(f"<td>{count:,}</td>" for count in row)}</tr>'
        for grade, row in zip(GRADES, counts, strict=True)
    )
    return f"""<section class="card"><h2>Label against prediction</h2><p class="soft small">{int(counts.sum()):,} wines,
{since}.</p>{figures.confusion(counts)}<details open><summary>The same as a table</summary><div class="scroll"
tabindex="0" role="region" aria-label="confusion matrix"><table class="matrix"><caption class="soft small">Rows: label;
columns: predicted grade.</caption><thead><tr><th scope="col">label</th>{heads}</tr></thead><tbody>{rows}</tbody>
</table></div></details></section>"""


def _time(history):
    series = over_time(history.predicted)
    lead = f"Each point is over the last {ROLLING} wines"
    if series.empty:
        return f"""<section class="card"><h2>Over time</h2><p>Shares of a handful of wines say nothing: the curves
begin with {FEWEST} predicted wines, now there are {len(history.predicted)}.</p></section>"""
    curves = ""
    for key, name in NAMES.items():
        promises, band = [], None
        if history.model:
            metrics = history.model.spec["metrics"]
            share = metrics["daily"][key]
            promises = [("daily wines", share), ("unknown wines", metrics["test"][key])]
            if key != "qwk":
                reach = 1.96 * np.sqrt(share * (1 - share) / ROLLING)
                band = (share - reach, min(share + reach, 1))
        low = 0.6 if key == "within_one" and series[key].min() > 0.6 else 0.0
        curves += f"<h3 class='small' style='margin: 10px 0 2px'>{name[0].upper() + name[1:]}</h3>"
        curves += figures.curve(
            series["day"], series[key], name=name, promises=promises, band=band, low=low
        )
    return f"""<section class="card time"><h2>Over time</h2><p class="soft small">{lead} (fewer at the start). Dashed:
what was promised; shaded: how far {ROLLING} wines may stray from that by chance, in 95&nbsp;% of cases.</p>{curves}</section>"""


def _drift(history):
    wines = history.wines
    if history.model is None or len(wines) < DRIFT_FEWEST:
        lacking = f"from {DRIFT_FEWEST} daily wines on; there are {len(wines)}"
        return f"""<section class="card"><h2>Drift of the measurements</h2><p>Compared with the training wines
{lacking if history.model else "as soon as a model is served"}.</p></section>"""
    cards, drifted, columns = "", [], history.model.spec["columns"]
    for column in columns:
        name, label = column["name"], column["label"]
        sample, reference = wines[name].to_numpy(float), history.model.wines[name].to_numpy(float)
        away, limit = distance(sample, reference, len(columns))
        verdict = "drifts" if away > limit else "as in training"
        if away > limit:
            drifted.append(label.lower())
        picture = figures.spread(
            *(sample, reference, column["decimals"]), f"{label}: daily wines over training wines"
        )
        cards += f"""<div><h3>{escape(label)} <span class="soft small" style="font-weight: 400">{escape(column["unit"])}</span></h3>
{picture}<p class="small"><span class="{"no" if away > limit else "yes"}">{verdict}</span>: distance {away:.2f},
by chance up to {limit:.2f}</p></div>"""
    said = f"These do not look like the training wines: {', '.join(drifted)}." if drifted else (
        "None of the measurements has moved away from the training wines."
    )  # fmt: skip
    return f"""<section class="card drift"><h2>Drift of the measurements</h2><p>{escape(said)}</p><p class="soft small">
Grey: the {len(history.model.wines):,} wines the model was fitted on; line: the {len(wines):,} daily wines of the last
{WINDOW_DAYS} days. Distance is that of Kolmogorov and Smirnov, 0 to 1.</p><div class="drifts">{cards}</div></section>"""


def _labels(history):
    """Label, unit and decimals of the measurements, by name; without a model, of the telling ones."""
    if history.model is None:
        return {name: (name.replace("_", " "), "", 2) for name in TELLING}
    return {
        column["name"]: (column["label"], column["unit"], column["decimals"])
        for column in history.model.spec["columns"]
    }


def _number(key, value):
    if value is None:
        return "–"
    return f"{value:.2f}" if key == "qwk" else f"{value:.0%}"

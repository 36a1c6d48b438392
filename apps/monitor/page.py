"""What the monitor shows of a window: HTML by the templates, and the values of the charts."""

from typing import Any

import charts
import numpy as np
import pandas as pd
from live import State
from look import TEMPLATES, render
from verdict import FEWEST, GOOD, LOOK, NO_DATA, Window, counts_of, graded, number

from wine.columns import GRADES, MEASUREMENTS
from wine.metrics import has_kappa, score_counts

ROLLING = 30  # wines behind every point of the agreement over time
LONG = 100  # days; in a longer window the wines would hide each other
METRICS = ("accuracy", "within_one", "qwk")
TILES = {GOOD: ("good", "✓ As expected"), LOOK: ("look", "! Check"), NO_DATA: ("none", "– No data")}


def head(state: State) -> str:
    """Return the title, when the data were read, and what is wrong with Hopsworks."""
    return render("head.html", state=state)


def summary(window: Window) -> str:
    """Return the part above the charts: the verdict, the accuracy, the latest wine, the scores."""
    wines = window.history.wines
    return render(
        "summary.html",
        window=window,
        tile=TILES[window.verdict],
        sentence=sentence(window),
        reasons=window.reasons or [_reason(window)],
        metrics=window.history.model and window.history.model.spec.metrics,
        wine=wines.iloc[-1] if len(wines) else None,
        measurements=MEASUREMENTS,
        keys=METRICS,
        scores=_scores(window),
        ranges=[window.expected_range(within=within) for within in (0, 1)] if window.drifts else [],
        ever=graded(wines),
        changes=new_versions(window.graded),
    )


def details(window: Window) -> str:
    """Return the part below the charts: the confusion matrix, drift and the wines."""
    of_grade = window.counts.sum(axis=1, keepdims=True)
    return render(
        "details.html",
        window=window,
        grades=GRADES,
        shares=window.counts / np.maximum(of_grade, 1),
        predicted=_predicted_shares(window),
        measured=_measured(window) if window.drifts else [],
        fewest=FEWEST,
        rolling=ROLLING,
        wines=_rows(window),
    )


def sentence(window: Window) -> str:
    """Return the verdict in a sentence."""
    total, agree, version = len(window.judged), window.agree, ""
    if total < len(window.graded):
        version = f" predicted by version {window.history.model.version}"
    if version and not total:
        return f"No daily wine of the last {window.days} days was{version}."
    if not total:
        return "No daily wine has a prediction yet." if window.history.wines.empty else (
            f"No daily wine of the last {window.days} days has a prediction."
        )  # fmt: skip
    text = f"{agree:,} of {total:,} daily wines{version} {'agrees' if agree == 1 else 'agree'}"
    if total == 1:
        text = f"The one daily wine{version} {'agrees' if agree else 'does not agree'}"
    text += " with " + ("its" if total == 1 or agree == 1 else "their") + " reference grade"
    if window.drifts:
        low, high = window.expected_range()
        text += (
            f", {'fewer than' if agree < low else 'more than' if agree > high else 'as'} expected"
        )
    return f"{text}."


def chart_title(name: str) -> str:
    """Return the title of a chart and how to read it."""
    return render("chart.html", name=name, rolling=ROLLING, long=LONG)


def agreement_chart(window: Window) -> charts.PlotData | None:
    """Return the chart of the agreement over time, or None for too few wines."""
    points = agreement_points(window)
    if not points:
        return None
    metrics = window.history.model and window.history.model.spec.metrics
    expected, unseen = (
        (metrics.daily["accuracy"], metrics.cv["accuracy"]) if metrics else (None, None)
    )
    return charts.agreement(points, expected, unseen, new_versions(window.graded))


def agreement_points(window: Window) -> list[dict[str, Any]]:
    """Return the agreement over time, a dict for each predicted wine of the window.

    ``share`` and ``agree`` are of the last ROLLING wines, those before the window included; ``low``,
    ``high`` and ``range`` say what is expected of so many, where the served version predicted all.
    """
    ever, model = graded(window.history.wines), window.history.model
    same = (ever["reference_grade"] == ever["predicted_grade"]).astype(int)
    latest = same.rolling(ROLLING, min_periods=FEWEST)
    served = (ever["model_version"] == (model and model.version)).astype(int)
    served = served.rolling(ROLLING, min_periods=FEWEST).sum()
    shown = ever.assign(agree=latest.sum(), wines=latest.count(), served=served)
    shown = shown.dropna(subset="agree")
    shown = shown[shown["wine_id"].isin(window.graded["wine_id"])]
    ranges = {} if window.expected is None else {
        int(wines): window.expected_range(int(wines)) for wines in shown["wines"].unique()
    }  # fmt: skip
    points = []
    wine: Any
    for wine in shown.itertuples():
        agree, wines = int(wine.agree), int(wine.wines)
        point = {
            "day": f"{wine.day:%Y-%m-%d}",
            "share": agree / wines,
            "agree": f"{agree} of {wines}",
            "range": "–",
        }
        if wines in ranges and wine.served == wines:
            low, high = ranges[wines]
            point |= {"low": low / wines, "high": high / wines, "range": f"{low} to {high}"}
        points.append(point | {"version": int(wine.model_version)})
    return points


def wines_chart(window: Window) -> charts.PlotData | None:
    """Return the chart of the window's wines, or None for fewer than two.

    A long window shows only those whose grades differ: all of them would hide each other.
    """
    wines = window.wines
    if window.days > LONG:
        wines = window.graded.query("predicted_grade != reference_grade")
    rows = []
    wine: Any
    for wine in wines.itertuples():
        row = {"colour": wine.type, "reference grade": wine.reference_grade}
        if not np.isnan(wine.predicted_grade):
            row |= {"predicted grade": int(wine.predicted_grade)}
            row |= {"predicted score": round(wine.predicted_score, 2)}
            row |= {"model version": int(wine.model_version)}
        rows.append({"day": f"{wine.day:%Y-%m-%d}"} | row)
    return charts.wines(rows, new_versions(window.graded)) if len(rows) > 1 else None


def new_versions(wines: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the changes of the model version, as dicts with day and version."""
    versions = wines["model_version"].astype(int)
    new = wines[versions.diff().fillna(0) != 0]
    return [
        {"day": f"{wine.day:%Y-%m-%d}", "version": f"version {wine.model_version:.0f}"}
        for wine in new.itertuples()
    ]


def _reason(window: Window) -> str:
    """Return why there is no alarm."""
    if window.verdict == GOOD:
        return "Agreement, predicted grades, measurements: no difference is larger than chance explains."
    if window.expected is None:
        return window.history.trouble or "No model is served yet: train.ipynb registers one."
    few = len(window.judged)
    have = "is one" if few == 1 else f"are {few or 'none'}"
    return f"A verdict needs at least {FEWEST} such wines in the period; there {have}."


def _scores(window: Window) -> list[dict[str, Any]]:
    """Return the rows of the scores: all wines of the window, by colour, and what is expected."""
    wines = window.judged
    rows: list[tuple[str, str | None, np.ndarray]]
    rows = [(f"Observed: {number(len(wines), 'daily wine')}", None, window.counts)]
    for kind in ("red", "white"):
        part = wines[wines["type"] == kind]
        rows.append((f"of which {len(part):,}", kind, counts_of(part)))
    return [{"label": label, "kind": kind, "scores": _score_counts(c)} for label, kind, c in rows]


def _score_counts(counts: np.ndarray) -> dict[str, float]:
    """Return the scores of counts (7, 7) that are defined."""
    scores = score_counts(counts) if counts.any() else {}
    if not has_kappa(counts):
        scores.pop("qwk", None)
    return scores


def _rows(window: Window) -> list[dict[Any, Any]]:
    """Return the window's wines, the newest first, as dicts with their point of the agreement."""
    points = {point["day"]: point for point in agreement_points(window)}
    wines = window.wines.iloc[::-1].to_dict("records")
    return [wine | {"point": points.get(f"{wine['day']:%Y-%m-%d}")} for wine in wines]


def _predicted_shares(window: Window) -> list[dict[str, Any]]:
    """Return the observed and expected share of every predicted grade, as dicts."""
    observed = window.counts.sum(axis=0) / max(window.counts.sum(), 1)
    expected: Any = [None] * len(GRADES)
    if window.expected is not None:
        expected = window.expected.sum(axis=0) / window.expected.sum()
    return [
        {"grade": grade, "observed": o, "expected": e}
        for grade, o, e in zip(GRADES, observed, expected, strict=True)
    ]


def _measured(window: Window) -> list[dict[str, Any]]:
    """Return a dict for each measurement and the colour: medians here and in training, and drift."""
    rows = []
    for column in MEASUREMENTS:
        drift = window.drifts[column.name]
        typical = [f"{np.median(x):.{column.decimals}f}" for x in (drift.sample, drift.reference)]
        rows.append(
            {"label": column.label, "unit": column.unit, "typical": typical, "drift": drift}
        )
    drift = window.drifts["type"]
    typical = [_percent(np.mean(x)) for x in (drift.sample, drift.reference)]
    return [*rows, {"label": "Share of reds", "unit": "", "typical": typical, "drift": drift}]


def _percent(share: float) -> str:
    """Return a share in percent; 0 % and 100 % are said only of none and all."""
    text = ">99%" if 0.995 <= share < 1 else "<1%" if 0 < share < 0.005 else f"{share:.0%}"
    return text.replace("%", "\N{NO-BREAK SPACE}%")


def _score(scores: dict[str, float], key: str) -> str:
    """Return a score as people read it; a dash if it is undefined."""
    value = scores.get(key)
    if value is None:
        return "–"
    return f"{value:.2f}" if key == "qwk" else _percent(value)


TEMPLATES.globals["number"] = number
TEMPLATES.filters |= {"percent": _percent, "score": _score}

"""What the predictor shows: the values of its templates."""

import base64
import json
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
from checks import shown
from graded import Answered
from live import State
from look import render
from markupsafe import Markup
from served import Answer, Served

from wine.columns import GRADES, MEASUREMENTS, NAMES, TYPES
from wine.spec import Column

TELLING = ("alcohol", "volatile_acidity")  # shown of the nearest wines
ROWS_SHOWN = 200
SMALL = 0.005  # effects below it are left out
NO_CURVE = "<p>There is no curve while a value is wrong.</p>"


def head(served: Served, state: State) -> str:
    """Return the title, the model's version and date, and what is wrong, if anything."""
    return render("head.html", served=served, state=state)


def form(served: Served, wine: dict[str, Any], notes: dict[str, dict[str, Any]]) -> str:
    """Return the fields, in groups, with the values of a wine: numbers or text as typed.

    ``notes`` has the message under a field by name: its ``text``, and whether it is ``bad``.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for column in served.spec.columns:
        groups.setdefault(column.group, []).append(
            _measure(served, column, wine[column.name], wine["type"])
        )
    return render(
        "form.html",
        groups=groups,
        types=TYPES,
        kind=wine["type"],
        notes=notes,
        examples=_examples(served),
    )


def result(
    served: Served, wine: dict[str, Any], answer: Answer, base: float, effects: dict[str, float]
) -> str:
    """Return the answer for a wine: grade, score, probabilities, explanation, neighbours."""
    rows = [
        {"wine": row, "values": [f"{row[n]:.{served.columns[n].decimals}f}" for n in TELLING]}
        for row in served.nearest(wine).to_dict("records")
    ]
    return render(
        "result.html",
        wine=wine,
        answer=answer,
        scale=_scale(served, answer),
        why=why(served, answer),
        percents={grade: _percent(chance) for grade, chance in answer.chances.items()},
        together=sum(round(100 * answer.chances[grade]) for grade in answer.likely),
        cv=served.spec.metrics.cv,
        base=base,
        effects=_effects(served, wine, effects),
        telling=[served.columns[name] for name in TELLING],
        nearest=rows,
    )


def no_result(problems: dict[str, str]) -> str:
    """Return the result for a wine with problems: an empty glass and what is wrong."""
    return render("no_result.html", problems=list(problems.values()))


def why(served: Served, answer: Answer) -> str:
    """Return a sentence on why the grade is not the most probable one; "" if it is."""
    likeliest = answer.most_probable
    if answer.grade == likeliest:
        return ""
    lower = answer.grade < likeliest
    cut = served.spec.cuts[answer.grade - GRADES[0] - (0 if lower else 1)]
    return (
        f"The grade is {answer.grade} although {likeliest} is more probable "
        f"({100 * answer.chances[likeliest]:.0f} % against "
        f"{100 * answer.chances[answer.grade]:.0f} %): the score "
        f"is {'below' if lower else 'above'} the cut point {cut:.2f}. The cut points are chosen "
        "for the best agreement with the tasters over all grades; without them, rare grades would hardly "
        "ever be predicted."
    )


def along(name: str) -> str:
    """Return the choice of the measurement for the what-if curve."""
    return render("along.html", columns=MEASUREMENTS, name=name)


def what_if(served: Served, wine: dict[str, Any], name: str) -> str:
    """Return the curve of the score along one measurement, with the wine itself on it."""
    values, scores = served.what_if(wine, name)
    column, place = served.columns[name], wine[name]
    here = float(np.interp(place, values, scores))
    low, high = min(scores.min(), here) - 0.1, max(scores.max(), here) + 0.1
    low, high = np.floor(2 * low) / 2, np.ceil(2 * high) / 2

    def across(value: Any) -> Any:  # in percent, as the next
        return 100 * (value - values[0]) / max(values[-1] - values[0], 1e-9)

    def down(score: Any) -> Any:
        return 100 * (high - score) / (high - low)

    best = int(scores.argmax())
    cuts = zip(GRADES[1:], served.spec.cuts, strict=True)
    return render(
        "what_if.html",
        column=column,
        line=" ".join(
            f"{x:.1f},{y:.1f}" for x, y in zip(across(values), down(scores), strict=True)
        ),
        x=across(place),
        y=down(here),
        cuts=[(grade, down(cut)) for grade, cut in cuts if low < cut < high],
        ends=[f"{value:.{column.decimals}f}" for value in values[[0, -1]]],
        marks=[(f"{value:g}", down(value)) for value in (low, high)],
        here=here,
        shown=shown(place, column),
        best=f"{values[best]:.{column.decimals}f} {column.unit}".strip(),
        low=scores.min(),
        high=scores.max(),
    )


def many_intro(served: Served) -> str:
    """Return what a file of wines must have, with a file of examples."""
    lines = [",".join([*NAMES, "type"])]
    for example in served.spec.examples:
        lines.append(",".join([*(str(example.values[name]) for name in NAMES), example.type]))
    content = base64.b64encode("\n".join(lines).encode() + b"\n").decode()
    return render("many.html", content=content)


def graded(answered: Answered) -> str:
    """Return the result for a file; ``answered`` is a graded.Answered."""
    return render("graded.html", answered=answered, types=TYPES, limit=ROWS_SHOWN)


def program(url: str, served: Served) -> str:
    """Return how to call the model from a program, at the address ``url``.

    The examples can be run as they are; the answer shown is this version's own.
    """
    wine = served.typical(TYPES[0])
    answer = as_json(served, [wine])[0]
    answer["predicted_score"] = round(answer["predicted_score"], 3)
    answer["nearest_wine"]["distance"] = round(answer["nearest_wine"]["distance"], 3)
    answer["probabilities"] = {g: round(p, 3) for g, p in answer["probabilities"].items()}
    fields = ",\n".join(f"  {json.dumps(name)}: {json.dumps(v)}" for name, v in wine.items())
    return render(
        "program.html",
        url=url,
        fields=Markup(fields),  # names and numbers of our own
        answer=json.dumps(answer, indent=2),
        columns=served.spec.columns,
        types=TYPES,
    )


def as_json(served: Served, wines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the answers for checked wines as the API returns them."""
    return [
        {
            "grade": answer.grade,
            "predicted_score": answer.score,
            "probabilities": {str(grade): chance for grade, chance in answer.chances.items()},
            "likely_grades": answer.likely,
            "outside_data": bool(answer.notes),
            "notes": list(answer.notes.values()),
            "nearest_wine": asdict(answer.nearest),
            "model_version": served.version,
        }
        for answer in served.answers(wines)
    ]


def as_typed(value: float | str, column: Column) -> str:
    """Return a value as the field shows it: with the usual decimals, or with all it has."""
    if isinstance(value, str):
        return value
    fixed = f"{value:.{column.decimals}f}"
    return fixed if float(fixed) == value else str(value)


def _measure(served: Served, column: Column, value: float | str, kind: str) -> dict[str, Any]:
    """Return what a field shows: its value, scales and spreads by colour, and ranges."""
    place = NAMES.index(column.name)
    scales = {}
    for one in TYPES:
        low, high = served.neighbours[one].scales[:, place]
        scales[one] = [round(float(low), column.decimals), round(float(high), column.decimals)]
    return {
        "column": column,
        "value": as_typed(value, column),
        "scales": json.dumps(scales),
        "scale": scales[kind],
        "spreads": {one: _spread(served, column.name, one, scales[one]) for one in TYPES},
        "ranges": {
            one: " to ".join(f"{end:.6g}" for end in served.neighbours[one].ranges[:, place])
            for one in TYPES
        },
    }


def _spread(served: Served, name: str, kind: str, scale: list[float]) -> str:
    """Return the distribution of the real wines over a slider's scale, as the path of an area."""
    values = served.wines.loc[served.wines["type"] == kind, name]
    low, high = scale
    counts = np.histogram(values, bins=30, range=(low, max(high, low + 1e-6)))[0].astype(float)
    heights = 26 - 25 * np.sqrt(counts / max(counts.max(), 1))  # roots show the tails
    steps = " ".join(
        f"L{100 * n / 30:.1f} {h:.0f} H{100 * (n + 1) / 30:.1f}" for n, h in enumerate(heights)
    )
    return f"M0 26 {steps} V26 Z"


def _examples(served: Served) -> dict[str, list[tuple[str, str, str]]]:
    """Return the buttons that fill the form: texts and wines, typical and real ones."""
    typical = [(f"typical {kind}", served.typical(kind)) for kind in TYPES]
    real: list[tuple[str, dict[str, Any]]] = [
        (f"{example.type}, graded {example.quality}", {**example.values, "type": example.type})
        for example in served.spec.examples
    ]
    return {
        title: [(text, wine["type"], json.dumps(wine)) for text, wine in wines]
        for title, wines in (("typical", typical), ("real", real))
    }


def _scale(served: Served, answer: Answer) -> dict[str, Any]:
    """Return the grades' bands on a scale from 3 to 9, and the place of the score, in percent."""
    ends = [GRADES[0], *served.spec.cuts, GRADES[-1]]
    places = [float(np.clip(_across(end), 0, 100)) for end in ends]
    bands = [
        {"grade": grade, "left": low, "width": max(high - low, 0), "chosen": grade == answer.grade}
        for grade, (low, high) in zip(GRADES, pairwise(places), strict=True)
    ]
    return {"bands": bands, "score": float(np.clip(_across(answer.score), 0, 100)),
            "cuts": ", ".join(f"{cut:.2f}" for cut in served.spec.cuts)}  # fmt: skip


def _across(score: float) -> float:
    return 100 * (score - GRADES[0]) / (GRADES[-1] - GRADES[0])


def _percent(chance: float) -> str:
    return "<1" if 0 < chance < SMALL else f"{100 * chance:.0f}"


def _effects(
    served: Served, wine: dict[str, Any], effects: dict[str, float]
) -> list[dict[str, Any]]:
    """Return the measurements that move the score, largest effect first, with bars in percent."""
    ordered = sorted(effects.items(), key=lambda item: -abs(item[1]))
    largest = max(0.2, abs(ordered[0][1]))
    return [
        {
            "label": served.columns[name].label,
            "value": shown(wine[name], served.columns[name]),
            "effect": effect,
            "width": 50 * abs(effect) / largest,
        }
        for name, effect in ordered
        if abs(effect) >= SMALL
    ]

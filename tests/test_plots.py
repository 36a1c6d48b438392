"""The pictures draw what they are given, and can be drawn of nothing."""

import datetime

import numpy as np
import pandas as pd
import pytest

from wine import plots
from wine.metrics import confusion


@pytest.fixture
def drawn(tmp_path):
    """Saves a figure as a PNG, which is when matplotlib really draws it."""

    def draw(figure):
        figure.savefig(tmp_path / "picture.png")
        content = (tmp_path / "picture.png").read_bytes()
        assert content.startswith(b"\x89PNG")
        return figure.axes[0]

    return draw


def daily(days):
    start = datetime.date(2026, 9, 1)
    return pd.DataFrame(
        {
            "day": pd.to_datetime([start + datetime.timedelta(days=i) for i in range(days)]),
            "type": ["red", "white", "white"][: days % 3] + ["red", "white", "white"] * (days // 3),
            "reference_grade": [3 + i % 7 for i in range(days)],
            "predicted_grade": [6] * days,
            "predicted_score": [5.9] * days,
        }
    )


def test_a_confusion_matrix_always_has_the_grades_3_to_9_and_every_count(drawn):
    axes = drawn(plots.confusion_matrix(confusion([5, 5, 5, 9], [5, 6, 5, 7]), "Title"))
    assert [label.get_text() for label in axes.get_xticklabels()] == list("3456789")
    assert [label.get_text() for label in axes.get_yticklabels()] == list("3456789")
    written = {(text.get_position(), text.get_text()) for text in axes.texts}
    assert written == {((2, 2), "2"), ((3, 2), "1"), ((4, 6), "1")}
    assert axes.get_xlabel() == "predicted grade"
    assert axes.get_title(loc="left") == "Title"


def test_a_confusion_matrix_of_nothing_is_empty_and_of_millions_is_readable(drawn):
    assert len(drawn(plots.confusion_matrix(np.zeros((7, 7), dtype=int))).texts) == 0
    many = drawn(plots.confusion_matrix(np.full((7, 7), 1_234_567)))
    assert many.texts[0].get_text() == "1,234,567"


@pytest.mark.parametrize(("days", "shown"), [(0, 0), (1, 1), (30, 30), (100, 30)])
def test_at_most_the_latest_thirty_wines_are_drawn(drawn, days, shown):
    wines = daily(days).sample(frac=1, random_state=1)
    axes = drawn(plots.recent_wines(wines))
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert len(labels) == shown
    if days:
        assert labels[-1] == f"{wines['day'].max():%d %b}"


def test_reference_grades_lie_where_they_are(drawn):
    axes = drawn(plots.recent_wines(daily(6)))
    points = np.vstack([part.get_offsets() for part in axes.collections[:2]])
    assert {tuple(point) for point in points} == {(i, 3 + i % 7) for i in range(6)}


def row(name, rmse, *, qwk=0.5, within_budget=True):
    return {
        "name": name, "rmse": rmse, "qwk": qwk, "se": {"rmse": 0.01},
        "within_budget": within_budget,
    }  # fmt: skip


def test_the_leaderboard_has_the_best_on_top_and_the_chosen_one_in_colour(drawn):
    axes = drawn(
        plots.leaderboard([row("a", 0.7), row("c", 0.6, within_budget=False), row("b", 0.65)], "b")
    )
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "a", "b", "c (too slow or large)",
    ]  # fmt: skip
    colours = [line.get_color() for line in axes.lines if line.get_marker() == "o"]
    assert colours == ["#757575", plots.COLOURS["red"], "#757575"]


def test_the_leaderboard_leaves_out_a_model_that_always_says_one_grade(drawn):
    axes = drawn(plots.leaderboard([row("dummy", 0.9, qwk=0.0), row("good", 0.6)], "good"))
    assert [label.get_text() for label in axes.get_yticklabels()] == ["good"]
    drawn(plots.leaderboard([row("dummy", 0.9, qwk=0.0)], None))  # and it may be the only one

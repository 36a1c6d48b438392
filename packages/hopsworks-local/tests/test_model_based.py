"""A feature group against a plain pandas model: any order of writes, the same rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

LIVE = True  # runs against a real cluster, too; see conftest.py
IDS = st.integers(0, 6)
DAYS = st.integers(1, 3).map(lambda d: pd.Timestamp(f"2024-01-0{d}"))
NUMBERS = st.one_of(st.none(), st.floats(-100, 100, width=32), st.sampled_from([0.0, 1.0]))
TEXTS = st.one_of(st.none(), st.sampled_from(["", "a", "b'", '"', "é", "%", "_", "a\nb", "\\"]))
ROWS = st.lists(
    st.tuples(IDS, DAYS, NUMBERS, TEXTS), min_size=1, max_size=5, unique_by=lambda r: r[:2]
).filter(lambda rows: any(r[3] is not None for r in rows))  # the client cannot type all nulls
COLUMNS = ["id", "at", "x", "s"]
KEY = ["id", "at"]


def frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows with the dtypes that never change from batch to batch."""
    created = pd.DataFrame(rows, columns=COLUMNS)
    kinds = {"id": "int64", "at": "datetime64[us]", "x": "float64", "s": "object"}
    return created.astype(kinds)


def plain(data: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The rows as sorted tuples; missing values as None."""
    if not len(data):
        return []
    data = data[COLUMNS].sort_values(KEY)
    return [tuple(None if pd.isna(v) else v for v in r) for r in data.itertuples(index=False)]


class Group(RuleBasedStateMachine):
    """Insert, upsert, delete and overwrite; filtered reads after each."""

    fs: Any
    rows: Any
    created: list[Any]

    @initialize(rows=ROWS)
    def create(self, rows: list[tuple[Any, ...]]) -> None:
        name = f"t_model_{id(self)}_{len(self.created)}_{pd.Timestamp.now().value}"
        self.group = self.fs.create_feature_group(name, 1, primary_key=["id"], event_time="at")
        self.created.append(self.group)
        self.model = frame(rows)
        self.group.insert(self.model)

    @rule(rows=ROWS)
    def insert(self, rows: list[tuple[Any, ...]]) -> None:
        new = frame(rows)
        self.group.insert(new)
        self.model = pd.concat([self.model, new]).drop_duplicates(KEY, keep="last")

    @precondition(lambda self: len(self.model))
    @rule(chosen=st.lists(IDS, min_size=1, max_size=3))
    def delete(self, chosen: list[int]) -> None:
        gone = self.model[self.model.id.isin(chosen)]
        if len(gone):
            self.group.commit_delete_record(gone[KEY])
            self.model = self.model[~self.model.id.isin(chosen)]

    @rule(rows=ROWS)
    def overwrite(self, rows: list[tuple[Any, ...]]) -> None:
        self.model = frame(rows)
        self.group.insert(self.model, overwrite=True)

    @rule(bound=st.integers(0, 6), number=st.floats(-50, 50, width=32), text=TEXTS)
    def filtered(self, bound: int, number: float, text: str | None) -> None:
        group, data = self.group, self.model
        for on_group, on_model in (
            (group["id"] >= bound, data.id >= bound),
            ((group.x < number) | (group["id"] == bound), (data.x < number) | (data.id == bound)),
            (group.s == (text or "a"), data.s == (text or "a")),
            (group.s != (text or "a"), (data.s != (text or "a")) & data.s.notna()),
            (group.s.isin([text or "a", "b'"]), data.s.isin([text or "a", "b'"])),
            (group.s.like((text or "") + "%"), data.s.map(lambda s: _like(s, text or ""))),
            (group["at"] < "2024-01-02 00:00:00", data["at"] < "2024-01-02"),
        ):
            assert plain(self.rows(group.filter(on_group))) == plain(data[on_model])

    @invariant()
    def the_same_rows(self) -> None:
        if hasattr(self, "group"):
            assert plain(self.rows(self.group.select_all())) == plain(self.model)


def _like(value: str | None, start: str) -> bool:
    """LIKE 'start%' where `%` and `_` of the start are wildcards, too."""
    if pd.isna(value):
        return False
    if start == "%":
        return True
    return len(value) > 0 if start == "_" else value.startswith(start)


@pytest.mark.parametrize("examples", [3, pytest.param(12, marks=pytest.mark.slow)])
def test_a_group_behaves_like_a_frame(backend: str, fs: Any, rows: Any, examples: int) -> None:
    created: list[Any] = []
    machine = type("Machine", (Group,), {"fs": fs, "rows": staticmethod(rows), "created": created})
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=10,
                deadline=None,
                suppress_health_check=checks,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],  # shrinking would take many minutes
                database=None,
            ),
        )
    finally:
        for group in created:
            if group.id:
                group.delete()

"""Small runs of the fault campaign and of the fuzzer; the whole ones are in `benchmarks/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import hopsworks_local_faults, hopsworks_local_fuzz

RESULTS = Path(hopsworks_local_faults.__file__).parent / "results"


@pytest.fixture(autouse=True)
def outside_of_any_login() -> None:
    """Both log in by themselves."""
    import hopsworks

    hopsworks.logout()


@pytest.mark.slow
def test_killing_server_and_client_loses_nothing() -> None:
    result = hopsworks_local_faults.campaign(kills=6, seed=3)
    assert result["failures"] == []
    assert result["kills"] == 6
    assert result["checks"] > 0
    assert result["checks at the end"] > 0, "the whole history once more"


@pytest.mark.slow
def test_nonsense_is_refused() -> None:
    result = hopsworks_local_fuzz.campaign(inputs=1500, seed=9)
    assert result["failures"] == []
    assert result["answers"]["200"] > 100, "the rest of the requests were valid enough to matter"


@pytest.mark.parametrize(
    ("name", "count", "least"), [("faults", "kills", 30), ("fuzz", "inputs", 10_000)]
)
def test_the_committed_results_are_whole(name: str, count: str, least: int) -> None:
    result: dict[str, Any] = json.loads((RESULTS / f"hopsworks_local_{name}.json").read_text())
    assert result[count] >= least
    assert result["failures"] == []

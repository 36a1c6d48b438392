"""What the README claims: its tables are the benchmarks' own, and its links lead somewhere."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "benchmarks" / "results"


@pytest.mark.parametrize("name", ["ladder", "side_by_side"])
def test_the_tables_are_those_of_the_result_files(name):
    assert (RESULTS / f"{name}.md").read_text().strip() in README


def test_the_pipelines_seconds_are_those_of_its_summary():
    seconds = json.loads((RESULTS / "pipeline.json").read_text())["seconds"]
    assert f"a first run took {seconds:.0f} s" in README


def test_every_link_into_the_repository_leads_to_a_file():
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_program_named_in_a_command_exists():
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.S))
    targets = re.findall(r"^make (\w+)", blocks, re.M)
    makefile = (ROOT / "Makefile").read_text()
    assert set(targets) == {"pipeline", "test"}
    assert all(f"\n{target}:" in makefile for target in targets)

"""The notebooks as they are committed, and run out of order."""

import re

import pytest

from benchmarks.notebooks import NOTEBOOKS, digest, read
from tests.processes import REPOSITORY

OF_THE_MACHINE = re.compile(
    r"127\.0\.0\.1|localhost|\d\d:\d\d(:\d\d)? ?UTC|/(tmp|home|root|Users|work)/"
)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_as_it_was_run(name):
    notebook = read(name)
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert notebook["metadata"]["code_sha256"] == digest(notebook), (
        "the code is not what was run: python -m benchmarks.notebooks"
    )
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert len(cell["source"]) <= 25
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr"
            texts = [output.get("text", "")]
            texts += [v for k, v in output.get("data", {}).items() if k.startswith("text/")]
            assert not OF_THE_MACHINE.search("\n".join(map("".join, texts)))
    outputs = [output for cell in cells for output in cell["outputs"]]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) > 3
    assert all(list(one["metadata"].values()) for one in pictures), (
        "each has a text that describes it"
    )
    assert (REPOSITORY / name).stat().st_size < 1_500_000


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_question_has_words_before_its_cell(name):
    kinds = [cell["cell_type"] for cell in read(name)["cells"]]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") > 0.6 * kinds.count("code")

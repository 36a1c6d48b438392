"""The notebooks as they are committed: small cells, and no outputs."""

import json

import pytest


@pytest.fixture(params=["initialize.ipynb", "train.ipynb"])
def cells(request, empty_pipeline):
    """The cells of one notebook."""
    return json.loads((empty_pipeline.root / request.param).read_text())["cells"]


def test_there_are_no_outputs_and_no_execution_counts(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] for cell in code)
    assert {cell["execution_count"] for cell in code} == {None}


def test_code_cells_are_small_and_most_have_words_before_them(cells):
    kinds = [cell["cell_type"] for cell in cells]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") > 0.6 * kinds.count("code")
    for cell in cells:
        lines = "".join(cell["source"]).splitlines()
        if cell["cell_type"] == "code":
            assert len(lines) <= 25, "\n".join(lines)

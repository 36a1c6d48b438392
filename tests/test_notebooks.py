"""The notebooks as they are committed, and run out of order."""

import json

import pytest

NOTEBOOKS = ["initialize.ipynb", "train.ipynb"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_cells_are_small_without_outputs_and_have_words_before_them(empty_pipeline, name):
    cells = json.loads((empty_pipeline.root / name).read_text())["cells"]
    kinds = [cell["cell_type"] for cell in cells]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") > 0.6 * kinds.count("code")
    for cell in cells:
        if cell["cell_type"] == "code":
            assert len("".join(cell["source"]).splitlines()) <= 25
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


def test_train_on_an_empty_store_says_what_comes_first(empty_pipeline, tmp_path):
    pipeline = empty_pipeline.copy(tmp_path / "empty")
    done = pipeline.run(*pipeline.notebook("train.ipynb"))
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "no Resources/model_finder/best.json in Hopsworks" in last
    assert "run model_finder.py first" in last

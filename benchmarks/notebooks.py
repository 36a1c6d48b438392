"""Run both notebooks on a new local Hopsworks and keep them with their outputs, as GitHub shows them.

    python -m benchmarks.notebooks     a few minutes

A test compares each notebook's code with the digest in its metadata, so run this after every
change of a cell.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import common
from wine.pipeline import notebook

NOTEBOOKS = ("initialize.ipynb", "train.ipynb")


def main():
    """Run the first three parts, then replace both notebooks."""
    with tempfile.TemporaryDirectory() as folder:
        data, done = Path(folder).resolve() / "data", Path(folder) / "executed"
        first, last = (notebook(name, done, ("notebook",)) for name in NOTEBOOKS)
        for place, command in (
            (common.ROOT, first),
            (folder, (common.ROOT / "model_finder.py", "--quick")),
            (common.ROOT, last),
        ):
            subprocess.run(
                [sys.executable, *command], cwd=place, env=common.local_env(data), check=True
            )
        for name in NOTEBOOKS:
            executed, original = json.loads((done / name).read_text()), read(name)
            executed["metadata"] = original["metadata"] | {"code_sha256": digest(executed)}
            for cell in executed["cells"]:
                cell["metadata"] = {}
            text = json.dumps(executed, ensure_ascii=False, indent=1, sort_keys=True)
            (common.ROOT / name).write_text(text.replace(str(data), ".hopsworks") + "\n")


def read(name):
    """Return a committed notebook, a dict; a text in it is a list of lines."""
    return json.loads((common.ROOT / name).read_text())


def digest(notebook):
    """Return the SHA-256 of a notebook's code (str), cell by cell."""
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()


if __name__ == "__main__":
    main()

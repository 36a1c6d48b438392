"""The five parts on real data, as `make pipeline` runs them: the figures of the README's first table.

    python -m benchmarks.pipeline     two minutes

Writes results/pipeline.json, what the pipeline leaves in reports/summary.json.
"""

import json
import subprocess
import sys

from benchmarks import common
from wine.paths import REPORTS


def main():
    """Run the pipeline on the local Hopsworks of HOPSWORKS_LOCAL_ROOT, and keep its summary."""
    subprocess.run([sys.executable, "-m", "wine.pipeline"], cwd=common.ROOT, check=True)
    common.keep("pipeline", json.loads((REPORTS / "summary.json").read_text()))


if __name__ == "__main__":
    main()

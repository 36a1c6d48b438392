"""Where the project keeps its files, whatever folder a program is started from."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
REPORTS = PROJECT / "reports"


def local_hopsworks() -> Path:
    """Return the data folder of the local Hopsworks: $HOPSWORKS_LOCAL_ROOT, or the project's."""
    return Path(os.environ.get("HOPSWORKS_LOCAL_ROOT") or PROJECT / ".hopsworks").resolve()

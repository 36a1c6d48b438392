"""What the benchmarks share: their result files."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("hopsworks", "hops-deltalake", "pyarrow")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that all benchmarks have."""
    options = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--results", type=Path, default=RESULTS, help="folder of the result files")
    return options


def keep(folder: Path, name: str, result: dict[str, Any]) -> None:
    """Write the result, with machine and versions, to NAME.json, and print it."""
    machine = {
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "python": platform.python_version(),
    }
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    doc = {"machine": machine, "versions": versions} | result
    text = json.dumps(doc, indent=2, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text)
    print(text)

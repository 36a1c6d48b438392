"""Put a Space's folder together: its own files, the shared ones, and the modules of wine/ it needs.

    python -m apps.assemble predictor FOLDER

A Space imports nothing from this repository, so it takes the modules along. Publishing, `make apps`
and the tests all use ``sources``.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BOTH = ("__init__", "columns", "errors", "metrics", "serving", "spec")
# the modules of wine/ that a Space takes along, as wine/NAME.py
WINE: dict[str, tuple[str, ...]] = {
    "predictor": (*BOTH, "decoding", "estimators", "model"),  # a model may hold our estimators
    "monitor": (*BOTH, "groups"),
}
SPACES = tuple(WINE)


def sources(space: str, root: Path = ROOT) -> dict[str, Path]:
    """Return the files of a Space, a Path for each path in it; ValueError if two have one path."""
    files: dict[str, Path] = {}
    for folder in (root / "apps" / space, root / "apps" / "shared"):
        for file in sorted(folder.rglob("*")):
            path = file.relative_to(folder)
            if not file.is_file() or any(part[0] in "._" for part in path.parts):
                continue  # caches and editors' files
            if path.as_posix() in files:
                raise ValueError(f"{file} and {files[path.as_posix()]} are one path in a Space")
            files[path.as_posix()] = file
    return files | {f"wine/{name}.py": root / "wine" / f"{name}.py" for name in WINE[space]}


def assemble(files: dict[str, Path], folder: str | Path) -> Path:
    """Copy ``files``, as ``sources`` returns them, into a folder; return the folder."""
    for path, file in files.items():
        target = Path(folder) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return Path(folder)


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SPACES:
        print(f"error: give one of {' or '.join(SPACES)} and a folder", file=sys.stderr)
        sys.exit(2)
    assemble(sources(sys.argv[1]), sys.argv[2])

"""How time and memory of every part grow with the wines to learn from.

    python -m benchmarks.growth_wines                     as many wines, and 10 times as many
    python -m benchmarks.growth_wines --scale 100         100 times as many: about an hour
    python -m benchmarks.growth_wines --scale 10 --folder /tmp/growth
                                                          keeps the folder, and
    python -m benchmarks.growth_wines --scale 10 --folder /tmp/growth --part train.ipynb
                                                          measures a part again on what it finds there

More wines are a copy of the project in which dataset/ has 10 or 100 times as many: UCI's rows and
rows drawn from them with a noise of 2 % of the spread, which is above the decimals and well
inside the distance of near-duplicates. Their checksums replace UCI's in the copy's
wine/dataset.py; nothing else differs, and every check stays in force.

Every cell is one run of a process of its own, from start to end, seen ten times a second: of each
process it starts, the last 0.1 s may be missed (see measured.py). A cell is stopped at 1,800 s and
at 12 GB. Only the cells asked for are measured again; results/growth_wines.{json,md,png} keep the
others.
"""

import contextlib
import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd

from benchmarks import common
from benchmarks.measured import lines, measured, seconds
from wine import dataset
from wine.columns import NAMES
from wine.pipeline import REPORTS, notebook

WINES = 6_497  # UCI's
SCALES = (1, 10, 100)
PARTS = {  # name: (command, the parts it needs)
    "initialize.ipynb": (notebook("initialize.ipynb", REPORTS.name), ()),
    "model_finder.py": (["model_finder.py", "--quick"], ("initialize.ipynb",)),
    "train.ipynb": (notebook("train.ipynb", REPORTS.name), ("model_finder.py",)),
    "daily.py": (["daily.py"], ("initialize.ipynb",)),
    "inference.py": (["inference.py"], ("train.ipynb", "daily.py")),
}
NOISE = 0.02  # standard deviations
COMMIT = "commit.json"  # in a copy of the project: which one it is a copy of


@click.command(help=__doc__.split("\n")[0])
@click.option("--scale", "scales", type=click.Choice(list(map(str, SCALES))), multiple=True)
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="Work here.")
def main(scales, parts, folder):
    """Measure the cells asked for, by default all, and write the results after each."""
    with contextlib.ExitStack() as stack:
        folder = folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for scale in map(int, scales or SCALES[:2]):
            grow(scale, parts or tuple(PARTS), folder.resolve() / f"x{scale}")


def grow(scale, parts, folder):
    """The parts of the pipeline on ``scale`` times the wines, in a copy of the project."""
    if not folder.exists():
        begun = folder.with_name(f"{folder.name}.begun")  # not taken for a copy when interrupted
        shutil.rmtree(begun, ignore_errors=True)
        copy_of_project(begun)
        enlarge(begun, scale)
        (begun / COMMIT).write_text(json.dumps(common.commit()))
        begun.rename(folder)
    made_of = json.loads((folder / COMMIT).read_text())
    stopped = set()
    for part in parts:
        command, needs = PARTS[part]
        lacking = stopped.intersection(needs)
        cell = (
            {"stopped": f"needs {lacking.pop()}"}
            if lacking
            else measured(command, folder, folder / "hopsworks") | {"commit": made_of}
        )
        if "stopped" in cell:
            stopped.add(part)
        keep(scale, part, cell)


def copy_of_project(folder):
    """The project's programs, notebooks and data, without what they have made."""
    left_out = shutil.ignore_patterns(
        ".*", "__pycache__", "benchmarks", "tests", REPORTS.name, "model_finder_results"
    )
    shutil.copytree(common.ROOT, folder, ignore=left_out)
    (folder / REPORTS.name).mkdir()


def enlarge(folder, scale):
    """Puts ``scale`` times the wines into a copy of the project, and their checksums."""
    if scale == 1:
        return
    raw = dataset.read()
    chance = np.random.default_rng(scale)
    drawn = raw.sample((scale - 1) * len(raw), replace=True, random_state=scale)
    names = list(NAMES)
    noise = NOISE * raw[names].std().to_numpy() * chance.normal(size=(len(drawn), len(names)))
    drawn[names] = (drawn[names] + noise).clip(raw[names].min(), raw[names].max(), axis=1)
    drawn["free_sulfur_dioxide"] = drawn[["free_sulfur_dioxide", "total_sulfur_dioxide"]].min(
        axis=1
    )
    wines, code = pd.concat([raw, drawn]), folder / "wine" / "dataset.py"
    for file, checksum in dataset.SHA256.items():
        path, colour = folder / "dataset" / file, Path(file).stem.removeprefix("winequality-")
        wines.loc[wines["type"] == colour, [*names, "quality"]].to_csv(
            path, sep=";", index=False, float_format="%.7g"
        )
        ours = hashlib.sha256(path.read_bytes()).hexdigest()
        code.write_text(code.read_text().replace(checksum, ours))


def keep(scale, part, cell):
    """One more cell into results/growth_wines.json, and draw the table and the picture again."""
    path = common.RESULTS / "growth_wines.json"
    scales = json.loads(path.read_text())["scales"] if path.is_file() else {}
    scales.setdefault(str(scale), {})[part] = cell
    common.keep("growth_wines", {"scales": scales}, table(scales))
    series = {
        part: {
            scale * WINES: scales[str(scale)][part]
            for scale in SCALES
            if part in scales.get(str(scale), {})
        }
        for part in PARTS
    }
    figure = lines("More wines to learn from", "wines in dataset/", series)
    figure.savefig(common.RESULTS / "growth_wines.png")


def table(scales):
    """One row a part, one column a measured size; ``scales`` maps scale and part to a cell."""
    return pd.DataFrame(
        {"part": part}
        | {
            f"{scale * WINES:,} wines": as_text(scales[str(scale)].get(part))
            for scale in SCALES
            if str(scale) in scales
        }
        for part in PARTS
    )


def as_text(cell):
    """The CPU seconds and the peak memory of a cell; nothing for one not measured yet."""
    if cell is None:
        return ""
    return cell.get("stopped") or f"{seconds(cell)}, {cell['peak_mb'] / 1000:.1f} GB"


if __name__ == "__main__":
    main()

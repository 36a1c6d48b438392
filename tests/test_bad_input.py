"""Bad input: every option, variable and raw file given wrongly, to the real programs.

Each case runs one program; it must end with its code, with one line on stderr that names what is
wrong, without a traceback, and leave every file as it was.
"""

import re
import shutil

import pytest

import hopsworks_local
from tests.processes import refused
from wine.pipeline import notebook

pytestmark = pytest.mark.slow
DAILY, INFERENCE, FINDER = ("daily.py",), ("inference.py",), ("model_finder.py",)
PIPELINE, TRAIN = ("-m", "wine.pipeline"), ("-m", "wine.train")
RED = "dataset/winequality-red.csv"
# {host}, {port} and {key} of a Hopsworks that runs; {file} is an existing file
HERE = {
    "HOPSWORKS_HOST": "{host}", "HOPSWORKS_PORT": "{port}", "HOPSWORKS_API_KEY": "{key}",
    "HOPSWORKS_PROJECT": "wine", "HOPSWORKS_HOSTNAME_VERIFICATION": "false",
}  # fmt: skip


def wrong(program, name, *values, names=None, code=2, **others):
    """Cases of wrong values of one variable, which must be named, or ``names`` in its place."""
    return [(program, others | {name: value}, names or name, code) for value in values]


CASES = [
    # the options; tests/test_cli.py has those that click refuses
    ((*DAILY, "--date", "0001-01-01", "--days", "7"), {}, "--date", 2),
    ((*DAILY, "--date", "2000-01-10", "--days", "11"), {}, "--date", 2),
    ((*FINDER, "--only", "oracle"), {}, "no candidate 'oracle'", 2),
    # the variables that stand for options
    *wrong(DAILY, "WINE_DATE", "tomorrow", "2026-13-01"),
    *wrong(DAILY, "WINE_DAYS", "0", "a week"),
    *wrong(DAILY, "WINE_DRY_RUN", "maybe"),
    *wrong(INFERENCE, "WINE_DRY_RUN", "2"),
    # the variables that lead to Hopsworks
    *wrong(DAILY, "WINE_PATIENCE", "abc", "-1", "3601", "nan"),
    *wrong(DAILY, "HOPSWORKS_PORT", "https", "0", "65536", "-443"),
    *wrong(DAILY, "HOPSWORKS_STREAM", "yes", "2"),
    *wrong(DAILY, "HOPSWORKS_HOSTNAME_VERIFICATION", "maybe", "ture"),
    *wrong(DAILY, "HOPSWORKS_TRUST_STORE_PATH", "nowhere.pem"),
    *wrong(DAILY, "HOPSWORKS_LOCAL_ROOT", "{file}", code=1),
    *wrong(DAILY, "HOPSWORKS_HOST", "https://example.org", "example.org/wine", "a b", "x:443"),
    *wrong(DAILY, "HOPSWORKS_API_KEY", "", "wrong.key", "a space", "end\n", "schlüssel", **HERE),
    *wrong(DAILY, "HOPSWORKS_HOSTNAME_VERIFICATION", "true", "", **HERE),
    *wrong(DAILY, "HOPSWORKS_TRUST_STORE_PATH", "{file}",
           **HERE | {"HOPSWORKS_HOSTNAME_VERIFICATION": "true"}),
    *wrong(DAILY, "HOPSWORKS_PROJECT", "elsewhere", "../up", **HERE),
    *wrong(DAILY, "HOPSWORKS_PORT", "9", names="port=9", code=1, WINE_PATIENCE="0", **HERE),
    # every program comes to Hopsworks the same way
    *(case for program in (INFERENCE, FINDER, TRAIN, PIPELINE)
      for case in wrong(program, "HOPSWORKS_PORT", "https")),
]  # fmt: skip


@pytest.fixture(scope="module")
def run(empty_pipeline, tmp_path_factory):
    """Runs a program in a copy of the project: (the finished process, the files changed)."""
    folder = tmp_path_factory.mktemp("bad-input")
    root, file = shutil.copytree(empty_pipeline.root, folder / "project"), folder / "file"
    file.touch()

    def answer(command, variables):
        before = files(root)
        given = {"HOPSWORKS_LOCAL_ROOT": str(root / "store"), "WINE_PATIENCE": "5"}
        given |= {name: value.format(**known) for name, value in variables.items()}
        done = empty_pipeline.run(*command, cwd=root, variables=given)
        return done, files(root) ^ before

    with hopsworks_local.start(tmp_path_factory.mktemp("hopsworks"), "wine") as server:
        known = {key: server.env[f"HOPSWORKS_{key.upper()}"] for key in ("host", "port")}
        known |= {"key": server.env["HOPSWORKS_API_KEY"], "file": str(file)}
        yield answer


def files(root):
    """Every file below a folder with its size and time; Python's own caches left out."""
    found = (path for path in root.rglob("*") if "__pycache__" not in path.parts)
    return {
        (str(path), path.stat().st_size, path.stat().st_mtime_ns)
        for path in found
        if path.is_file()
    }


@pytest.mark.parametrize(("command", "variables", "names", "code"), CASES)
def test_wrong_input_is_refused(command, variables, names, code, run):
    done, changed = run(command, variables)
    assert names in refused(done, code)
    assert done.stdout == "", "nothing was done before it was refused"
    assert not changed


@pytest.mark.parametrize(
    ("command", "missing", "port", "says", "code"),
    [
        (PIPELINE, RED, "443", f"error: {RED} is missing", 2),
        (notebook("initialize.ipynb", "reports"), RED, "443", f"BadInput: {RED} is missing", 1),
        (notebook("train.ipynb", "reports"), None, "https", "BadInput: HOPSWORKS_PORT is", 1),
    ],
)
def test_a_run_of_the_parts_ends_with_one_line(
    command, missing, port, says, code, empty_pipeline, tmp_path
):
    root = shutil.copytree(empty_pipeline.root, tmp_path / "project")
    if missing:
        (root / missing).unlink()
    before = files(root)
    variables = {"HOPSWORKS_LOCAL_ROOT": str(root / "store"), "HOPSWORKS_PORT": port}
    done = empty_pipeline.run(*command, cwd=root, variables=variables)
    line = done.stderr.strip().splitlines()[-1].replace(f"{root}/", "")
    line = re.sub(r"\x1b\[\d+m", "", line)  # Jupyter's colours
    assert done.returncode == code
    assert line.startswith(says)
    assert files(root) == before

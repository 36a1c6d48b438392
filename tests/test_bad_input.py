"""Bad input: every option, variable and raw file given wrongly, to the real programs.

Each case runs one program; it must end with its code, with one line on stderr that names what is
wrong, without a traceback, and leave every file as it was. The lines are kept in
docs/bad-input.md, which this file generates.
"""

import datetime
import re
import shutil
from dataclasses import dataclass, field

import pytest

import hopsworks_local
from tests.processes import refused
from wine.pipeline import notebook

pytestmark = pytest.mark.slow
THIS = "tests/test_bad_input.py"
# lines that click words, which change with its versions
CLICKS_OWN = re.compile(
    r"Invalid value for|No such option|requires an argument|unexpected extra|does not take"
)
LATER = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=2)
DAILY, INFERENCE, FINDER = ("daily.py",), ("inference.py",), ("model_finder.py",)
PIPELINE, TRAIN = ("-m", "wine.pipeline"), ("-m", "wine.train")
RED = "dataset/winequality-red.csv"


@dataclass(frozen=True, eq=False)
class Case:
    """A program, what it is given, and what the line that it says must name.

    ``variables`` may use {host}, {port} and {key} of a running Hopsworks and {file}, an existing
    file.
    """

    program: tuple
    arguments: tuple = ()
    variables: dict = field(default_factory=dict)
    names: str = ""
    code: int = 2
    given: str = ""

    def __str__(self):
        return re.sub(r"[^\w.=-]+", "-", f"{self.name()} {self.shown()}")

    def name(self):
        """The program as a person types it."""
        return " ".join(("python", *self.program))

    def shown(self):
        """What it is given, as a person would type it."""
        variables = [f"{name}={value!r}" for name, value in self.variables.items()]
        given = self.given or " ".join([*variables, *(a or "''" for a in self.arguments)])
        return given.format(file="file")


def variables(program, name, *values, code=2, **others):
    """Cases of wrong values of one environment variable, which must be named."""
    return [Case(program, variables={name: v} | others, names=name, code=code) for v in values]


HERE = {"HOPSWORKS_HOST": "{host}", "HOPSWORKS_PORT": "{port}", "HOPSWORKS_API_KEY": "{key}"}
HERE |= {"HOPSWORKS_PROJECT": "wine", "HOPSWORKS_HOSTNAME_VERIFICATION": "false"}


def elsewhere(name, value, code=2, names=None, **others):
    """A Hopsworks that runs, and one of the variables that lead there wrong."""
    given = {name: value} | others
    shown = " ".join(f"{k}={v!r}" for k, v in given.items())
    return Case(DAILY, variables=HERE | given, names=names or name, code=code, given=shown)


CASES = [
    # the options; tests/test_cli.py has those that click refuses
    Case(DAILY, ("--date", "0001-01-01", "--days", "7"), names="--date"),
    Case(DAILY, ("--date", "2000-01-10", "--days", "11"), names="--date"),
    Case(DAILY, ("--date", str(LATER)), names="--date", given="--date, a day to come"),
    Case(FINDER, ("--only", "oracle"), names="no candidate 'oracle'"),
    # the variables that stand for options
    *variables(DAILY, "WINE_DATE", "tomorrow", "2026-13-01"),
    *variables(DAILY, "WINE_DAYS", "0", "a week"),
    *variables(DAILY, "WINE_DRY_RUN", "maybe"),
    *variables(INFERENCE, "WINE_DRY_RUN", "2"),
    # the variables that lead to Hopsworks
    *variables(DAILY, "WINE_PATIENCE", "abc", "-1", "3601", "nan"),
    *variables(DAILY, "HOPSWORKS_PORT", "https", "0", "65536", "-443"),
    *variables(DAILY, "HOPSWORKS_STREAM", "yes", "2"),
    *variables(DAILY, "HOPSWORKS_HOSTNAME_VERIFICATION", "maybe", "ture"),
    *variables(DAILY, "HOPSWORKS_TRUST_STORE_PATH", "nowhere.pem"),
    *variables(DAILY, "HOPSWORKS_LOCAL_ROOT", "{file}", code=1),
    *variables(DAILY, "HOPSWORKS_HOST", "https://example.org", "example.org/wine", "a b", "x:443"),
    elsewhere("HOPSWORKS_API_KEY", ""),
    elsewhere("HOPSWORKS_API_KEY", "wrong.key"),
    elsewhere("HOPSWORKS_API_KEY", "with a space"),
    elsewhere("HOPSWORKS_API_KEY", "line.end\n"),
    elsewhere("HOPSWORKS_API_KEY", "schlüssel"),
    elsewhere("HOPSWORKS_HOSTNAME_VERIFICATION", "true"),
    elsewhere("HOPSWORKS_HOSTNAME_VERIFICATION", ""),
    elsewhere("HOPSWORKS_TRUST_STORE_PATH", "{file}", HOPSWORKS_HOSTNAME_VERIFICATION="true"),
    elsewhere("HOPSWORKS_PROJECT", "elsewhere"),
    elsewhere("HOPSWORKS_PROJECT", "../up"),
    elsewhere("HOPSWORKS_PORT", "9", code=1, names="port=9", WINE_PATIENCE="0"),
    # every program comes to Hopsworks the same way
    *variables(INFERENCE, "HOPSWORKS_PORT", "https"),
    *variables(FINDER, "HOPSWORKS_PORT", "https"),
    *variables(TRAIN, "HOPSWORKS_PORT", "https"),
    *variables(PIPELINE, "HOPSWORKS_PORT", "https"),
]  # fmt: skip


@pytest.fixture(scope="module")
def run(empty_pipeline, tmp_path_factory):
    """Runs a case's program in a copy of the project: (the finished process, the files changed)."""
    folder = tmp_path_factory.mktemp("bad-input")
    root, file = shutil.copytree(empty_pipeline.root, folder / "project"), folder / "file"
    file.touch()

    def answer(case):
        before = files(root)
        given = {"HOPSWORKS_LOCAL_ROOT": str(root / "store"), "WINE_PATIENCE": "5"}
        given |= {name: value.format(**known) for name, value in case.variables.items()}
        done = empty_pipeline.run(*case.program, *case.arguments, cwd=root, variables=given)
        done.stderr = done.stderr.replace(f"{root}/", "").replace(f"{folder}/", "")
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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_wrong_input_is_refused(case, run, proven):
    done, changed = run(case)
    line = refused(done, case.code)
    assert case.names in line
    assert done.stdout == "", "nothing was done before it was refused"
    assert not changed
    shown = re.sub(r"(--date|today is) 20\S+( \(UTC\)| is in)", r"\1 DAY\2", line)
    shown = re.sub("(there are: ).*", r"\1...", shown)
    if not CLICKS_OWN.search(shown):
        proven.row(f"`{case.name()}`", f"`{case.shown()}`", shown, case.code)


def executed(name):
    return f"jupyter nbconvert --execute {name}", notebook(name, "reports")


@pytest.mark.parametrize(
    ("program", "missing", "port", "says", "code"),
    [
        (("python -m wine.pipeline", PIPELINE), RED, "443", f"error: {RED} is missing", 2),
        (executed("initialize.ipynb"), RED, "443", f"BadInput: {RED} is missing", 1),
        (executed("train.ipynb"), None, "https", "BadInput: HOPSWORKS_PORT is 'https'", 1),
    ],
)
def test_a_run_of_the_parts_ends_with_one_line(
    program, missing, port, says, code, empty_pipeline, proven, tmp_path
):
    root = shutil.copytree(empty_pipeline.root, tmp_path / "project")
    if missing:
        (root / missing).unlink()
    before, (name, command) = files(root), program
    variables = {"HOPSWORKS_LOCAL_ROOT": str(root / "store"), "HOPSWORKS_PORT": port}
    done = empty_pipeline.run(*command, cwd=root, variables=variables)
    line = done.stderr.strip().splitlines()[-1].replace(f"{root}/", "")
    line = re.sub(r"\x1b\[\d+m", "", line)  # Jupyter's colours
    assert done.returncode == code
    assert line.startswith(says)
    assert files(root) == before
    given = f"{missing} is missing" if missing else f"HOPSWORKS_PORT='{port}'"
    proven.row(f"`{name}`", f"`{given}`", line, code)


def test_the_page_says_what_these_tests_have_proven(proven):
    proven.compare(
        "bad-input.md",
        f"""# Bad input

What the programs say when an option, a variable or a file is wrong. (The library click words most messages about
options; they are not listed.) Each row was tested by running the program: it ended with this exit code, printed this one
line on stderr and no traceback, and changed no file. 2 means wrong input; 1 means that something is missing or
unavailable. A notebook shows where it stopped. Every program logs in to Hopsworks in the same way, so most variables are
tried with `daily.py`, which is the quickest.

What the predictor makes of files of wines is in [files-of-wines.md](files-of-wines.md). This page is generated by
{THIS}; DAY stands for a date.
""",
        ("program", "given", "it says", "exit code"),
    )

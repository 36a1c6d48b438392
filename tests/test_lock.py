"""The requirements files: compiled from pyproject.toml as it is, complete, and of one mind."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from apps.assemble import sources
from tests.processes import REPOSITORY

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
RUNTIME = "dependencies"
COMPILED = {  # file -> what of pyproject.toml is in it
    "requirements.txt": (RUNTIME, "pipeline"),
    "requirements-daily.txt": (RUNTIME,),
    "requirements-test.txt": (RUNTIME, "test"),
    "requirements-benchmarks.txt": (RUNTIME, "benchmarks"),
    "requirements-install.txt": ("install",),
    ".github/scripts/requirements.txt": ("publish",),
    "apps/predictor/requirements.txt": ("predictor",),
    "apps/monitor/requirements.txt": ("monitor",),
}
SPACES = ("predictor", "monitor")
BUILDER = ("gradio[oauth,mcp]=={}", "uvicorn", "websockets", "spaces")  # what Hugging Face adds
MACHINES = [
    {"python_version": python, "python_full_version": f"{python}.5", "sys_platform": system}
    for python in ("3.11", "3.12", "3.13")
    for system in ("linux", "darwin", "win32")
]
every_file = pytest.mark.parametrize("file", COMPILED)


def named(*groups):
    """The requirements that pyproject.toml names in these groups, except the project's own."""
    found = []
    for group in groups:
        rows = (
            PYPROJECT["project"]["dependencies"]
            if group == RUNTIME
            else PYPROJECT["dependency-groups"][group]
        )
        for row in rows:
            if isinstance(row, dict):
                found += named(row["include-group"])
            elif not row.startswith("hopsworks-local"):
                found.append(Requirement(row))
    return found


@functools.cache
def compiled(file):
    """Every pin of a compiled file, and whether pyproject.toml itself asked for it."""
    text = (REPOSITORY / file).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]
    return [
        (Requirement(re.split(r" \\\n|\n", block)[0]), "wine-quality (pyproject.toml" in block)
        for block in blocks
    ]


def holds(requirement, machine):
    """Whether a requirement is meant for a machine."""
    return requirement.marker is None or requirement.marker.evaluate(machine)


def brought(requirement, machine):
    """The packages that a requirement's extras bring, as far as it is installed here."""
    try:
        rows = [Requirement(row) for row in requires(requirement.name) or []]
    except PackageNotFoundError:
        return set()
    return {
        canonicalize_name(row.name)
        for row in rows
        for extra in requirement.extras
        if row.marker
        and row.marker.evaluate(machine | {"extra": extra})
        and not row.marker.evaluate(machine | {"extra": ""})
    }


@every_file
def test_a_compiled_file_is_that_of_pyproject(file):
    """Red once a dependency was added, removed, renamed or bounded otherwise without make lock."""
    for machine in MACHINES:
        asked = [row for row in named(*COMPILED[file]) if holds(row, machine)]
        pins = {
            canonicalize_name(pin.name): (pin, ours)
            for pin, ours in compiled(file)
            if holds(pin, machine)
        }
        ours = {name for name, (_, ours) in pins.items() if ours}
        assert ours == {canonicalize_name(row.name) for row in asked}, "run: make lock"
        for row in asked:
            pin, _ = pins[canonicalize_name(row.name)]
            [version] = [clause.version for clause in pin.specifier]
            assert row.specifier.contains(version), f"{row} is not {version}: run make lock"
            assert brought(row, machine) <= pins.keys(), f"{row}: run make lock"


@every_file
def test_everything_is_pinned_with_hashes_and_no_host_is_named(file):
    text = (REPOSITORY / file).read_text()
    pins = compiled(file)
    assert pins
    assert all(re.fullmatch(r"==[^*]+", str(pin.specifier)) for pin, _ in pins)
    hashed = len(re.findall(r"^\w.*==.* \\\n    --hash=sha256:", text, re.M))
    assert hashed == (0 if file.startswith("apps/") else len(pins))
    assert not re.search(r"://|index-url|find-links|@ ", text)
    assert "make lock" in text.splitlines()[1]


@every_file
def test_all_files_have_the_versions_that_are_tested(file):
    tested = {
        (canonicalize_name(p.name), str(p.specifier)) for p, _ in compiled("requirements-test.txt")
    }
    others = {(canonicalize_name(p.name), str(p.specifier)) for p, _ in compiled(file)} - tested
    if file == "requirements-benchmarks.txt":  # AutoGluon asks for an older pyarrow
        names = {name for name, _ in tested}
        assert {name for name, _ in others if name in names} <= {"pyarrow"}
    else:
        assert others == set()


def test_one_python_everywhere():
    """The versions that install.sh takes, the tests' matrix has and pyproject.toml promises."""
    assert PYPROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    versions = ["3.11", "3.12", "3.13"]
    script = (REPOSITORY / "install.sh").read_text()
    assert " | ".join(versions) + ")" in script
    assert " ".join(f"python{version}" for version in reversed(versions)) in script
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows/ci.yml").read_text())
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == versions


def test_the_daily_job_is_light():
    """What the scheduled job must never install: it trains and serves nothing."""
    heavy = {"jupyter", "nbconvert", "gradio", "xgboost", "seaborn", "pandera", "imbalanced-learn"}
    linux = {pin.name for pin, _ in compiled("requirements-daily.txt") if holds(pin, MACHINES[0])}
    assert "xgboost-cpu" in linux
    assert not heavy & linux


@pytest.mark.parametrize("space", SPACES)
def test_a_space_says_which_gradio_and_python_it_runs(space):
    pins = {pin.name: pin for pin, _ in compiled(f"apps/{space}/requirements.txt")}
    front = yaml.safe_load((REPOSITORY / f"apps/{space}/README.md").read_text().split("---")[1])
    assert front["sdk"] == "gradio"
    assert str(pins["gradio"].specifier) == f"=={front['sdk_version']}"
    assert str(front["python_version"]) in ("3.11", "3.12", "3.13")
    assert (REPOSITORY / "apps" / space / front["app_file"]).exists()


@pytest.mark.parametrize("space", SPACES)
def test_a_space_installs_what_its_files_import(space):
    files = sources(space)
    trees = [ast.parse(file.read_text()) for path, file in files.items() if path.endswith(".py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    own = {path.partition("/")[0].removesuffix(".py") for path in files}
    imported = {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names
    pins = {canonicalize_name(pin.name) for pin, _ in compiled(f"apps/{space}/requirements.txt")}
    providers = packages_distributions()
    assert {"gradio", "hopsworks", "pydantic"} <= imported
    assert [
        name for name in imported if not set(map(canonicalize_name, providers[name])) & pins
    ] == []


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
def test_a_space_resolves_with_what_its_builder_adds(space, tmp_path):
    """Hugging Face installs packages of its own in the same call; needs the package index."""
    file = REPOSITORY / f"apps/{space}/requirements.txt"
    front = yaml.safe_load(file.with_name("README.md").read_text().split("---")[1])
    added = "\n".join(BUILDER).format(front["sdk_version"])
    (tmp_path / "requirements.txt").write_text(f"-r {file}\n{added}\n")
    python = str(front["python_version"])
    command = [sys.executable, "-m", "uv", "pip", "compile", "requirements.txt", "--quiet"]
    command += ["--python-platform", "linux", "--python-version", python, "--only-binary", ":all:"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^spaces==", done.stdout, re.M)

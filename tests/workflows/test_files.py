"""The workflows taken apart: what they name exists, and what they promise stands in them."""

import datetime
import inspect
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import click
import hopsworks
import pytest
import yaml
from croniter import croniter

import daily
import inference
from tests.workflows.conftest import REPOSITORY, load

WORKFLOWS = sorted(path.name for path in (REPOSITORY / ".github/workflows").iterdir())
BIN = Path(sys.executable).parent
every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def text(path):
    return (REPOSITORY / path).read_text()


def jobs(name):
    return load(name)["jobs"].values()


def steps(name):
    return [step for job in jobs(name) for step in job.get("steps", [])]


def variables(name):
    """Every `env:` of a workflow as pairs of name and value."""
    places = [load(name), *jobs(name), *steps(name)]
    return [pair for place in places for pair in place.get("env", {}).items()]


def named(name, kind):
    """The names used of a context: `secrets`, `vars` or `inputs`."""
    expressions = " ".join(re.findall(r"\$\{\{(.*?)\}\}", text(f".github/workflows/{name}")))
    return set(re.findall(rf"(?<!\.){kind}\.(\w+)", expressions))


def source(name):
    """All Python that a workflow may start, in one text."""
    files = ["daily.py", "inference.py", *(f"wine/{p.name}" for p in REPOSITORY.glob("wine/*.py"))]
    if name == "live.yml":
        files = ["packages/hopsworks-local/tests/conftest.py"]
    files += [f".github/scripts/{path.name}" for path in REPOSITORY.glob(".github/scripts/*.py")]
    return "\n".join(map(text, files))


def test_these_are_the_workflows():
    assert WORKFLOWS == ["ci.yml", "daily.yml", "live.yml", "nightly.yml", "spaces.yml"]


@pytest.mark.system
@pytest.mark.parametrize(
    "command",
    [
        ["actionlint"],
        ["zizmor", "--offline", "--persona=pedantic", "--no-progress", ".github"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"]
        + [f".github/workflows/{name}" for name in WORKFLOWS],
        ["check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"],
    ],
    ids=["actionlint", "zizmor", "schema of workflows", "schema of dependabot"],
)
def test_linters_find_nothing(command):
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@every_workflow
def test_what_a_step_runs_is_there(name):
    makefile = text("Makefile")
    for step in steps(name):
        for word in step.get("run", "").split():
            if re.fullmatch(r"[\w./-]+\.(py|txt)|tests/[\w/]+", word):
                assert (REPOSITORY / word).exists(), f"{name}: {word}"
        for target in re.findall(r"\bmake (\w+)", step.get("run", "")):
            assert re.search(rf"^{target}:", makefile, re.M), f"{name}: make {target}"
        for pattern in step.get("with", {}).get("cache-dependency-path", "").split():
            assert list(REPOSITORY.glob(pattern)), f"{name}: {pattern}"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("daily.yml", "requirements-daily.txt"),
        ("live.yml", "requirements-test.txt"),
        ("spaces.yml", ".github/scripts/requirements.txt"),
    ],
)
def test_a_job_installs_what_its_script_needs_and_no_more(name, file):
    commands = [
        "\n".join(step.get("run", "") for step in job.get("steps", [])) for job in jobs(name)
    ]
    installing = [text for text in commands if ".venv/bin/python " in text]
    assert installing
    for text in installing:
        installed = re.findall(r"(?:-r|install.sh) (\S+)", text)
        assert [one for one in installed if one != "requirements-install.txt"] == [file]


@every_workflow
def test_actions_are_pinned_by_commit_with_their_version(name):
    lines = [line for line in text(f".github/workflows/{name}").splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        here = re.fullmatch(r"\s+uses: \$/(\.github/workflows/\w+\.yml)", line)
        if here:
            assert (REPOSITORY / here[1]).exists()
        else:
            assert re.fullmatch(r"\s+- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), (
                line
            )


def test_an_action_has_one_version_everywhere():
    uses = {step["uses"] for name in WORKFLOWS for step in steps(name) if "uses" in step}
    assert len({use.partition("@")[0] for use in uses}) == len(uses)


@every_workflow
def test_permissions_timeouts_and_concurrency(name):
    workflow = load(name)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["cancel-in-progress"] is (name == "ci.yml")
    assert name == "ci.yml" or workflow["concurrency"]["queue"] == "max"  # none is lost
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        if "steps" in job:
            assert 0 < job["timeout-minutes"] <= (120 if name == "nightly.yml" else 60)
            assert job["runs-on"] == "ubuntu-24.04"
            for step in job["steps"]:
                assert step.get("timeout-minutes", 1) <= job["timeout-minutes"]
                if "checkout" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] is False


@every_workflow
def test_no_expression_reaches_a_shell(name):
    assert not [step for step in steps(name) if "${{" in step.get("run", "")]


@every_workflow
def test_inputs_are_declared_used_and_checked(name):
    declared = (load(name)["on"].get("workflow_dispatch") or {}).get("inputs", {})
    assert named(name, "inputs") == set(declared)


@every_workflow
def test_variables_are_ones_that_something_reads(name):
    code = source(name) + inspect.getsource(hopsworks.login)
    code += "".join(f"{step.get('run', '')}\n" for step in steps(name))
    for variable, _ in variables(name):
        assert any(text in code for text in (f'"{variable}"', f'"${variable}"', f" {variable}\n"))


def test_the_daily_inputs_are_options_of_daily():
    options = {option.envvar: option for option in daily.main.params if option.envvar}
    passed = {key: value for key, value in variables("daily.yml") if "inputs." in value}
    assert set(passed) == set(options)
    for variable, value in passed.items():
        assert value == f"${{{{ inputs.{options[variable].name} }}}}"
    kinds = {key: entry["type"] for key, entry in load("daily.yml")["on"]["workflow_dispatch"]["inputs"].items()}  # fmt: skip
    for option in options.values():
        assert (kinds[option.name] == "boolean") == isinstance(
            option.type, click.types.BoolParamType
        )
    assert {option.envvar for option in inference.main.params} - {None} <= set(passed)


@every_workflow
def test_secrets_and_variables_are_documented(name):
    page = text("docs/actions.md")
    for word in named(name, "secrets") | named(name, "vars"):
        assert f"`{word}`" in page, word


def test_only_these_secrets_are_used():
    assert set().union(*(named(name, "secrets") for name in WORKFLOWS)) == {
        "HOPSWORKS_API_KEY",
        "HF_TOKEN",
    }
    assert not named("ci.yml", "secrets")
    assert not named("ci.yml", "vars")


@every_workflow
def test_no_secret_is_there_while_packages_are_installed(name):
    """Code of packages runs then."""
    holding = [load(name), *jobs(name)]
    holding += [step for step in steps(name) if "install" in step.get("run", "")]
    assert not [place for place in holding if "secrets." in str(place.get("env"))]


@every_workflow
def test_every_secret_is_looked_for_first(name):
    """A job that uses a secret asks for it, or needs a job that did."""
    for key, job in load(name)["jobs"].items():
        used = set(re.findall(r"(?<![\w.])secrets\.(\w+)", str(job)))
        if not used:
            continue
        asking = (
            job if "needs" not in job or name == "spaces.yml" else load(name)["jobs"][job["needs"]]
        )
        [look] = [step for step in asking["steps"] if "check_secrets.py" in step.get("run", "")]
        assert used <= set(look["run"].split()), key
        after = asking["steps"][asking["steps"].index(look) + 1 :]
        assert all(step["if"] == "steps.secrets.outputs.ready == 'true'" for step in after)


@pytest.mark.parametrize("name", ["daily.yml", "live.yml", "nightly.yml"])
def test_a_schedule_is_valid_and_away_from_the_crowd(name):
    [entry] = load(name)["on"]["schedule"]
    assert croniter.is_valid(entry["cron"])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    times = croniter(entry["cron"], start)
    next_ones = [times.get_next(datetime.datetime) for _ in range(60)]
    assert all(time.minute % 30 for time in next_ones)
    assert all(time.hour < 6 for time in next_ones)  # a late run still falls on its day
    apart = datetime.timedelta(days=7 if name == "live.yml" else 1)
    assert {later - earlier for earlier, later in pairwise(next_ones)} == {apart}


def test_ci_runs_the_command_of_the_readme_on_every_python():
    job = load("ci.yml")["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert "make test" in job["steps"][-1]["run"]
    assert load("ci.yml")["on"]["push"] == {"branches": ["main"]}
    assert "pull_request" in load("ci.yml")["on"]


def test_spaces_are_published_after_the_tests_on_main():
    workflow = load("spaces.yml")
    assert workflow["on"]["push"]["branches"] == ["main"]
    publish = workflow["jobs"]["publish"]
    assert publish["needs"] == "test"
    assert workflow["jobs"]["test"]["uses"] == "$/.github/workflows/ci.yml"
    assert publish["if"] == "github.ref == 'refs/heads/main'"  # a branch can be given by hand


def test_dependabot_sees_every_requirements_file():
    updates = {entry["package-ecosystem"]: entry for entry in yaml.safe_load(text(".github/dependabot.yml"))["updates"]}  # fmt: skip
    assert updates["github-actions"]["directory"] == "/"
    listed = subprocess.run(
        ["git", "ls-files", "*requirements*.txt"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    )
    folders = {str(Path("/", file).parent) for file in listed.stdout.splitlines()}
    assert set(updates["pip"]["directories"]) >= folders

"""A small GitHub: runs the `run:` steps of a workflow as they are written, and knows its files."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.processes import REPOSITORY, copy_project

# what a machine has of its own: how to reach the package index, where temporary files go, and which
# of the tests pytest takes
OF_THE_MACHINE = re.compile(
    r"HOME|LANG|TMPDIR|SSL_CERT_FILE|PIP_.*|UV_.*|.*_PROXY|.*_proxy|PYTEST_ADDOPTS"
)


def load(name):
    """A workflow as a dict. YAML reads the key `on` as True."""
    workflow = yaml.safe_load((REPOSITORY / ".github/workflows" / name).read_text())
    return {"on" if key is True else key: value for key, value in workflow.items()}


def evaluate(expression, context):
    """The value of an expression without functions: names, strings, == != && || ! and brackets."""

    def as_python(match):
        word = match[0]
        if word[0] == "'":
            return repr(word[1:-1])
        if word in OPERATORS:
            return OPERATORS[word]
        value = context
        for part in word.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return repr(value)

    return eval(re.sub(r"'[^']*'|[A-Za-z_][\w.-]*|&&|\|\||==|!=|!", as_python, expression))


OPERATORS = {"&&": " and ", "||": " or ", "!": " not ", "==": "==", "!=": "!="}


def fill_in(text, context):
    """A value of `env:` with its ${{ expressions }} replaced, as GitHub writes values as text."""

    def as_text(match):
        value = evaluate(match[1], context)
        return {None: "", True: "true", False: "false"}.get(value, str(value))

    return re.sub(r"\$\{\{(.*?)\}\}", as_text, str(text))


@dataclass
class Step:
    """How a step went: its code (None when it was skipped) and its output."""

    name: str
    code: int | None
    output: str = ""


@dataclass
class Run:
    """How a run went: its steps by job, and what its page says."""

    jobs: dict
    page: str

    @property
    def failed(self):
        return any(step.code for steps in self.jobs.values() for step in steps)

    @property
    def output(self):
        return "\n".join(step.output for steps in self.jobs.values() for step in steps)


class GitHub:
    """Runs workflows of this repository's working copy, each job in its own clone.

    A clone is kept for the next run of the same job. What a step named Install has installed is
    there for every later one of the same text, or most of the time would go into that.
    """

    def __init__(self, folder):
        self.folder = folder
        self.files = snapshot(folder / "origin")
        self.installed = {}  # the environment that an Install step made, by its text
        self.python = folder / "bin"
        self.python.mkdir()
        for name in ("python", "python3"):
            base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
            (self.python / name).write_text(f'#!/bin/sh\nexec {base} "$@"\n')
            (self.python / name).chmod(0o755)

    def use_this_environment(self, name):
        """Let a workflow's Install steps take the tests' environment, which has all of theirs."""
        for job in load(name)["jobs"].values():
            for step in job["steps"]:
                if step.get("name") == "Install":
                    self.installed[step["run"]] = sys.prefix

    def run(self, name, *, repository="someone/wine", before=None, **context):
        """Run a workflow with the given `secrets`, `vars` and `inputs`, as far as it gets.

        `before` has a function for each step, by name, that is to be called when it starts.
        """
        workflow = load(name)
        page = self.folder / "page.md"
        page.write_text("")
        needs, done = {}, {}
        for key, job in workflow["jobs"].items():
            context["needs"] = needs
            if job.get("needs", key) not in [key, *needs]:
                continue  # what it needs has failed or was skipped
            if "if" in job and not evaluate(job["if"], context):
                continue
            done[key] = list(
                self._steps(key, workflow, job, page, repository, before or {}, context)
            )
            if not any(step.code for step in done[key]):
                outputs = job.get("outputs", {})
                needs[key] = {
                    "outputs": {name: fill_in(text, context) for name, text in outputs.items()}
                }
        return Run(done, page.read_text())

    def _steps(self, key, workflow, job, page, repository, before, context):
        clone = self.folder / key
        if not clone.exists():
            subprocess.run(["git", "clone", "-q", self.files, clone], check=True)
        context["steps"] = {}
        machine = {name: v for name, v in os.environ.items() if OF_THE_MACHINE.fullmatch(name)}
        machine["PATH"] = f"{self.python}:/usr/local/bin:/usr/bin:/bin"
        for step in job["steps"]:
            name = step.get("name") or step["uses"].partition("@")[0]
            if "uses" in step or ("if" in step and not evaluate(step["if"], context)):
                yield Step(name, None)  # what actions do is done: the clone and Python are there
                continue
            if name == "Install" and step["run"] in self.installed:
                if not (clone / ".venv").exists():
                    (clone / ".venv").symlink_to(self.installed[step["run"]])
                yield Step(name, 0)
                continue
            outputs = self.folder / "outputs"
            outputs.write_text("")
            env = machine | {
                "CI": "true",
                "GITHUB_ACTIONS": "true",
                "GITHUB_REPOSITORY": repository,
                "GITHUB_STEP_SUMMARY": str(page),
                "GITHUB_OUTPUT": str(outputs),
            }
            for source in (workflow, job, step):
                env |= {k: fill_in(text, context) for k, text in source.get("env", {}).items()}
            script = self.folder / "step.sh"
            script.write_text(step["run"])
            before.get(name, bool)()
            minutes = step.get("timeout-minutes") or job["timeout-minutes"]
            process = subprocess.run(
                ["bash", "-e", script],
                cwd=clone,
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=60 * minutes,
            )
            yield Step(name, process.returncode, process.stdout)
            if process.returncode:
                return
            if name == "Install":
                self.installed[step["run"]] = clone / ".venv"
            lines = outputs.read_text().splitlines()
            outputs = dict(line.split("=", 1) for line in lines)
            context["steps"][step.get("id", name)] = {"outputs": outputs}


def snapshot(folder):
    """A git repository that holds the working copy's files as they are now."""
    copy_project(folder)
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@localhost"]
    subprocess.run([*git, "init", "-q", "-b", "main"], cwd=folder, check=True)
    subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-q", "-m", "as it is"], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="session")
def github(tmp_path_factory):
    """A small GitHub with this repository in it."""
    return GitHub(tmp_path_factory.mktemp("github"))

"""A missing secret is a skip on a fork and a failure at home, and says which secret."""

import subprocess
import sys

import pytest

from tests.workflows.conftest import REPOSITORY

SCRIPT = REPOSITORY / ".github/scripts/check_secrets.py"


@pytest.fixture
def check(tmp_path):
    """Runs the script for HF_TOKEN and MONITOR_SPACE; returns code, log, output and page."""

    def run(**env):
        (tmp_path / "page").write_text("")
        env = {
            "GITHUB_REPOSITORY": "someone/wine",
            "GITHUB_OUTPUT": str(tmp_path / "output"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "page"),
        } | env
        command = [sys.executable, SCRIPT, "HF_TOKEN", "MONITOR_SPACE"]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.stderr == ""
        output, page = (tmp_path / "output").read_text(), (tmp_path / "page").read_text()
        return done.returncode, done.stdout, output, page

    return run


def test_all_there(check):
    assert check(HF_TOKEN="t", MONITOR_SPACE="a/b") == (0, "", "ready=true\n", "")


@pytest.mark.parametrize("home", ["", "other/wine"])
def test_a_fork_is_warned_and_skips(check, home):
    code, log, output, page = check(HF_TOKEN="", MONITOR_SPACE="a/b", HOME_REPOSITORY=home)
    assert (code, output) == (0, "ready=false\n")
    assert log.startswith("::warning::HF_TOKEN not set")
    assert "MONITOR_SPACE" not in log
    assert page.startswith("**Skipped:** HF_TOKEN not set")


def test_the_home_repository_fails_and_names_all_that_is_missing(check):
    code, log, output, page = check(HOME_REPOSITORY="someone/wine")
    assert (code, output) == (1, "ready=false\n")
    assert log.startswith("::error::HF_TOKEN and MONITOR_SPACE not set")
    assert page.startswith("**Error:** HF_TOKEN and MONITOR_SPACE not set")


def test_a_value_is_never_shown(check):
    _, log, _, page = check(HF_TOKEN="hf_secret", HOME_REPOSITORY="someone/wine")
    assert "hf_secret" not in log + page

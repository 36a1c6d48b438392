"""The command line: one line and exit code 2 for what is wrong; help that helps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hopsworks_local.__main__ import cli, main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["start"], "start"),
        (["serve", "--port", "x"], "--port"),
        (["serve", "--port", "65536"], "--port"),
        (["serve", "--port", "-1"], "--port"),
        (["serve", "--training-dataset-quota", "many"], "--training-dataset-quota"),
        (["serve", "--training-dataset-quota", "-1"], "--training-dataset-quota"),
        (["serve", "--prot", "1"], "--prot"),
        (["serve", "--project", "a__b"], "a__b"),
        (["exec", "--training-dataset-quota", "many"], "--training-dataset-quota"),
        (["exec", "--project", "a__b", "--", "true"], "a__b"),
        (["exec"], "no command"),
        (["exec", "--"], "no command"),
        (["exec", "--any-keys", "--", "true"], "--any-keys"),
    ],
)
def test_what_is_wrong_is_one_line(
    arguments: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", ["hopsworks-local", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    output, errors = capsys.readouterr()
    assert ended.value.code == 2
    assert output == ""
    assert errors.count("\n") == 1
    assert errors.startswith("hopsworks-local: ")
    assert words in errors


@pytest.mark.system
def test_a_data_folder_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for arguments in (["serve"], ["exec", "--", "true"]):
        done = subprocess.run(
            [sys.executable, "-m", "hopsworks_local", *arguments],
            env={"HOPSWORKS_LOCAL_ROOT": str(tmp_path / "file")},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("hopsworks-local: The data folder ")
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [[], ["serve"], ["exec"]])
def test_help_has_an_example_and_hides_nothing(command: list[str]) -> None:
    text = CliRunner().invoke(cli, [*command, "--help"]).output
    assert "Example" in text
    assert "SUPPRESS" not in text
    assert "child" not in text

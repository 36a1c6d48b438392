"""How programs end: an exit code that says why, and one line on stderr."""

import click
import pytest

from wine.cli import run
from wine.errors import BadInput, WineError


def ends(command, arguments, monkeypatch, capsys):
    """Run a command as a program; returns its exit code and what it said on stderr."""
    monkeypatch.setattr("sys.argv", ["program", *arguments])
    with pytest.raises(SystemExit) as end:
        run(command)
    return end.value.code, capsys.readouterr().err


def raising(error):
    @click.command()
    @click.option("--number", type=click.IntRange(1, 5))
    def command(number):
        if error:
            raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (None, 0, ""),
        (WineError("the cellar is shut"), 1, "error: the cellar is shut\n"),
        (BadInput("no such wine"), 2, "error: no such wine\n"),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
        (click.Abort(), 130, "error: stopped\n"),
    ],
)
def test_every_way_to_end_has_its_code_and_at_most_one_line(error, code, said, monkeypatch, capsys):
    ended, stderr = ends(raising(error), [], monkeypatch, capsys)
    assert ended == code
    assert stderr.lstrip() == said


@pytest.mark.parametrize("arguments", [["--number", "many"], ["--number", "6"], ["--nix"], ["x"]])
def test_a_wrong_option_ends_with_2_and_one_line(arguments, monkeypatch, capsys):
    code, stderr = ends(raising(None), arguments, monkeypatch, capsys)
    assert code == 2
    assert stderr.startswith("error: ")
    assert stderr.count("\n") == 1


def test_help_ends_with_0(monkeypatch, capsys):
    assert ends(raising(None), ["--help"], monkeypatch, capsys) == (0, "")


def test_a_bug_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr("sys.argv", ["program"])
    with pytest.raises(ZeroDivisionError):
        run(raising(ZeroDivisionError()))

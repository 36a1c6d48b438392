"""How the scripts start and how they fail: with one clear line and an exit code."""

import io
import sys
from typing import NoReturn

import click

from wine import summary
from wine.errors import WineError
from wine.retry import refusal


def run(command: click.Command) -> NoReturn:
    """Run a click command as a program.

    Exit codes: 0 done, 1 something is missing or unavailable (one line says what to do), 2 wrong
    input, 130 stopped with Ctrl-C. A traceback is a bug of ours.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # not every terminal's encoding has a ³
    try:
        sys.exit(command(standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except WineError as error:
        _fail(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _fail("stopped", 130)
    except Exception as error:
        if refused := refusal(error):
            _fail(str(refused), refused.exit_code)
        summary.add_error(f"{type(error).__name__}: {error}")
        raise


def _fail(message: str, code: int) -> NoReturn:
    summary.add_error(message)
    print(f"error: {message}", file=sys.stderr)
    sys.exit(code)

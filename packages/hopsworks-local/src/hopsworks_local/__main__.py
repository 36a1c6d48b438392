"""The command `hopsworks-local`, also `python -m hopsworks_local`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from . import client_env, start

Command = TypeVar("Command", bound=Callable[..., Any])


def _shared(command: Command) -> Command:
    """Add the options that serve and exec share."""
    for option in (
        click.option(
            "--any-project",
            is_flag=True,
            help="Take any project name that a program asks for.",
        ),
        click.option(
            "--any-key", is_flag=True, help="Accept any API key (on this machine's loopback)."
        ),
        click.option(
            "--training-dataset-quota",
            type=click.IntRange(0, 10**6),
            metavar="N",
            help="Refuse more training datasets than N, as some clusters do.  [default: no limit]",
        ),
        click.option("--project", metavar="NAME", help="Project name.  [default: local]"),
        click.option("--root", metavar="DIR", help="Data folder.  [default: .hopsworks]"),
    ):
        command = option(command)
    return command


@click.group()
@click.version_option(package_name="hopsworks-local", prog_name="hopsworks-local")
def cli() -> None:
    """A local Hopsworks for programs that use the hopsworks client, unchanged.

    \b
    Examples:
      hopsworks-local exec -- python train.py
      hopsworks-local exec --any-key --any-project -- python their_program.py
      hopsworks-local serve --port 8443
    """


@cli.command()
@_shared
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="HTTPS port.  [default: a free one]"
)
def serve(
    root: str | None,
    project: str | None,
    training_dataset_quota: int | None,
    any_key: bool,
    any_project: bool,
    port: int,
) -> None:
    """Keep one server running for several programs, and to look at its pages.

    It prints a link to the pages and the file of variables to source. Other servers, such as those
    of exec, may use the same data folder at the same time.

    \b
    Example:
      hopsworks-local serve --port 8443
      . .hopsworks/serve-8443.env     (in every shell that is to use it)
    """
    from .server import StartError, root_path, run

    folder = root_path(root)
    try:
        running = run(
            folder,
            project,
            port,
            training_dataset_quota,
            any_key=any_key,
            any_project=any_project,
            key_place=lambda port: f"in the file {folder / f'serve-{port}.env'}",
        )
    except ValueError as e:
        raise click.UsageError(str(e)) from None
    except StartError as e:
        raise click.ClickException(str(e)) from None
    file = folder / f"serve-{running.info['port']}.env"
    _write_variables(file, running.info)
    click.echo(f"Project {running.info['project']!r} at {running.url}")
    click.echo(f"Its pages: {running.url}/login?token={running.app.page_token}\n")
    click.echo(f"In every shell that is to use it (the key is in that file):\n\n    . '{file}'\n")
    click.echo("Ctrl-C ends it.")
    sys.stdout.flush()
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    file.unlink(missing_ok=True)
    running.end()


def _write_variables(file: Path, info: dict[str, Any]) -> None:
    env = client_env(**info)
    env["HOPSWORKS_CERT_FOLDER"] = '$(mktemp -d "${TMPDIR:-/tmp}/hopsworks-certs-XXXXXX")'
    file.unlink(missing_ok=True)  # an old one may be open to others
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.writelines(f'export {name}="{value}"\n' for name, value in env.items())


@cli.command("exec", context_settings={"allow_interspersed_args": False})
@_shared
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def execute(
    root: str | None,
    project: str | None,
    training_dataset_quota: int | None,
    any_key: bool,
    any_project: bool,
    command: tuple[str, ...],
) -> None:
    """Run one COMMAND with a server of its own, and end with its exit code.

    The data stays in the folder: `hopsworks-local serve` shows it afterwards.

    \b
    Examples:
      hopsworks-local exec -- python train.py
      hopsworks-local exec --any-key --any-project -- python their_program.py
    """
    if not command:
        raise click.UsageError("no command, such as: hopsworks-local exec -- python train.py")
    try:
        server = start(
            root, project, training_dataset_quota, any_key=any_key, any_project=any_project
        )
    except ValueError as e:
        raise click.UsageError(str(e)) from None
    except RuntimeError as e:
        raise click.ClickException(str(e).removeprefix("hopsworks_local: ")) from None
    with server:
        # Ctrl-C reaches the command, too, which decides what to do. This is a handler because the
        # command would inherit SIG_IGN.
        signal.signal(signal.SIGINT, lambda *_: None)
        # SIGTERM may arrive before the command has started.
        ordered = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ordered.set())
        try:
            process = subprocess.Popen(command, env={**os.environ, **server.env})
        except OSError as e:
            raise click.ClickException(str(e)) from None
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        if ordered.is_set():
            process.terminate()
        code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)  # as a shell says that a signal ended it


def main() -> None:
    """Run the command line; report a wrong argument in one line, with exit code 2."""
    try:
        sys.exit(cli(prog_name="hopsworks-local", standalone_mode=False))
    except click.ClickException as e:
        click.echo(f"hopsworks-local: {e.format_message()}", err=True)
        sys.exit(e.exit_code)
    except click.Abort:
        sys.exit(130)


if __name__ == "__main__":
    main()

"""`python -m hopsworks_local serve` and `python -m hopsworks_local exec -- COMMAND`."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from . import client_env, start

PROJECT_NAME = re.compile(r"(?!\d+$)[a-zA-Z0-9]((?!__)(?!_featurestore)\w){0,22}[a-zA-Z0-9]", re.A)


def _refuse(message: str, code: int) -> NoReturn:
    """One line on stderr; 2 when what was given is wrong, 1 when something else is."""
    print(f"hopsworks_local: {message}", file=sys.stderr)
    sys.exit(code)


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    """A type of argument: a whole number in a range."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {lowest} to {highest}")
        return int(text)

    return parse


def _project_name(given: str | None) -> str:
    project = given or os.environ.get("HOPSWORKS_LOCAL_PROJECT") or "local"
    if not PROJECT_NAME.fullmatch(project):
        _refuse(f"illegal project name {project!r}", 2)
    return project


def _root(given: str | None) -> Path:
    return Path(given or os.environ.get("HOPSWORKS_LOCAL_ROOT") or ".hopsworks").resolve()


def _launch(
    root: Path, project: str | None, quota: int | None, port: int = 0
) -> tuple[dict[str, Any], Callable[[], NoReturn]]:
    """Run a server in this process; returns how to reach it and what ends the process in order.

    SystemExit says why it cannot.
    """
    from .server import HOST, App, launch
    from .state import Folder, FolderError

    project = _project_name(project)
    os.umask(0o077)  # the data folder and what is in it are the owner's alone
    try:
        app = App(Folder(root, project), project, quota)
        http = launch(app, port)
    except (FolderError, OSError) as e:
        _refuse(str(e), 1)

    def end() -> NoReturn:
        app.folder.close()
        os._exit(0)  # a Flight server takes two seconds to end in order; nothing here needs that

    found = http.server_address[1]
    return {"host": HOST, "port": found, "project": project, "api_key": app.api_key}, end


def _child() -> None:
    """What `start()` runs: settings come on stdin, then, as a line or by its end, the order to stop."""
    settings = json.loads(sys.stdin.readline())
    settings["root"] = _root(settings["root"])
    info, end = _launch(**settings)
    print(json.dumps(info), flush=True)
    sys.stdin.readline()
    end()


def _serve(args: argparse.Namespace) -> None:
    root = _root(args.root)
    info, end = _launch(root, args.project, args.training_dataset_quota, args.port)
    file = root / f"serve-{info['port']}.env"
    env = client_env(**info)
    env["HOPSWORKS_CERT_FOLDER"] = '$(mktemp -d "${TMPDIR:-/tmp}/hopsworks-certs-XXXXXX")'
    file.unlink(missing_ok=True)  # an old one may be open to others
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.writelines(f'export {name}="{value}"\n' for name, value in env.items())
    print(f"Project {info['project']!r} at https://{info['host']}:{info['port']}", flush=True)
    print(f"In every shell that is to use it (the key is in that file):\n\n    . '{file}'\n")
    print("Ctrl-C ends it.", flush=True)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    file.unlink(missing_ok=True)
    end()


def _exec(args: argparse.Namespace) -> None:
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        _refuse("no command: python -m hopsworks_local exec [--root DIR] -- COMMAND ...", 2)
    try:
        server = start(args.root, _project_name(args.project), args.training_dataset_quota)
    except RuntimeError as e:
        sys.exit(str(e))
    with server:
        # Ctrl-C reaches the command, too, and we wait for what it makes of it. A handler, because
        # the command would inherit SIG_IGN.
        signal.signal(signal.SIGINT, lambda *_: None)
        # An order to end may come while the command is only just beginning.
        ordered = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: ordered.set())
        try:
            process = subprocess.Popen(command, env={**os.environ, **server.env})
        except OSError as e:
            _refuse(str(e), 1)
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        if ordered.is_set():
            process.terminate()
        code = process.wait()
    sys.exit(code if code >= 0 else 128 - code)  # as a shell says that a signal ended it


def main() -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m hopsworks_local", description=__doc__)
    commands = parser.add_subparsers(dest="action", required=True)
    serve = commands.add_parser("serve", help="keep one server running for several programs")
    run = commands.add_parser("exec", help="run one command with a server of its own")
    commands.add_parser("child", help=argparse.SUPPRESS)
    for command in (serve, run):
        command.add_argument("--root", help="data folder (default: .hopsworks)")
        command.add_argument("--project", help="project name (default: local)")
        command.add_argument(
            "--training-dataset-quota", type=_whole(0, 10**6), help="default: no limit"
        )
    serve.add_argument("--port", type=_whole(0, 65535), default=0, help="default: a free one")
    run.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND ARGUMENTS")
    args = parser.parse_args()
    {"serve": _serve, "exec": _exec, "child": lambda _: _child()}[args.action](args)


if __name__ == "__main__":
    main()

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
from pathlib import Path

from . import client_env, start

PROJECT_NAME = re.compile(r"(?!\d+$)[a-zA-Z0-9]((?!__)(?!_featurestore)\w){0,22}[a-zA-Z0-9]", re.A)


def _launch(root: str | None, project: str | None, quota: int | None, port: int = 0) -> dict:
    """Run a server in this process; returns how to reach it. SystemExit says why it cannot."""
    from .server import HOST, App, launch
    from .state import Folder, FolderError

    root = root or os.environ.get("HOPSWORKS_LOCAL_ROOT") or ".hopsworks"
    project = project or os.environ.get("HOPSWORKS_LOCAL_PROJECT") or "local"
    if not PROJECT_NAME.fullmatch(project):
        sys.exit(f"hopsworks_local: illegal project name {project!r}")
    os.umask(0o077)  # the data folder and what is in it are the owner's alone
    try:
        app = App(Folder(Path(root), project), project, quota)
        http = launch(app, port)
    except (FolderError, OSError) as e:
        sys.exit(f"hopsworks_local: {e}")
    found = http.server_address[1]
    return {"host": HOST, "port": found, "project": project, "api_key": app.api_key}


def _child() -> None:
    """What `start()` runs: settings and, by ending, the order to stop come on stdin."""
    settings = json.loads(sys.stdin.readline())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then ends us
    print(json.dumps(_launch(**settings)), flush=True)
    sys.stdin.read()
    os._exit(0)  # a Flight server takes two seconds to end in order; nothing here needs that


def _serve(args: argparse.Namespace) -> None:
    info = _launch(args.root, args.project, args.training_dataset_quota, args.port)
    root = Path(args.root or os.environ.get("HOPSWORKS_LOCAL_ROOT") or ".hopsworks").resolve()
    file = root / f"serve-{info['port']}.env"
    env = client_env(**info)
    env["HOPSWORKS_CERT_FOLDER"] = '$(mktemp -d "${TMPDIR:-/tmp}/hopsworks-certs-XXXXXX")'
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.writelines(f'export {name}="{value}"\n' for name, value in env.items())
    print(f"Project {info['project']!r} at https://{info['host']}:{info['port']}", flush=True)
    print(f"In every shell that is to use it (the key is in that file):\n\n    . '{file}'\n")
    print("Ctrl-C ends it.", flush=True)
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    done.wait()
    file.unlink(missing_ok=True)
    os._exit(0)


def _exec(args: argparse.Namespace) -> None:
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        sys.exit("usage: python -m hopsworks_local exec [--root DIR] -- COMMAND ...")
    try:
        server = start(args.root, args.project, args.training_dataset_quota)
    except RuntimeError as e:
        sys.exit(str(e))
    with server:
        try:
            sys.exit(subprocess.call(command, env={**os.environ, **server.env}))
        except OSError as e:
            sys.exit(f"hopsworks_local: {e}")


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
        command.add_argument("--training-dataset-quota", type=int, help="default: no limit")
    serve.add_argument("--port", type=int, default=0, help="default: a free one")
    run.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND ARGUMENTS")
    args = parser.parse_args()
    {"serve": _serve, "exec": _exec, "child": lambda _: _child()}[args.action](args)


if __name__ == "__main__":
    main()

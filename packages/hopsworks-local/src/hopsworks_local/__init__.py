"""A local Hopsworks: a small server that the unmodified `hopsworks` client logs in to.

    import hopsworks, hopsworks_local

    server = hopsworks_local.start()
    os.environ.update(server.env)
    project = hopsworks.login()

See README.md for what is supported and how a cluster differs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, Any

__all__ = ["Server", "start"]

PROJECT_NAME = re.compile(r"(?!\d+$)[a-zA-Z0-9]((?!__)(?!_featurestore)\w){0,22}[a-zA-Z0-9]", re.A)
START_SECONDS = 90  # longer than SQLite waits for a lock, whose message says more


class Server:
    """A running server: `env` is what the client reads, `stop()` ends it."""

    def __init__(
        self,
        process: subprocess.Popen[str],
        env: dict[str, str],
        relay: threading.Thread,
        page_token: str,
    ):
        self.env, self._process, self._relay, self._token = env, process, relay, page_token

    @property
    def url(self) -> str:
        """Return the address of the server."""
        return f"https://{self.env['HOPSWORKS_HOST']}:{self.env['HOPSWORKS_PORT']}"

    @property
    def pages(self) -> str:
        """Return a link that opens the server's pages, and nothing else, in a browser."""
        return f"{self.url}/login?token={self._token}"

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        return self._process.pid

    def stop(self) -> None:
        """End the server. It also ends when this process ends, unless a fork of this process still
        runs."""
        assert self._process.stdin
        if not self._process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                # closing is not enough, since a fork may hold the pipe open
                self._process.stdin.write("\n")
                self._process.stdin.close()
        self._process.wait()
        self._relay.join(5)  # its last messages
        shutil.rmtree(self.env["HOPSWORKS_CERT_FOLDER"], ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def _relay(output: IO[str]) -> None:
    """Copy the server's messages to this process's standard error (in a notebook, to the cell)."""
    for line in output:
        print(line, end="", file=sys.stderr, flush=True)


def start(
    root: str | os.PathLike[str] | None = None,
    project: str | None = None,
    training_dataset_quota: int | None = None,
    *,
    any_key: bool = False,
    any_project: bool = False,
) -> Server:
    """Start a server as a child process and return when it is ready.

    `root` is the data folder (default: $HOPSWORKS_LOCAL_ROOT or ./.hopsworks); several servers may
    share one. `project` is the project's name (default: $HOPSWORKS_LOCAL_PROJECT or "local").
    `training_dataset_quota` refuses more training datasets than that, as some clusters do.
    `any_key` accepts any API key, `any_project` takes the project name that a login asks for.
    RuntimeError says why a server could not start: a damaged data folder, or one of another version.
    ValueError: the project's name is illegal.
    """
    project = project_name(project)
    package = Path(__file__).resolve().parent
    path = [str(package.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    settings = {
        "root": root and os.fspath(root),
        "project": project,
        "quota": training_dataset_quota,
        "any_key": any_key,
        "any_project": any_project,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", f"{package.name}.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        # Ctrl-C is for this process, which then ends the server; and a Jupyter kernel that finds a
        # child in its own group never ends by itself, so that nothing is tidied up.
        process_group=0,
    )
    assert process.stdin
    with contextlib.suppress(BrokenPipeError):  # it has ended already; its output says why
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
    info = _wait_until_ready(process)
    assert process.stderr
    relay = threading.Thread(target=_relay, args=(process.stderr,), daemon=True)
    relay.start()
    token = info.pop("page_token")
    return Server(process, client_env(**info), relay, token)


def _wait_until_ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the server says when it is ready, or raise its reason why it is not."""
    assert process.stdout
    assert process.stderr
    begin, hangs = time.monotonic(), threading.Timer(START_SECONDS, process.kill)
    hangs.daemon = True
    hangs.start()
    line = process.stdout.readline()
    hangs.cancel()
    if line:
        info: dict[str, Any] = json.loads(line)
        return info
    reason = process.stderr.read().strip()
    process.wait()
    if time.monotonic() - begin >= START_SECONDS:
        reason = f"hopsworks_local was not ready within {START_SECONDS} s. {reason}".strip()
    raise RuntimeError(reason or f"hopsworks_local ended with {process.returncode}")


def project_name(given: str | None) -> str:
    """Return the project's name: the given one, $HOPSWORKS_LOCAL_PROJECT or "local"."""
    project = given or os.environ.get("HOPSWORKS_LOCAL_PROJECT") or "local"
    if not PROJECT_NAME.fullmatch(project):
        raise ValueError(f"illegal project name {project!r}")
    return project


def client_env(host: str, port: int, project: str, api_key: str) -> dict[str, str]:
    """Return the variables that the client reads, with a certificate folder of their own."""
    exempt = os.environ.get("NO_PROXY", "") + "," + os.environ.get("no_proxy", "")
    no_proxy = ",".join(dict.fromkeys([*filter(None, exempt.split(",")), host, "localhost"]))
    return {
        "HOPSWORKS_HOST": host,
        "HOPSWORKS_PORT": str(port),
        "HOPSWORKS_PROJECT": project,
        "HOPSWORKS_API_KEY": api_key,
        "HOPSWORKS_ENGINE": "python",  # otherwise an installed pyspark would be used
        "HOPSWORKS_HOSTNAME_VERIFICATION": "False",
        # The client makes this folder and deletes its certificates in it when it ends: with a
        # shared folder, one program would delete another's.
        "HOPSWORKS_CERT_FOLDER": f"{tempfile.gettempdir()}/hopsworks-certs-{secrets.token_hex(8)}",
        # A proxy for HTTPS would be asked even for 127.0.0.1.
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }

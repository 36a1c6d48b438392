"""Run both apps: on a cluster with HOPSWORKS_API_KEY, otherwise on the local Hopsworks.

    python -m apps.run --predictor-port 7870 --monitor-port 7871

`make apps` runs it. The apps' output goes to reports/predictor.log and reports/monitor.log.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import click

from apps.assemble import assemble, sources
from wine.cli import run
from wine.connection import local_server
from wine.errors import BadInput, WineError
from wine.paths import REPORTS, local_hopsworks

START_SECONDS = 180  # for both to answer, on a slow machine
PORT = click.IntRange(1, 65535)


@click.command(help=__doc__)
@click.option("--predictor-port", type=PORT, default=7860, show_default=True)
@click.option("--monitor-port", type=PORT, default=7861, show_default=True)
def main(predictor_port: int, monitor_port: int) -> None:
    """Start both apps, print their addresses when they answer, and stop them with Ctrl-C."""
    if predictor_port == monitor_port:
        raise BadInput(f"both apps have port {monitor_port}: choose another for one of them")
    ports = {"predictor": predictor_port, "monitor": monitor_port}
    for space, port in ports.items():
        check_free(space, port)
    env = dict(os.environ)
    if not env.get("HOPSWORKS_API_KEY"):
        if not local_hopsworks().is_dir():
            raise WineError(f"no local Hopsworks in {local_hopsworks()}: run make pipeline first")
        env |= local_server().env
    env = links_to_each_other(ports) | env
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # they stop it as Ctrl-C does
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        apps = {}
        for space, port in ports.items():
            apps[space] = start(space, assemble(sources(space), folder / space), port, env)
            stack.callback(stop, apps[space])
        wait_until_they_answer(apps, ports)
        for space, port in ports.items():
            click.echo(f"{space:<10} http://127.0.0.1:{port}")
        click.echo("Ctrl-C ends them.")
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                check_alive(apps)
                time.sleep(0.5)


def links_to_each_other(ports: dict[str, int]) -> dict[str, str]:
    """Return the variables by which each app links to the other."""
    return {f"{space.upper()}_URL": f"http://127.0.0.1:{port}" for space, port in ports.items()}


def check_free(space: str, port: int) -> None:
    """Raise BadInput if the port cannot be used."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            name = f"{space.upper()}_PORT"
            raise BadInput(
                f"port {port} of the {space} cannot be used ({error.strerror}): "
                f"choose another, for example make apps {name}={port + 10}"
            ) from error


def start(space: str, folder: Path, port: int, env: dict[str, str]) -> subprocess.Popen:
    """Start an app in its assembled folder; return the process."""
    REPORTS.mkdir(exist_ok=True)
    with open(REPORTS / f"{space}.log", "w") as log:
        return subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=folder,
            env=env | {"GRADIO_SERVER_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def stop(process: subprocess.Popen) -> None:
    """Stop an app that may have stopped already."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_until_they_answer(apps: dict[str, subprocess.Popen], ports: dict[str, int]) -> None:
    """Wait until both serve their page; WineError if one stops or takes too long."""
    until = time.monotonic() + START_SECONDS
    for space, port in ports.items():
        while not answers(port):
            check_alive(apps)
            if time.monotonic() > until:
                raise WineError(f"the {space} does not answer: see {REPORTS}/{space}.log")
            time.sleep(0.2)


def answers(port: int) -> bool:
    """Tell whether a page is served at the port."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"http://127.0.0.1:{port}", timeout=10) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def check_alive(apps: dict[str, subprocess.Popen]) -> None:
    """Raise WineError if an app has stopped."""
    for space, process in apps.items():
        if process.poll() is not None:
            raise WineError(
                f"the {space} stopped with exit code {process.returncode}: see {REPORTS}/{space}.log"
            )


if __name__ == "__main__":
    run(main)

"""Local Hopsworks servers that go away and come back, and the ports they keep meanwhile."""

import socket
import subprocess

from hopsworks_local import client_env

SERVER = """
import sys
from pathlib import Path
from hopsworks_local.server import run
root, port, key = sys.argv[1:]
running = run(Path(root), "wine", int(port))
running.app.api_key = key
print(running.info["port"], flush=True)
sys.stdin.read()  # until the tests end, however they do
"""


def reserved():
    """A socket whose free port nobody else is given, and that refuses connections.

    It never listens, so a server may: both have SO_REUSEADDR, as servers have.
    """
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    return place


def port_of(place):
    """The port of a socket."""
    return place.getsockname()[1]


class Hopsworks:
    """A local Hopsworks that can be killed, and started again at the same port with its key.

    A cluster keeps its keys; ``hopsworks_local`` makes one at every start, so it is told this.
    """

    def __init__(self, pipeline, key="0123456789abcdef.of-these-tests"):
        self.pipeline, self.place = pipeline, reserved()
        self.env = client_env("127.0.0.1", port_of(self.place), "wine", key)
        self.start()

    def start(self, key=None):
        """Start it, with another key if one is given."""
        key = key or self.env["HOPSWORKS_API_KEY"]
        self.process = self.pipeline.start(
            *("-c", SERVER, self.pipeline.store, port_of(self.place), key), stdin=subprocess.PIPE
        )
        assert int(self.process.stdout.readline()) == port_of(self.place)

    def kill(self):
        self.process.kill()
        self.process.communicate()

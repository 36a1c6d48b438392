"""Local Hopsworks servers that go away and come back, and the ports they keep meanwhile."""

import contextlib
import socket
import subprocess
import threading

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


class Wire:
    """A TCP wire from a port of its own to a server, which can be cut and mended."""

    def __init__(self, server_port):
        self.server_port, self.place, self.sockets = int(server_port), reserved(), []
        self.port = port_of(self.place)

    def mend(self):
        """From now on connections are forwarded."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.sockets.append(listener)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self):
        """Drop every connection and refuse new ones."""
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.sockets.clear()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.server_port))
                self.sockets += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

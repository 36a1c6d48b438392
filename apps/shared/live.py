"""A value read from Hopsworks in a background thread and shown to all visitors.

The last value stays while Hopsworks is unavailable. Nothing is read while no page is open.
"""

import atexit
import concurrent.futures
import datetime
import functools
import logging
import os
import shutil
import ssl
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

PUBLIC_HOST = "eu-west.cloud.hopsworks.ai"
SLOW_SECONDS = 20  # an answer that takes longer is reported on the page
GIVE_UP_SECONDS = 300  # then it is asked for again, over a new connection


class NotConnected(Exception):
    """Hopsworks cannot be reached or refuses; the message says what to do about it."""


class NothingToShow(Exception):
    """Hopsworks has nothing that can be shown; the message tells visitors why."""


@dataclass(frozen=True)
class State:
    """The last good ``value``, when it was read, and the trouble since then."""

    value: Any = None
    as_of: datetime.datetime | None = None
    trouble: str | None = None
    connected: bool = False  # whether Hopsworks answered, even with nothing to show
    rounds: int = 0  # reads that have ended, with or without success


class Live:
    """The value of ``read(project, last value)``, read again when older than ``seconds``.

    One ``read`` runs at a time, however many pages are open; one that takes longer than
    GIVE_UP_SECONDS is abandoned. The thread starts with ``start``, or when the value is first
    asked for. ``log_in`` returns the project (default: ``connect``).
    """

    def __init__(
        self,
        read: Callable[[Any, Any], Any],
        seconds: float,
        log_in: Callable[[], Any] | None = None,
    ) -> None:
        self._read, self.seconds, self._log_in = read, seconds, log_in or connect
        self._state = State()
        self._wanted = threading.Event()
        self._changed = threading.Condition()
        self._began = self._ended = 0.0
        self._thread = threading.Thread(target=self._run, name="hopsworks", daemon=True)
        self._starting = threading.Lock()

    def start(self) -> "Live":
        """Start reading, unless it has started; return this object."""
        with self._starting:
            if self._thread.ident is None:
                self._wanted.set()
                self._thread.start()
        return self

    def now(self) -> State:
        """Return the state at once; if it is old, a new read begins in the background."""
        self.start()
        now, reading = time.monotonic(), self._began > self._ended
        if not reading and now - self._ended > self.seconds:
            self._wanted.set()
        if reading and now - self._began > SLOW_SECONDS:
            trouble = f"{_host()} has not answered for more than {SLOW_SECONDS} seconds."
            return replace(self._state, trouble=trouble, connected=False)
        return self._state

    def first(self, timeout: float = 15) -> State:
        """Return the state after the first read, or after ``timeout`` seconds."""
        self.start()
        with self._changed:
            self._changed.wait_for(lambda: self._state.rounds > 0, timeout)
        return self.now()

    def refreshed(self, timeout: float = 15) -> State:
        """Return the state after one more read, or after ``timeout`` seconds."""
        self.start()
        with self._changed:
            seen = self._state.rounds
            self._wanted.set()
            self._changed.wait_for(lambda: self._state.rounds > seen, timeout)
        return self.now()

    def _run(self) -> None:
        project = None
        changes: dict[str, Any]
        while True:
            self._wanted.wait()
            self._wanted.clear()
            self._began = time.monotonic()
            try:
                project = project or _in_time(self._log_in)
                value = _in_time(self._read, project, self._state.value)
                now = datetime.datetime.now(datetime.UTC)
                changes = {"value": value, "as_of": now, "trouble": None, "connected": True}
            except NothingToShow as error:
                changes = {"trouble": str(error), "connected": True}
            except Exception as error:  # any error is shown on the page
                if not isinstance(error, NotConnected):
                    logging.warning("reading from Hopsworks failed", exc_info=error)
                project = None  # log in again: the server may have been replaced
                changes = {"trouble": in_words(error), "connected": False}
            self._ended = time.monotonic()
            with self._changed:
                self._state = replace(self._state, rounds=self._state.rounds + 1, **changes)
                self._changed.notify_all()


def refresh_seconds() -> float:
    """Return REFRESH_SECONDS, the age at which a value is read again; exit with 2 if it is wrong."""
    text = os.environ.get("REFRESH_SECONDS") or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 1 <= seconds <= 86400:
        print(f"error: REFRESH_SECONDS is {text!r}: give seconds from 1 to 86400", file=sys.stderr)
        sys.exit(2)
    return seconds


def connect() -> Any:
    """Log in with the ``HOPSWORKS_*`` variables and return the project.

    It never asks on the terminal: without a key it raises NotConnected at once.
    """
    key = os.environ.get("HOPSWORKS_API_KEY")
    if not key:
        raise NotConnected("HOPSWORKS_API_KEY is not set.")
    # with a key for several projects the client asks which one: without input it fails instead
    sys.stdin = open(os.devnull)  # noqa: SIM115 - for as long as the app runs
    import hopsworks
    import urllib3

    # with verification switched off, the warning would come at every call
    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
    logging.getLogger().setLevel(logging.WARNING)  # which the client's import set to INFO
    hopsworks.logout()
    # the client's own folder for certificates is shared by all processes and emptied by each
    try:
        project = hopsworks.login(
            host=_host(),
            api_key_value=key,
            cert_folder=_own_folder(),
            # or any server could get the key; HOPSWORKS_HOSTNAME_VERIFICATION overrides it
            hostname_verification=True,
        )
    except EOFError as error:
        raise NotConnected("This key sees several projects: set HOPSWORKS_PROJECT.") from error
    if project is None:
        raise NotConnected(f"{_host()} has no project for this key: create one there first.")
    return project


def in_words(error: Exception) -> str:
    """Return what went wrong as a sentence for visitors."""
    if isinstance(error, NotConnected):
        return str(error)
    cause: BaseException | None = error
    status = None
    while cause is not None:
        status = getattr(getattr(cause, "response", None), "status_code", status)
        if isinstance(cause, ssl.SSLError):
            return (
                f"The certificate of {_host()} is not trusted: if it is the cluster's own, name it in "
                "HOPSWORKS_TRUST_STORE_PATH, or set HOPSWORKS_HOSTNAME_VERIFICATION to false."
            )
        if (
            isinstance(cause, ConnectionError | TimeoutError)
            or "Connection" in type(cause).__name__
            or "Unavailable" in type(cause).__name__  # pyarrow.flight's
        ):
            return f"{_host()} cannot be reached."
        cause = cause.__cause__ or cause.__context__
    if status in (401, 403):
        return f"{_host()} refused the API key: check HOPSWORKS_API_KEY and its scopes."
    if type(error).__name__ == "ProjectException":
        project = os.environ.get("HOPSWORKS_PROJECT")
        return f"{_host()} has no project {project} for this key: check HOPSWORKS_PROJECT."
    lines = str(error).strip().splitlines() or [""]
    return f"{_host()} answered with an error: {type(error).__name__}: {lines[0][:160]}"


def _host() -> str:
    return os.environ.get("HOPSWORKS_HOST") or PUBLIC_HOST


def _in_time(function: Callable[..., Any], *args: Any) -> Any:
    """Return ``function(*args)``; NotConnected after GIVE_UP_SECONDS.

    The client sets no timeouts: a stalled connection would block it for ever. Its thread is
    left behind and ends with the process.
    """
    outcome: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def work() -> None:
        try:
            outcome.set_result(function(*args))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    concurrent.futures.wait([outcome], GIVE_UP_SECONDS)
    if not outcome.done():
        raise NotConnected(f"{_host()} did not answer within {GIVE_UP_SECONDS} seconds.")
    return outcome.result()


@functools.cache
def _own_folder() -> str:
    folder = tempfile.mkdtemp(prefix="hopsworks-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # it holds the certificates' keys
    return folder

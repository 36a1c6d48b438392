"""Log in to Hopsworks: to a cluster when ``HOPSWORKS_API_KEY`` is set, else to a local server.

The ``hopsworks`` client is used unmodified for both. Its banners, bars and info messages are kept
off the screen; its errors are not. An empty variable counts as not set, since GitHub passes
undefined variables as empty ones.
"""

import concurrent.futures
import functools
import logging
import os
import re
import ssl
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from typing import Any

from wine.errors import BadInput, WineError
from wine.paths import PROJECT, local_hopsworks
from wine.retry import call, causes, first_line, patience

PUBLIC_HOST = "eu-west.cloud.hopsworks.ai"
LOGIN_SECONDS = 10  # for a login, besides the patience; the client itself would wait for ever

_place = "Hopsworks"  # what connect() led to, for messages


def connect() -> Any:
    """Log in and return the Hopsworks project; print one line that says which it is.

    With ``HOPSWORKS_API_KEY`` (and ``HOPSWORKS_HOST``, ``_PORT``, ``_PROJECT`` as needed) a
    cluster; without, ``hopsworks_local`` is started as a child process that ends with this one.
    Raises BadInput when a variable is wrong, or the key or project is refused (never a fallback
    to local); WineError when the host cannot be reached within the patience.
    """
    # before the client's import, which would otherwise set the root logger to INFO and draw bars
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    os.environ["TQDM_DISABLE"] = "1"
    import tqdm.asyncio
    import tqdm.auto

    tqdm.auto.tqdm = tqdm.asyncio.tqdm  # a notebook's bars ignore TQDM_DISABLE
    for name in [name for name in os.environ if name.startswith("HOPSWORKS_")]:
        if not os.environ[name]:
            del os.environ[name]
    _check_variables()
    import hopsworks
    import hsfs  # noqa: F401 - the client would import it later, and undo the filters below

    # after these imports, which set filters of their own
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Incremented version")  # printed at every read
    # it logs the traceback of every error that it then raises
    logging.getLogger("hsfs.core.arrow_flight_client").setLevel(logging.CRITICAL)

    settings, where = _settings()
    stdin = sys.stdin
    try:
        with open(os.devnull) as sys.stdin:  # the client would ask for a project, unseen
            project = _within(patience() + LOGIN_SECONDS, call, hopsworks.login, **settings)
    except (EOFError, NotImplementedError) as error:  # the second is a notebook's own
        raise BadInput("this key sees several projects: set HOPSWORKS_PROJECT") from error
    except Exception as error:
        raise _explain(error, settings["host"]) from error
    finally:
        sys.stdin = stdin
    if project is None:
        raise BadInput(f"{settings['host']} has no project for this key: create one there first")
    global _place
    _place = f"Hopsworks ({where}, project {project.name})"
    print(f"Hopsworks: {where}, project {project.name}")
    return project


def place() -> str:
    """Return what ``connect`` led to: a cluster's host or the local data folder."""
    return _place


def _within(seconds: float, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return ``function(*args, **kwargs)``, or raise WineError after ``seconds``.

    The client sets no timeouts: a host that drops packets, or takes the connection and never
    answers, would block a program for ever. The thread is left behind and ends with the process.
    """
    outcome: concurrent.futures.Future = concurrent.futures.Future()
    stdout = sys.stdout

    def work() -> None:
        try:
            outcome.set_result(function(*args, **kwargs))
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return outcome.result(seconds)
    except concurrent.futures.TimeoutError:
        if outcome.done():  # the function's own TimeoutError
            raise
        sys.stdout = stdout  # which the thread that is left behind has redirected
        raise WineError(
            f"Hopsworks did not answer within {seconds:g} s: check HOPSWORKS_HOST and "
            "HOPSWORKS_PORT, or run again later. Nothing was lost."
        ) from None


def _settings() -> tuple[dict[str, Any], str]:
    """Return the arguments for ``hopsworks.login`` and a name for where they lead."""
    key, host = os.environ.get("HOPSWORKS_API_KEY"), os.environ.get("HOPSWORKS_HOST")
    settings = {
        # the client's own certificate folder is shared by all processes, and emptied by each
        "cert_folder": _own_folder().name,
        "engine": "python",  # everything here is pandas; an installed pyspark would be used
        # else the key would go to any host that answers; the variable of that name comes first
        "hostname_verification": True,
    }
    if key:
        host = host or PUBLIC_HOST
        return settings | {"host": host, "api_key_value": key}, host
    if host:
        raise BadInput(
            f"HOPSWORKS_HOST is {host} but HOPSWORKS_API_KEY is not set: "
            "set both for a cluster, or neither for the local server"
        )
    server = local_server()
    for name in ("NO_PROXY", "no_proxy"):  # else a proxy for HTTPS is used even for 127.0.0.1
        os.environ[name] = server.env[name]
    os.environ.pop("HOPSWORKS_HOSTNAME_VERIFICATION", None)  # its certificate is its own
    settings |= {
        "host": server.env["HOPSWORKS_HOST"],
        "port": int(server.env["HOPSWORKS_PORT"]),
        "project": server.env["HOPSWORKS_PROJECT"],
        "hostname_verification": False,
        "api_key_value": server.env["HOPSWORKS_API_KEY"],
    }
    return settings, f"local in {local_hopsworks()}"


def _check_variables() -> None:
    """Raise BadInput for the first variable that cannot be right, before anything is done."""
    patience()
    port = os.environ.get("HOPSWORKS_PORT", "443")
    if not (re.fullmatch(r"\d{1,5}", port) and 0 < int(port) < 65536):
        raise BadInput(f"HOPSWORKS_PORT is {port!r}: give a number from 1 to 65535")
    for name, pattern, hint in (
        ("HOST", r"[\w.-]+", f"give the host's name alone, as {PUBLIC_HOST}"),
        # the client would take anything else for no, and trust any host
        ("HOSTNAME_VERIFICATION", "(?i)true|1|y|yes|false|0|n|no", "give true or false"),
        ("STREAM", "[01]", "give 1 to write through Kafka, or 0"),
    ):
        value = os.environ.get(f"HOPSWORKS_{name}")
        if value and not re.fullmatch(pattern, value):
            raise BadInput(f"HOPSWORKS_{name} is {value!r}: {hint}")
    if not re.fullmatch(r"[!-~]*", os.environ.get("HOPSWORKS_API_KEY", "")):  # never shown
        raise BadInput(
            "HOPSWORKS_API_KEY contains a space, a line break or an invalid character: copy it again"
        )
    trusted = os.environ.get("HOPSWORKS_TRUST_STORE_PATH")
    if trusted and not os.path.exists(trusted):
        raise BadInput(f"HOPSWORKS_TRUST_STORE_PATH is {trusted!r}: there is no such file")


def streams() -> bool:
    """Return whether to write through Kafka, for clusters whose file system cannot be reached."""
    return os.environ.get("HOPSWORKS_STREAM") == "1"


@functools.cache
def local_server() -> Any:
    """Start the local Hopsworks of this process; ``.env`` has the variables that lead to it."""
    try:
        import hopsworks_local
    except ModuleNotFoundError as error:
        raise BadInput(
            "HOPSWORKS_API_KEY is not set, and the local Hopsworks is not installed: set the key, "
            f"or run: pip install --no-deps -e '{PROJECT}/packages/hopsworks-local'"
        ) from error
    try:
        return hopsworks_local.start(local_hopsworks(), project="wine")
    except RuntimeError as error:  # a damaged data folder, or none that can be used
        raise WineError(f"{error}; HOPSWORKS_LOCAL_ROOT can name another folder") from error


@functools.cache
def _own_folder() -> tempfile.TemporaryDirectory:
    """Return a folder that is removed when the process ends, which this cache waits for."""
    return tempfile.TemporaryDirectory(prefix="hopsworks-")


def _explain(error: Exception, host: str) -> WineError:
    """Return the error of a failed login as one line a person can act on."""
    from hopsworks.client.exceptions import ProjectException, RestAPIError

    if isinstance(error, WineError):
        return error
    cause = next((link for link in causes(error) if isinstance(link, RestAPIError)), None)
    if any(isinstance(link, ssl.SSLError) for link in causes(error)):
        return BadInput(
            f"the certificate of {host} is not trusted: if it is the cluster's own, name it in "
            "HOPSWORKS_TRUST_STORE_PATH, or set HOPSWORKS_HOSTNAME_VERIFICATION=false"
        )
    if cause is not None and cause.response.status_code in (401, 403):
        return BadInput(f"{host} refused the API key: check HOPSWORKS_API_KEY and its scopes")
    project = os.environ.get("HOPSWORKS_PROJECT")
    missing = cause is not None and cause.response.status_code == 404
    if missing and project is None:
        return BadInput(f"{host} is not a Hopsworks server: check HOPSWORKS_HOST")
    if project and (missing or isinstance(error, ProjectException)):
        return BadInput(f"{host} has no project {project!r} for this key: check HOPSWORKS_PROJECT")
    return WineError(f"could not log in to {host}: {first_line(error)}")

"""One way to Hopsworks: a real cluster when ``HOPSWORKS_API_KEY`` is set, else a local server.

The ``hopsworks`` client is used unmodified for both. What it prints on its own account (banners,
bars, info logging) is kept off the screen; its errors are not. Trouble that passes (a server
that is away, two writers that collide) is borne for ``WINE_PATIENCE`` seconds, 120 by default,
in all that a program does: all that is written here is keyed by its content, so trying again is
safe. A variable that is set but empty, as GitHub passes one that nobody defined, is not given.
"""

import concurrent.futures
import contextlib
import errno
import functools
import io
import logging
import os
import re
import ssl
import sys
import tempfile
import threading
import warnings

import tenacity

from wine.errors import BadInput, WineError
from wine.paths import PROJECT, local_hopsworks

PUBLIC_HOST = "eu-west.cloud.hopsworks.ai"
# another run made a feature group, view, file or folder, or is just replacing a file, between
# the client's question whether it is there and what the client did then
OVERTAKEN = {270089, 270179, 110012, 110047, 110018}
LOGIN_SECONDS = 10  # for a login beside the patience; the client itself would wait for ever

_place = "Hopsworks"  # what connect() led to, for messages
_borne = 0.0  # seconds that this program has spent on trouble so far


def connect():
    """Log in and return the Hopsworks project; prints one line that says which it is.

    With ``HOPSWORKS_API_KEY`` (and ``HOPSWORKS_HOST``, ``_PORT``, ``_PROJECT`` as needed) a
    cluster; without, ``hopsworks_local`` is started as a child process that ends with this one.
    Raises BadInput when a variable is wrong or the key or project refused, and never falls back to
    local then; WineError when the host cannot be reached within the patience.
    """
    # before the client's import, which would otherwise set the root logger to INFO and draw bars
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    os.environ["TQDM_DISABLE"] = "1"
    import tqdm.asyncio
    import tqdm.auto

    tqdm.auto.tqdm = tqdm.asyncio.tqdm  # as outside a notebook, whose bars do not heed TQDM_DISABLE
    for name in [name for name in os.environ if name.startswith("HOPSWORKS_")]:
        if not os.environ[name]:
            del os.environ[name]
    _check_variables()
    import hopsworks
    import hsfs  # noqa: F401 - the client would import it later, and undo the filters below

    # after these imports, which set filters of their own
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", message="Incremented version")  # said at every read
    # it logs the traceback of every error that it then raises
    logging.getLogger("hsfs.core.arrow_flight_client").setLevel(logging.CRITICAL)

    settings, where = _settings()
    answers = sys.stdin
    try:
        with open(os.devnull) as sys.stdin:  # the client would ask which project, and be hidden
            project = _within(patience() + LOGIN_SECONDS, call, hopsworks.login, **settings)
    except (EOFError, NotImplementedError) as error:  # the second is a notebook's own
        raise BadInput("this key sees several projects: set HOPSWORKS_PROJECT") from error
    except Exception as error:
        raise _explained(error, settings["host"]) from error
    finally:
        sys.stdin = answers
    if project is None:
        raise BadInput(f"{settings['host']} has no project for this key: create one there first")
    global _place
    _place = f"Hopsworks ({where}, project {project.name})"
    print(f"Hopsworks: {where}, project {project.name}")
    return project


def place():
    """Return what ``connect`` led to: a cluster's host or the local data folder."""
    return _place


def call(function, *args, **kwargs):
    """``function(*args, **kwargs)``, quietly, and again with backoff while trouble passes.

    Raises WineError that names the trouble when it has not passed within the patience; what
    cannot pass by waiting (a refusal, a missing thing) is raised at once, as the client has it.
    """
    global _borne
    bound = patience()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_passing),
        wait=tenacity.wait_exponential_jitter(initial=0.5, max=15),
        # no sleep reaches beyond the bound, and what earlier calls bore counts too: a server
        # that comes and goes cannot hold a program up call after call
        stop=lambda state: _borne + (state.seconds_since_start or 0) + state.upcoming_sleep > bound,
        before_sleep=_say_retry,
        reraise=True,
    )
    try:
        return retrying(_quietly, function, *args, **kwargs)
    except Exception as error:
        if is_passing(error):
            raise WineError(
                f"trouble with Hopsworks did not pass within {bound:g} s "
                f"({_first_line(error)}): try again later, nothing was lost"
            ) from error
        raise
    finally:
        _borne += retrying.statistics.get("delay_since_first_attempt", 0.0)


def patience():
    """Seconds for which passing trouble is borne: ``WINE_PATIENCE``, 120 by default."""
    text = os.environ.get("WINE_PATIENCE") or "120"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise BadInput(f"WINE_PATIENCE is {text!r}: give seconds from 0 to 3600")
    return seconds


def is_passing(error):
    """True when the same call may succeed a little later: no answer, overload, or a collision."""
    import pyarrow.flight
    import requests
    from deltalake.exceptions import CommitFailedError, DeltaError
    from hopsworks.client.exceptions import RestAPIError

    for link in _chain(error):
        if isinstance(link, requests.exceptions.SSLError):
            return False
        if isinstance(
            link,
            requests.ConnectionError
            | requests.Timeout
            | CommitFailedError
            | pyarrow.flight.FlightUnavailableError
            | pyarrow.flight.FlightTimedOutError,
        ):
            return True
        if isinstance(link, DeltaError) and "already exists" in str(link):
            return True  # another run made the table in between
        if isinstance(link, RestAPIError):
            status = link.response.status_code
            overtaken = getattr(link, "error_code", None) in OVERTAKEN
            return overtaken or status == 429 or (status >= 500 and status != 501)
    return False


def refusal(error):
    """The WineError for an error that says no without being a bug here; None for any other.

    For example a disk that is full, a damaged table, a key that was withdrawn in the middle.
    """
    from deltalake.exceptions import DeltaError
    from hopsworks.client.exceptions import FeatureStoreException, RestAPIError

    for link in _chain(error):
        if isinstance(link, RestAPIError) and link.response.status_code in (401, 403):
            return BadInput("Hopsworks refused the API key: check HOPSWORKS_API_KEY and its scopes")
    if isinstance(error, RestAPIError | FeatureStoreException | DeltaError) or (
        isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO)
    ):
        return WineError(f"stopped by {_first_line(error)}; once that is mended, run it again")
    return None


def _within(seconds, function, *args, **kwargs):
    """``function(*args, **kwargs)``, given up after ``seconds`` with a WineError.

    The client sets no timeouts: a host that drops packets, or takes the connection and never
    answers, would hold a program for ever. Its thread is left behind and ends with the process.
    """
    outcome: concurrent.futures.Future = concurrent.futures.Future()
    stdout = sys.stdout

    def work():
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
        sys.stdout = stdout  # which the thread left behind keeps quiet
        raise WineError(
            f"Hopsworks did not answer within {seconds:g} s: check HOPSWORKS_HOST and "
            "HOPSWORKS_PORT, or try again later; nothing was lost"
        ) from None


def _settings():
    """Arguments for ``hopsworks.login`` and a name for where they lead."""
    key, host = os.environ.get("HOPSWORKS_API_KEY"), os.environ.get("HOPSWORKS_HOST")
    settings = {
        # the client's own certificate folder is shared by all, and emptied by each at its end
        "cert_folder": os.environ.get("HOPSWORKS_CERT_FOLDER") or _own_folder().name,
        "engine": "python",  # everything here is pandas; an installed pyspark would be taken
        # or the key would go to whoever answers; HOPSWORKS_HOSTNAME_VERIFICATION comes first
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
    for name in ("NO_PROXY", "no_proxy"):  # or a proxy for HTTPS is asked even for 127.0.0.1
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


def _check_variables():
    """Raises BadInput for the first variable that cannot be right, before anything is done."""
    patience()
    streams()
    port = os.environ.get("HOPSWORKS_PORT", "443")
    if not (port.isdecimal() and 0 < int(port) < 65536):
        raise BadInput(f"HOPSWORKS_PORT is {port!r}: give a number from 1 to 65535")
    host = os.environ.get("HOPSWORKS_HOST", PUBLIC_HOST)
    if not re.fullmatch(r"[\w.-]+", host):
        raise BadInput(f"HOPSWORKS_HOST is {host!r}: give the host's name alone, as {PUBLIC_HOST}")
    if not re.fullmatch(r"[!-~]*", os.environ.get("HOPSWORKS_API_KEY", "")):  # never shown
        raise BadInput(
            "HOPSWORKS_API_KEY has a space, a line end or a letter in it that no key has: copy it anew"
        )
    verify = os.environ.get("HOPSWORKS_HOSTNAME_VERIFICATION", "true")
    if verify.lower() not in ("true", "1", "y", "yes", "false", "0", "n", "no"):
        # the client would take it for no, and trust whoever answers
        raise BadInput(f"HOPSWORKS_HOSTNAME_VERIFICATION is {verify!r}: give true or false")
    trusted = os.environ.get("HOPSWORKS_TRUST_STORE_PATH")
    if trusted and not os.path.exists(trusted):
        raise BadInput(f"HOPSWORKS_TRUST_STORE_PATH is {trusted!r}: there is no such file")
    certificates = os.environ.get("HOPSWORKS_CERT_FOLDER")
    if certificates:
        try:
            os.makedirs(certificates, exist_ok=True)
        except OSError as error:
            raise BadInput(
                f"HOPSWORKS_CERT_FOLDER is {certificates!r}: {error.strerror}; "
                "give a folder that can be written"
            ) from error


def streams():
    """True to write through Kafka, for clusters whose file system is not reachable from here."""
    text = os.environ.get("HOPSWORKS_STREAM") or "0"
    if text not in ("0", "1"):
        raise BadInput(f"HOPSWORKS_STREAM is {text!r}: give 1 to write through Kafka, or 0")
    return text == "1"


@functools.cache
def local_server():
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
def _own_folder():
    """Return a folder that is removed when the process ends, which this cache waits for."""
    return tempfile.TemporaryDirectory(prefix="hopsworks-")


def _quietly(function, *args, **kwargs):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, **kwargs)


def _say_retry(state):
    print(
        f"Hopsworks: {_first_line(state.outcome.exception())}; "
        f"trying again in {state.next_action.sleep:.0f} s",
        flush=True,
    )


def _explained(error, host):
    """The error of a failed login as one line a person can act on."""
    from hopsworks.client.exceptions import RestAPIError

    if isinstance(error, WineError):
        return error
    cause = next((link for link in _chain(error) if isinstance(link, RestAPIError)), None)
    if any(isinstance(link, ssl.SSLError) for link in _chain(error)):
        return BadInput(
            f"the certificate of {host} is not trusted: if it is the cluster's own, name it in "
            "HOPSWORKS_TRUST_STORE_PATH, or set HOPSWORKS_HOSTNAME_VERIFICATION=false"
        )
    if cause is not None and cause.response.status_code in (401, 403):
        return BadInput(f"{host} refused the API key: check HOPSWORKS_API_KEY and its scopes")
    if cause is not None and cause.response.status_code == 404:
        project = os.environ.get("HOPSWORKS_PROJECT")
        if project is None:
            return BadInput(f"{host} does not answer as a Hopsworks does: check HOPSWORKS_HOST")
        return BadInput(f"{host} has no project {project!r} for this key: check HOPSWORKS_PROJECT")
    return WineError(f"could not log in to {host}: {_first_line(error)}")


def _chain(error):
    """An error and what it came from, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error):
    from hopsworks.client.exceptions import RestAPIError

    if isinstance(error, RestAPIError):
        said = error.user_message or error.response.reason
        text = f"HTTP {error.response.status_code}, {said}"
    else:
        # the reason inside a failed connection says more than the sentences wrapped around it
        reasons = (getattr(link, "reason", None) for link in _chain(error))
        inside = next((reason for reason in reasons if isinstance(reason, Exception)), error)
        text = str(inside).strip()
    text = re.split(r"\.* Detail: | gRPC client debug context", text)[0]  # of use to nobody here
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"[:200]

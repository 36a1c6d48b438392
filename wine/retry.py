"""Calls to Hopsworks: quiet, and repeated while the trouble is transient.

A server that is away, or two writers that collide, are retried for ``WINE_PATIENCE`` seconds, 120
by default, over the whole program. Everything written here is keyed by its content, so a retry is
safe.
"""

import contextlib
import errno
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import tenacity

from wine.errors import BadInput, WineError

# another run created a feature group, view, file or folder, or is replacing a file, between the
# client's check that it is missing and the client's next call
OVERTAKEN = {270089, 270179, 110012, 110047, 110018}
UNUSABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES, errno.EROFS}  # a disk or a folder

_retry_seconds_used = 0.0  # by this program so far


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return ``function(*args, **kwargs)``, called quietly and retried with backoff.

    Raises WineError when Hopsworks is still unavailable after the patience. An error that waiting
    cannot fix (a refusal, something missing) is raised at once, as the client raises it.
    """
    global _retry_seconds_used
    limit = patience()
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_transient),
        wait=tenacity.wait_exponential_jitter(initial=0.5, max=15),
        # no sleep reaches beyond the limit, and earlier calls count, too: a server that comes and
        # goes cannot delay a program call after call
        stop=lambda state: (
            _retry_seconds_used + (state.seconds_since_start or 0) + state.upcoming_sleep > limit
        ),
        before_sleep=_print_retry,
        reraise=True,
    )
    try:
        return retrying(_quietly, function, *args, **kwargs)
    except Exception as error:
        if is_transient(error):
            raise WineError(
                f"Hopsworks is unavailable (gave up after {limit:g} s: {first_line(error)}). "
                "Nothing was lost; run again later."
            ) from error
        raise
    finally:
        if retrying.statistics.get("attempt_number", 1) > 1:
            _retry_seconds_used += time.monotonic() - retrying.statistics["start_time"]


def patience() -> float:
    """Return for how many seconds calls are retried: ``WINE_PATIENCE``, 120 by default."""
    text = os.environ.get("WINE_PATIENCE") or "120"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise BadInput(f"WINE_PATIENCE is {text!r}: give seconds from 0 to 3600")
    return seconds


def is_transient(error: BaseException) -> bool:
    """Return whether the same call may succeed later: no answer, overload, or a collision."""
    import pyarrow.flight
    import requests
    from deltalake.exceptions import CommitFailedError, DeltaError
    from hopsworks.client.exceptions import RestAPIError

    for link in causes(error):
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
            return True  # another run created the table in between
        if isinstance(link, RestAPIError):
            status = link.response.status_code
            overtaken = getattr(link, "error_code", None) in OVERTAKEN
            # 501: not supported; 507: the disk is full
            return overtaken or status == 429 or (status >= 500 and status not in (501, 507))
    return False


def refusal(error: Exception) -> WineError | None:
    """Return a WineError for an error that is no bug of ours, None for any other.

    For example a full disk, a damaged table, a key that was withdrawn during the run.
    """
    from deltalake.exceptions import DeltaError
    from hopsworks.client.exceptions import FeatureStoreException, RestAPIError

    for link in causes(error):
        if isinstance(link, RestAPIError) and link.response.status_code in (401, 403):
            return BadInput("Hopsworks refused the API key: check HOPSWORKS_API_KEY and its scopes")
    if isinstance(error, RestAPIError | FeatureStoreException | DeltaError) or (
        isinstance(error, OSError) and error.errno in UNUSABLE
    ):
        return WineError(f"failed: {first_line(error)}. Fix this and run again.")
    return None


def _quietly(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args, **kwargs)


def _print_retry(state: Any) -> None:
    print(
        f"Hopsworks: {first_line(state.outcome.exception())}; "
        f"trying again in {state.next_action.sleep:.0f} s",
        flush=True,
    )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and its causes, the outermost first."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    """Return the kind of an error and the first line of its reason, 200 characters at most."""
    from hopsworks.client.exceptions import RestAPIError

    if isinstance(error, RestAPIError):
        message = error.user_message or error.response.reason
        text = f"HTTP {error.response.status_code}, {message}"
    else:
        # the reason inside a failed connection says more than what is wrapped around it
        reasons = (getattr(link, "reason", None) for link in causes(error))
        inner = next((reason for reason in reasons if isinstance(reason, Exception)), error)
        text = str(inner).strip()
    text = re.split(r"\.* Detail: | gRPC client debug context", text)[0]  # details of the protocol
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"[:200]

"""What every request shares: errors as Hopsworks words them, routing, typed reading of JSON."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.datastructures import UploadFile

    from .app import App

MAX_OPEN_BYTES = 4096  # of what needs no key: the form that asks for it
MAX_JSON_BYTES = 16 * 2**20
MAX_JSON_DEPTH = 1_000  # a chain of filters is as deep as it is long; the client ends below that
sys.setrecursionlimit(10 * MAX_JSON_DEPTH)
MAX_UPLOAD_BYTES = 128 * 2**20  # one multipart chunk; the client's default chunk is 10 MB


# The HTTP status of each of Hopsworks' error codes that is not a plain 400.
_STATUS = {
    **dict.fromkeys((100050, 150004, 270008, 270009, 270012, 270142, 270164, 270181), 404),
    **dict.fromkeys((130009, 160048, 240000, 270118, 270225, 270228, 270248, 360000), 404),
    **dict.fromkeys((370000, 370002), 404),
    **dict.fromkeys((200003, 320012, 320013), 401),
    **dict.fromkeys((120000, 120005, 270186), 500),
    120001: 422,
}


class ApiError(Exception):
    """An answer other than 2xx: a Hopsworks error code, its HTTP status, the text for the user."""

    def __init__(self, code: int, message: str, status: int | None = None):
        super().__init__(message)
        self.code, self.message, self.status = code, message, status or _STATUS.get(code, 400)


def http_error(status: int, message: str) -> ApiError:
    """Return an error of the backend's web framework, which comes before the backend's own rules."""
    return ApiError(120004, message, status)


def unsupported(call: str) -> ApiError:
    """Return the answer to a call that is not supported: a 501 that names it."""
    return http_error(501, f"Not supported by hopsworks_local: {call}.")


def illegal(message: str) -> ApiError:
    """Return what the Java backend answers to an IllegalArgumentException."""
    return ApiError(120001, message)


_REQUIRED: Any = object()
_JSON_NAMES = {
    str: "a text",
    int: "an integer",
    bool: "a boolean",
    list: "a list",
    dict: "an object",
}


def take(doc: Any, key: str, kind: type | tuple[type, ...], default: Any = _REQUIRED) -> Any:
    """Return `doc[key]`, checked to be of `kind`; `default` when it is absent or null, else a 422."""
    if not isinstance(doc, dict):
        raise illegal("A JSON object was expected in the request body.")
    value = doc.get(key)
    if value is None:
        if default is _REQUIRED:
            raise illegal(f"The field {key!r} is missing.")
        return default
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(_JSON_NAMES.get(k, k.__name__) for k in kinds)
        raise illegal(f"The field {key!r} must be {names}.")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise illegal(f"The field {key!r} is out of range.")
    return value


def without_nulls(value: Any) -> Any:
    """Return a document without its null fields, at every depth, as the backend answers."""
    if isinstance(value, dict):
        return {k: without_nulls(v) for k, v in value.items() if v is not None}
    return [without_nulls(v) for v in value] if isinstance(value, list) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is out of range")
    return number


def parse_json(text: bytes | str) -> Any:
    """Read JSON that can also be written: refuse NaN, Infinity, numbers too large for a float (as the
    Java backend does), lone surrogates and what is nested too deeply."""
    try:
        doc = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        json.dumps(doc, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError) as e:
        raise http_error(400, f"The request body is not valid JSON: {e}") from None
    level = [doc]
    for _ in range(MAX_JSON_DEPTH):
        dicts = [v.values() for v in level if isinstance(v, dict)]
        level = list(chain(*dicts, *(v for v in level if isinstance(v, list))))
        if not level:
            return doc
    raise http_error(400, f"The JSON is nested more than {MAX_JSON_DEPTH} deep.")


@dataclass
class Request:
    """One authorised HTTP request, as the handlers see it."""

    app: App
    query: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    form: Mapping[str, UploadFile | str] | None = None  # of a multipart body

    def json(self) -> Any:
        """Return the body as JSON."""
        return parse_json(self.body)

    def arg(self, name: str, default: str | None = None) -> str | None:
        """Return the last value of a query parameter."""
        values = self.query.get(name)
        return values[-1] if values else default

    def flag(self, name: str) -> bool:
        """Return a boolean query parameter; the client sends Python's `True` and `False`."""
        return (self.arg(name) or "").lower() == "true"

    def number(self, name: str, default: int | None = None) -> int | None:
        """Return an integer query parameter, or raise a 404, as JAX-RS answers what it cannot convert."""
        text = self.arg(name)
        if text is None:
            return default
        if not re.fullmatch(r"-?\d{1,18}", text):
            raise http_error(404, f"The query parameter {name!r} must be an integer.")
        return int(text)


@dataclass
class Reply:
    """A JSON answer whose status is not 200."""

    status: int = 200
    doc: Any = None


Handler = Callable[..., Any]
ROUTES: list[tuple[str, str, Handler]] = []


def route(method: str, pattern: str) -> Callable[[Handler], Handler]:
    """Register a handler for addresses such as `featuregroups/{id:int}/commits`.

    The pattern is Starlette's and begins below the project or the feature store. `{x}` matches one
    segment, `{x:int}` digits only, `{x:path}` all that is left. The first match wins.
    """

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, pattern, handler))
        return handler

    return register

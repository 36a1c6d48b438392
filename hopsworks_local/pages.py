"""Pages to look at."""

from __future__ import annotations

from .protocol import Reply, Request, http_error


def dispatch(request: Request, cookie: str) -> Reply:
    raise http_error(404, "There is no page here yet.")

"""Pages to look at."""

from __future__ import annotations

from .protocol import ApiError, Reply, Request


def dispatch(request: Request, cookie: str) -> Reply:
    raise ApiError(404, 120004, "There is no page here yet.")

"""What all requests share: the data folder, the key, the pages' sessions, the prepared queries."""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import PROJECT_NAME
from .protocol import ApiError
from .state import Folder

if TYPE_CHECKING:
    from .execution import Plan

MAX_PLANS = 1_000


def say(text: str) -> None:
    """Tell the user something, on the standard error of the program that started the server."""
    print(f"hopsworks_local: {text}", file=sys.stderr, flush=True)


class App:
    """One project of one server process."""

    def __init__(
        self,
        folder: Folder,
        project: str,
        quota: int | None = None,
        *,
        any_key: bool = False,
        any_project: bool = False,
        key_place: str = "HOPSWORKS_API_KEY of the program that started this server",
        say: Callable[[str], None] = say,
    ):
        self.folder, self.project, self.training_dataset_quota = folder, project, quota
        self.any_key, self.any_project, self.key_place = any_key, any_project, key_place
        self.project_id = 1
        self.api_key = f"{secrets.token_hex(8)}.{secrets.token_urlsafe(48)}"
        self.page_token = secrets.token_urlsafe(32)  # opens the pages, and nothing else
        self.user: dict[str, str | int] = {
            "username": "local",
            "firstname": "Local",
            "lastname": "User",
            "uid": 1,
            "email": "local@localhost",
        }
        self.url = self.flight_domain = ""
        self.pem: dict[str, str] = {}
        self.sessions: set[str] = set()  # cookies of the pages
        self._say = say
        self._warned: set[str] = set()
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._lock = threading.Lock()

    def warn(self, text: str) -> None:
        """Tell the user, once, that something is not as it would be on a cluster."""
        with self._lock:
            if text in self._warned:
                return
            self._warned.add(text)
        self._say(text)

    def remember(self, plan: Plan) -> str:
        """Return a random handle for a prepared query; the oldest are forgotten."""
        handle = secrets.token_urlsafe(32)
        with self._lock:
            self._plans[handle] = plan
            while len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        return handle

    def recall(self, handle: str) -> Plan | None:
        """Return the prepared query of a handle that `remember` gave out."""
        with self._lock:
            return self._plans.get(handle)

    def check_key(self, header: str | None) -> None:
        """Check `Authorization: ApiKey prefix.secret`; raise a 401 with the backend's codes."""
        if not header or not header.startswith("ApiKey "):
            raise ApiError(200003, f"An API key is needed. {self.where()}")
        key = header[7:].strip()
        if self.any_key and key:
            return
        prefix, dot, _ = key.partition(".")
        if not dot:
            raise self._refused(320012, "The API key is malformed.")
        mine = self.api_key.partition(".")[0]
        if not hmac.compare_digest(prefix.encode(), mine.encode()):
            raise self._refused(320013, "The API key is not known.")
        if not hmac.compare_digest(key.encode(), self.api_key.encode()):
            raise self._refused(320012, "The API key is wrong.")

    def _refused(self, code: int, problem: str) -> ApiError:
        """Return a 401, and warn: the client reports any refusal as "Could not find project"."""
        message = f"{problem} {self.where()}"
        hint = "" if self.any_key else " A program with a key of its own: exec --any-key."
        self.warn(message + hint)
        return ApiError(code, message)

    def where(self) -> str:
        """Say where this server's key is, and the name of its project."""
        return f"This server's key is {self.key_place}; its project is {self.project!r}."

    @property
    def feature_store(self) -> str:
        """Return the name of the project's feature store; the client asks for it in lower case."""
        return f"{self.project.lower()}_featurestore"

    def enter(self, name: str) -> None:
        """Check the project that a login asks for; with `any_project` its name is taken."""
        if name == self.project:
            return
        if self.any_project and PROJECT_NAME.fullmatch(name):
            self.project = name
            return
        message = f"There is no project {name!r}. {self.where()}"
        hint = " A program with a project name of its own: exec --any-project."
        self.warn(message + ("" if self.any_project else hint))
        raise ApiError(150004, message)

    def check_page_key(self, key: str) -> str:
        """Return a new session of the pages for the API key, or raise a 401."""
        self.check_key(f"ApiKey {key}")
        return self.open_session()

    def open_session(self) -> str:
        """Return a new session of the pages."""
        session = secrets.token_urlsafe(32)
        self.sessions.add(session)
        return session

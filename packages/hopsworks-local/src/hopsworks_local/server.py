"""The server process: HTTPS for the REST API, Arrow Flight over TLS for reads.

Both listen on 127.0.0.1 only, on free ports, with one self-signed certificate made at the start.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import sqlite3
import ssl
import sys
import tempfile
import threading
import traceback
from collections import OrderedDict
from datetime import UTC
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from . import attachments, files, groups, pages, protocol, queries, registry, views  # noqa: F401
from .protocol import ApiError, Reply, Request, find_handler, http_error, route, without_nulls
from .state import Folder

HOST = "127.0.0.1"
API = ["hopsworks-api", "api"]
BACKEND_VERSION = "5.2.1"  # the client warns unless major and minor are its own
DOMAIN = "hopsworks.local"
MAX_PLANS = 1_000
IDLE_SECONDS = 120


class App:
    """What the handlers share: the data folder, the key, who is asking, the prepared queries."""

    def __init__(self, folder: Folder, project: str, quota: int | None, warn: Any = None):
        self.folder, self.project, self.training_dataset_quota = folder, project, quota
        self.project_id = 1
        self.api_key = f"{secrets.token_hex(8)}.{secrets.token_urlsafe(48)}"
        self.user = {"username": "local", "firstname": "Local", "lastname": "User", "uid": 1}
        self.user["email"] = "local@localhost"
        self.url = self.flight_domain = ""
        self.pem: dict[str, str] = {}
        self._warn = warn or (lambda text: print(f"hopsworks_local: {text}", file=sys.stderr))
        self._warned: set[str] = set()
        self.sessions: set[str] = set()  # cookies of the pages
        self._plans: OrderedDict[str, queries.Plan] = OrderedDict()
        self._lock = threading.Lock()

    def warn(self, text: str) -> None:
        """Tell the user, once, that something is not as it would be on a cluster."""
        with self._lock:
            if text in self._warned:
                return
            self._warned.add(text)
        self._warn(text)

    def remember(self, plan: queries.Plan) -> str:
        """A random handle for a prepared query; the oldest are forgotten."""
        handle = secrets.token_urlsafe(32)
        with self._lock:
            self._plans[handle] = plan
            while len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
        return handle

    def recall(self, handle: str) -> queries.Plan | None:
        """The prepared query of a handle that `remember` gave out."""
        with self._lock:
            return self._plans.get(handle)

    def check_key(self, header: str | None) -> None:
        """`Authorization: ApiKey prefix.secret`, or a 401 with the backend's codes."""
        if not header or not header.startswith("ApiKey "):
            raise ApiError(200003, "An API key is needed.")
        key = header[7:].strip()
        prefix, dot, _ = key.partition(".")
        if not dot:
            raise ApiError(320012, "The API key is malformed.")
        mine = self.api_key.partition(".")[0]
        if not hmac.compare_digest(prefix.encode(), mine.encode()):
            raise ApiError(320013, "The API key is not known.")
        if not hmac.compare_digest(key.encode(), self.api_key.encode()):
            raise ApiError(320012, "The API key is wrong.")


# -- login -----------------------------------------------------------------------------------------


@route("GET", "variables/versions")
def versions(request: Request) -> Any:
    """The first call of a login; it needs no key."""
    return [{"software": "hopsworks", "version": BACKEND_VERSION}]


@route("GET", "variables/{name}")
def variable(request: Request, name: str) -> Any:
    """The few settings of a cluster that the client asks for."""
    known = {
        "service_discovery_domain": DOMAIN,
        "enable_flyingduck": "true",
        "loadbalancer_external_domain_feature_query": request.app.flight_domain,
        "enable_data_science_profile": "false",
    }
    if name not in known:
        raise ApiError(100050, f"There is no variable {name!r}.")
    return {"successMessage": known[name]}


@route("GET", "project/getProjectInfo/{name}")
def project_info(request: Request, name: str) -> Any:
    """The second call of a login."""
    app = request.app
    if name != app.project:
        raise ApiError(150004, f"There is no project {name!r}; this server has {app.project!r}.")
    return {
        "projectId": app.project_id,
        "projectName": app.project,
        "owner": app.user["email"],
        "created": "2024-01-01T00:00:00.000Z",
        "services": ["FEATURESTORE", "SERVING"],
        "projectTeam": [],
        "datasets": [],
    }


@route("GET", "project")
def projects(request: Request) -> Any:
    """The memberships of the caller."""
    app = request.app
    project = {"id": app.project_id, "name": app.project, "owner": app.user}
    return [{"project": project, "user": app.user, "teamRole": "Data owner"}]


@route("GET", "credentials")
def credentials(request: Request) -> Any:
    """The certificates that the client keeps; only the PEM ones are ever read, for Flight."""
    return {**request.app.pem, "kStore": "bm9uZQ==", "tStore": "bm9uZQ==", "password": "none"}


@route("GET", "featurestores")
def feature_stores(request: Request) -> Any:
    """`FeatureStore`s of the project: its own."""
    return [feature_store(request, "")]


@route("GET", "featurestores/{name}")
def feature_store(request: Request, name: str) -> Any:
    """`project.get_feature_store()`."""
    app = request.app
    own = f"{app.project}_featurestore"
    if name not in ("", own, str(groups.STORE_ID)):
        raise ApiError(270008, f"There is no feature store {name!r}.")
    return {
        "featurestoreId": groups.STORE_ID,
        "featurestoreName": own,
        "offlineFeaturestoreName": own,
        "created": "2024-01-01T00:00:00.000Z",
        "projectName": app.project,
        "projectId": app.project_id,
        "onlineEnabled": False,
    }


# -- HTTP ------------------------------------------------------------------------------------------


# What a path that nobody handles would have been for; the first word that is in it counts.
_UNSUPPORTED = (
    ("preparedstatement", "init_serving and get_feature_vector"),
    ("provenance", "init_serving and the provenance of feature groups and views"),
    ("log", "enable_logging and feature logging"),
    ("keywords", "keywords"),
    ("alerts", "alerts"),
    ("expectationsuite", "expectation suites (Great Expectations)"),
    ("validationreport", "validation reports (Great Expectations)"),
    ("featuremonitoring", "feature monitoring"),
    ("ingestion", "ingestion jobs"),
    ("transformationfunctions", "saved transformation functions (get_transformation_functions)"),
    ("storageconnectors", "storage connectors and data sources"),
    ("elastic", "search"),
    ("jobs", "jobs (get_job_api)"),
    ("kafka", "Kafka (get_kafka_api)"),
    ("serving", "deployments (get_model_serving, deploy)"),
    ("git", "git repositories (get_git_api)"),
    ("python", "Python environments (get_environment_api)"),
    ("users", "users, secrets and members"),
    ("models", "changing a saved model"),
)


def dispatch(app: App, request: Request) -> Reply:
    """Authorised request in, answer out. The project and feature store of a path are checked and
    cut off here, so that the routes need not repeat them."""
    segments = request.segments
    if segments[:1] == ["project"] and len(segments) > 2 and segments[1] != "getProjectInfo":
        if segments[1] != str(app.project_id):
            raise ApiError(150004, f"There is no project {segments[1]!r}.")
        segments = segments[2:]
        if segments[0] == "featurestores" and len(segments) > 2:
            feature_store(request, segments[1])
            segments = segments[2:]
    found = find_handler(request.method, segments)
    if found is None:
        named = [call for word, call in _UNSUPPORTED if word in segments]
        what = f"{request.method} /{'/'.join(segments)}"
        raise protocol.unsupported(f"{named[0]} ({what})" if named else what)
    handler, values = found
    answer = handler(request, **values)
    return answer if isinstance(answer, Reply) else Reply(200, answer)


class Handler(BaseHTTPRequestHandler):
    """One HTTPS connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "hopsworks_local", ""
    timeout = IDLE_SECONDS
    wbufsize = -1  # an answer leaves in one piece; in two, TCP would hold the second for 40 ms
    disable_nagle_algorithm = True
    app: App

    def setup(self) -> None:
        self.request.settimeout(self.timeout)
        self.request.do_handshake()  # here, in this connection's thread, and not while accepting
        super().setup()

    def _answer(self) -> None:
        try:
            reply = self._handle()
        except ApiError as e:
            reply = self._error(e)
        except groups.NoData as e:
            reply = self._error(ApiError(270009, str(e)))
        except sqlite3.OperationalError as e:  # a full disk, a file that cannot be written
            reply = self._error(ApiError(120005, f"The data folder failed: {e}"))
        except sqlite3.IntegrityError:  # a tag of what another request deleted at this moment
            reply = self._error(ApiError(120005, "It was deleted meanwhile.", 409))
        except sqlite3.DatabaseError as e:
            file = self.app.folder.database
            reply = self._error(ApiError(120005, f"The metadata file {file} is damaged: {e}"))
        except OSError as e:
            if isinstance(e, (ConnectionError, TimeoutError, ssl.SSLError)):
                raise
            reply = self._error(ApiError(120000, f"The data folder failed: {e.strerror or e}"))
        except Exception:
            # Only here, on the server's own output, never in an answer.
            traceback.print_exc()
            reply = self._error(ApiError(120000, "hopsworks_local failed; see its output."))
        self._send(reply)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = _answer

    def _handle(self) -> Reply:
        # What is refused with its body unread ends the connection.
        ends, self.close_connection = self.close_connection, True
        try:
            url = urlsplit(self.path)
            segments = [unquote(s, errors="strict") for s in url.path.split("/") if s]
            query = parse_qs(url.query, keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:
            raise http_error(400, "The address is malformed.") from None
        content_type = self.headers.get("Content-Type") or ""
        bound = protocol.MAX_OPEN_BYTES
        if segments[:2] == API and segments[2:] != ["variables", "versions"]:
            self.app.check_key(self.headers.get("Authorization"))  # before reading megabytes
            multipart = content_type.startswith("multipart/form-data")
            bound = protocol.MAX_UPLOAD_BYTES if multipart else protocol.MAX_JSON_BYTES
        body = self._body(bound)
        self.close_connection = ends  # what the HTTP version and the Connection header say
        request = Request(self.app, self.command, segments, query, content_type, body)
        if segments[:2] != API:
            return pages.dispatch(request, self.headers.get("Cookie") or "")
        request.segments = segments[2:]
        return dispatch(self.app, request)

    def _body(self, bound: int) -> bytes:
        """The request's body, which may have that many bytes."""
        if self.headers.get("Transfer-Encoding"):
            raise http_error(411, "A request needs a Content-Length.")
        lengths = self.headers.get_all("Content-Length") or ["0"]
        if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise http_error(400, "The Content-Length is malformed.")
        if len(lengths[0]) > 12 or (length := int(lengths[0])) > bound:
            raise http_error(413, f"A request body may have {bound} bytes.")
        body = self.rfile.read(length)
        if len(body) < length:
            raise http_error(400, "The request body is shorter than its Content-Length.")
        return body

    def _error(self, e: ApiError) -> Reply:
        doc = {"type": "restApiJsonResponse", "errorCode": e.code, "errorMsg": e.message}
        reply = Reply(e.status, {**doc, "usrMsg": e.message})
        if e.status == 401:
            reply.headers["WWW-Authenticate"] = "ApiKey"
        return reply

    def _send(self, reply: Reply) -> None:
        body = reply.body
        if body is None:
            empty = reply.doc is None or reply.status == 204
            body = b"" if empty else json.dumps(without_nulls(reply.doc)).encode()
        self.send_response(reply.status)
        size = reply.size if reply.stream else len(body)
        if reply.status != 204:
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(size))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if reply.stream:
            with reply.stream as stream:
                if self.command == "HEAD":
                    return
                while size > 0 and (chunk := stream.read(min(size, 2**20))):
                    self.wfile.write(chunk)
                    size -= len(chunk)
                self.close_connection = self.close_connection or size > 0
        elif self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library itself refuses (a malformed request line) as JSON, too."""
        self.close_connection = True
        self.command = self.command or "GET"
        self.request_version = "HTTP/1.1"
        status = 400 if code == 505 else code  # an HTTP version of the client's is its mistake
        self._send(self._error(http_error(status, message or "The request is malformed.")))

    def log_message(self, *args: Any) -> None:
        """Nothing is logged: requests would only bury the warnings."""


class HttpServer(ThreadingHTTPServer):
    """HTTPS with a thread for each connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: App, port: int, context: ssl.SSLContext):
        super().__init__((HOST, port), type("Handler", (Handler,), {"app": app}))
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away, or speaks no TLS, is not worth a traceback."""
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, ssl.SSLError)):
            traceback.print_exc()


# -- Arrow Flight ----------------------------------------------------------------------------------


def flight_server(app: App, cert: bytes, key: bytes) -> Any:
    """A Flight server that runs the plans that REST handed out, and nothing else."""
    from pyarrow import flight

    class OnlyReads(flight.ServerMiddlewareFactory):
        """Refuses every other Flight call; pyarrow itself would answer some with a traceback."""

        allowed = ("DO_GET", "GET_FLIGHT_INFO", "DO_ACTION", "LIST_ACTIONS")

        def start_call(self, info: Any, headers: Any) -> None:
            if info.method.name not in self.allowed:
                raise flight.FlightUnauthorizedError(f"{info.method.name} is not supported.")

    class FlightServer(flight.FlightServerBase):
        def _plan(self, handle: bytes) -> queries.Plan:
            try:
                found = app.recall(handle.decode("ascii"))
            except UnicodeDecodeError:
                found = None
            if found is None:
                raise flight.FlightUnauthenticatedError("This query was not prepared here.")
            return found

        def do_action(self, context: Any, action: Any) -> Any:
            if action.type == "healthcheck":
                return iter([])
            if action.type == "get-version":
                return iter([flight.Result(BACKEND_VERSION.encode())])
            raise flight.FlightServerError(f"{action.type} is not supported by hopsworks_local.")

        def list_actions(self, context: Any) -> Any:
            return [("healthcheck", "is it there"), ("get-version", "its version")]

        def get_flight_info(self, context: Any, descriptor: Any) -> Any:
            import pyarrow as pa

            self._plan(descriptor.command or b"")
            endpoint = flight.FlightEndpoint(flight.Ticket(descriptor.command), [])
            return flight.FlightInfo(pa.schema([]), descriptor, [endpoint], -1, -1)

        def do_get(self, context: Any, ticket: Any) -> Any:
            try:
                schema, batches = queries.run(app, self._plan(ticket.ticket))
            except groups.NoData as e:
                raise flight.FlightServerError(str(e)) from None

            def stream() -> Any:
                try:
                    yield from batches
                except groups.NoData as e:
                    raise flight.FlightServerError(str(e)) from None

            return flight.GeneratorStream(schema, stream())

    location = f"grpc+tls://{HOST}:0"
    return FlightServer(
        location,
        tls_certificates=[(cert, key)],
        verify_client=True,
        root_certificates=cert,
        middleware={"only-reads": OnlyReads()},
    )


def certificate() -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, for the server and for the client's Flight login."""
    from datetime import datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hopsworks_local")])
    now = datetime.now(UTC)
    names = [
        x509.DNSName(f"flyingduck.service.{DOMAIN}"),
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address(HOST)),
    ]
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return cert.public_bytes(serialization.Encoding.PEM), private


def launch(app: App, port: int = 0) -> HttpServer:
    """Start both listeners in threads of this process; `port` 0 takes a free one."""
    logging.getLogger().setLevel(logging.WARNING)
    cert, key = certificate()
    app.pem = {"caChain": cert.decode(), "clientCert": cert.decode(), "clientKey": key.decode()}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads certificates from files
        pem = Path(folder) / "server.pem"
        pem.touch(mode=0o600)
        pem.write_bytes(cert + key)
        context.load_cert_chain(pem)
    http = HttpServer(app, port, context)
    flight = flight_server(app, cert, key)
    app.url = f"https://{HOST}:{http.server_address[1]}"
    # The client appends ":5005" to this domain; after "/?x=" that is not a port any more.
    app.flight_domain = f"{HOST}:{flight.port}/?x="
    threading.Thread(target=http.serve_forever, daemon=True).start()
    return http

"""Arrow Flight over TLS: runs the queries that REST has checked, and nothing else."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pyarrow as pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyarrow import flight

from . import execution, training_files
from .app import App
from .login import BACKEND_VERSION, DOMAIN
from .protocol import ApiError, Request, take
from .tables import NoData
from .views import dataset_of, view_of

HOST = "127.0.0.1"


_FILE = b"file:"


@contextlib.contextmanager
def _as_flight_errors() -> Iterator[None]:
    """Say what is refused, or cannot be read or written, as Flight does."""
    try:
        yield
    except (NoData, ApiError, ValueError, OSError) as e:
        raise flight.FlightServerError(str(e)) from None


class OnlyReads(flight.ServerMiddlewareFactory):  # type: ignore[misc]
    """Refuse every other Flight call; pyarrow itself would answer some with a traceback."""

    allowed = ("DO_GET", "GET_FLIGHT_INFO", "DO_ACTION", "LIST_ACTIONS")

    def start_call(self, info: Any, headers: Any) -> None:
        if info.method.name not in self.allowed:
            raise flight.FlightUnauthorizedError(f"{info.method.name} is not supported.")


class FlightServer(flight.FlightServerBase):  # type: ignore[misc]
    """Streams prepared queries to clients that have the certificate."""

    def __init__(self, app: App, cert: bytes, key: bytes):
        super().__init__(
            f"grpc+tls://{HOST}:0",
            tls_certificates=[(cert, key)],
            verify_client=True,
            root_certificates=cert,
            middleware={"only-reads": OnlyReads()},
        )
        self.app = app

    def _plan(self, payload: bytes) -> execution.Plan:
        plan = self.app.recall(payload.decode("ascii", "replace").strip('"'))
        if plan is None:
            raise flight.FlightUnauthenticatedError("This query was not prepared here.")
        return plan

    def do_action(self, context: Any, action: Any) -> Any:
        """Answer the questions that the client asks when it connects."""
        if action.type == "healthcheck":
            return iter([])
        if action.type == "get-version":
            return iter([flight.Result(BACKEND_VERSION.encode())])
        if action.type == "create-training-dataset":
            with _as_flight_errors():
                self._create_training_dataset(json.loads(action.body.to_pybytes()))
            return iter([])
        raise flight.FlightServerError(f"{action.type} is not supported by hopsworks_local.")

    def list_actions(self, context: Any) -> Any:
        """Return the actions."""
        return [
            ("healthcheck", "is it there"),
            ("get-version", "its version"),
            ("create-training-dataset", "write a view's rows to a file"),
        ]

    def _create_training_dataset(self, doc: Any) -> None:
        """Write training data without splits; the query is one that was prepared here."""
        plan = self._plan(take(doc, "query", str).encode())
        request = Request(self.app)
        view = view_of(request, take(doc, "fv_name", str), take(doc, "fv_version", int))
        dataset = dataset_of(request, view, take(doc, "tds_version", int))
        training_files.write(self.app, view, dataset, plan)

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """Answer where a prepared query, or a file of training data, is read: here."""
        if descriptor.path:
            path = b"/".join(descriptor.path)
            with _as_flight_errors():
                training_files.parquet_file(self.app, path.decode("utf-8", "replace"))
            ticket = _FILE + path
        else:
            self._plan(descriptor.command or b"")
            ticket = descriptor.command
        endpoint = flight.FlightEndpoint(flight.Ticket(ticket), [])
        return flight.FlightInfo(pa.schema([]), descriptor, [endpoint], -1, -1)

    def do_get(self, context: Any, ticket: Any) -> Any:
        """Run a prepared query and stream its batches."""
        with _as_flight_errors():
            if ticket.ticket.startswith(_FILE):
                path = ticket.ticket.removeprefix(_FILE).decode("utf-8", "replace")
                return flight.RecordBatchStream(training_files.read(self.app, path))
            schema, batches = execution.run(self.app, self._plan(ticket.ticket))

        def stream() -> Iterator[pa.RecordBatch]:
            with _as_flight_errors():
                yield from batches

        return flight.GeneratorStream(schema, stream())


def certificate() -> tuple[bytes, bytes]:
    """Make a self-signed certificate and its key, for the server and for the client's Flight login."""
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

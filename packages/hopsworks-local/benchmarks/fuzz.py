"""Send altered requests to a local Hopsworks server, and check that it answers or refuses each.

    python benchmarks/fuzz.py [--inputs 40000] [--seed 2026]

Each input is a valid REST request with one to three alterations (a value of another type, a field
removed or doubled, an odd path, a broken body, header or multipart), of which about three in ten stay
valid; or raw bytes on the socket; or a Flight call. Allowed are 2xx, 4xx, a closed connection, and
501. Anything else is a failure, and so is a traceback in an answer or on the server's output, or the
content of a file outside the project. Takes about a quarter of an hour; writes `results/fuzz.json`.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import random
import socket
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

import corpus
import hopsworks_local
from common import keep, parser

CANARY = "canary-that-must-not-leak"
LEAKS = {  # what no answer may contain, and its name
    b"Traceback": "a traceback",
    CANARY.encode(): "a file beside the project",
    b"SQLite format 3": "the server's database",
    b"root:": "/etc/passwd",
}
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 1.5, 1e308, "", " ", "a", "A-b", "x" * 300,
    "..", "../..", "/etc/passwd", "\0", "\n", "é", "𝕊", "' OR '1'='1", '"; DROP TABLE g0; --', "%2e%2e",
    "NaN", "1e999999", "9" * 400, "9" * 5000, "\ud800", '["\\ud800"]', "null", [], {}, [[]], [None],
    {"": None}, {"id": "x"}, {"name": 1},
]  # fmt: skip
SEGMENTS = [
    "..", ".", "", "%2e%2e", "..%2f..", "%00", "%ff", "%", "%zz", "a" * 5000, "-1", "0", "1", "9" * 30,
    "'", '"', ";", "\\", "~", "Resources", "Models", "featuregroups", "clear", "tags", "version",
    "Resources%2f..%2f..%2fhopsworks.sqlite", "%2fProjects%2flocal%2f..%2f..", "%2fetc%2fpasswd",
    "Resources%2Ff%2Fbelow", "Resources%2flink", "Resources%2flink%2fsecret", "Resources%2f%00", "é",
    "%c3%28",
]  # fmt: skip
HEADERS = {
    "Content-Length": ["-1", "abc", "99999999999999999999", "1,1", "0x10", "", "+5", "5 5"],
    "Transfer-Encoding": ["chunked", "gzip", "identity"],
    "Content-Type": ["", "multipart/form-data", "multipart/form-data; boundary=", "text/html", "é"],
    "Authorization": ["", "ApiKey", "ApiKey ", "ApiKey x", "ApiKey x.y", "Basic eA==", "Bearer é"],
    "Cookie": ["", "key", "session=x", "session=" + "y" * 9000],
    "Expect": ["100-continue"],
    "Host": ["", "evil.example"],
}


class Fuzzer:
    """Sends altered requests to one server and counts the answers."""

    def __init__(self, server: hopsworks_local.Server, root: Path, seed: int):
        self.server, self.seed, self.chance = server, seed, random.Random(seed)
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.key = server.env["HOPSWORKS_API_KEY"]
        self.port = int(server.env["HOPSWORKS_PORT"])
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"ApiKey {self.key}"
        self.session.verify, self.session.trust_env = False, False
        self.context = ssl.create_default_context()
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        (root / "local" / "tag_schemas.json").write_text('{"owner": {"type": ["string", "null"]}}')
        # A link out of the project and a secret beside it: neither may be served.
        (root / "secret").write_text(CANARY)
        (root / "local" / "files" / "Resources" / "link").symlink_to(root)
        self.base = f"{server.url}/hopsworks-api/api"
        group, self.corpus = corpus.build(self.call)
        self.table = Path(group["location"])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a valid request, which must succeed."""
        answer = self.session.request(method, f"{self.base}/{path}", json=body, timeout=300)
        assert answer.ok, (method, path, answer.text)
        return answer.json() if answer.content else None

    # -- alterations ---------------------------------------------------------------------------------

    def altered(self, doc: Any) -> Any:
        """Return a copy of a JSON document with one node replaced, removed, doubled or nested."""
        doc = copy.deepcopy(doc)
        places: list[tuple[Any, Any]] = []

        def walk(node: Any) -> None:
            pairs = node.items() if isinstance(node, dict) else enumerate(node)
            for key, value in pairs:
                places.append((node, key))
                if isinstance(value, (dict, list)):
                    walk(value)

        if isinstance(doc, (dict, list)):
            walk(doc)
        if not places or self.chance.random() < 0.03:
            return self.chance.choice(ODD)
        parent, key = self.chance.choice(places)
        kind = self.chance.random()
        if kind < 0.7:
            parent[key] = copy.deepcopy(self.chance.choice(ODD))
        elif kind < 0.8:
            del parent[key]
        elif kind < 0.9 and isinstance(parent, list):
            parent.append(parent[key])
        else:
            for _ in range(self.chance.choice([1, 5, 200])):
                parent[key] = self.chance.choice([[parent[key]], {"leftLogic": parent[key]}])
        return doc

    def path(self, path: str) -> str:
        """Return a path, now and then with a segment or a query value replaced."""
        address, mark, query = path.partition("?")
        segments = address.split("/")
        if self.chance.random() < 0.25:
            i = self.chance.randrange(len(segments))
            segments[i] = self.chance.choice(SEGMENTS)
            if self.chance.random() < 0.2:
                segments.insert(i, self.chance.choice(SEGMENTS))
        pairs = query.split("&") if mark else []
        if pairs and self.chance.random() < 0.5:
            i = self.chance.randrange(len(pairs))
            name = pairs[i].partition("=")[0]
            pairs[i] = f"{name}={quote(str(self.chance.choice(ODD)), safe='')}"
        return "/".join(segments) + (f"?{'&'.join(pairs)}" if pairs else "")

    def multipart(self) -> tuple[bytes, str]:
        """Return the body and type of an upload with something wrong."""
        fields = {
            "flowFilename": "f", "flowChunkNumber": "1", "flowTotalChunks": "1", "flowTotalSize": "3",
            "flowChunkSize": "10",
        }  # fmt: skip
        if self.chance.random() < 0.8:
            fields[self.chance.choice(list(fields))] = str(self.chance.choice(ODD))
        if self.chance.random() < 0.2:
            del fields[self.chance.choice(list(fields))]
        parts = [
            f'Content-Disposition: form-data; name="{k}"\r\n\r\n{v}' for k, v in fields.items()
        ]
        parts.append('Content-Disposition: form-data; name="file"; filename="f"\r\n\r\nabc')
        body = "".join(f"--B\r\n{p}\r\n" for p in parts) + "--B--\r\n"
        data = body.encode(errors="surrogatepass")
        if self.chance.random() < 0.3:
            cut = self.chance.randrange(len(data))
            data = data[:cut] + self.chance.randbytes(3) + data[cut + self.chance.randrange(9) :]
        return data, self.chance.choice(["multipart/form-data; boundary=B"] * 4 + ["x/y", "B"])

    # -- inputs --------------------------------------------------------------------------------------

    def rest(self) -> str:
        """Send an altered REST request through an ordinary HTTP library."""
        method, path, body = self.chance.choice(self.corpus)
        headers = {"Content-Type": "application/json"}
        if isinstance(body, bytes):
            data, headers["Content-Type"] = self.multipart()
        elif body is None:
            data = self.chance.choice([b"", b"{}", b"[", b"null", self.chance.randbytes(20)])
        else:
            for _ in range(self.chance.choice([1, 1, 1, 2, 3])):
                body = self.altered(body)
            data = json.dumps(body).encode()
            if self.chance.random() < 0.1:
                cut = self.chance.randrange(len(data) + 1)
                data = data[:cut] + self.chance.randbytes(2) + data[cut:]
        if self.chance.random() < 0.1:
            method = self.chance.choice(
                ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE"]
            )
        # Not through `params` and not normalised: the odd path must arrive as it is.
        url = f"{self.base}/{self.path(path)}"
        prepared = self.session.prepare_request(requests.Request(method, url, headers, data=data))
        prepared.url = url
        answer = self.session.send(prepared, timeout=300, verify=False, allow_redirects=False)
        if answer.ok and b"hqsPayload" in answer.content:
            self.execute(answer.json(), data)
        return self.judge(answer.status_code, answer.content, f"{method} {url} {data[:300]!r}")

    def execute(self, answer: dict[str, Any], sent: bytes) -> None:
        """Run a query that was accepted, which must work."""
        from pyarrow import flight

        if not (self.table / "_delta_log").exists():  # at first, and after a `clear`
            self.fill()
        try:
            self.flight_client.do_get(flight.Ticket(answer["hqsPayload"].encode())).read_all()
            self.answers["queries executed"] += 1
        except flight.FlightServerError as e:
            if "nothing was inserted" not in str(e):
                self.failures.append(f"{answer['query']} from {sent[:900]!r}: {e}")

    def fill(self) -> None:
        """Write three rows, as the client does."""
        import pandas as pd
        import pyarrow as pa
        from deltalake import write_deltalake

        at = pd.Series(pd.date_range("2024-01-01", periods=3)).astype("datetime64[us]")
        frame = pd.DataFrame(
            {"id": [1, 2, 3], "at": at, "x": [1.0, 2.0, None], "s": ["a", "b'", ""]}
        )
        write_deltalake(str(self.table), pa.Table.from_pandas(frame))

    def raw(self) -> str:
        """Send bytes on the socket: odd request lines, headers and lengths."""
        method, path, body = self.chance.choice(self.corpus)
        data = json.dumps(body).encode() if not isinstance(body, bytes) else b""
        headers = {
            "Host": "x",
            "Authorization": f"ApiKey {self.key}",
            "Content-Length": str(len(data)),
        }
        for name in self.chance.sample(list(HEADERS), 2):
            headers[name] = self.chance.choice(HEADERS[name])
        line = self.chance.choice(
            [
                f"{method} /hopsworks-api/api/{path} HTTP/1.1",
                f"{method} /hopsworks-api/api/{path} HTTP/9.9",
                f"{method} /../../etc/passwd HTTP/1.1",
                f"{method} /p/1/{path} HTTP/1.1",
                f"{method} /files/..%2f..%2fsecret HTTP/1.1",
                f"GET /{'a' * 70000} HTTP/1.1",
                "GET",
                "",
                "\0\1\2",
            ]
        )
        text = "\r\n".join([line, *(f"{k}: {v}" for k, v in headers.items()), "", ""])
        payload = text.encode("utf-8", "replace") + data
        if self.chance.random() < 0.2:
            payload = self.chance.randbytes(self.chance.randrange(1, 400))
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain:
            if self.chance.random() < 0.05:
                plain.sendall(payload)  # no TLS at all
                return "closed"
            with contextlib.suppress(OSError), self.context.wrap_socket(plain) as tls:
                tls.sendall(payload)
                tls.settimeout(0.3)
                while chunk := tls.recv(65536):
                    answer += chunk
        first = answer.split(b"\r\n", 1)[0].split()
        if first[1:2] == [b"100"]:  # "100 Continue" is no answer yet: the next status is
            answer = answer.partition(b"\r\n\r\n")[2]
            first = answer.split(b"\r\n", 1)[0].split()
        if len(first) < 2 or not first[1].isdigit():
            return "closed"
        return self.judge(int(first[1]), answer, repr(payload[:300]))

    def flight(self) -> str:
        """Make a Flight call with a made-up command, ticket or action."""
        from pyarrow import flight

        text = self.chance.choice([b"", b"x", b"\xff\xfe", b"SELECT 1", self.chance.randbytes(32)])
        calls: list[Callable[[], Any]] = [
            lambda: self.flight_client.get_flight_info(flight.FlightDescriptor.for_command(text)),
            lambda: self.flight_client.get_flight_info(flight.FlightDescriptor.for_path(text)),
            lambda: self.flight_client.do_get(flight.Ticket(text)).read_all(),
            lambda: list(self.flight_client.do_action(flight.Action("x", text))),
            lambda: list(
                self.flight_client.do_action(flight.Action("create-training-dataset", text))
            ),
            lambda: list(self.flight_client.list_flights(text)),
            lambda: self.flight_client.get_schema(flight.FlightDescriptor.for_command(text)),
        ]
        try:
            self.chance.choice(calls)()
        except Exception as e:
            if "Traceback" in str(e):
                self.failures.append(f"Flight {text!r}: {e}")
            return f"flight {type(e).__name__}"
        self.failures.append(f"Flight accepted {text!r}")
        return "flight accepted"

    def judge(self, status: int, content: bytes, sent: str) -> str:
        """Return the answer's status; note what must not be."""
        if status >= 500 and status != 501:
            self.failures.append(f"{status} for {sent}: {content[:300]!r}")
        for leak, name in LEAKS.items():
            if leak in content:
                self.failures.append(f"{name} for {sent}: {content[:300]!r}")
        return str(status)

    def run(self, inputs: int) -> None:
        """Send that many inputs: most to REST, some raw, some to Flight."""
        from pyarrow import flight

        pem = self.call("GET", "project/1/credentials")
        name = "loadbalancer_external_domain_feature_query"
        domain = self.call("GET", f"variables/{name}")["successMessage"].split("/")[0]
        self.flight_client = flight.FlightClient(
            f"grpc+tls://{domain}",
            tls_root_certs=pem["caChain"],
            cert_chain=pem["clientCert"],
            private_key=pem["clientKey"],
        )
        for number in range(inputs):
            # how many random numbers an input uses depends on the answers, so each has its own seed
            self.chance = random.Random(f"{self.seed}-{number}")
            kind = self.chance.choices([self.rest, self.raw, self.flight], [0.9, 0.05, 0.05])[0]
            try:
                self.answers[kind()] += 1
            except requests.ConnectionError:
                self.answers["closed"] += 1
            except (requests.exceptions.InvalidHeader, UnicodeError, ValueError):
                self.answers["not sendable"] += 1
        self.call("GET", "project/getProjectInfo/local")  # the server still runs
        page = self.session.post(f"{self.server.url}/login", data={"key": self.key}, timeout=300)
        assert self.judge(page.status_code, page.content, "the page of everything") == "200"


def campaign(inputs: int, seed: int) -> dict[str, Any]:
    """Run the fuzzer against a server of its own; return the counts and what failed."""
    import warnings

    output = io.StringIO()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(output), hopsworks_local.start(folder) as server:
            fuzzer = Fuzzer(server, Path(folder), seed)
            fuzzer.run(inputs)
    if "Traceback" in output.getvalue():
        fuzzer.failures.append(f"On the server's output: {output.getvalue()[-2000:]}")
    return {
        "inputs": inputs,
        "seed": seed,
        "answers": dict(sorted(fuzzer.answers.items())),
        "failures": fuzzer.failures,
        "seconds": round(time.monotonic() - begin, 1),
    }


def main() -> None:
    """Run, write the result, and end with 1 if anything failed."""
    options = parser(__doc__)
    options.add_argument("--inputs", type=int, default=40_000)
    options.add_argument("--seed", type=int, default=2026)
    args = options.parse_args()
    result = campaign(args.inputs, args.seed)
    keep(args.results, "fuzz", result)
    raise SystemExit(bool(result["failures"]))


if __name__ == "__main__":
    main()

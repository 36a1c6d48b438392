"""What each Space would get, and that publishing makes it so: against a small hub of our own.

The real huggingface_hub client talks to it, through the script as the workflow starts it.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

import pytest

from tests.workflows.conftest import snapshot

SPACES = {"predictor": "someone/wine-predictor", "monitor": "someone/wine-monitor"}


LINKS = {
    "predictor": "https://huggingface.co/spaces/someone/wine-predictor",
    "monitor": "https://huggingface.co/spaces/someone/wine-monitor",
    "repository": "https://github.com/someone/wine",
}
# what each app imports of wine, and no more
WINE = {
    "predictor": (
        "__init__",
        "columns",
        "decoding",
        "errors",
        "estimators",
        "metrics",
        "model",
        "serving",
        "spec",
    ),
    "monitor": ("__init__", "columns", "errors", "groups", "metrics", "serving", "spec"),
}


class Hub(ThreadingHTTPServer):
    """The calls of huggingface.co's HTTP API that publishing a Space needs."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.spaces = {}  # name -> {path: content}
        self.commits = []  # (name, message)
        self.tokens = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        _, _, kind, owner, name, *rest = urlparse(self.path).path.split("/")
        space = f"{owner}/{name}"
        assert kind == "spaces"
        if space not in self.server.spaces:
            self.answer({"error": "Repository not found"}, 404, "RepoNotFound")
        elif rest[0] == "tree":
            files = self.server.spaces[space].items()
            self.answer(
                [{"type": "file", "path": p, "size": len(c), "oid": oid(c)} for p, c in files]
            )
        else:
            self.answer({"id": space, "sha": "0" * 40, "siblings": []})

    def do_POST(self):
        body = (
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            if "Content-Length" in self.headers
            else self.chunks()
        )
        self.server.tokens.add(self.headers["Authorization"])
        path = urlparse(self.path).path
        if path == "/api/repos/create":
            asked = json.loads(body)
            assert (asked["type"], asked["sdk"]) == ("space", "gradio")
            space = f"{asked['organization']}/{asked['name']}"
            there = space in self.server.spaces
            self.server.spaces.setdefault(space, {".gitattributes": b"hub's own"})
            self.answer({"url": f"{self.server.url}/spaces/{space}"}, 409 if there else 200)
        elif path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        else:
            _, _, _, owner, name, call, _ = path.split("/")
            space = f"{owner}/{name}"
            if call == "preupload":
                self.answer(
                    {"files": [self.mode(space, file) for file in json.loads(body)["files"]]}
                )
            else:
                assert call == "commit"
                self.commit(space, [json.loads(line) for line in body.splitlines()])

    def mode(self, space, file):
        there = self.server.spaces[space].get(file["path"])
        return {
            "path": file["path"],
            "uploadMode": "regular",
            "shouldIgnore": False,
            "oid": there and oid(there),
        }

    def commit(self, space, lines):
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.server.commits.append((space, value["summary"]))
            elif line["key"] == "file":
                self.server.spaces[space][value["path"]] = base64.b64decode(value["content"])
            else:
                assert line["key"] == "deletedFile"
                del self.server.spaces[space][value["path"]]
        url = f"{self.server.url}/spaces/{space}/commit/{'1' * 40}"
        self.answer({"success": True, "commitOid": "1" * 40, "commitUrl": url, "hookOutput": ""})

    def chunks(self):
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def answer(self, content, status=200, code=None):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def oid(content):
    """Git's hash of a file, which the hub calls its oid."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def hub():
    hub = Hub()
    yield hub
    hub.shutdown()
    hub.server_close()


@pytest.fixture
def repository(tmp_path):
    """A repository with the working copy's files, to be changed."""
    return snapshot(tmp_path / "repository")


@pytest.fixture
def publish(hub, repository, tmp_path):
    """Runs the script in the repository against the hub; returns code, output and the page."""

    def run(**variables):
        page = tmp_path / "page"
        page.write_text("")
        env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
            "HF_ENDPOINT": hub.url,
            "NO_PROXY": "127.0.0.1",
            "HF_HOME": str(tmp_path / "home"),
            "HF_TOKEN": "hf_secret",
            "PREDICTOR_SPACE": SPACES["predictor"],
            "MONITOR_SPACE": SPACES["monitor"],
            "REPOSITORY_URL": "https://github.com/someone/wine",
            "GITHUB_STEP_SUMMARY": str(page),
        } | variables  # fmt: skip
        command = [sys.executable, ".github/scripts/publish_spaces.py"]
        done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, page.read_text()

    return run


def git(repository, *command):
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    done = subprocess.run(["git", *who, *command], cwd=repository, check=True, capture_output=True)
    return done.stdout.decode().splitlines()


def committed(repository, app):
    """The exact files that a Space must get, with their content."""
    files = {}
    for folder in (f"apps/{app}", "apps/shared"):
        for name in git(repository / folder, "ls-files", "."):
            files[name] = (repository / folder / name).read_bytes()
    for name in WINE[app]:
        files[f"wine/{name}.py"] = (repository / "wine" / f"{name}.py").read_bytes()
    links = dict(LINKS)
    if (repository / "MODEL_CARD.md").exists():
        links["model_card"] = "https://github.com/someone/wine/blob/main/MODEL_CARD.md"
    return files | {"links.json": json.dumps(links, indent=2).encode() + b"\n"}


def test_a_dry_run_names_the_exact_files_and_changes_nothing(publish, hub, repository):
    (repository / "apps/predictor/__pycache__").mkdir(exist_ok=True)
    (repository / "apps/predictor/__pycache__/app.pyc").write_bytes(b"leftover")
    code, output, page = publish(DRY_RUN="true")
    assert code == 0
    for app, space in SPACES.items():
        sent = [line for line in output.splitlines() if line.startswith(f"{space}: send ")]
        assert sent == [f"{space}: send {name}" for name in sorted(committed(repository, app))]
        assert f"- {space}: dry run, nothing changed" in page
    assert hub.spaces == {}
    assert hub.commits == []


def test_each_space_becomes_its_folder_and_then_is_left_alone(publish, hub, repository):
    code, output, _ = publish(GITHUB_SHA="0123456789abcdef")
    assert code == 0, output
    for app, space in SPACES.items():
        assert hub.spaces[space] == committed(repository, app) | {".gitattributes": b"hub's own"}
    assert hub.commits == [(space, f"{app} of 0123456789ab") for app, space in SPACES.items()]
    assert hub.tokens == {"Bearer hf_secret"}
    assert "hf_secret" not in output

    code, output, _ = publish()
    assert code == 0
    assert len(hub.commits) == 2  # no second commit: a Space would restart for nothing
    assert output.count("nothing to do") == 2


def test_only_what_changed_is_sent_and_what_is_gone_is_deleted(publish, hub, repository):
    publish()
    hub.spaces[SPACES["predictor"]]["old/left.py"] = b"from before"
    (repository / "apps/predictor/app.py").write_text("print('changed')\n")
    code, output, _ = publish()
    assert code == 0
    space = SPACES["predictor"]
    assert f"{space}: send app.py\n{space}: delete old/left.py\n" in output
    assert output.count(": send ") == 1
    assert hub.spaces[space]["app.py"] == b"print('changed')\n"
    assert "old/left.py" not in hub.spaces[space]
    assert ".gitattributes" in hub.spaces[space]
    assert len(hub.commits) == 3  # the monitor was left alone


@pytest.mark.parametrize("space", ["", "no-owner", "a/b/c", "a/b;rm"])
def test_a_bad_space_is_one_clear_line(publish, hub, space):
    code, output, page = publish(MONITOR_SPACE=space)
    assert code == 2
    line = f"Error: MONITOR_SPACE is {space!r}: give the Space as owner/name"
    assert line in output
    assert line in page
    assert hub.spaces == {}


@pytest.mark.slow  # its client tries for 20 seconds
def test_a_hub_that_is_away_is_one_clear_line(publish, hub):
    code, output, _ = publish(HF_ENDPOINT="http://127.0.0.1:9")
    assert code == 1
    assert f"Error: {SPACES['predictor']}: " in output
    assert "refused" in output


def test_a_folder_without_its_front_matter_is_refused(publish, hub, repository):
    git(repository, "rm", "-q", "--cached", "apps/monitor/README.md")
    code, output, _ = publish()
    assert code == 1
    assert "apps/monitor has no README.md" in output

"""Publish the two apps to their Hugging Face Spaces: the files that git knows, and nothing else.

    python .github/scripts/publish_spaces.py

Reads HF_TOKEN (a write token), PREDICTOR_SPACE and MONITOR_SPACE (as owner/name), REPOSITORY_URL (if
visitors can see it), and DRY_RUN ("true": list what would be done, change nothing). Each Space gets its
files, which apps/assemble.py lists, and links.json, in one commit: changed files are sent, files no longer there are deleted. A Space that does
not exist is created; one that is the same already is left alone, so it does not restart.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx2  # what huggingface_hub speaks HTTP with
from huggingface_hub import HfApi
from huggingface_hub.errors import RepositoryNotFoundError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # Python adds the script's own folder only
from apps.assemble import assemble, sources  # noqa: E402

SPACES = {"predictor": "PREDICTOR_SPACE", "monitor": "MONITOR_SPACE"}

KEPT = {".gitattributes"}  # Hugging Face's own


def main():
    dry_run = os.environ.get("DRY_RUN") == "true"
    spaces = {}
    for app, variable in SPACES.items():
        spaces[app] = os.environ.get(variable, "")
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", spaces[app]):
            return fail(f"{variable} is {spaces[app]!r}: give the Space as owner/name", 2)
    hub = HfApi(token=os.environ.get("HF_TOKEN") or False)
    for app, space in spaces.items():
        try:
            with tempfile.TemporaryDirectory() as folder:
                links = Path(folder) / "links.json"
                links.write_text(json.dumps(addresses(spaces), indent=2) + "\n")
                publish(hub, app, committed(app) | {"links.json": links}, space, dry_run)
        except (httpx2.HTTPError, OSError, ValueError, subprocess.SubprocessError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return fail(f"{space}: {lines[0]}", 1)
    return 0


def addresses(spaces):
    """Return what the apps' pages link to, as far as it is known: each other, and the repository."""
    known = {app: f"https://huggingface.co/spaces/{space}" for app, space in spaces.items()}
    repository = os.environ.get("REPOSITORY_URL")  # empty for a private one: visitors cannot see it
    if repository:
        known["repository"] = repository
        if (ROOT / "MODEL_CARD.md").exists():
            known["model_card"] = f"{repository}/blob/main/MODEL_CARD.md"
    return known


def publish(hub, app, files, space, dry_run):
    """Make a Space a copy of the ``files`` of an app."""
    there = published(hub, space)
    changed = sorted(path for path, file in files.items() if not same(file, there.get(path)))
    gone = sorted(set(there) - set(files) - KEPT)
    for path in changed:
        say(f"{space}: send {path}")
    for path in gone:
        say(f"{space}: delete {path}")
    if not (changed or gone):
        say(f"{space}: nothing to do, its {len(files)} files are those of {app}")
    elif dry_run:
        say(f"{space}: dry run, nothing changed")
    else:
        hub.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            hub.upload_folder(
                repo_id=space,
                repo_type="space",
                folder_path=assemble(files, folder),
                delete_patterns="*",  # whatever is not among the files; .gitattributes stays
                commit_message=f"{app} of {os.environ.get('GITHUB_SHA', 'a working copy')[:12]}",
            )
        say(f"{space}: published, {len(changed)} files sent and {len(gone)} deleted")


def committed(app):
    """The files of an app that git knows, by path in its Space: no leftovers."""
    command = ["git", "ls-files", "-z", "."]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    known = {ROOT / file for file in listed.stdout.split("\0")}
    files = {path: file for path, file in sources(app, ROOT).items() if file in known}
    if "README.md" not in files:
        raise OSError(f"apps/{app} has no README.md, whose front matter tells a Space how to run")
    return files


def published(hub, space):
    """The files of a Space by path; empty when there is no such Space yet."""
    try:
        tree = list(hub.list_repo_tree(space, repo_type="space", recursive=True))
    except RepositoryNotFoundError:
        return {}
    return {entry.path: entry for entry in tree if hasattr(entry, "blob_id")}


def same(file, entry):
    """True when a local file is the published one: by git's hash, or by that of a large file."""
    if entry is None:
        return False
    content = file.read_bytes()
    if entry.lfs:
        return hashlib.sha256(content).hexdigest() == entry.lfs.sha256
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == entry.blob_id


def say(line):
    print(line, flush=True)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(f"- {line}\n")


def fail(message, code):
    say(f"Error: {message}")
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        print(f"::error::{message}")
    return code


if __name__ == "__main__":
    sys.exit(main())

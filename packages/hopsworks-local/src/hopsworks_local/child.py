"""The process that `hopsworks_local.start()` runs. It reads its settings from one line of stdin, and ends
at the next line or at the end of stdin, which is the end of the parent."""

from __future__ import annotations

import json
import sys

from .server import StartError, root_path, run


def main() -> None:
    """Run a server, say on stdout how to reach it, and end with the parent."""
    settings = json.loads(sys.stdin.readline())
    root = root_path(settings.pop("root"))
    try:
        running = run(root, **settings)
    except StartError as e:
        print(f"hopsworks_local: {e}", file=sys.stderr)
        sys.exit(1)
    print(json.dumps({**running.info, "page_token": running.app.page_token}), flush=True)
    sys.stdin.readline()
    running.end()


if __name__ == "__main__":
    main()

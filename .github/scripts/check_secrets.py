"""Does this repository have what a workflow needs? The first step of every job that needs a secret.

    python3 .github/scripts/check_secrets.py HOPSWORKS_API_KEY ...

Each name is a variable that must not be empty. The step's output ``ready`` says whether the rest
of the job can run. When something is missing, a fork gets a warning and skips the rest: its owner
never asked for a schedule. The home repository (its variable HOME_REPOSITORY says that it is one)
fails, since there a missing secret is a fault that somebody must hear of.
"""

import os
import sys


def main(names):
    missing = [name for name in names if not os.environ.get(name)]
    repository = os.environ["GITHUB_REPOSITORY"]
    home = os.environ.get("HOME_REPOSITORY") == repository
    with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as file:
        file.write(f"ready={'false' if missing else 'true'}\n")
    if not missing:
        return 0
    message = (
        f"{' and '.join(missing)} not set in {repository}: add it under Settings, "
        "Secrets and variables, Actions (docs/actions.md says what it is)"
    )
    print(f"::error::{message}" if home else f"::warning::{message}; skipped")
    with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as file:
        file.write(f"**{'Error' if home else 'Skipped'}:** {message}\n\n")
    return 1 if home else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

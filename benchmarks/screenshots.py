"""The README's pictures of the two apps, as a browser shows them.

    make pipeline                        puts wines and a model in the local Hopsworks
    python -m benchmarks.screenshots     about a minute

Makes sixty daily wines and their predictions in a copy of the local Hopsworks, starts both apps on
it and takes each on a desktop, on a phone and in dark mode. Writes docs/images/APP-KIND.png.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import hopsworks_local
from benchmarks.apps import CHROMIUM, ROOT, SHOWS, running, wait_for

IMAGES = ROOT / "docs" / "images"
KINDS = {
    "desktop": {"viewport": {"width": 1200, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
}
DAYS = "60"


def main():
    """Take all pictures."""
    data = Path(os.environ.get("HOPSWORKS_LOCAL_ROOT") or ROOT / ".hopsworks").resolve()
    if not data.is_dir():
        sys.exit("error: no local Hopsworks here: run `make pipeline` first")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = Path(folder) / "hopsworks"
        shutil.copytree(data, store)
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM])
        with hopsworks_local.start(store, "wine") as server:
            for script in (["daily.py", "--days", DAYS], ["inference.py"]):
                subprocess.run(
                    [sys.executable, *script], cwd=ROOT, env=os.environ | server.env, check=True
                )
            for name, shows in SHOWS.items():
                with running(ROOT / "apps" / name, server.env) as (url, process):
                    wait_for(url, process)
                    for kind, options in KINDS.items():
                        take(browser, url, shows, options, IMAGES / f"{name}-{kind}.png")
        browser.close()


def take(browser, url, shows, options, path):
    """One picture of what the window shows."""
    page = browser.new_page(**options)
    page.goto(url)
    page.locator(shows).wait_for()
    example = page.get_by_role("button", name="red, graded 7")
    if example.count():  # the typical wine has nothing to explain
        example.click()
        page.locator(".effects").wait_for()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=path, animations="disabled")
    page.close()
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

"""The README's pictures of the two apps, as a browser shows them.

    make pipeline                        puts wines and a model in the local Hopsworks
    python -m benchmarks.screenshots     about a minute

Makes sixty daily wines and their predictions in a copy of the local Hopsworks, starts both apps on
it and takes each on a desktop, on a phone and in dark mode. Writes docs/images/APP-KIND.png.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import hopsworks_local
from apps.assemble import assemble, sources
from benchmarks import common
from benchmarks.apps import SHOWS, browser, running, wait_for

IMAGES = common.ROOT / "docs" / "images"
KINDS = {
    "desktop": {"viewport": {"width": 1000, "height": 854}, "device_scale_factor": 2},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "dark": {"viewport": {"width": 1200, "height": 900}, "color_scheme": "dark"},
}
DAYS = "60"


def main():
    """Take all pictures."""
    data = common.hopsworks_data()
    IMAGES.mkdir(parents=True, exist_ok=True)
    with browser() as chromium, tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "hopsworks"
        shutil.copytree(data, store)
        with hopsworks_local.start(store, "wine") as server:
            env = common.local_env(store) | server.env
            for script in (["daily.py", "--days", DAYS], ["inference.py"]):
                subprocess.run([sys.executable, *script], cwd=common.ROOT, env=env, check=True)
            for name, shows in SHOWS.items():
                app = assemble(sources(name), Path(folder) / name)
                with running(app, env) as (url, process):
                    wait_for(url, process)
                    for kind, options in KINDS.items():
                        take(chromium, url, shows, options, IMAGES / f"{name}-{kind}.png")


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
    print(f"{path.relative_to(common.ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

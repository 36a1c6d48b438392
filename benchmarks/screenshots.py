"""The pictures of the two apps in the README and docs, and those that shared links show.

    make pipeline                        puts wines and a model in the local Hopsworks
    python -m benchmarks.screenshots     about a minute

Makes sixty daily wines and their predictions in a copy of the local Hopsworks, starts both apps on
it and takes each on a desktop, on a phone and in dark mode. Writes docs/images/APP-KIND.png and
apps/APP/share.png, with 256 colours, so that they are small.
"""

import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import hopsworks_local
from apps.assemble import assemble, sources
from benchmarks import common
from benchmarks.apps import SHOWS, browser, running, wait_for

IMAGES = common.ROOT / "docs" / "images"
KINDS = {
    "desktop": {"viewport": {"width": 1280, "height": 1000}},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
    "dark": {"viewport": {"width": 1280, "height": 1000}, "color_scheme": "dark"},
    "share": {"viewport": {"width": 1200, "height": 630}},  # the size that shared links show
}
WINES = {"predictor": "?type=red&alcohol=12.6&volatile_acidity=0.31&sulphates=0.78"}
DAYS = "60"


def main():
    """Take all pictures."""
    data = common.hopsworks_data()
    with browser() as chromium, tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "hopsworks"
        shutil.copytree(data, store)
        with hopsworks_local.start(store, "wine") as server:
            env = common.local_env(store) | server.env
            for script in (["daily.py", "--days", DAYS], ["inference.py"]):
                subprocess.run([sys.executable, *script], cwd=common.ROOT, env=env, check=True)
            for name, shows in SHOWS.items():
                space = assemble(sources(name), Path(folder) / name)
                with running(space, env) as (url, process):
                    wait_for(url, process)
                    for kind, options in KINDS.items():
                        path = IMAGES / f"{name}-{kind}.png"
                        if kind == "share":
                            path = common.ROOT / "apps" / name / "share.png"
                        take(chromium, f"{url}/{WINES.get(name, '')}", shows, options, path)


def take(browser, url, shows, options, path):
    """Take one picture of what the window shows."""
    page = browser.new_page(**options)
    page.goto(url)
    page.locator(shows).wait_for(timeout=120_000)
    page.wait_for_load_state("networkidle")
    with Image.open(io.BytesIO(page.screenshot(animations="disabled"))) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)
    page.close()
    print(f"{path.relative_to(common.ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

"""The two Spaces: how big, how fast to the first page and to an answer, and whether they grow.

    make pipeline                    puts wines and a model in the local Hopsworks
    python -m benchmarks.apps        about ten minutes

Each app is assembled alone in a new folder and runs in a new environment with its own requirements
alone, on a copy of the local Hopsworks. `predict` is called over HTTP in turn with an empty Gradio
app in the same environment, then by eight clients at once, ten thousand times. The predictor grades
files of 5 MB that are made to take long. The monitor reads and draws 10, 3,650 and 36,500 daily
wines. Writes results/apps.{json,md}.
"""

import contextlib
import datetime
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import psutil
from playwright.sync_api import Error, sync_playwright
from tqdm import tqdm

import hopsworks_local
from apps.assemble import assemble, sources
from benchmarks import common
from wine import features
from wine.columns import NAMES
from wine.connection import connect
from wine.groups import DAILY, PREDICTION

SHOWS = {"predictor": "#result", "monitor": "#summary .today"}  # what a first page must show
TURNS, CLIENTS, MANY = 500, 8, 10_000
WARM_UP = 20
HISTORIES = (10, 3_650, 36_500)  # daily wines: the last of a hundred years
CHROMIUM = (  # without these, Chromium asks its maker's hosts for this and that
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
EMPTY = """
import gradio as gr

def predict(wine: dict) -> dict:
    return wine

with gr.Blocks(analytics_enabled=False) as app:
    gr.api(predict, api_name="predict", concurrency_limit=4)
app.launch(footer_links=[])
"""
READ = """
import datetime, json, time
from history import read
from live import connect
from page import agreement_chart, details, summary, wines_chart
from verdict import Window

project, last, seconds = connect(), None, {"read": [], "draw": []}
for number in range(6):
    started = time.perf_counter()
    last = read(project, last)
    seconds["read"].append(time.perf_counter() - started)
    started = time.perf_counter()
    window = Window(last, 365, datetime.datetime.now(datetime.UTC))
    html = summary(window) + details(window)
    charts = agreement_chart(window).plot + wines_chart(window).plot
    seconds["draw"].append(time.perf_counter() - started)
print(json.dumps(seconds | {"wines": len(last.wines), "kb": len(html + charts) / 1000}))
"""
FILES = """
import files, graded, json, page, time
from live import connect
from served import latest

served = latest(connect(), None)
wine = served.typical("white")
header, row = ",".join(wine) + ",own\\n", ",".join(map(str, wine.values()))
wines = header + f"{row},{'x' * 175}\\n" * 20_000
seconds = {}
for name, content in {
    "20,000 wines in 5 MB": wines,
    "millions of commas in a row": wines[:90_000] + "," * 4_800_000,
    "a quote that never ends": wines[:3_000_000] + '"' + "x\\n" * 80_000,
    "1,000 quotes that never end": wines + '"x\\n' * 1_000,
    "100,000 columns": "x," * 100_000 + header + row,
}.items():
    started = time.perf_counter()
    try:
        table = files.read(content.encode(), served.spec.columns)
        answered = graded.answer_all(table, served)
        graded.as_file(table, answered, 1), page.graded(answered)
    except files.BadFile as error:
        print(error)  # a file that is refused takes its time, too
    seconds[name] = time.perf_counter() - started
print(json.dumps(seconds))
"""


def main():
    """Measure all of it; one copy of the local Hopsworks for each part that writes."""
    data = common.hopsworks_data()
    with browser():  # without one, end before the minutes of installing
        pass
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        store = folder / "hopsworks"
        shutil.copytree(data, store)
        apps = {name: installed(name, folder / name) for name in SHOWS}
        with hopsworks_local.start(store, "wine") as server:
            env = common.local_env(store) | server.env
            for name, result in apps.items():
                result["first_page_seconds"] = first_page(folder / name, SHOWS[name], env)
            answers = predictions(folder / "predictor", env)
            files = output(folder / "predictor", FILES, env)
        histories = [refresh(folder, data, count) for count in HISTORIES]
    result = {"machine": common.machine(), "apps": apps, "predict": answers, "files": files}
    result["monitor"] = histories
    common.keep("apps", result, table_of(result))


def installed(name, folder):
    """Assemble an app and install its requirements alone; return its size and packages."""
    assemble(sources(name), folder / "app")
    print(f"{name}: installing", flush=True)
    environment, uv = folder / "env", [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--python", sys.executable, environment], check=True)
    install = [*uv, "pip", "install", "--python", environment / "bin/python", "-r"]
    subprocess.run([*install, folder / "app/requirements.txt"], check=True)
    packages = len(list(environment.glob("lib/*/site-packages/*.dist-info")))
    return {"installed_mb": common.size_mb(environment), "packages": packages}


def output(folder, program, env):
    """Return what a program prints last, as JSON, in an app's folder and environment."""
    done = subprocess.run(
        [folder / "env/bin/python", "-c", program],
        cwd=folder / "app",
        env=env | {"PYTHONPATH": "."},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def browser():
    """Chromium without a window, the machine's own or playwright's; without any, ends the program."""
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        try:
            opened = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM])
        except Error:
            sys.exit(
                "error: no browser here: apt-get install chromium, or playwright install chromium"
            )
        yield opened
        opened.close()


@contextlib.contextmanager
def running(folder, env, *, python=sys.executable, script="app.py"):
    """Start an app in its ``folder`` on a free port, with the variables ``env``; gives its URL and
    process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = env | {"GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    process = subprocess.Popen(
        [python, script], cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


def own(folder, env, **options):
    """Start an app that ``installed`` put into ``folder``, in its own environment."""
    return running(folder / "app", env, python=folder / "env/bin/python", **options)


def wait_for(url, process):
    """Wait until an app answers."""
    while True:
        if process.poll() is not None:
            sys.exit(f"error: the app ended with {process.returncode}")
        try:
            return httpx.get(url).raise_for_status()
        except httpx.ConnectError:
            time.sleep(0.02)


def first_page(folder, shows, env):
    """Return the seconds from the start of the process to content in a browser: median of three."""
    seconds = []
    with browser() as chromium:
        for _ in range(3):
            started = time.perf_counter()
            with own(folder, env) as (url, process):
                wait_for(url, process)
                page = chromium.new_page()
                page.goto(url)
                page.wait_for_function(
                    f"(document.querySelector({shows!r})?.innerText ?? '').length > 20",
                    timeout=60_000,
                )
                seconds.append(time.perf_counter() - started)
                page.close()
    return round(float(np.median(seconds)), 2)


def predictions(folder, env):
    """Return the latency of `predict` beside an empty app's, calls a second, and memory."""
    (folder / "app/empty.py").write_text(EMPTY)
    wines = common.wines().sample(500, random_state=0)
    wines = wines[[*NAMES, "type"]].to_dict("records")
    with (
        own(folder, env) as (url, process),
        own(folder, env, script="empty.py") as (empty_url, empty_process),
        httpx.Client(timeout=60) as client,
    ):
        wait_for(url, process)
        wait_for(empty_url, empty_process)
        seconds = {url: [], empty_url: []}
        for turn in tqdm(range(WARM_UP + TURNS), "in turn"):
            for address, taken in seconds.items():
                started = time.perf_counter()
                ask(client, address, wines[turn % len(wines)])
                taken.append(time.perf_counter() - started)
        memory = {WARM_UP + TURNS: memory_mb(process)}

        def ask_many(count):
            with httpx.Client(timeout=60) as client:
                for turn in range(count):
                    ask(client, url, wines[turn % len(wines)])

        rest = (MANY - WARM_UP - TURNS) // CLIENTS
        started = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(ask_many, [rest] * CLIENTS))
        a_second = rest * CLIENTS / (time.perf_counter() - started)
        memory[MANY] = memory_mb(process)
    taken = {"ours": seconds[url][WARM_UP:], "empty app": seconds[empty_url][WARM_UP:]}
    quantiles = {
        name: {f"p{q}_ms": round(1000 * float(np.percentile(each, q)), 2) for q in (50, 99)}
        for name, each in taken.items()
    }
    ours, empty = quantiles.values()
    return quantiles | {
        "p50_ratio": ours["p50_ms"] / empty["p50_ms"],
        "p99_ratio": ours["p99_ms"] / empty["p99_ms"],
        "requests_per_second_with_8_clients": round(a_second, 1),
        "memory_mb_after": memory,
    }


def ask(client, url, wine):
    """Make one prediction: a POST for an event, a GET for its answer."""
    event = client.post(f"{url}/gradio_api/call/predict", json={"data": [wine]})
    answer = client.get(f"{url}/gradio_api/call/predict/{event.json()['event_id']}")
    if not answer.text.startswith("event: complete"):
        sys.exit(f"error: {answer.text}")


def memory_mb(process):
    """Return the resident memory of a process, in MB."""
    return round(psutil.Process(process.pid).memory_info().rss / 1e6)


def refresh(folder, data, count):
    """Return the seconds that the monitor takes to read and draw so many predicted wines."""
    print(f"monitor: {count:,} wines", flush=True)
    store = folder / f"history_{count}"
    shutil.copytree(data, store)
    with hopsworks_local.start(store, "wine") as server:
        env = common.local_env(store) | server.env
        put = f"from benchmarks.apps import put_history; put_history({count})"
        subprocess.run([sys.executable, "-c", put], cwd=common.ROOT, env=env, check=True)
        result = output(folder / "monitor", READ, env)
    return {
        "wines": result["wines"],
        "first_read_seconds": result["read"][0],
        "read_seconds": float(np.median(result["read"][1:])),
        "draw_seconds": float(np.median(result["draw"])),
        "page_kb": round(result["kb"]),
    }


def put_history(count):
    """Write daily wines and predictions of the ``count`` days up to yesterday.

    The wines are real ones; a prediction is the grade or one beside it, drawn.
    """
    store = connect().get_feature_store()
    random = np.random.default_rng(0)
    wines = common.wines().sample(count, replace=True, random_state=0).reset_index(drop=True)
    today = pd.Timestamp(datetime.datetime.now(datetime.UTC).date())
    wines["day"] = today - pd.to_timedelta(1 + np.arange(count), unit="D")
    wines["source_id"], wines["wine_id"] = wines["wine_id"], wines["day"].dt.strftime("%Y-%m-%d")
    wines = wines.rename(columns={"quality": "reference_grade"})
    features.write(store, DAILY, wines[list(DAILY.columns)])
    predicted = np.clip(wines["reference_grade"] + random.integers(-1, 2, count), 3, 9)
    wines = wines.assign(
        predicted_grade=predicted,
        predicted_score=predicted + random.uniform(-0.5, 0.5, count).round(4),
        probability=random.uniform(0.3, 0.7, count).round(4),
        model_version=1,
    )
    features.write(store, PREDICTION, wines[list(PREDICTION.columns)])


def table_of(result):
    """Return the results, a row each."""
    ask, rows = result["predict"], []
    for name, app in result["apps"].items():
        rows.append((f"{name}: installed", f"{app['installed_mb']} MB, {app['packages']} packages"))
        rows.append((f"{name}: start to first page", f"{app['first_page_seconds']:.1f} s"))
    for quantile in ("p50", "p99"):
        ours, empty = ask["ours"][f"{quantile}_ms"], ask["empty app"][f"{quantile}_ms"]
        ratio = ask[f"{quantile}_ratio"]
        rows.append(
            (f"predict over HTTP, {quantile}", f"{ours:.1f} ms, {ratio:.2f} × an empty app's {empty:.1f} ms")
        )  # fmt: skip
    rows.append(
        ("predict, 8 clients", f"{ask['requests_per_second_with_8_clients']:.0f} requests a second")
    )
    worst, seconds = max(result["files"].items(), key=lambda item: item[1])
    rows.append((f"the slowest file of {len(result['files'])}: {worst}", f"{seconds:.1f} s"))
    memory = ", ".join(f"{mb} MB after {asked:,}" for asked, mb in ask["memory_mb_after"].items())
    rows.append(("predictor's memory", f"{memory} predictions"))
    for history in result["monitor"]:
        rows.append(
            (
                f"monitor's refresh, {history['wines']:,} daily wines",
                f"read {history['read_seconds']:.2f} s, drawn {history['draw_seconds']:.2f} s, "
                f"page {history['page_kb']} kB",
            )
        )
    return pd.DataFrame(rows, columns=["what", "measured"])


if __name__ == "__main__":
    main()

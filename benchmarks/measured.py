"""Programs from start to end: their seconds, CPU seconds, peak memory; and a picture."""

import contextlib
import itertools
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import psutil
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks import common

MAX_SECONDS, MAX_GB = 1800, 12  # a program that reaches either is stopped there
COLOURS = ("#8b1e3f", "#b8860b", "#2f6690", "#3f7d3e", "#6b6b6b")


def measured(command, folder, data, *, max_seconds=MAX_SECONDS):
    """Run ``python *command`` in ``folder`` on the local Hopsworks of ``data``.

    Return a cell: seconds on the clock, cpu_seconds of all cores, peak_mb, and the machine and
    the commit measured. A program that reaches a limit is stopped, and its cell has ``stopped``,
    which limit, in place of the seconds. RuntimeError with the end of what it said when it fails.

    Memory is the resident memory of the program and all that it started (the local server,
    notebook kernels, workers), summed; both are sampled every 0.1 s. A peak between two samples
    is missed, and so is what a process uses after its last sample: at most 0.1 s of each.
    """
    peak, used, stopped = 0, {}, None
    cell = {"machine": common.machine(), "commit": common.commit()}
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = psutil.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=common.local_env(data),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            tree = [process, *process.children(recursive=True)]
            peak = max(peak, sum(resident(member, used) for member in tree))
            if time.perf_counter() - started > max_seconds:
                stopped = f"more than {max_seconds:,} s"
            elif peak > MAX_GB * 1e9:
                stopped = f"more than {MAX_GB} GB"
            if stopped:
                for member in tree:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        member.kill()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(0.1)
        seconds = time.perf_counter() - started
        cell["peak_mb"] = round(peak / 1e6)
        if stopped:
            return {"stopped": stopped} | cell
        if process.returncode:
            output.seek(0)
            raise RuntimeError(
                f"{command} ended with {process.returncode}: {output.read()[-2000:]}"
            )
    return {"seconds": round(seconds, 2), "cpu_seconds": round(sum(used.values()), 2)} | cell


def resident(process, used):
    """Resident memory of a process in bytes, 0 when it has just ended.

    ``used``, seconds by process id, takes the CPU seconds it has used until now.
    """
    with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
        used[process.pid] = sum(process.cpu_times()[:2])
        return process.memory_info().rss
    return 0


def median(cells):
    """One cell for repeated measurements, the median of each number; a stopped one stands for all."""
    for cell in cells:
        if "stopped" in cell:
            return cell
    numbers = ("seconds", "cpu_seconds", "peak_mb")
    return cells[0] | {
        **{name: statistics.median(cell[name] for cell in cells) for name in numbers},
        "seconds_of_each": [cell["seconds"] for cell in cells],
    }


def seconds(cell):
    """The CPU seconds of a cell as text: with one decimal below ten."""
    return f"{cell['cpu_seconds']:,.{0 if cell['cpu_seconds'] >= 10 else 1}f} s"


def lines(title, xlabel, series):
    """A figure of CPU seconds by size, both axes logarithmic.

    ``series`` maps the name of each line to its points, {size: cell}; stopped cells are left out,
    and so are lines without a point.
    """
    series = {
        name: {size: cell["cpu_seconds"] for size, cell in points.items() if "seconds" in cell}
        for name, points in series.items()
    }
    series = {name: points for name, points in series.items() if points}
    colours = dict(zip(series, COLOURS, strict=False))
    figure = Figure(figsize=(7.5, 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for name, points in series.items():
        axes.plot([*points], [*points.values()], "o-", color=colours[name])
    sizes = sorted({size for points in series.values() for size in points})
    axes.set(xscale="log", yscale="log", title=title, xlabel=xlabel, ylabel="CPU seconds")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    ends = {name: list(points.items())[-1] for name, points in series.items()}
    for last in {size for size, _ in ends.values()}:
        here = {name: end for name, (size, end) in ends.items() if size == last}
        for (name, end), shift in zip(here.items(), shifts(axes, [*here.values()]), strict=True):
            axes.annotate(
                name, (last, end), (10, shift), textcoords="offset points", va="center",
                color=colours[name],
            )  # fmt: skip
    return figure


def shifts(axes, values, least=12):
    """By how many points (1/72 inch) labels at ``values`` (n,) must go up to be ``least`` apart."""
    places = axes.transData.transform([(1, value) for value in values])[:, 1]
    places = places * 72 / axes.figure.dpi
    order, moved = np.argsort(places), places.copy()
    for lower, upper in itertools.pairwise(order):
        moved[upper] = max(moved[upper], moved[lower] + least)
    return moved - places

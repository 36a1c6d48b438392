"""How often the monitor says "look" by chance, and how soon when something has changed.

    make pipeline                      puts wines and a model in the local Hopsworks
    python -m benchmarks.monitor       about ten minutes

Makes ten years of daily wines as daily.py does, predicts them by the served model and looks at
every day through each of the monitor's windows. Then something changes, from a day on, in a
hundred of these histories. Writes results/monitor.{json,md}.
"""

import datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
from tqdm import tqdm

from apps.monitor.verdict import LOOK, Window
from benchmarks import common
from wine import features, model, registry
from wine.connection import connect
from wine.generator import generate
from wine.groups import WINE
from wine.split import training_part

FIRST, DAYS = datetime.date(2016, 1, 1), 10 * 365
WINDOWS, MONTH = (30, 90, 365), 30
HISTORIES, PATIENCE = 100, 90


def main():
    """Measure and keep."""
    common.hopsworks_data()
    project = connect()
    served = registry.served(project)
    fitted, spec = registry.load(served)
    wines = features.read(project.get_feature_store(), WINE)
    monitored = SimpleNamespace(version=served.version, spec=spec, wines=wines)
    history = daily_wines(training_part(wines), fitted, monitored)
    result = {
        "machine": common.machine(),
        "days": DAYS,
        "by_chance": [by_chance(history, monitored, days) for days in WINDOWS],
        "changes": [
            how_soon("agreement as on unseen wines", history, monitored, as_if_unseen),
            how_soon("alcohol one standard deviation higher", history, monitored, stronger),
        ],
    }
    common.keep("monitor", result, table_of(result))


def daily_wines(train, fitted, monitored):
    """Return DAYS daily wines that the model predicted, a frame as of the monitor's history."""
    days = [FIRST + datetime.timedelta(days=day) for day in range(DAYS)]
    wines = pd.DataFrame([generate(day, train) for day in tqdm(days, "daily wines")])
    grades, scores, _ = model.predict(fitted, monitored.spec, wines)
    return wines.assign(
        predicted_grade=grades.astype(float),
        predicted_score=scores,
        model_version=float(monitored.version),
    )


def verdict(wines, monitored, days):
    """Return what the monitor says on the evening of the last of ``wines``."""
    evening = wines["day"].iloc[-1].to_pydatetime().replace(hour=22, tzinfo=datetime.UTC)
    return Window(SimpleNamespace(wines=wines, model=monitored), days, evening).verdict


def by_chance(history, monitored, days):
    """Return the shares of days and of months with a false alarm, for a window of ``days``."""
    looks = [
        verdict(history[end - days : end], monitored, days) == LOOK
        for end in tqdm(range(days, DAYS + 1), f"{days} days")
    ]
    months = np.array(looks[: len(looks) // MONTH * MONTH]).reshape(-1, MONTH).any(axis=1)
    return {
        "window": days,
        "days": float(np.mean(looks)),
        "months": float(months.mean()),
        "counted": len(months),
    }


def how_soon(name, history, monitored, change):
    """Return after how many days a window of 30 says "look", in HISTORIES histories."""
    random, taken = np.random.default_rng(0), []
    for start in tqdm(np.linspace(MONTH, DAYS - PATIENCE, HISTORIES).astype(int), name):
        part = history[start - MONTH : start + PATIENCE].reset_index(drop=True)
        change(part, part.index >= MONTH, monitored, random)
        ends = range(MONTH, len(part))
        looks = (
            end - MONTH + 1 for end in ends if verdict(part[: end + 1], monitored, MONTH) == LOOK
        )
        taken.append(next(looks, None))
    noticed = [days for days in taken if days is not None]
    return {
        "change": name,
        "noticed": len(noticed) / len(taken),
        "median_days": float(np.median(noticed)) if noticed else None,
    }


def as_if_unseen(wines, since, monitored, random):
    """Change the predictions ``since`` a day: right as often as on unseen wines, else one away."""
    right = random.random(len(wines)) < monitored.spec.metrics.cv["accuracy"]
    beside = np.clip(wines["reference_grade"] + random.choice([-1, 1], len(wines)), 3, 9)
    wines.loc[since, "predicted_grade"] = (
        wines["reference_grade"].where(right, beside).astype(float)
    )


def stronger(wines, since, monitored, random):
    """Change the wines ``since`` a day: their alcohol is one standard deviation higher."""
    wines.loc[since, "alcohol"] += monitored.wines["alcohol"].std()


def table_of(result):
    """Return what was measured, a line each."""
    rows = [
        (f"nothing has changed, window of {row['window']} days",
         f"\"look\" on {row['days']:.1%} of the days, in {row['months']:.1%} of {row['counted']:,} months")
        for row in result["by_chance"]
    ]  # fmt: skip
    for row in result["changes"]:
        after = f", after a median of {row['median_days']:.0f} days" if row["noticed"] else ""
        rows.append((f"{row['change']}, window of {MONTH} days",
                     f"noticed within {PATIENCE} days in {row['noticed']:.0%} of {HISTORIES} histories{after}"))  # fmt: skip
    return pd.DataFrame(rows, columns=["what", "measured"])


if __name__ == "__main__":
    main()

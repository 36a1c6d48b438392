"""Part 4: make the wine of the day and save it to Hopsworks.

Randomises the values of a real wine, finds the nearest real wine and skews that a little. The
day is the seed: the same date gives the same wine, so running this twice changes nothing.

\b
  python daily.py                          today (UTC), and the days missed since the last wine
  python daily.py --date 2026-11-23        this day
  python daily.py --date 2026-11-23 --days 7   the seven days up to this one
  python daily.py --dry-run                show the wine, save nothing

The variables WINE_DATE, WINE_DAYS and WINE_DRY_RUN do what the options do; the scheduled
workflow passes what was typed through them, since an empty one counts as not given.
"""

import datetime

import click
import pandas as pd

from wine import features, summary
from wine.cli import run
from wine.columns import MEASUREMENTS
from wine.connection import connect
from wine.errors import BadInput
from wine.generator import generate

MOST_DAYS = 60  # how far back missed days are filled: as long as GitHub keeps a silent schedule
FIRST_DAY = datetime.date(2000, 1, 1)


@click.command(help=__doc__)
@click.option(
    "--date",
    envvar="WINE_DATE",
    show_envvar=True,
    type=click.DateTime(["%Y-%m-%d"]),
    help="The last day to make; default today (UTC).",
)
@click.option(
    "--days",
    envvar="WINE_DAYS",
    show_envvar=True,
    type=click.IntRange(1, MOST_DAYS),
    help="How many days up to then; default: with --date that day, else all missed since the last.",
)
@click.option(
    "--dry-run",
    envvar="WINE_DRY_RUN",
    show_envvar=True,
    is_flag=True,
    help="Show the wines, save nothing.",
)
def main(date, days, dry_run):
    today = datetime.datetime.now(datetime.UTC).date()
    last = date.date() if date else today
    if last > today:
        raise BadInput(f"--date {last} has not come yet: today is {today} (UTC)")
    if last - datetime.timedelta(days=(days or 1) - 1) < FIRST_DAY:
        raise BadInput(f"--date {last} is too long ago: the first day is {FIRST_DAY}")
    store = connect().get_feature_store()
    wines = features.read(store, features.WINE)
    wines = wines[wines["split"] == "train"]  # a generated wine must never be near a test wine

    window = [last - datetime.timedelta(days=back) for back in reversed(range(MOST_DAYS))]
    there, filed = days_there(store, window)
    if days or date:
        wanted = window[-(days or 1) :]
    else:
        wanted = [day for day in window if day > max(there)] if there else [last]
    missing = [day for day in wanted if day not in there]

    # inference.py reads what was filed since its last run: a clock that is behind hides nothing
    filed = max(filed, pd.Timestamp(today))
    made = pd.DataFrame([generate(day, wines) | {"filed": filed} for day in missing])
    for wine in made.itertuples():
        show(wine)
    if made.empty:
        said = f"nothing to do: {wanted[-1] if wanted else last} has its wine"
    elif dry_run:
        said = f"dry run: {len(made)} made, nothing saved"
    else:
        features.write(store, features.DAILY, made)
        said = f"saved {len(made)} daily wines, the last of {missing[-1]}"
    print(said)
    summary.add(f"Daily wine: {said}", *map(summary.wine_table, made.tail(1).itertuples()))


def days_there(store, window):
    """Which days of the window have a wine, and the latest day on which any since was filed.

    Reads nothing from before the window, however long the history.
    """
    wines = features.empty(features.DAILY)
    if features.find(store, features.DAILY) is not None:
        wines = features.read_from(store, features.DAILY, "day", window[0])
    days = {day.date() for day in wines["day"]} & set(window)
    return days, max(wines["filed"], default=pd.Timestamp.min)


def show(wine):
    """One wine as a line of its values with their units."""
    values = ", ".join(
        f"{column.label.lower()} {getattr(wine, column.name):.{column.decimals}f}"
        + (f" {column.unit}" if column.unit else "")
        for column in MEASUREMENTS
    )
    print(f"{wine.wine_id}  {wine.type}, grade {wine.quality} (that of {wine.source_id}): {values}")


if __name__ == "__main__":
    run(main)

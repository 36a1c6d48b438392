"""Part 4: make the wine of the day and save it to Hopsworks.

Randomises the values of a real wine, finds the nearest real wine and changes it slightly. The day
is the seed: the same date gives the same wine, so running this again changes nothing.

\b
  python daily.py                             every missing day of the last 60, today (UTC) included
  python daily.py --date 2026-11-23           this day
  python daily.py --date 2026-11-23 --days 7  the seven days up to this one
  python daily.py --dry-run                   show the wines, save nothing

On a first run that is 60 wines. Older days are made only with --date and --days. The variables
WINE_DATE, WINE_DAYS and WINE_DRY_RUN do the same as the options; an empty variable counts as not
given.
"""

import datetime
from typing import Any

import click
import pandas as pd

from wine import features, summary
from wine.cli import run
from wine.columns import MEASUREMENTS
from wine.connection import connect
from wine.errors import BadInput
from wine.generator import generate
from wine.groups import DAILY, WINE
from wine.split import training_part

MAX_DAYS = 60  # GitHub disables a schedule after 60 days without activity
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
    type=click.IntRange(1, MAX_DAYS),
    help=f"Number of days up to --date; default 1 with --date, else {MAX_DAYS}.",
)
@click.option(
    "--dry-run",
    envvar="WINE_DRY_RUN",
    show_envvar=True,
    is_flag=True,
    help="Show the wines, save nothing.",
)
def main(date: datetime.datetime | None, days: int | None, dry_run: bool) -> None:
    window = days_to_fill(date and date.date(), days)
    store = connect().get_feature_store()
    wines = training_part(features.read(store, WINE))  # never near a wine of the test set
    present = set(features.read_all(store, DAILY)["day"].dt.date)
    missing = [day for day in window if day not in present]

    generated = pd.DataFrame([generate(day, wines) for day in missing])
    if generated.empty:
        message = f"nothing to do: no day is missing from {window[0]} to {window[-1]}"
    elif dry_run:
        message = f"dry run: {summary.count(len(generated), 'daily wine')} made, nothing saved"
    else:
        features.write(store, DAILY, generated)
        message = f"saved {summary.count(len(generated), 'daily wine')}, the last of {missing[-1]}"
    for wine in generated.itertuples():  # after saving: nobody has to read it
        print(describe(wine))
    print(message)
    summary.add(f"Daily wine: {message}", *map(summary.wine_table, generated.tail(1).itertuples()))


def days_to_fill(last: datetime.date | None, count: int | None) -> list[datetime.date]:
    """Return the ``count`` dates up to ``last``; by default one with a date, else 60 up to today.

    Raises BadInput for a date in the future or before 2000.
    """
    today = datetime.datetime.now(datetime.UTC).date()
    count = count or (1 if last else MAX_DAYS)
    last = last or today
    if last > today:
        raise BadInput(f"--date {last} is in the future: today is {today} (UTC)")
    if (last - FIRST_DAY).days < count - 1:
        raise BadInput(
            f"--date {last} with --days {count} is too early: {FIRST_DAY} is the first day"
        )
    return [last - datetime.timedelta(days=day) for day in reversed(range(count))]


def describe(wine: Any) -> str:
    """Return one wine as a line of its values with their units."""
    values = ", ".join(
        f"{column.label[0].lower()}{column.label[1:]} {getattr(wine, column.name):.{column.decimals}f}"
        + (f" {column.unit}" if column.unit else "")
        for column in MEASUREMENTS
    )
    return (
        f"{wine.wine_id}  {wine.type}, reference grade {wine.reference_grade} "
        f"(that of {wine.source_id}): {values}"
    )


if __name__ == "__main__":
    run(main)

"""Part 5: predict the daily wines that have no prediction yet, and count how it goes.

Saves the predictions to Hopsworks, and the confusion matrix (grades 3-9) and a picture of the
latest wines to Resources/images. Running it again changes nothing.

\b
  python inference.py              predict what is new
  python inference.py --recount    count all predictions again instead of going on counting
  python inference.py --dry-run    show the predictions, save nothing (or WINE_DRY_RUN=true)
"""

import datetime
import json
import tempfile
from pathlib import Path

import click
import numpy as np
import pandas as pd

from wine import features, model, plots, summary, tally
from wine.cli import run
from wine.connection import connect
from wine.decoding import probability_of
from wine.metrics import score_counts

IMAGES = "Resources/images"
RECENT_DAYS = 45  # how far back the picture of the latest wines may reach


@click.command(help=__doc__)
@click.option("--recount", is_flag=True, help="Count all predictions again.")
@click.option(
    "--dry-run",
    envvar="WINE_DRY_RUN",
    show_envvar=True,
    is_flag=True,
    help="Show the predictions, save nothing.",
)
def main(recount, dry_run):
    today = datetime.datetime.now(datetime.UTC).date()
    project = connect()
    store = project.get_feature_store()
    counted, published = (tally.empty(), None) if recount else last_tally(project)

    wines = features.read_from(store, features.DAILY, "filed", counted.through)
    known = predictions_from(store, counted.through)
    new = wines[~wines["wine_id"].isin(known["wine_id"])]
    if len(new):
        made = predict(project, new)
        for row in made.itertuples():
            print(f"{row.wine_id}  {row.type}, predicted {row.predicted} (expected {row.expected:.2f}), "
                  f"label {row.quality}, model version {row.model_version}")  # fmt: skip
        if not dry_run:
            features.write(store, features.PREDICTION, made)
        known = pd.concat([known, made], ignore_index=True) if len(known) else made
    counts = counted.with_recent(known)
    if dry_run:
        said = f"dry run: {len(new)} predicted, nothing saved"
    elif counts.sum() != published:  # new wines, or a run that ended before it had published
        publish(project, store, counts, counted.advanced(known), today)
        said = (
            f"saved {len(new)} predictions"
            if len(new)
            else "pictures and counts brought up to date"
        )
    else:
        said = "nothing to do: every daily wine has its prediction"
    print(said)
    summary.add(f"Inference: {said}")
    if len(new):
        summary.add(summary.prediction_table(made))
    for line in report(counts):
        print(line)
        summary.add(line)
    if counts.any():
        summary.add(summary.confusion_table(counts))


def last_tally(project):
    """The running counts of the last run, and how many wines its pictures show.

    Without them, or when they are damaged, the empty tally and None: a full recount.
    """
    try:
        text = features.download_text(project, f"{IMAGES}/tally.json")
        if not text:
            return tally.empty(), None
        content = json.loads(text)
        return tally.from_json(content), int(np.sum(content["all"]))
    except (ValueError, KeyError, TypeError):
        print("the running counts are damaged: counting all predictions again")
        return tally.empty(), None


def predictions_from(store, day):
    """The predictions filed on ``day`` or later; none before the first was made."""
    if features.find(store, features.PREDICTION) is None:
        return features.empty(features.PREDICTION)
    return features.read_from(store, features.PREDICTION, "filed", day)


def predict(project, wines):
    """One row of ``wine_prediction`` for each daily wine, by the served model."""
    with tempfile.TemporaryDirectory() as folder:
        registered = model.served(project)
        fitted, spec = model.load(model.download(registered, folder))
    grades, expected, chances = model.predict(fitted, spec, wines)
    made = wines[["wine_id", "day", "filed", "type", "quality"]].copy()
    made["predicted"] = grades
    made["expected"] = expected.round(4)
    made["probability"] = probability_of(grades, chances).round(4)
    made["model_version"] = registered.version
    return made


def publish(project, store, counts, counted, today):
    """Upload the pictures and, last, the tally: killed before that, the next run recounts."""
    recent = features.read_from(
        store, features.PREDICTION, "day", today - datetime.timedelta(days=RECENT_DAYS)
    )
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        title = f"{counts.sum():,} daily wines, label against prediction"
        matrix = plots.confusion_matrix(counts, title, rows="label (nearest real wine's grade)")
        matrix.savefig(folder / "confusion_matrix.png")
        plots.recent_wines(recent).savefig(folder / "recent_wines.png")
        content = counted.to_json() | {"all": counts.tolist(), "as_of": today.isoformat()}
        (folder / "tally.json").write_text(json.dumps(content))
        names = ("confusion_matrix.png", "recent_wines.png", "tally.json")
        features.upload(project, [folder / name for name in names], IMAGES)


def report(counts):
    """How well the daily wines were predicted so far, in sentences."""
    if not counts.any():
        return ["no daily wine predicted yet"]
    result = score_counts(counts)
    return [
        f"{counts.sum():,} daily wines: {result['accuracy']:.0%} agree with their label, "
        f"{result['within_one']:.0%} within one grade, QWK {result['qwk']:.2f}",
        "(a daily wine's label is its nearest real wine's grade, not a taster's)",
    ]


if __name__ == "__main__":
    run(main)

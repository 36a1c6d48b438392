"""Part 5: predict every daily wine that has no prediction yet, and report the agreement.

Saves the predictions to Hopsworks, and a confusion matrix (grades 3-9) and a picture of the
latest wines to Resources/images. Running it again changes nothing; what was deleted is made again.

\b
  python inference.py             predict what is new
  python inference.py --dry-run   show the predictions, save nothing (or WINE_DRY_RUN=true)
"""

import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from wine import features, model, plots, registry, summary
from wine.cli import run
from wine.connection import connect
from wine.decoding import probability_of
from wine.groups import DAILY, PREDICTION
from wine.metrics import confusion, has_kappa, score_counts

IMAGES = "Resources/images"
PICTURES = ("confusion_matrix.png", "recent_wines.png")


@click.command(help=__doc__)
@click.option(
    "--dry-run",
    envvar="WINE_DRY_RUN",
    show_envvar=True,
    is_flag=True,
    help="Show the predictions, save nothing.",
)
def main(dry_run: bool) -> None:
    project = connect()
    store = project.get_feature_store()
    wines = features.read(store, DAILY)
    # a prediction does not count if its wine was deleted, or made again as another one
    same = ["wine_id", "type", "reference_grade"]
    predictions = features.read_all(store, PREDICTION).merge(wines[same])
    new = wines[~wines["wine_id"].isin(predictions["wine_id"])]
    if len(new):
        predicted = predict(project, new)
        if not dry_run:
            features.write(store, PREDICTION, predicted)
        for row in predicted.itertuples():
            print(f"{row.wine_id}  {row.type}, predicted {row.predicted_grade} "
                  f"(score {row.predicted_score:.2f}), reference grade {row.reference_grade}, "
                  f"model version {row.model_version}")  # fmt: skip
        summary.add(summary.prediction_table(predicted))
        predictions = pd.concat([predictions, predicted]) if len(predictions) else predicted
    counts = confusion(predictions["reference_grade"], predictions["predicted_grade"])
    message = f"saved {summary.count(len(new), 'prediction')} and the pictures"
    if dry_run:
        message = f"dry run: {summary.count(len(new), 'prediction')} made, nothing saved"
    else:
        publish(project, predictions, counts)
        if not len(new):
            message = "nothing to do: every daily wine has its prediction; pictures renewed"
    for line in (message, *report(counts)):
        print(line)
        summary.add(line)
    summary.add(summary.confusion_table(counts))


def predict(project: Any, wines: pd.DataFrame) -> pd.DataFrame:
    """Return one row of ``wine_prediction`` for each daily wine, by the served model."""
    registered = registry.served(project)
    grades, scores, chances = model.predict(*registry.load(registered), wines)
    return wines[["wine_id", "day", "type", "reference_grade"]].assign(
        predicted_grade=grades,
        predicted_score=scores.round(4),
        probability=probability_of(grades, chances).round(4),
        model_version=registered.version,
    )


def publish(project: Any, predictions: pd.DataFrame, counts: np.ndarray) -> None:
    """Draw the pictures of all predictions and of their counts (7, 7), and upload them."""
    title = f"{summary.count(counts.sum(), 'daily wine')}: reference grade and prediction"
    figures = (
        plots.confusion_matrix(counts, title, rows="reference grade (of the nearest real wine)"),
        plots.recent_wines(predictions),
    )
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in PICTURES]
        for figure, file in zip(figures, files, strict=True):
            figure.savefig(file)
        features.upload(project, files, IMAGES)


def report(counts: np.ndarray) -> list[str]:
    """Return how well the daily wines were predicted so far, in sentences."""
    result, total = score_counts(counts), int(counts.sum())
    kappa = f", QWK {result['qwk']:.2f}" if has_kappa(counts) else ""
    return [
        f"{summary.count(total, 'daily wine')}: {result['accuracy']:.0%} predicted as their "
        f"reference grade, {result['within_one']:.0%} within one grade{kappa}",
        "(the reference grade is that of the nearest real wine, not a taster's)",
    ]


if __name__ == "__main__":
    run(main)

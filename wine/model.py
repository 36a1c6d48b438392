"""The folder a registered model consists of, and how it is used.

``model.joblib`` (a fitted pipeline: raw columns in, expected grade out), ``spec.json`` (all that
is needed to serve and explain it) and ``wines.csv`` (the real wines, to show neighbours and to
measure drift against). The folder is the only contract between training and serving.
"""

import hashlib
import importlib
import json
from pathlib import Path

import joblib
import numpy as np

from wine.columns import FEATURES
from wine.connection import call, place
from wine.decoding import decode, probabilities
from wine.errors import WineError

NAME = "wine_quality"
APPROVED = "approved"  # the metric that says which version is served; see served()
FILES = ("model.joblib", "wines.csv", "out_of_fold.csv")  # compared with spec["sha256"] before use
PICKLED = ("sklearn", "xgboost")  # the libraries whose objects model.joblib holds


class NothingServed(WineError):
    """No version of the model was approved yet."""


def expected_grade(model, wines):
    """Expected grade of each wine, float array (n,): a regressor's number, or the mean of a
    classifier's grades weighted by their probability. ``wines`` has the columns FEATURES."""
    if hasattr(model, "predict_proba"):
        return model.predict_proba(wines) @ model.classes_
    return np.asarray(model.predict(wines), dtype=float)


def expected_in_batches(model, wines, *, rows=1024, threads=2):
    """``expected_grade`` of any number of wines in bounded memory, on ``threads`` threads."""
    if 0 < len(wines) <= rows:
        return expected_grade(model, wines)  # threads would take longer than the model does
    parts = [wines.iloc[start : start + rows] for start in range(0, len(wines), rows)]
    done = joblib.Parallel(threads, prefer="threads", return_as="generator")(
        joblib.delayed(expected_grade)(model, part) for part in parts
    )
    return np.concatenate([np.empty(0), *done])


def save(folder, model, spec, wines, out_of_fold):
    """Write the model folder; ``spec`` gains the files' SHA-256.

    ``out_of_fold`` has ``wine_id`` and one column of served grades per repeat.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib", compress=3)
    wines.to_csv(folder / "wines.csv", index=False)
    out_of_fold.to_csv(folder / "out_of_fold.csv", index=False)
    spec = {**spec, "sha256": {file: _sha256(folder / file) for file in FILES}}
    (folder / "spec.json").write_text(json.dumps(spec, indent=2) + "\n")


def checked(folder):
    """The spec of a model folder whose files are those that were registered.

    Raises WineError, naming the file, when one is missing or its SHA-256 is another.
    """
    folder = Path(folder)
    for file in ("spec.json", *FILES):
        if not (folder / file).is_file():
            raise WineError(f"the model's {file} is missing: run train.ipynb to register it again")
    try:
        spec = json.loads((folder / "spec.json").read_text())
        expected = {file: spec["sha256"][file] for file in FILES}
        spec["versions"] = {name: str(made) for name, made in spec["versions"].items()}
    except (ValueError, KeyError, TypeError) as error:
        raise WineError("the model's spec.json is damaged: run train.ipynb again") from error
    for file in FILES:
        if _sha256(folder / file) != expected[file]:
            raise WineError(
                f"the model's {file} is not the one that was registered (its SHA-256 differs): "
                "it was not loaded; run train.ipynb to register a new version"
            )
    return spec


def load(folder):
    """The model and its spec. Checksums and versions are compared before anything is unpickled.

    Raises WineError as ``checked`` does, and when the model was made with another minor version
    of a library whose objects it holds.
    """
    spec = checked(folder)
    for name in PICKLED:
        made = spec["versions"].get(name, "an unknown version")
        here = importlib.import_module(name).__version__
        if made.split(".")[:2] != here.split(".")[:2]:  # pickles are promised to work in these only
            raise WineError(
                f"the model was made with {name} {made} and this is {here}: it was not loaded; "
                "install the version it was made with, or run train.ipynb to register a new one"
            )
    return joblib.load(Path(folder) / "model.joblib"), spec


def register(project, folder, *, metrics, wines, approved, description):
    """Save a model folder to the registry; returns the registered model.

    ``metrics`` are floats by name. With ``approved`` the version becomes the served one.
    """
    from hsml.model_schema import ModelSchema
    from hsml.schema import Schema

    registry, datasets = call(project.get_model_registry), project.get_dataset_api()
    schema = ModelSchema(Schema(wines[list(FEATURES)]), Schema(wines[["quality"]]))

    def save():
        version = max((entry.version for entry in registry.get_models(NAME)), default=0) + 1
        # a save that was killed leaves its folder, and the client refuses to use that number again
        while datasets.exists(f"Models/{NAME}/{version}"):
            version += 1
        registered = registry.sklearn.create_model(
            name=NAME,
            version=version,
            metrics=metrics | ({APPROVED: float(version)} if approved else {}),
            description=description,
            input_example=wines[list(FEATURES)].head(1),
            model_schema=schema,
        )
        registered.save(str(folder))
        return registered

    return call(save)


def served(project):
    """The registered model that is served: the newest version that was approved.

    ``train.ipynb`` approves a version, with its own number as the metric ``approved``, unless it
    is shown to be worse than the one served before. Raises NothingServed when there is none.
    """
    registry = call(project.get_model_registry)
    best = call(registry.get_best_model, NAME, APPROVED, "max")
    # versions without the metric sort last, so one can come back even when none was approved
    if best is None or APPROVED not in best.training_metrics:
        raise NothingServed(f"no served model {NAME} in {place()}: run train.ipynb first")
    return best


def download(registered, folder):
    """Download a registered model's files into ``folder`` and return their folder."""
    return call(registered.download, local_path=str(folder))


def predict(model, spec, wines):
    """Grade (int), expected grade (float) and probabilities (n, 7) of each wine."""
    expected = expected_in_batches(model, wines[list(FEATURES)])
    return decode(expected, spec["cuts"]), expected, probabilities(expected, spec["odds"])


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

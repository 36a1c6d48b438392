"""The folder of a registered model: how it is written, checked, loaded and asked.

``model.joblib`` holds a fitted regressor or classifier, ``spec.json`` all that is needed to
serve and explain it, ``wines.csv`` the real wines it was fitted on, ``out_of_fold.csv`` the
predictions it was judged by. The folder is the only contract between training and serving.
Nothing here needs Hopsworks: the apps take this module along.
"""

import hashlib
import importlib
import platform
import re
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from wine.columns import NAMES, TYPES
from wine.decoding import decode, probabilities
from wine.errors import WineError
from wine.spec import VERSIONED, Spec, parse

FILES = ("model.joblib", "wines.csv", "out_of_fold.csv")  # compared with spec.sha256 before use
PICKLED = ("sklearn", "xgboost")  # the libraries whose objects model.joblib holds
SPEC_DIGEST = re.compile(r"spec\.json sha256:([0-9a-f]{64})")  # in a version's description
TOLERANCE = 1e-3  # in predicted scores and probabilities, between machines


def encode(wines: pd.DataFrame) -> np.ndarray:
    """Return the input of a model, floats of shape (n, 12), for a frame of wines.

    The measurements in the order of ``NAMES``, then the place of the type in ``TYPES``. Raises
    KeyError for a missing column and ValueError for a missing or unknown value.
    """
    kinds = wines["type"]
    unknown = set(kinds) - set(TYPES)
    if unknown:
        raise ValueError(f"unknown type {unknown.pop()!r}: expected {' or '.join(TYPES)}")
    values = wines[list(NAMES)].to_numpy(dtype=float)
    if np.isnan(values).any():
        raise ValueError("a measurement is missing (NaN)")
    return np.column_stack([values, kinds.map(TYPES.index).to_numpy(dtype=float)])


def predict_scores(model: Any, x: np.ndarray) -> np.ndarray:
    """Return the predicted score of each wine, floats (n,), for encoded wines ``x`` (n, 12).

    A regressor's prediction, or the mean of a classifier's grades weighted by probability.
    """
    if hasattr(model, "predict_proba"):
        return model.predict_proba(x) @ model.classes_
    return np.asarray(model.predict(x), dtype=float)


def predict_in_batches(
    model: Any, x: np.ndarray, *, rows: int = 1024, threads: int = 2
) -> np.ndarray:
    """Return ``predict_scores`` of any number of wines, in bounded memory."""
    if 0 < len(x) <= rows:
        return predict_scores(model, x)  # for a few wines, threads take longer than the model
    parts = [x[start : start + rows] for start in range(0, len(x), rows)]
    scores = joblib.Parallel(threads, prefer="threads", return_as="generator")(
        joblib.delayed(predict_scores)(model, part) for part in parts
    )
    return np.concatenate([np.empty(0), *scores])


def predict(
    model: Any, spec: Spec, wines: pd.DataFrame | np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return grades (n,), predicted scores (n,) and probabilities (n, 7).

    ``wines`` is a frame with the columns FEATURES, or an array as of ``encode``.
    """
    x = wines if isinstance(wines, np.ndarray) else encode(wines)
    scores = predict_in_batches(model, x)
    return decode(scores, spec.cuts), scores, probabilities(scores, spec.odds)


def save(
    folder: str | Path, model: Any, spec: Spec, wines: pd.DataFrame, out_of_fold: pd.DataFrame
) -> Spec:
    """Write a model folder; return its Spec, which gains the digests of the other files.

    ``out_of_fold`` has ``wine_id`` and one column of predicted scores for each repeat.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib", compress=3)
    wines.to_csv(folder / "wines.csv", index=False)
    out_of_fold.to_csv(folder / "out_of_fold.csv", index=False)
    spec = spec.model_copy(update={"sha256": {file: _sha256(folder / file) for file in FILES}})
    (folder / "spec.json").write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return spec


def describe(folder: str | Path, text: str) -> str:
    """Return a version's description: ``text`` and the digest of the folder's spec.json."""
    return f"{text}; spec.json sha256:{_sha256(Path(folder) / 'spec.json')}"


def check(folder: str | Path, description: str | None) -> Spec:
    """Return the Spec of a model folder whose files are those that were registered.

    ``description`` is the registered version's. Raises WineError, naming the file, when one is
    missing or its SHA-256 differs, and naming the field when spec.json is not valid.
    """
    folder = Path(folder)
    for file in ("spec.json", *FILES):
        if not (folder / file).is_file():
            raise WineError(f"the model's {file} is missing. {REGISTER}")
    digest = SPEC_DIGEST.search(description or "")
    if digest is None:
        raise WineError(f"the registered model does not state the SHA-256 of spec.json. {REGISTER}")
    _compare("spec.json", _sha256(folder / "spec.json"), digest[1])
    spec = parse((folder / "spec.json").read_bytes())
    for file in FILES:
        _compare(file, _sha256(folder / file), spec.sha256.get(file))
    return spec


def load(folder: str | Path, description: str | None) -> tuple[Any, Spec]:
    """Return the model and the Spec of a registered version's folder.

    Everything that can be checked is checked before ``model.joblib`` is unpickled; then the
    model must give the stored answers for the stored examples. Raises WineError as ``check``
    does, when the model was made with another minor version of a library whose objects it
    holds, and when an answer differs.
    """
    spec = check(folder, description)
    for name in PICKLED:
        made_with = spec.versions[name]
        here = importlib.import_module(name).__version__
        if made_with.split(".")[:2] != here.split(".")[:2]:  # pickles work in these only
            raise WineError(
                f"the model was made with {name} {made_with} and this is {here}, so it was not "
                "loaded. Install that version, or run train.ipynb to register a new one."
            )
    model = joblib.load(Path(folder) / "model.joblib")
    check_answers(model, spec)
    return model, spec


def check_answers(model: Any, spec: Spec) -> None:
    """Raise WineError when the model does not give the answers stored with the examples."""
    stored = np.array([example.predicted_score for example in spec.examples])
    grades, chances = decode(stored, spec.cuts), probabilities(stored, spec.odds)
    scores = predict_scores(model, encode(example_frame(spec)))
    for example, grade, chance, score in zip(spec.examples, grades, chances, scores, strict=True):
        for name, answer, expected in (
            ("grade", grade, example.predicted_grade),
            ("score", score, example.predicted_score),
            ("probabilities", chance, example.probabilities),
        ):
            if np.abs(answer - np.asarray(expected)).max() > TOLERANCE:
                raise WineError(
                    f"the model's {name} for example {example.wine_id} is not the stored one "
                    f"({np.round(answer, 3)} instead of {np.round(expected, 3)}), so the model "
                    f"was not loaded. {REGISTER}"
                )


def example_frame(spec: Spec) -> pd.DataFrame:
    """Return the examples as a frame: wine_id, the measurements, type and quality."""
    return pd.DataFrame(
        [
            {"wine_id": one.wine_id, **one.values, "type": one.type, "quality": one.quality}
            for one in spec.examples
        ]
    )


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a saved model depends on."""
    return {"python": platform.python_version()} | {
        name: importlib.import_module(name).__version__ for name in VERSIONED[1:]
    }


REGISTER = "Run train.ipynb to register a new version."


def _compare(file: str, actual: str, expected: str | None) -> None:
    if actual != expected:
        raise WineError(
            f"the model's {file} is not the one that was registered (its SHA-256 differs), so "
            f"the model was not loaded. {REGISTER}"
        )


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

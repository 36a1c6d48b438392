"""The model registry of Hopsworks: register a model folder, find and fetch the served version."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from wine import model, serving
from wine.columns import FEATURES
from wine.connection import place
from wine.retry import call
from wine.spec import Spec


def register(
    project: Any,
    folder: str | Path,
    *,
    metrics: dict[str, float],
    wines: pd.DataFrame,
    approved: bool,
    description: str,
) -> Any:
    """Save a model folder to the registry; return the registered version.

    ``metrics`` are floats by name. With ``approved`` the version becomes the served one.
    """
    from hsml.model_schema import ModelSchema
    from hsml.schema import Schema

    registry, datasets = call(project.get_model_registry), project.get_dataset_api()
    schema = ModelSchema(Schema(wines[list(FEATURES)]), Schema(wines[["quality"]]))
    description = model.describe(folder, description)

    def save() -> Any:
        version = max((entry.version for entry in registry.get_models(serving.NAME)), default=0) + 1
        # a save that was killed leaves its folder, and the client refuses to use that number again
        while datasets.exists(f"Models/{serving.NAME}/{version}"):
            version += 1
        registered = registry.sklearn.create_model(
            name=serving.NAME,
            version=version,
            metrics=metrics | ({serving.APPROVED: 1.0} if approved else {}),
            description=description,
            input_example=wines[list(FEATURES)].head(1),
            model_schema=schema,
        )
        registered.save(str(folder))
        return registered

    return call(save)


def served(project: Any) -> Any:
    """Return the served version; NothingServed when none is approved. See ``serving.served``."""
    try:
        return call(serving.served, call(project.get_model_registry))
    except serving.NothingServed as error:
        raise serving.NothingServed(
            f"no served model {serving.NAME} in {place()}: run train.ipynb first"
        ) from error


def fetch(registered: Any, folder: str | Path) -> str:
    """Download a registered version's files to ``folder``; return the folder they are in."""
    return call(registered.download, local_path=str(folder))


def load(registered: Any) -> tuple[Any, Spec]:
    """Download a registered version, check it and return ``(model, spec)``; see ``model.load``."""
    with tempfile.TemporaryDirectory() as folder:
        return model.load(fetch(registered, folder), registered.description)

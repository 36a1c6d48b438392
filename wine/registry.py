"""The model registry of Hopsworks: register a model folder, find and fetch the served version."""

import tempfile
from typing import Any

from wine import model
from wine.columns import FEATURES
from wine.connection import place
from wine.retry import call
from wine.spec import Spec


def register(project, folder, *, metrics, wines, approved, description):
    """Save a model folder to the registry; return the registered version.

    ``metrics`` are floats by name. With ``approved`` the version becomes the served one.
    """
    from hsml.model_schema import ModelSchema
    from hsml.schema import Schema

    registry, datasets = call(project.get_model_registry), project.get_dataset_api()
    schema = ModelSchema(Schema(wines[list(FEATURES)]), Schema(wines[["quality"]]))
    description = model.describe(folder, description)

    def save():
        version = max((entry.version for entry in registry.get_models(model.NAME)), default=0) + 1
        # a save that was killed leaves its folder, and the client refuses to use that number again
        while datasets.exists(f"Models/{model.NAME}/{version}"):
            version += 1
        registered = registry.sklearn.create_model(
            name=model.NAME,
            version=version,
            metrics=metrics | ({model.APPROVED: float(version)} if approved else {}),
            description=description,
            input_example=wines[list(FEATURES)].head(1),
            model_schema=schema,
        )
        registered.save(str(folder))
        return registered

    return call(save)


def served(project):
    """Return the served version; NothingServed when none is approved. See ``model.served``."""
    try:
        return call(model.served, call(project.get_model_registry))
    except model.NothingServed as error:
        raise model.NothingServed(
            f"no served model {model.NAME} in {place()}: run train.ipynb first"
        ) from error


def fetch(registered, folder):
    """Download a registered version's files to ``folder``; return the folder they are in."""
    return call(registered.download, local_path=str(folder))


def load(registered) -> tuple[Any, Spec]:
    """Download a registered version, check it and return ``(model, spec)``; see ``model.load``."""
    with tempfile.TemporaryDirectory() as folder:
        return model.load(fetch(registered, folder), registered.description)

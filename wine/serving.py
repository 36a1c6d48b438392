"""Which registered version is served: the rule of the pipeline and of both apps."""

from typing import Any

from wine.errors import WineError

NAME = "wine_quality"
APPROVED = "approved"  # the metric that marks a version as fit to be served; see served()


class NothingServed(WineError):
    """No version of the model was approved yet."""


def served(registry: Any) -> Any:
    """Return the registered model that is served: the newest approved version.

    ``registry`` is the client's model registry. Training approves a version, by the metric
    ``approved``, unless it is worse than the one served before. Raises NothingServed when no
    version is approved.
    """
    approved = [
        one for one in registry.get_models(NAME) if APPROVED in (one.training_metrics or {})
    ]
    if not approved:
        raise NothingServed(f"no served model {NAME} in the registry: run train.ipynb first")
    return max(approved, key=lambda one: one.version)

"""Which registered version is served: the rule of the pipeline and of both apps."""

from typing import Any

from wine.errors import WineError

NAME = "wine_quality"
APPROVED = "approved"  # the metric that marks a version as fit to be served; see served()


class NothingServed(WineError):
    """No version of the model was approved yet."""


def served(registry: Any) -> Any:
    """Return the registered model that is served: the newest approved version.

    ``registry`` is the client's model registry. Training approves a version, with its own
    number as the metric ``approved``, unless it is worse than the one served before. Raises
    NothingServed when no version is approved.
    """
    best = registry.get_best_model(NAME, APPROVED, "max")
    # versions without the metric sort last, so one can come back even when none was approved
    if best is None or APPROVED not in best.training_metrics:
        raise NothingServed(f"no served model {NAME} in the registry: run train.ipynb first")
    return best

"""A registered model's folder, written for tests and altered with a digest that fits again."""

import json

from wine import model
from wine.train import out_of_fold_frame


def save(folder, training):
    """Write the model folder of a Training; return the description of its version."""
    data = training.data
    model.save(folder, training.model, training.spec, data.wines, out_of_fold_frame(training))
    return model.describe(folder, "a model of these tests")


def sign(folder, spec):
    """Write ``spec`` (a dict) as spec.json; return the description with its fresh digest.

    So the digest is not what refuses an altered spec.
    """
    (folder / "spec.json").write_text(json.dumps(spec))
    return model.describe(folder, "altered")

"""spec.json: whatever is altered in it, the model is not loaded, and one line says why."""

import copy
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests import model_folder
from wine import model, spec
from wine.columns import BY_NAME, FEATURES, GRADES, NAMES, TYPES
from wine.decoding import prediction_sets
from wine.errors import WineError

NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    """A model folder whose spec.json these tests alter and sign again."""
    folder = tmp_path_factory.mktemp("model")
    model_folder.save(folder, trained)
    return folder


@pytest.fixture(scope="module")
def original(folder):
    """The spec.json as it was saved, a dict. Shared: copy before changing."""
    return json.loads((folder / "spec.json").read_text())


def refusal(folder, altered):
    """Return the line with which a folder with the altered spec, signed again, is refused."""
    with pytest.raises(WineError) as error:
        model.load(folder, model_folder.sign(folder, altered))
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


def put(value, *path):
    """Return a function that puts a value at a path of a spec."""

    def alter(spec):
        *way, last = path
        for step in way:
            spec = spec[step]
        spec[last] = value(spec[last]) if callable(value) else value

    return alter


def reverse(values):
    return values[::-1]


HTML = "<img src=x onerror=alert(1)>"
ALTERED = {
    "two equal cuts": ("cuts", put(lambda cuts: [*cuts[:4], cuts[5], cuts[5]], "cuts")),
    "seven cuts": ("cuts", put(lambda cuts: [*cuts, 9.5], "cuts")),
    "a probability above 1": ("probabilities", put(1.5, "examples", 0, "probabilities", 0)),
    "cuts shifted by 1": ("cuts", put(lambda cuts: [c + 1 for c in cuts], "cuts")),
    "cuts shifted by .4": ("grade for example", put(lambda cuts: [c + 0.4 for c in cuts], "cuts")),
    "the slope is NaN": ("odds.slope", put(NAN, "odds", "slope")),
    "the slope is negative": ("odds.slope", put(-1.0, "odds", "slope")),
    "the slope is doubled": ("probabilities for", put(lambda slope: 2 * slope, "odds", "slope")),
    "thresholds reversed": ("odds.thresholds", put(reverse, "odds", "thresholds")),
    "grades 0-6": ("grades", put(list(range(7)), "grades")),
    "no set_level": ("set_level", lambda spec: spec.pop("set_level")),
    "a set_level of NaN": ("set_level", put(NAN, "set_level")),
    "a set_level above 1": ("set_level", put(1.001, "set_level")),
    "the slope is 0": ("odds.slope", put(0.0, "odds", "slope")),
    "an example of grade 2": ("quality", put(2, "examples", 0, "quality")),
    "an example of grade 10": ("quality", put(10, "examples", 0, "quality")),
    "an interval reversed": ("test_interval.rmse", put([0.7, 0.6], "metrics", "test_interval", "rmse")),
    "observed below possible": ("observed", put([-0.1, 9.0], "columns", 0, "observed")),
    "observed above possible": ("observed", put([4.0, 30.1], "columns", 0, "observed")),
    "a typical value below possible": ("typical", put(-0.1, "columns", 0, "typical", "red")),
    "a typical value above possible": ("typical", put(30.1, "columns", 0, "typical", "white")),
    "possible reversed": ("possible", put(reverse, "columns", 3, "possible")),
    "observed beyond possible": ("observed", put([-1.0, 1e9], "columns", 3, "observed")),
    "features reversed": ("features", put(reverse, "features")),
    "an unknown feature": ("features", put([*NAMES, "price"], "features")),
    "types with HTML": ("types", put(["red", HTML], "types")),
    "a label with HTML": ("label", put(HTML, "columns", 0, "label")),
    "a description with HTML": ("description", put(HTML, "columns", 0, "description")),
    "a unit with HTML": ("unit", put("<b>g</b>", "columns", 0, "unit")),
    "a model's name with HTML": ("model", put(HTML, "model")),
    "a version with HTML": ("versions.sklearn", put(HTML, "versions", "sklearn")),
    "an example's type with HTML": ("type", put(HTML, "examples", 0, "type")),
    "a negative count": ("daily_counts.0.0", put(-1, "metrics", "daily_counts", 0, 0)),
    "counts of other wines": ("daily_counts", put(lambda n: n + 1, "metrics", "daily_counts", 2, 2)),
    "counts beyond all bounds": ("daily_counts.0.0", put(10**30, "metrics", "daily_counts", 0, 0)),
    "a label of a space": ("label", put(" ", "columns", 0, "label")),
    "a label that turns the text round": ("label", put("\u202eHp", "columns", 0, "label")),
    "a cut above the grades": ("cuts", put(lambda cuts: [*cuts[:5], 9.5], "cuts")),
    "a cut below the grades": ("cuts", put(lambda cuts: [2.9, *cuts[1:]], "cuts")),
    "more right than wines": ("accuracy must be from 0 to 1", put(1.5, "metrics", "cv", "accuracy")),
    "less right than none": ("within_one must be", put(-0.1, "metrics", "test", "within_one")),
    "a kappa above 1": ("qwk must be from -1 to 1", put(3.0, "metrics", "elsewhere", "qwk")),
    "a negative RMSE": ("rmse must be from 0 to inf", put(-1.0, "metrics", "cv", "rmse")),
    "a negative standard error": ("cv_se.qwk", put(-0.01, "metrics", "cv_se", "qwk")),
    "a negative log loss": ("log_loss", put(-0.01, "metrics", "log_loss")),
    "worse against its interval": ("worse must say", put(lambda worse: not worse, "metrics", "stream", "worse")),
    "a comparison's interval reversed": ("low must not be above", lambda spec: spec["metrics"]["stream"].update(low=0.3, high=0.2, worse=True)),
    "two lines of text": ("protocol", put("one\ntwo", "protocol")),
    "a field too many": ("served_by", lambda spec: spec.update(served_by="me")),
    "no digest of the model": ("model.joblib", lambda spec: spec["sha256"].pop("model.joblib")),
    "another scikit-learn": ("sklearn 1.2.3", put("1.2.3", "versions", "sklearn")),
    "another score": ("score for example", put(lambda s: s + 0.01, "examples", 0, "predicted_score")),
}  # fmt: skip


@pytest.mark.parametrize("case", ALTERED)
def test_an_altered_spec_is_refused_by_the_name_of_its_field(folder, original, case):
    field, alter = ALTERED[case]
    altered = copy.deepcopy(original)
    alter(altered)
    assert field in refusal(folder, altered)


@pytest.mark.parametrize(
    "alter",
    [
        put([0.0, 30.0], "columns", 0, "observed"),
        put({"red": 0.0, "white": 30.0}, "columns", 0, "typical"),
        put([0.6, 0.6], "metrics", "test_interval", "rmse"),
        put(3, "examples", 0, "quality"),
        put(9, "examples", 0, "predicted_grade"),
        put(0.001, "odds", "slope"),
        put(1.0, "set_level"),
    ],
)
def test_what_is_just_allowed_is_allowed(original, alter):
    altered = copy.deepcopy(original)
    alter(altered)
    parsed = spec.parse(json.dumps(altered))
    with pytest.raises(ValidationError, match="frozen"):
        parsed.set_level = 0.5


def paths(value, path=()):
    """Return the path of everything inside a JSON value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()  # fmt: skip
    return [found for step, part in steps for found in ((*path, step), *paths(part, (*path, step)))]


@settings(max_examples=400)
@given(data=st.data())
def test_any_alteration_of_structure_or_number_is_refused(folder, original, data):
    path = data.draw(st.sampled_from(paths(original)), label="path")
    assume(path != ("metrics", "stream", "version"))  # optional, and not used by who serves
    *way, last = path
    altered = copy.deepcopy(original)
    parent = altered
    for step in way:
        parent = parent[step]
    kinds = ["delete", NAN, INFINITY, -INFINITY, "text", None, [], {}]
    if isinstance(parent, list) and len(parent) > 1:
        kinds.append("swap")
    kind = data.draw(st.sampled_from(kinds), label="alteration")
    if kind == "delete":
        assume(way != ["examples"])  # an example fewer is still a valid spec
        del parent[last]
    elif kind == "swap":
        other = last - 1  # the first with the last
        assume(path[0] != "examples" or len(path) > 1)
        assume(way != ["examples"])  # in whatever order
        assume(parent[last] != parent[other])
        if isinstance(parent[last], float):
            assume(abs(parent[last] - parent[other]) > model.TOLERANCE)
        parent[last], parent[other] = parent[other], parent[last]
    else:
        assume(not (isinstance(parent[last], str) and kind == "text"))
        parent[last] = kind
    message = refusal(folder, altered).replace("-", "").lower()
    names = [str(step).lower() for step in path if isinstance(step, str)]
    assert any(name in message for name in names), (names, message)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", "5", b"\xff\xfe"])
def test_what_is_no_spec_is_refused(text):
    with pytest.raises(WineError, match=r"the model's spec\.json is not valid \(\w+: "):
        spec.parse(text)


# -- what is in it ---------------------------------------------------------------------------------


def test_it_describes_every_column_as_the_wines_are(trained):
    wines, columns = trained.data.wines, trained.spec.columns
    assert [column.name for column in columns] == list(NAMES)
    for column in columns:
        values = wines[column.name]
        assert column.observed == (values.min(), values.max())
        for kind in TYPES:
            middle = values[wines["type"] == kind].median()
            assert abs(column.typical[kind] - middle) <= 0.51 * 10.0**-column.decimals
        assert column.unit == BY_NAME[column.name].unit


def test_the_examples_are_real_wines_of_both_colours_and_several_grades(trained, wines):
    examples = model.example_frame(trained.spec)
    assert set(examples["type"]) == set(TYPES)
    assert examples["quality"].nunique() >= 4
    real = wines.set_index("wine_id").loc[examples["wine_id"]].reset_index()
    columns = [*FEATURES, "quality"]
    assert (examples[columns] == real[columns]).all(axis=None)
    reds = wines[(wines["type"] == "red") & (wines["quality"] == 5)]
    (typical,) = spec.typical_wines(reds)[list(NAMES)].to_numpy()
    values = reds[list(NAMES)].to_numpy()
    away = np.linalg.norm((values - np.median(values, axis=0)) / values.std(axis=0), axis=1)
    assert (typical == values[away.argmin()]).all()


def test_the_level_of_the_prediction_sets_keeps_what_the_page_promises(trained):
    chances = trained.cv.chances.reshape(-1, len(GRADES))
    place = np.tile(trained.cv.truth, len(trained.cv.chances)) - GRADES[0]
    sets = prediction_sets(chances, trained.spec.set_level)
    assert sets[np.arange(len(place)), place].mean() == pytest.approx(0.8, abs=0.01)
    assert trained.spec.metrics.set_coverage == pytest.approx(0.8, abs=0.02)

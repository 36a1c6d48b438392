"""Faults: parts killed, disks full, Hopsworks away, a damaged model, other time zones.

The stories of tests/fault_stories.py run in the background, three at a time; the tests here look
at what was said and at what is left. What they have proven is the table of docs/faults.md, which
this file generates.
"""

import concurrent.futures
import json
import re

import pandas as pd
import pytest

from tests.fault_stories import DAYS, IMAGES, PICTURES, STORIES, Data
from tests.processes import refused, succeeded
from wine import features, registry, serving
from wine.balance import balance
from wine.groups import BALANCED, DAILY, PREDICTION, WINE

pytestmark = pytest.mark.slow
THIS = "tests/test_faults.py"
NOTHING, AS_EVER = "nothing", "as undisturbed"


@pytest.fixture(scope="module")
def data(pipeline_root, empty_pipeline, tmp_path_factory):
    return Data(pipeline_root, empty_pipeline, tmp_path_factory.mktemp)


@pytest.fixture(scope="module")
def told(data):
    """What came of every story, as a function of its name. They run three at a time."""
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        futures = {name: pool.submit(story, data) for name, story in STORIES.items()}
        yield lambda name: futures[name].result(timeout=1200)
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def as_undisturbed(reader, data):
    """Asserts that a pipeline left the daily rows and pictures of one that nothing disturbed."""

    def left(pipeline):
        hopsworks = reader(pipeline)
        return {group.name: hopsworks.read(group) for group in (DAILY, PREDICTION)}

    def compare(pipeline, but=()):
        if not data.expected:
            data.expected = left(data.stores["undisturbed"])
        tables, expected = left(pipeline), data.expected
        assert expected["daily_wine"]["wine_id"].tolist() == DAYS
        for name, table in tables.items():
            pd.testing.assert_frame_equal(
                table.drop(columns=list(but), errors="ignore"),
                expected[name].drop(columns=list(but), errors="ignore"),
            )
        undisturbed = data.stores["undisturbed"].store
        for picture in PICTURES:
            drawn, wanted = (
                (store / IMAGES / picture).read_bytes() for store in (pipeline.store, undisturbed)
            )
            assert drawn == wanted, picture

    return compare


# -- what they prove ------------------------------------------------------------------------------


WRITING = ("as it makes the feature group", "as it writes the rows", "as it commits them")


def test_daily_runs_that_are_killed(told, as_undisturbed, proven):
    pipeline, codes = told("daily_killed")
    assert codes == [-9] * 4
    as_undisturbed(pipeline)
    for moment in (*WRITING, "at a random moment"):
        proven.row(f"`daily.py` is killed {moment}", "", "killed", NOTHING, AS_EVER)


def test_inference_runs_that_are_killed(told, as_undisturbed, proven):
    pipeline, codes = told("inference_killed")
    assert codes == [-9] * 6
    as_undisturbed(pipeline)
    uploading = (f"as it uploads {picture}" for picture in PICTURES)
    for moment in (*WRITING, *uploading, "at a random moment"):
        proven.row(f"`inference.py` is killed {moment}", "", "killed", NOTHING, AS_EVER)


def test_uploads_of_the_wines_that_are_killed(told, reader, wines, train, proven):
    pipeline, codes = told("upload_killed")
    assert codes == [-9] * 2
    hopsworks = reader(pipeline)
    for group, made in ((WINE, wines), (BALANCED, balance(train))):
        sent = made.sort_values(group.primary_key, ignore_index=True)
        stored = hopsworks.read(group)
        pd.testing.assert_frame_equal(stored[sent.columns], sent, check_dtype=False)
    for moment in ("as it makes the first feature group",
                   "as it writes the balanced wines"):  # fmt: skip
        proven.row(
            f"initialize's upload is killed {moment}", "", "killed", NOTHING, "every row as sent"
        )


def test_searches_that_are_killed(told, reader, pipeline_root, proven):
    pipeline, codes = told("finder_killed")
    assert codes == [-9] * 2
    results = pipeline.store / "finder" / "model_finder_results"
    best = json.loads((results / "best.json").read_text())
    stored = features.download_text(reader(pipeline).project, "Resources/model_finder/best.json")
    assert json.loads(stored) == best
    board = json.loads((pipeline_root.root / "model_finder_results/leaderboard.json").read_text())
    ridge = next(row for row in board["rows"] if row["name"] == "ridge")
    assert all(best[key] == ridge[key] for key in ("name", "qwk", "accuracy", "rmse", "se"))
    for moment in ("after its first fit", "as it uploads its results"):
        proven.row(f"`model_finder.py` is killed {moment}", "", "killed", "nothing but the fits under way",
                   "the same leaderboard")  # fmt: skip


def test_registrations_that_are_killed(told, reader, as_undisturbed, proven):
    pipeline, codes, said = told("registering_killed")
    assert codes == [-9] * 3
    hopsworks = reader(pipeline)
    registered = hopsworks.project.get_model_registry().get_models(serving.NAME)
    served = registry.served(hopsworks.project)
    assert f"registered version {served.version}\n" in said
    assert served.version == max(entry.version for entry in registered) > 1
    assert set(hopsworks.read(PREDICTION)["model_version"]) == {served.version}
    as_undisturbed(pipeline, but=["model_version"])
    for moment in ("as it makes the model's folder", "as it uploads the model",
                   "as it uploads its schema"):  # fmt: skip
        proven.row(f"train's registration is killed {moment}", "", "killed", NOTHING,
                   "the model is registered under the next free version, and served")  # fmt: skip


def test_a_full_disk(told, as_undisturbed, proven):
    outcome = told("disk_full")
    if isinstance(outcome, str):
        proven.lacks(outcome, "the disk is full as")
    pipeline, daily, inference, upload = outcome
    as_undisturbed(pipeline)
    for what, done in (
        ("`daily.py` writes", daily),
        ("`inference.py` writes", inference),
        ("`inference.py` uploads the pictures", upload),
    ):
        line = refused(done)
        assert "disk is full" in line or "No space left" in line
        assert "Fix this and run again" in line
        proven.row(f"the disk is full as {what}", *shown(line), NOTHING, AS_EVER)


def test_hopsworks_is_killed_and_comes_back(told, as_undisturbed, proven):
    pipeline, done = told("hopsworks_comes_back")
    as_undisturbed(pipeline)
    for what, ended in zip(("insert", "upload"), done, strict=True):
        succeeded(ended)
        proven.row(f"Hopsworks is killed in the middle of an {what}, and started again",
                   "Hopsworks: ConnectionError: ...; trying again in N s", 0, NOTHING, AS_EVER)  # fmt: skip


def test_hopsworks_is_killed_and_stays_away(told, as_undisturbed, proven):
    pipeline, done = told("hopsworks_stays_away")
    as_undisturbed(pipeline)
    for what, ended in zip(("insert", "upload"), done, strict=True):
        line = refused(ended)
        assert "gave up after 1 s" in line
        proven.row(f"Hopsworks is killed in the middle of an {what}, and stays away longer than "
                   "WINE_PATIENCE", *shown(line), NOTHING, AS_EVER)  # fmt: skip


def test_the_key_is_withdrawn_in_the_middle(told, as_undisturbed, proven):
    pipeline, done = told("key_withdrawn")
    as_undisturbed(pipeline)
    line = refused(done, code=2)
    assert "refused the API key" in line
    proven.row(
        "the API key is withdrawn in the middle of an insert", *shown(line, 2), NOTHING, AS_EVER
    )


def test_a_model_that_is_not_what_was_registered(told, as_undisturbed, proven):
    pipeline, done = told("model_spoilt")
    as_undisturbed(pipeline)
    line = refused(done)
    assert "the model's model.joblib is not the one that was registered" in line
    assert "predicted" not in done.stdout
    proven.row("one bit of model.joblib is altered", *shown(line), NOTHING,
               f"(the file put back) {AS_EVER}")  # fmt: skip


def test_time_zones(told, as_undisturbed, proven):
    pipeline, days, dry = told("odd_time_zones")
    as_undisturbed(pipeline)
    for said in dry:
        assert any(f"\n{day}  " in said for day in days), "the day is that of UTC"
        assert "dry run: 60 daily wines made" in said, "every day of the last sixty"
    proven.row("the clock shows another day (UTC+14 and UTC-12)", "the wine of the day in UTC", 0,
               NOTHING, "the same")  # fmt: skip
    proven.row("daylight saving begins, in America's time zone", "", 0, NOTHING, AS_EVER)


def test_two_runs_at_once(told, as_undisturbed, proven):
    pipeline, done = told("twice_at_once")
    for name, both in zip(("daily.py", "inference.py"), done, strict=True):
        for (_, stderr), code in both:
            assert (code, stderr) == (0, ""), stderr
        proven.row(f"two runs of `{name}` at once", "", 0, NOTHING, "no row doubled")
    as_undisturbed(pipeline)


def shown(line, code=1):
    """A line and its exit code for the table, without what differs from run to run."""
    line = re.sub(r"Hopsworks \(local in [^)]*\)", "Hopsworks (...)", line)
    line = re.sub(r"(ConnectionError: ).*(\)\. Nothing)", r"\1...\2", line)  # refused, or just cut
    return re.sub(r"/\S+/(?=hopsworks.sqlite)", "", line), code


def test_the_page_says_what_these_tests_have_proven(proven):
    proven.compare(
        "faults.md",
        f"""# Faults

What happens when something goes wrong, what is lost by it, and what is there after the same command
has run again. Every row was proven by real processes on a copy of a pipeline's data. "Killed" is
`kill -9` at the moment named; a killed program says nothing and has no exit code of its own. The
disk that is full is a small one mounted for the purpose. "initialize's upload" and "train's
registration" are the steps of the notebooks that write, run by themselves. "As undisturbed" means
the rows and pictures of a run that nothing disturbed. Where a line speaks of 1 s or 2 s,
the test had set WINE_PATIENCE to that.

`python packages/hopsworks-local/benchmarks/faults.py` tests single calls and servers: it kills a server, its client, or
both, some hundred times. This page is generated by {THIS}.
""",
        ("fault", "it says", "exit code", "what is lost", "after running again"),
    )

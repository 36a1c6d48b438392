"""daily.yml's steps, run as they are written, against a local Hopsworks that comes and goes."""

import datetime
import json
import threading

import pytest

from tests import servers
from tests.processes import FORGET_THE_DAYS, away_from_midnight, succeeded
from tests.processes import today as this_day
from tests.workflows.conftest import GitHub

TABLES = """
import json, os, tempfile
from wine.groups import DAILY, PREDICTION
from wine import features
from wine.connection import connect
store = connect().get_feature_store()
tables = {}
for group in (DAILY, PREDICTION):
    there = features.find(store, group) is not None
    frame = features.read(store, group).astype(str) if there else None
    tables[group.name] = frame.to_dict("records") if there else []
print(json.dumps(tables))
"""


class Hopsworks(servers.Hopsworks):
    """A local Hopsworks with wines and a served model, and no daily wine yet."""

    def __init__(self, pipeline):
        super().__init__(pipeline)
        self.secrets = {"HOPSWORKS_API_KEY": self.env["HOPSWORKS_API_KEY"]}
        self.vars = {
            "HOPSWORKS_HOST": "127.0.0.1",
            "HOPSWORKS_PORT": self.env["HOPSWORKS_PORT"],
            "HOPSWORKS_PROJECT": "wine",
            "HOPSWORKS_HOSTNAME_VERIFICATION": "false",  # its certificate is its own
        }

    def tables(self):
        """All rows of the two daily groups."""
        return json.loads(succeeded(self.pipeline.run("-c", TABLES)).splitlines()[-1])

    def days(self, tables=None):
        """The days that have a wine, and those that have a prediction."""
        tables = tables or self.tables()
        return [sorted(row["wine_id"] for row in rows) for rows in tables.values()]


@pytest.fixture(autouse=True)
def one_day():
    """Each test, a minute at most, is within one day."""
    away_from_midnight(300)


@pytest.fixture(scope="session")
def no_day_yet(pipeline_root, tmp_path_factory):
    """The pipeline's data as it was before its first daily wine."""
    pipeline = pipeline_root.copy(tmp_path_factory.mktemp("before") / "hopsworks")
    succeeded(pipeline.run("-c", FORGET_THE_DAYS))
    return pipeline


@pytest.fixture
def hopsworks(no_day_yet, tmp_path, monkeypatch):
    """A Hopsworks of this test's own, reachable until the test takes it down."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    hopsworks = Hopsworks(no_day_yet.copy(tmp_path / "hopsworks"))
    yield hopsworks
    hopsworks.kill()


@pytest.fixture
def daily(github, hopsworks):
    """Runs daily.yml with this Hopsworks' secrets and variables, in the tests' environment."""
    github.use_this_environment("daily.yml")

    def run(secrets=hopsworks.secrets, variables=None, before=None, **inputs):
        variables = hopsworks.vars | (variables or {})
        context = {"secrets": secrets, "vars": variables, "inputs": inputs}
        return github.run("daily.yml", before=before, **context)

    return run


def today(back=0):
    """The day, UTC, some days ago, as a daily wine is called."""
    return str(this_day() - datetime.timedelta(days=back))


def sixty_days():
    """The days that a run without a date fills."""
    return [today(back) for back in range(59, -1, -1)]


def said(run, step):
    """What a step said."""
    return next(s.output for steps in run.jobs.values() for s in steps if s.name == step)


def test_the_first_day(daily, hopsworks):
    run = daily()
    assert not run.failed, run.output
    assert list(run.jobs) == ["daily", "inference"]
    assert hopsworks.days() == [sixty_days()] * 2

    # the run's page: today's wine, its prediction, the metrics, the confusion matrix
    assert f"| Wine of {today()} |" in run.page
    assert "| Alcohol | " in run.page
    assert "| Wine of | Type | Predicted grade | Predicted score | Reference grade |" in run.page
    assert "60 daily wines: " in run.page
    assert "| Reference / predicted | 3 | 4 | 5 | 6 | 7 | 8 | 9 |" in run.page


@pytest.mark.slow
def test_what_it_installs_is_enough(hopsworks, tmp_path):
    run = GitHub(tmp_path).run(
        "daily.yml", secrets=hopsworks.secrets, vars=hopsworks.vars, inputs={}
    )
    assert not run.failed, run.output
    assert hopsworks.days() == [sixty_days()] * 2


@pytest.mark.slow
def test_a_date_by_hand_a_dry_run_and_then_every_missing_day(daily, hopsworks):
    run = daily(date=today(4), days="2", dry_run=False)
    assert not run.failed, run.output
    before = hopsworks.tables()
    assert hopsworks.days(before) == [[today(5), today(4)]] * 2

    run = daily(dry_run=True)
    assert not run.failed, run.output
    assert "dry run: 58 daily wines made, nothing saved" in run.page
    assert hopsworks.tables() == before

    run = daily()
    assert not run.failed, run.output
    assert hopsworks.days() == [sixty_days()] * 2
    assert "saved 58 daily wines" in run.page
    assert "60 daily wines: " in run.page


def test_a_bad_input_is_one_clear_line(daily, hopsworks):
    reason = "(env var: 'WINE_DATE'): '$(false)' does not match the format '%Y-%m-%d'"
    run = daily(date="$(false)")
    assert list(run.jobs) == ["daily"]  # nothing is predicted
    step = run.jobs["daily"][-1]
    assert (step.name, step.code) == ("Make the wine", 2)
    [line] = [line for line in step.output.splitlines() if line.startswith("error: ")]
    assert reason in line
    assert "Traceback" not in step.output
    assert f"**Error:** {line.removeprefix('error: ')}" in run.page
    assert hopsworks.days() == [[], []]


def test_a_fork_without_the_secret_is_skipped(daily):
    run = daily(secrets={})
    assert not run.failed
    assert [step.code for step in run.jobs["daily"]] == [None, 0, None, None, None]
    assert list(run.jobs) == ["daily"]
    assert "**Skipped:** HOPSWORKS_API_KEY not set in someone/wine" in run.page


def test_the_home_repository_without_the_secret_fails(daily):
    run = daily(secrets={}, variables={"HOME_REPOSITORY": "someone/wine"})
    assert run.failed
    assert "**Error:** HOPSWORKS_API_KEY not set in someone/wine" in run.page


@pytest.mark.slow
def test_hopsworks_away_at_the_start_and_back_after_some_seconds(daily, hopsworks):
    hopsworks.kill()
    back = threading.Timer(20, hopsworks.start)  # login comes after seconds of imports
    run = daily(before={"Make the wine": back.start})
    assert not run.failed, run.output
    assert "Connection refused; trying again in" in said(run, "Make the wine")
    assert hopsworks.days() == [sixty_days()] * 2


@pytest.mark.slow
def test_hopsworks_away_for_good_and_the_next_run_fills_in(daily, hopsworks):
    run = daily(date=today(2))
    assert not run.failed, run.output

    hopsworks.kill()
    run = daily(variables={"WINE_PATIENCE": "6"})
    assert list(run.jobs) == ["daily"]
    step = run.jobs["daily"][-1]
    assert (step.name, step.code) == ("Make the wine", 1)
    assert "error: Hopsworks is unavailable (gave up after 6 s" in step.output
    assert "Connection refused" in step.output
    assert "Traceback" not in step.output
    assert "**Error:** Hopsworks is unavailable (gave up after 6 s" in run.page

    hopsworks.start()
    run = daily()
    assert not run.failed, run.output
    assert hopsworks.days() == [sixty_days()] * 2

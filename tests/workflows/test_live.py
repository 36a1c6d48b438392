"""live.yml's steps, run as they are written, with a local Hopsworks in a cluster's place."""

import re

import hopsworks_local


def test_the_contract_is_tried_where_the_variables_lead(github, tmp_path, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    # a few are enough: all of them run against a local Hopsworks anyway
    monkeypatch.setenv("PYTEST_ADDOPTS", "-k 'event_time or partition or tag'")
    github.use_this_environment("live.yml")

    with hopsworks_local.start(tmp_path, "wine") as server:
        run = github.run(
            "live.yml",
            secrets={"HOPSWORKS_API_KEY": server.env["HOPSWORKS_API_KEY"]},
            vars={
                "HOPSWORKS_PROJECT": "production",  # which is left alone
                "HOPSWORKS_LIVE_PROJECT": "wine",
                "HOPSWORKS_HOST": server.env["HOPSWORKS_HOST"],
                "HOPSWORKS_PORT": server.env["HOPSWORKS_PORT"],
                "HOPSWORKS_HOSTNAME_VERIFICATION": "false",  # its certificate is its own
            },
        )
    assert not run.failed, run.output
    assert re.search(r"\d+ passed, .*deselected", run.output), run.output

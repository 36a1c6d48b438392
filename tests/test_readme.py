"""What the README claims: its figures are the result files', its commands run, its links lead on."""

import json
import re

from benchmarks.readme import PLACE, filled
from tests.processes import REPOSITORY

README = (REPOSITORY / "README.md").read_text()
RESULTS = REPOSITORY / "benchmarks" / "results"


def result(name):
    """A result file."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def percent(share, digits=0):
    """A share as the README writes it."""
    return f"{100 * share:.{digits}f} %"


def claims():
    """Every measured figure of the README's sentences, as the result files have it now."""
    data, always_6 = result("data"), result("data")["always_6"]
    near, next_near = (bin["agree"] for bin in data["nearest"][:2])
    best, pipeline = result("beyond")["best"], result("pipeline")
    faults, fuzz = result("hopsworks_local_faults"), result("hopsworks_local_fuzz")
    (original,) = (row for row in result("search")["searches"] if row["own_score"])
    models = [model["minus_our_pick"]["qwk"] for model in result("beyond")["models"]]
    more = max(models, key=lambda minus: minus["difference"])
    (pick,) = (row for row in result("side_by_side")["systems"] if row["system"] == "our pick")
    rare = sum(data["grades"][grade] for grade in "3489") / data["distinct"]
    stream = pipeline["metrics"]["stream"]
    return [
        f"a first run took {pipeline['seconds']:.0f} s",
        f"right for {percent(always_6['accuracy'])} of the wines",
        f"within one grade for {percent(always_6['within_one'])}",
        f"all {data['distinct']:,} distinct wines",
        f"for {percent(pick['rare'], 1)} of the wines; tasters did for {percent(rare, 1)}",
        f"{percent(near)} have the same grade",
        f"those at 0.25 to 0.5 only {percent(next_near)}",
        f"end at QWK {best['qwk']:.3f} ({best['qwk_free_cuts']:.3f} with free cuts)",
        f"accuracy {best['accuracy']:.3f} and RMSE {best['rmse']:.3f} or worse",
        f"has {more['difference']:.3f} ± {more['se']:.3f} more QWK than the one served",
        f"its whole search run again gives {original['own_score']:.3f}",
        f"{data['copies']:,} of the {data['raw']:,} rows are exact copies",
        f"{data['red']:,} red and {data['white']:,} white",
        f"fitted on {data['distinct']:,} wines",
        f"to QWK: {stream['difference']:+.3f} (95 %: {stream['low']:+.3f} to {stream['high']:+.3f})",
        f"was killed {faults['kills']} times",
        f"{fuzz['inputs']:,} altered requests",
    ]


NOT_MEASURED = {  # numbers of sentences that no benchmark can give
    "log says 0.935": "the original's own, of its search",
    "0.93": "the original's claim",
    "2023": "the original's year",
    "2009": "Cortez et al.'s year",
    "2004-2007": "the harvests, by the data's own description",
    "47(4)": "Cortez et al.'s volume",
    "4.0": "the licence of the data",
    "100 saved training datasets": "the original's trouble",
    "Python 3.11, 3.12 or 3.13": "what it needs",
    "x86-64": "the same",
    "2 GB of disk": "the same",
    "1 to 3 run once, 4 and 5 every day": "the parts' own numbers",
    "under 0.25 standard": "the bound that makes wines near-duplicates (wine/dataset.py)",
    "nearer than 0.25": "the same",
    "for 80 % of": "what the sets are made for",
    "95 % intervals": "a choice",
    "1, 10 and 100 times": "the sizes measured",
    "says 3, 4, 8 or 9": "grades",
    "always says 6": "a grade",
    "1 is perfect, and 0 is": "the definition of kappa",
    "(120)": "a default, tested with the connection",
    "macro-F1": "a name",
    "P1": "a name",
    "R²": "a name",
}


def test_the_tables_are_those_of_the_result_files():
    assert len(PLACE.findall(README)) >= 7
    assert filled(README) == README, "run: python -m benchmarks.readme"


def test_every_other_figure_is_a_result_files_or_no_measurement():
    text = PLACE.sub("", README)
    text = re.sub(r"```[^`]*```|`[^`]*`|<[^>]*>|\]\([^)]*\)", " ", text)
    text = re.sub(r"^#.*$|^\| \d \||^\d\. ", "", text, flags=re.M)  # headings, numbers of parts
    text = re.sub(r"\s+", " ", text)
    for claim in claims():
        assert claim in text, claim
        text = text.replace(claim, " ")
    for known in NOT_MEASURED:
        assert known in text, f"no sentence has {known} any more"
        text = text.replace(known, " ")
    assert re.findall(r".{0,30}\d[\d.,]*.{0,20}", text) == []


def test_the_local_hopsworks_page_says_what_was_measured():
    page = re.sub(r"\s+", " ", (REPOSITORY / "packages/hopsworks-local/README.md").read_text())
    speed, faults = result("hopsworks_local"), result("hopsworks_local_faults")
    peak = speed["server_peak_mb"]
    assert faults["failures"] == result("hopsworks_local_fuzz")["failures"] == []
    for claim in (
        f"inserted in {speed['rows']['1000000']['insert']['ratio']:.1f} times that floor",
        f"ready in {speed['process']['server start']:.1f} s",
        f"takes {peak['at start, before 1000000 rows']:.0f} MB",
        f"at most {peak['1000000 rows']:.0f} MB while it streams a million rows",
        f"{faults['kills']} times `kill -9`",
        f"{faults['checks']:,} checks of what was acknowledged",
        f"{result('hopsworks_local_fuzz')['inputs']:,} altered REST and Flight requests",
    ):
        assert claim in page, claim


def test_every_link_into_the_repository_leads_to_a_file():
    targets = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r'src="([^"]+)"', README)
    assert len(targets) > 15
    assert [target for target in targets if not (REPOSITORY / target).exists()] == []


RUN_BY = {  # commands of the README's blocks, and the test that runs each
    "make pipeline": "tests/conftest.py: pipeline_root",
    "make apps": "tests/test_setup.py: test_make_apps_says_where_both_are_and_ctrl_c_ends_them",
    ".venv/bin/python model_finder.py": "tests/test_model_finder.py: "
    "test_a_run_that_is_stopped_leaves_valid_results_and_the_next_goes_on",
    ".venv/bin/python daily.py": "tests/test_pipeline.py: test_days_that_were_missed_are_filled",
    ".venv/bin/python inference.py": "tests/test_pipeline.py: "
    "test_running_daily_and_inference_again_adds_nothing",
    ".venv/bin/python -m hopsworks_local serve": "packages/hopsworks-local/tests/test_server.py: "
    "test_serve_keeps_its_key_in_a_private_file",
}
NOT_RUN = ("make bench", "make test", "jupyter lab", "dask ")  # with the reasons, in the README


def test_every_command_block_is_run_by_a_test_or_listed_with_the_reason():
    commands = [
        line.split("#")[0].strip()
        for block in re.findall(r"```sh\n(.*?)```", README, re.S)
        for line in block.splitlines()
    ]
    assert len(commands) >= 12
    reasons = README.split("Not run by a test:")[1].split("\n\n")[0]
    for command in commands:
        listed = [words for words in NOT_RUN if words in f"{command} "]
        assert listed or any(command.startswith(known) for known in RUN_BY), command
        assert all(words.strip().lower() in reasons.lower() for words in listed)
    for known, where in RUN_BY.items():
        assert any(command.startswith(known) for command in commands), known
        file, function = where.split(": ")
        assert f"\ndef {function}(" in (REPOSITORY / file).read_text(), where


def test_make_names_every_target_the_readme_does():
    makefile = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.M))
    assert targets >= {"pipeline", "test", "apps", "bench"}
    assert [target for target in targets if f"\n{target}:" not in makefile] == []


def test_every_benchmark_named_exists():
    names = re.findall(r"python -m benchmarks\.(\w+)", README)
    assert len(names) >= 5
    assert [
        name for name in names if not (REPOSITORY / "benchmarks" / f"{name}.py").is_file()
    ] == []

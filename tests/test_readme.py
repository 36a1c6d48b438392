"""The pages: their tables are the result files', their links lead somewhere, their commands exist."""

import re
import shlex
from itertools import chain

import pytest

from benchmarks.readme import PAGES as PAGES_WITH_TABLES
from benchmarks.readme import PLACE, filled
from tests.processes import REPOSITORY

PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for path in chain(
        REPOSITORY.glob("*.md"), REPOSITORY.glob("docs/*.md"), REPOSITORY.glob("packages/**/*.md")
    )
)
every_page = pytest.mark.parametrize("page", PAGES)


def text(page):
    """Return the text of a page."""
    return (REPOSITORY / page).read_text()


def headings(page):
    """Return the anchors of a page's headings, as GitHub makes them."""
    without_code = re.sub(r"```.*?```", "", text(page), flags=re.S)
    titles = re.findall(r"^#+ (.*)$", without_code, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_the_readme_can_be_read_in_a_few_minutes():
    assert len(text("README.md").split()) <= 900


@pytest.mark.parametrize("page", PAGES_WITH_TABLES)
def test_the_tables_are_those_of_the_result_files(page):
    assert PLACE.search(text(page))
    assert filled(text(page)) == text(page), "run: python -m benchmarks.readme"


def test_every_link_leads_to_a_file_or_a_heading():
    broken, count = [], 0
    for page in PAGES:
        targets = re.findall(r"\]\(([^)\s]+)\)", text(page))
        targets += re.findall(r'src="([^"]+)"', text(page))
        for target in targets:
            if target.startswith(("https://", "http://")):
                continue
            count += 1
            name, _, anchor = target.partition("#")
            file = (REPOSITORY / page).parent / name if name else REPOSITORY / page
            if not file.exists() or (
                anchor and anchor not in headings(file.resolve().relative_to(REPOSITORY))
            ):
                broken.append(f"{page}: {target}")
    assert count > 50
    assert not broken


def commands(page):
    """Return the lines of a page's sh blocks as lists of words, split at ``&&``."""
    for block in re.findall(r"```sh\n(.*?)```", text(page), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while "&&" in words:
                place = words.index("&&")
                yield words[:place]
                words = words[place + 1 :]
            if words:
                yield words


def missing(words):
    """Return what a command names that is not in the repository; None when all is there."""
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        makefile = f"\n{text('Makefile')}"
        return next((name for name in targets if f"\n{name}:" not in makefile), None)
    python = next((i for i, word in enumerate(words) if word.endswith("bin/python")), None)
    if python is None:
        return None
    if words[python + 1] == "-m":
        module = words[python + 2].replace(".", "/")
        own = module.split("/")[0] in ("wine", "apps", "benchmarks")
        return module if own and not (REPOSITORY / f"{module}.py").is_file() else None
    return None if (REPOSITORY / words[python + 1]).is_file() else words[python + 1]


@every_page
def test_every_command_exists(page):
    modules = re.findall(r"python -m ((?:wine|apps|benchmarks)\.[a-z_]+\b)", text(page))
    absent = [missing(words) for words in commands(page)]
    absent += [missing([".venv/bin/python", "-m", module]) for module in modules]
    targets = re.findall(r"`make ([a-z-]+)", text(page))
    absent += [missing(["make", target]) for target in targets]
    assert [name for name in absent if name] == []

"""The documentation says what is so: links, commands, variables, codes and examples are checked against the code."""

from __future__ import annotations

import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main

import modellix_server.api
import modellix_server.operations.principal
from modellix_server.base import settings
from modellix_server.base.errors import PlatformError
from modellix_server.catalogue import Catalogue
from modellix_server.cli.app import app
from modellix_server.openapi.schemas import FAILURES
from modellix_server.sandbox import directives
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import FailureCode

TOP = Path(__file__).parents[1]
PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "CHANGELOG.md", *sorted((TOP / "docs").rglob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")
SITE = {page.stem: page.read_text(encoding="utf-8") for page in sorted((TOP / "docs/site/en").glob("*.md"))}
GLOSSARY = (TOP / "docs/glossary.md").read_text(encoding="utf-8")
ADD_A_MODEL = (TOP / "docs/add-a-model.md").read_text(encoding="utf-8")

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
VARIABLE = re.compile(r"\bMODELLIX_[A-Z_]+\b")
READ_IN_CODE = re.compile(r"(?:envvar=|\.get\()\"(MODELLIX_[A-Z_]+)\"")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TOP)))


def anchors(page: Path) -> set[str]:
    """The names GitHub gives to the headings of a page."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in (one or other for one, other in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8")))):
        if re.match(r"[a-z]+:|/docs/", target):
            continue  # the second are generated pages: tests/docsite checks them
        path, _, anchor = target.partition("#")
        found = page.parent / path if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    return broken


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `modellix-server …` in shell blocks and in code within a line."""
    lines = [
        line for kind, block in FENCE.findall(text) if kind == "sh" for line in block.replace("\\\n", " ").split("\n")
    ]
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for line in lines:
        words = shlex.split(line, comments=True) if "modellix-server" in line else []
        if "modellix-server" in words and "…" not in words:
            given = words[words.index("modellix-server") + 1 :]
            ends = [place for place, word in enumerate(given) if word in {"<", ">", "|", "&&", ";"}]
            yield given[: min(ends, default=len(given))]


def parse(given: list[str]) -> None:
    """Let the command line read its arguments, without running the command. Raises what it would complain of."""
    command: Any = typer.main.get_command(app)
    while given and (found := getattr(command, "commands", {})):
        if given[0] not in found:
            raise LookupError(f"no command {given[0]!r}")
        command, given = found[given[0]], given[1:]
    if not hasattr(command, "commands"):
        command.make_context("modellix-server", given)


def variables_read() -> set[str]:
    in_code = {
        name
        for room in ("cli", "processes", "operations", "embedded")
        for file in (TOP / "src/modellix_server" / room).rglob("*.py")
        for name in READ_IN_CODE.findall(file.read_text(encoding="utf-8"))
    }
    declared = {variable.name for variable in settings.variables()}
    assert in_code <= declared
    return declared


def families(error: type[PlatformError]) -> Iterator[type[PlatformError]]:
    yield error
    for below in error.__subclasses__():
        yield from families(below)


@pages
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A heading, here\n[a](gone.md) [b](page.md#a-heading-here) [c](#nowhere) [d](https://example.com)\n"
    )
    assert broken_links(page) == ["gone.md", "#nowhere"]


@pages
def test_commands_exist_as_written(page: Path) -> None:
    for given in commands(page.read_text(encoding="utf-8")):
        try:
            parse(given)
        except Exception as error:
            raise AssertionError(f"modellix-server {shlex.join(given)}: {error!r}") from error


def test_every_admin_command_is_on_a_page_of_the_site() -> None:
    texts = [page.read_text(encoding="utf-8") for page in (TOP / "docs/site/en").rglob("*.md")]
    shown = {tuple(given[:3]) for text in texts for given in commands(text)}
    groups: Any = typer.main.get_command(app)
    for name, group in groups.commands["admin"].commands.items():
        for verb in getattr(group, "commands", ("",)):  # one without verbs stands for itself
            assert any(given[:3] == ("admin", name, verb) or given == ("admin", name) for given in shown)


@pytest.mark.parametrize(
    "given", ["nothing", "admin key forget 1", "admin team credit acme --euro 1", "admin key revoke one"]
)
def test_a_wrong_command_is_found(given: str) -> None:
    assert list(commands(f"```sh\nmodellix-server {given}  # why\n```\n")) == [given.split()]
    with pytest.raises(Exception, match=r"nothing|forget|euro|valid integer"):
        parse(given.split())


def test_the_table_of_variables_is_what_the_code_declares() -> None:
    rows = re.findall(r"^\|[^\n]*\bMODELLIX_[^\n]*\n", SITE["settings"], re.MULTILINE)
    assert rows == settings.markdown().splitlines(keepends=True)[2:]


@pages
def test_variables_named_anywhere_exist(page: Path) -> None:
    only_for_tests = {"MODELLIX_KILL_AT", "MODELLIX_HOLD_AT"}
    of_clients = {"MODELLIX_API_KEY", "MODELLIX_BASE_URL"}
    assert set(VARIABLE.findall(page.read_text(encoding="utf-8"))) <= variables_read() | only_for_tests | of_clients


@pages
def test_source_files_named_anywhere_exist(page: Path) -> None:
    made_by_the_page = {"acme", "inkwell"}  # the guides' own examples
    for name in re.findall(r"`(\w+(?:/\w+)+\.(?:py|sql|toml))\b", page.read_text(encoding="utf-8")):
        places = (TOP / name, TOP / "src/modellix_server" / name, TOP / "src/modellix_server/catalogue/models" / name)
        assert any(place.exists() for place in places) or any(word in name for word in made_by_the_page), name


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        assert (
            set(re.findall(r"(?:`|^|\w=\w+ )make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)) <= targets
        )


def test_the_readme_is_short_and_leads_to_every_page_of_the_site() -> None:
    assert len(README.splitlines()) <= 150
    assert "make up" in README
    assert "make test" in README
    index = (TOP / "docs/README.md").read_text(encoding="utf-8")
    for name in SITE:
        assert f"(docs/site/en/{name}.md)" in README
        assert f"(site/en/{name}.md)" in index


@pytest.mark.parametrize("name", SITE)
def test_a_page_of_the_site_has_one_title_and_an_introduction(name: str) -> None:
    text = FENCE.sub("", SITE[name])
    titles = re.findall(r"^# .+$", text, re.MULTILINE)
    assert len(titles) == 1
    assert re.match(r"# [^\n]+\n\n[A-Z][^\n]+", text), "a title, then a paragraph"
    headings = HEADING.findall(text)
    assert len(headings) == len(set(headings)), "an anchor would be ambiguous"


def test_the_newest_change_is_this_version() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (TOP / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[(\d[^\]]*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)[0] == project["version"]


def test_every_refusal_is_documented() -> None:
    assert modellix_server.operations.principal  # it too
    assert modellix_server.api  # whose import loads every room's errors
    shown = {
        (int(status), category)
        for status, categories in re.findall(r"\b([45]\d\d)(?: \||) *\s((?:`[A-Z][a-z ]+`(?:, )?)+)", SITE["api"])
        for category in re.findall(r"`([^`]+)`", categories)
    }
    raised = {(error.status, error.category) for error in families(PlatformError)}
    assert shown == raised | {(405, "Invalid parameters")}  # a wrong method is the router's to refuse


def test_every_code_of_a_failed_task_is_documented() -> None:
    tasks = "".join(file.read_text(encoding="utf-8") for file in (TOP / "src/modellix_server/tasks").rglob("*.py"))
    codes = set(re.findall(r"error_code=\"(\w+)\"", tasks))
    shown = re.search(r"HTTP 200 with `error.code`: (.*?)\.", SITE["api"], re.DOTALL)
    assert shown
    assert set(re.findall(r"`(\w+)`", shown[1])) == codes | set(get_args(FailureCode)) == set(FAILURES)


def test_every_directive_of_the_sandbox_is_in_the_table() -> None:
    assert set(re.findall(r"\[sandbox:([a-z-]+)", SITE["test-mode"])) == set(directives.KNOWN)
    for text in re.findall(r"`(\[sandbox:[^`]+)`", SITE["test-mode"]):
        directives.read([text])


def carriers() -> Iterator[tuple[str, str]]:
    """The terms of the glossary, each with a class, table or module that carries it."""
    for term, _, where in re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", GLOSSARY, re.MULTILINE)[2:]:
        for carrier in re.findall(r"`([^`]+)`", where):
            yield term, carrier


def test_the_glossary_has_each_term_once_and_in_order() -> None:
    terms = list(dict.fromkeys(term for term, _ in carriers()))
    rows = re.findall(r"^\| ([^|]+) \|", GLOSSARY, re.MULTILINE)[2:]
    assert rows == terms, "a term without a carrier, or there twice"
    assert [term.lower() for term in terms] == sorted(term.lower() for term in terms)


def test_what_the_glossary_names_exists() -> None:
    source = TOP / "src/modellix_server"
    classes = {
        name for file in source.rglob("*.py") for name in re.findall(r"^class (\w+)", file.read_text(), re.MULTILINE)
    }
    tables = set(re.findall(r"^create table (\S+) \(", (TOP / "docs/schema.sql").read_text(), re.MULTILINE))
    for term, carrier in carriers():
        known = classes if carrier[0].isupper() else tables if re.fullmatch(r"\w+\.(?!py|toml)\w+", carrier) else None
        found = carrier in known if known else (source / carrier).exists() or (TOP / carrier).exists()
        assert found, (term, carrier)


def test_the_picture_of_a_submission_is_that_of_the_table() -> None:
    run = runpy.run_path(str(TOP / "scripts/submission_diagram.py"))
    rows = run["steps"]()
    assert [int(number) for number, *_ in rows] == list(range(1, len(rows) + 1))
    assert 20 < len(rows) <= 35, "files from HTTP to settled"
    assert (TOP / "docs/images/submission.svg").read_text(encoding="utf-8") == run["draw"](rows)


def test_every_decision_is_in_the_index() -> None:
    index = (TOP / "docs/README.md").read_text(encoding="utf-8")
    pages = sorted((TOP / "docs/adr").glob("*.md"))
    assert len({page.name[:4] for page in pages}) == len(pages)
    for page in pages:
        number = page.name[:4]
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. ")
        assert f"[{number}](adr/{page.name})" in index


def test_the_example_of_a_model_loads(tmp_path: Path) -> None:
    (example,) = (block for kind, block in FENCE.findall(ADD_A_MODEL) if kind == "toml")
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "banner.toml").write_text(example, encoding="utf-8")
    banner = Catalogue.load(tmp_path).models["acme/banner"]
    load_all()[banner.routes[0].upstream].check(banner.routes[0])
    assert banner.quote(banner.check(banner.example), None, live=True).amount_micros == 20_000

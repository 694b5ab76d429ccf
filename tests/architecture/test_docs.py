"""What the pages say is there: links, files and commands."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.architecture.command_lines import fault

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FOLDERS = "core|device|edge_server|orchestrator|builder|evaluation|protos|tests|deploy|benchmarks|docs|\\.ci|\\.github"

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\!)\[[^\]]+\]\(([^)\s]+)\)")
PLACE = re.compile(rf"`((?:{FOLDERS})/[^`\s]*)`")
INLINE = re.compile(r"`((?:make|bash|python -m) [^`]+)`")
PLACEHOLDER = re.compile(r"[A-Z]{3,}|…")  # NAME in core/offramp/codecs/NAME.py

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


@pages
def test_links_lead_somewhere(page: Path) -> None:
    assert [target for target in LINK.findall(prose(page)) if not leads_somewhere(page, target)] == []


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    named = [place for place in PLACE.findall(prose(page)) if not PLACEHOLDER.search(place)]
    assert [place for place in named if not list(ROOT.glob(place.rstrip("/")))] == []


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if language in ("bash", "sh", "console"):
                for line in block.replace("\\\n", " ").splitlines():
                    if line.strip() and not line.startswith("#"):
                        yield page.relative_to(ROOT).as_posix(), line.removeprefix("$ ").strip()
        for line in INLINE.findall(prose(page)):
            yield page.relative_to(ROOT).as_posix(), line


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_a_command_that_a_page_gives_is_understood(page: str, line: str) -> None:
    assert fault(line) == "", f"{page}: {line}"


def programs() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for language, block in FENCE.findall(page.read_text(encoding="utf-8")):
            if language == "python":
                yield page.relative_to(ROOT).as_posix(), block


@pytest.mark.parametrize(("page", "program"), list(programs()), ids=lambda part: part if part.endswith(".md") else "")
def test_python_that_a_page_gives_imports_what_exists(page: str, program: str) -> None:
    imports = [node for node in ast.walk(ast.parse(program)) if isinstance(node, ast.ImportFrom)]
    names = [(node.module or "", alias.name) for node in imports for alias in node.names]
    assert [name for name in names if not is_there(*name)] == []


def test_the_first_screen_of_the_readme_has_the_two_commands() -> None:
    screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40])
    assert [command for command in ("make demo", "make test") if command not in screen] == []


@pytest.mark.parametrize(
    "line",
    [
        "offramp bulid",
        "offramp edge --bundel DIR",
        "make tset",
        "make test ARGS=tests/nowhere",
        "python -m benchmarks.nothing",
        'pip install "offramp[devcie]"',
        "cat deploy/nothing.yml",
        "unheard-of --flag",
    ],
)
def test_a_slip_in_a_command_is_noticed(line: str) -> None:
    assert fault(line) != ""


def is_there(module: str, name: str) -> bool:
    return hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None


def leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"https?://|mailto:", target):
        return True  # not looked up: the tests need no network
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    return file.exists() and (not anchor or anchor in anchors(file))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}

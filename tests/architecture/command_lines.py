"""Command lines as people write them down, checked against what is really there.

A line in a page or a unit file is checked by the program's own parser, so that a renamed flag is found here and not by
whoever follows the page.
"""

import argparse
import contextlib
import io
import re
import shlex
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from offramp.cli import GROUP

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS: dict[str, str] = PROJECT["entry-points"][GROUP]

ELSEWHERE = {
    "cat",
    "cd",
    "curl",
    "docker",
    "export",
    "git",
    "grpcurl",
    "install",
    "ip",
    "journalctl",
    "kubectl",
    "ls",
    "ray",
    "sudo",
    "systemctl",
    "useradd",
}
"""Programs that are not ours; of their arguments only files of this repository are looked at."""


def fault(line: str) -> str:
    """What is wrong with a command line, pipes and comments included; empty when nothing is."""
    return next(filter(None, map(_fault, _commands(line))), "")


def offramp_fault(arguments: list[str]) -> str:
    """What `offramp ARGUMENTS` complains about when it reads its flags; empty when nothing."""
    if not arguments or arguments[0] in ("--help", "--version"):
        return ""
    name, *rest = arguments
    if name not in COMMANDS:
        return f"offramp has no command {name!r}"
    module, _, attribute = COMMANDS[name].partition(":")
    parser = argparse.ArgumentParser(prog=f"offramp {name}")
    getattr(import_module(module), attribute).configure(parser)
    complaint = io.StringIO()
    with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(io.StringIO()):
        try:
            parser.parse_args(rest)
        except SystemExit as stopped:
            return complaint.getvalue() if stopped.code else ""
    return ""


def _commands(line: str) -> list[list[str]]:
    """The commands of a line, each as its words; assignments before a command and redirections are left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    words = iter(lexer)
    for word in words:
        if set(word) <= set("|&;()"):
            commands.append([])
        elif set(word) <= set("<>"):
            next(words, None)
        elif commands[-1] or not re.fullmatch(r"[A-Z_]+=.*", word):
            commands[-1].append(word)
    return [command for command in commands if command]


def _fault(words: list[str]) -> str:
    program, rest = words[0], words[1:]
    if program in ("sudo", "exec"):
        return _fault(rest)
    if program.rpartition("/")[2] == "offramp":
        return offramp_fault(rest)
    if program == "make":
        return _make_fault(rest)
    if program.rpartition("/")[2] in ("python", "python3", "pip"):
        return _python_fault(rest if program.endswith("pip") is False else ["-m", "pip", *rest])
    if program == "bash":
        return "" if (ROOT / rest[0]).is_file() else f"there is no {rest[0]}"
    if "/" in program:
        return "" if (ROOT / program).is_file() else f"there is no {program}"
    if program in ELSEWHERE:
        files = [word for word in rest if re.match(r"(deploy|docs|benchmarks)/", word)]
        return next((f"there is no {file}" for file in files if not (ROOT / file).exists()), "")
    return f"{program!r} is no command that a page of ours gives"


def _make_fault(words: list[str]) -> str:
    rules = (ROOT / "Makefile").read_text(encoding="utf-8")
    faults = [f"make has no target {word}" for word in words if "=" not in word and f"\n{word}:" not in rules]
    handed = [word for given in words if given.startswith("ARGS=") for word in given.removeprefix("ARGS=").split()]
    faults += [f"there is no {word}" for word in handed if word.startswith("tests/") and not (ROOT / word).exists()]
    return next(iter(faults), "")


def _python_fault(arguments: list[str]) -> str:
    if arguments[:2] == ["-m", "pip"]:
        wanted = re.findall(r"offramp\[([\w,]+)\]", " ".join(arguments))
        extras = [extra for group in wanted for extra in group.split(",")]
        return next((f"there is no extra {extra!r}" for extra in extras if extra not in extras_there()), "")
    if arguments[:1] == ["-m"]:
        return "" if _is_module(arguments[1]) else f"there is no module {arguments[1]}"
    return "" if (ROOT / arguments[0]).is_file() else f"there is no {arguments[0]}"


def extras_there() -> set[str]:
    return set(PROJECT["optional-dependencies"])


def _is_module(name: str) -> bool:
    file = ROOT.joinpath(*name.split("."))
    return file.with_suffix(".py").is_file() or (file / "__main__.py").is_file() or find_spec(name) is not None

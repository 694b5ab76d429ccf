"""Every sub-command that pyproject.toml registers is there, and asking for help costs a board nothing heavy."""

import argparse
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from offramp.cli import GROUP, Command, main

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
COMMANDS: dict[str, str] = PROJECT["entry-points"][GROUP]
HEAVY = ("torch", "ray", "sklearn", "scipy", "onnx", "onnxruntime", "grpc", "PIL")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_registered_command_says_what_it_does_and_takes_its_flags(name: str) -> None:
    module, _, attribute = COMMANDS[name].partition(":")
    command: Command = getattr(import_module(module), attribute)
    command.configure(argparse.ArgumentParser())
    assert command.summary
    assert callable(command.run)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert f"usage: offramp {name}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert [name for name in COMMANDS if f"    {name} " not in printed] == []


def test_help_imports_nothing_heavy() -> None:
    script = (
        f"import sys; from offramp.cli import main; main([]); sys.exit(str([m for m in {HEAVY} if m in sys.modules]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert run.stderr.strip() == "[]"

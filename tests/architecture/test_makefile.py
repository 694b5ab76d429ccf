"""The Makefile says what it has, runs what it says, and explains itself where it cannot start."""

import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder in which nothing has been set up."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def a_python(folder: Path, *lines: str) -> str:
    """An interpreter that runs these lines of shell instead of Python."""
    path = folder / "python"
    path.write_text("\n".join(["#!/bin/sh", *lines]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"PYTHON={path}"


def test_a_bare_make_lists_every_target() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    printed = make(ROOT).stdout
    assert [target for target in targets.split() if f"make {target} " not in printed] == []


def test_bench_runs_every_benchmark() -> None:
    (named,) = re.findall(r"^BENCHMARKS := (.+)$", MAKEFILE, re.MULTILINE)
    reports = re.compile(r"^from benchmarks\.harness import .*\breport\b", re.MULTILINE)
    there = [*ROOT.glob("benchmarks/*.py"), *ROOT.glob("benchmarks/*/__main__.py")]
    found = [path for path in there if reports.search(path.read_text(encoding="utf-8"))]
    scripts = [path.parent.name if path.stem == "__main__" else path.stem for path in found]
    assert sorted(named.split()) == sorted(scripts)


@pytest.mark.parametrize("target", ["demo", "test", "check"])
def test_an_old_python_is_refused_before_anything_is_made(bare: Path, target: str) -> None:
    run = make(bare, target, a_python(bare, "exit 1"))
    assert run.returncode != 0
    assert "offramp needs Python 3.11 to 3.13" in run.stderr
    assert f"make {target} PYTHON=" in run.stderr
    assert [path.name for path in bare.iterdir() if path.name.startswith(".venv")] == []


def test_a_python_without_venv_is_told_what_to_install(bare: Path) -> None:
    run = make(bare, "test", a_python(bare, 'case "$2" in *venv*) exit 1;; esac'))
    assert run.returncode != 0
    assert "apt-get install python3-venv" in run.stderr
    assert [path.name for path in bare.iterdir() if path.name.startswith(".venv")] == []


def test_what_is_set_up_is_not_set_up_again(bare: Path) -> None:
    (bare / ".venv/bin").mkdir(parents=True)
    (bare / ".venv/bin/python").write_text('#!/bin/sh\necho "ran: $*"')
    (bare / ".venv/bin/python").chmod(0o755)
    (bare / ".venv/.dev-is-installed").touch()
    assert make(bare, "test", "ARGS=-k codec").stdout == "ran: -m pytest -k codec\n"

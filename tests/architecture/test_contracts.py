"""The import contracts of pyproject.toml hold, and each of them would notice a violation.

A contract that no longer matches anything passes for ever, so one forbidden import is planted for each rule into a copy
of the packages, and the contract named beside it must break; that one alone.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
CONTRACTS = {
    contract["name"].split(":")[0]: contract["name"] for contract in PROJECT["tool"]["importlinter"]["contracts"]
}

ROLES = "Roles"
CORE = "Core"
TORCH = "torch lives in the builder and in the torch runtime alone"
RAY = "ray lives in the actors modules alone"
GRPC = "gRPC does not reach where decisions are made"
SKLEARN = "scikit-learn is imported by nobody"

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"

PLANTED = [
    (ROLES, "offramp_device", "import offramp_edge_server"),
    (ROLES, "offramp_edge_server", "import offramp_device"),
    (ROLES, "offramp_orchestrator", "import offramp_device"),
    (ROLES, "offramp_builder", "import offramp_evaluation"),
    (ROLES, "offramp", "import offramp_device"),
    (CORE, "offramp.errors", "import offramp.units"),
    (CORE, "offramp.records", "import offramp.plan"),
    (CORE, "offramp.records", "import offramp.settings"),
    (CORE, "offramp.bundle", "import offramp.codecs"),
    (CORE, "offramp.exits", "import offramp.runtime"),
    (CORE, "offramp.codecs", "import offramp.planning"),
    (CORE, "offramp.misplaced", ""),  # a new module has to be given its layer
    (TORCH, "offramp.runtime", "import torch"),
    (TORCH, "offramp_device", "import torch"),
    (RAY, "offramp_orchestrator", "import ray"),
    (RAY, "offramp_evaluation", "import ray"),
    (GRPC, "offramp.codecs", "import grpc"),
    (GRPC, "offramp_device.pipeline", "import grpc"),
    (GRPC, "offramp_edge_server.batcher", "import grpc"),
    (GRPC, "offramp_orchestrator.controller", "import grpc"),
    (SKLEARN, "offramp.data", "import sklearn"),
    (SKLEARN, "offramp_builder", "import sklearn"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages side by side, and the project file with their contracts."""
    for package in PACKAGES:
        source = ROOT / package
        shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.onnx", "*.bin"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_code_keeps_every_contract(copy: Path) -> None:
    assert broken(copy) == set()


@pytest.mark.parametrize(("contract", "module", "statement"), PLANTED, ids=lambda part: str(part).split(" ")[-1])
def test_a_forbidden_import_breaks_the_contract_that_forbids_it(
    copy: Path, contract: str, module: str, statement: str
) -> None:
    path = copy.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    with file.open("a", encoding="utf-8") as text:
        text.write(f"\n{statement}\n")
    assert broken(copy) == {CONTRACTS[contract]}


def test_every_contract_has_a_planted_violation() -> None:
    assert {contract for contract, _, _ in PLANTED} == set(CONTRACTS)


def broken(folder: Path) -> set[str]:
    """Names of the contracts that import-linter finds broken in `folder`."""
    run = subprocess.run(
        [sys.executable, "-c", LINT, "--no-logo", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "400"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    verdicts = dict(re.findall(r"^(.*\S) (KEPT|BROKEN)", run.stdout, flags=re.MULTILINE))
    # Every contract was judged: import-linter stops at the first one that it cannot apply.
    assert set(verdicts) == set(CONTRACTS.values()), run.stdout + run.stderr
    return {name for name, verdict in verdicts.items() if verdict == "BROKEN"}

"""A role imports with what its extra installs, and with nothing more.

Each test starts a fresh interpreter in which the packages of other extras cannot be imported, and there imports every
module of the role: an import of torch at the top of a device's module fails here, before it fails on a board.
"""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

EXTRAS = [
    ("offramp", "device"),
    ("offramp_device", "device"),
    ("offramp_edge_server", "edge"),
    ("offramp_evaluation", "evaluation"),
    ("offramp_builder", "builder"),
    ("offramp_orchestrator", "orchestrator"),
]

IMPORT_ALL = """
import importlib, pkgutil, sys

package, blocked = sys.argv[1], set(sys.argv[2].split(","))

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}: not in the extra", name=name)

sys.meta_path.insert(0, Absent())
root = importlib.import_module(package)
for module in pkgutil.walk_packages(root.__path__, package + "."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.mark.parametrize(("package", "extra"), EXTRAS)
def test_every_module_of_a_role_imports_with_its_extra_alone(package: str, extra: str) -> None:
    run = import_all(package, absent=others(extra))
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "package", ["offramp", "offramp_device", "offramp_edge_server", "offramp_evaluation", "offramp_orchestrator"]
)
def test_what_is_heavy_stays_out_of_the_process(package: str) -> None:
    run = import_all(package, absent=set())
    assert run.returncode == 0, run.stderr
    assert {"torch", "ray", "sklearn", "scipy", "pandas"} & set(run.stdout.split()) == set()


@pytest.mark.parametrize("package", ["offramp.exits", "offramp.codecs", "offramp.planning", "offramp.measure"])
def test_what_decides_needs_no_socket(package: str) -> None:
    run = import_all(package, absent={"grpc", "google"})
    assert run.returncode == 0, run.stderr


def import_all(package: str, absent: set[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, package, ",".join(sorted(absent))],
        cwd=Path(__file__).parent,  # not the root, where device/ would pass for a package
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def others(extra: str) -> set[str]:
    """Top-level packages installed here that `offramp[extra]` would not install."""
    allowed = closure("offramp", extra)
    return {
        name
        for name, distributions in packages_distributions().items()
        if not {canonical(distribution) for distribution in distributions} & allowed
        # pytest-cov starts coverage in the child interpreters as well
        and name not in {"coverage", "pytest_cov", "_virtualenv", "_distutils_hack"}
    }


def closure(distribution: str, extra: str = "", seen: set[tuple[str, str]] | None = None) -> set[str]:
    """Canonical names of all that `distribution[extra]` asks for, itself included."""
    seen = set() if seen is None else seen
    seen.add((canonical(distribution), extra))
    for requirement in wanted(distribution, extra):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            for inner in requirement.extras or {""}:
                if (canonical(requirement.name), inner) not in seen:
                    closure(requirement.name, inner, seen)
    return {name for name, _ in seen}


def wanted(distribution: str, extra: str) -> list[Requirement]:
    if distribution == "offramp":  # as it is written now, not as it was when it was installed
        return [Requirement(text) for text in PROJECT["dependencies"] + PROJECT["optional-dependencies"].get(extra, [])]
    try:
        return [Requirement(text) for text in requires(distribution) or []]
    except PackageNotFoundError:
        return []  # an optional package that is not installed here


def canonical(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")

"""The wheel holds the six packages with all their files, and nothing else.

Two wheels that ship the same top-level name install over each other without a word, so the top level is counted; and a
pattern of .gitignore that happens to match a package's folder would leave it out, so the files are compared.
"""

import json
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

from offramp.bundle.jsonform import from_json
from offramp.bundle.manifest import Manifest

pytestmark = pytest.mark.system

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = [ROOT / package for package in PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("wheel")
    run = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_top_level_is_the_six_packages_and_the_metadata(wheel: zipfile.ZipFile) -> None:
    top = {PurePosixPath(name).parts[0] for name in wheel.namelist()}
    version = PROJECT["project"]["version"]
    assert top == {source.name for source in SOURCES} | {f"offramp-{version}.dist-info"}


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_file_of_a_package_is_inside(wheel: zipfile.ZipFile, source: Path) -> None:
    written = {
        path.relative_to(source.parent).as_posix()
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if name.startswith(source.name + "/")}
    assert packed == written


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_package_says_that_it_is_typed(wheel: zipfile.ZipFile, source: Path) -> None:
    assert f"{source.name}/py.typed" in wheel.namelist()


def test_the_generated_wire_code_is_inside(wheel: zipfile.ZipFile) -> None:
    protos = [path.stem for path in (ROOT / "protos/offramp/wire/v1").glob("*.proto")]
    wanted = {f"offramp/wire/v1/{stem}_{kind}" for stem in protos for kind in ("pb2.py", "pb2.pyi", "pb2_grpc.py")}
    assert wanted <= set(wheel.namelist())


def test_the_metadata_carries_extras_licence_and_command(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    fields = Parser().parsestr(wheel.read(metadata).decode())
    folder = PurePosixPath(metadata).parent
    assert set(fields.get_all("Provides-Extra", [])) == set(PROJECT["project"]["optional-dependencies"])
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
    assert "offramp = offramp.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()


def test_the_bundle_of_the_demo_is_inside(wheel: zipfile.ZipFile) -> None:
    place = "offramp_evaluation/assets/demo"
    manifest = from_json(Manifest, json.loads(wheel.read(f"{place}/manifest.json")))
    sizes = {name: wheel.getinfo(f"{place}/{name}").file_size for name in manifest.files}
    assert sizes == {name: entry.nbytes for name, entry in manifest.files.items()}

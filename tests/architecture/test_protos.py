"""The generated code is what the .proto files say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "core/offramp/wire/v1"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    pytest.importorskip("grpc_tools", reason='needs grpcio-tools: pip install "offramp[dev]"')
    spec = importlib.util.spec_from_file_location("generate_protos", ROOT / "protos/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_code_is_what_the_protos_generate(generator: ModuleType, tmp_path: Path) -> None:
    generated = {path.name: path.read_text() for path in generator.generate(tmp_path)}
    committed = {path.name: path.read_text() for path in COMMITTED.glob("*.py*")}
    assert generated == committed, "run `make protos` and commit core/offramp/wire/v1"


def test_code_of_a_proto_that_is_gone_goes_too(generator: ModuleType, tmp_path: Path) -> None:
    stale = tmp_path / "offramp/wire/v1/gone_pb2.py"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    generator.generate(tmp_path)
    assert not stale.exists()

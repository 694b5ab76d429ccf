"""Generate `core/offramp/wire/v1` from `protos/offramp/wire/v1`: `python protos/generate.py [OUT]`, or `make protos`.

Needs grpcio-tools (a development dependency). The generated code is committed, and a test regenerates and compares, so
nobody who installs Offramp needs it. Generated code asks for a grpcio and a protobuf at least as new as the
generator's: raise the lower bounds of the extra `device` in pyproject.toml when you raise grpcio-tools.
"""

import sys
from pathlib import Path

from grpc_tools import protoc

PROTOS = Path(__file__).parent
CORE = PROTOS.parent / "core"
PACKAGE = Path("offramp/wire/v1")


def generate(out: Path) -> list[Path]:
    """Write the generated modules below `out` and return their paths; what no .proto makes any more is removed.

    Raises:
        RuntimeError: protoc refused; it has said why on standard error.
    """
    sources = sorted(path.relative_to(PROTOS).as_posix() for path in (PROTOS / PACKAGE).glob("*.proto"))
    target = out / PACKAGE
    target.mkdir(parents=True, exist_ok=True)
    for stale in [*target.glob("*_pb2.py"), *target.glob("*_pb2.pyi"), *target.glob("*_pb2_grpc.py")]:
        stale.unlink()
    status = protoc.main(
        ["protoc", f"-I{PROTOS}", f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *sources]
    )
    if status:
        raise RuntimeError(f"protoc ended with {status} on {', '.join(sources)}")
    (target / "__init__.py").write_text('"""Generated from protos/offramp/wire/v1 by protos/generate.py."""\n')
    return sorted(path for path in target.iterdir() if path.is_file())


if __name__ == "__main__":
    for path in generate(Path(sys.argv[1]) if len(sys.argv) > 1 else CORE):
        print(path)

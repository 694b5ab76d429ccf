"""What ships with the package, so that the demo and a first replay need nothing else: small, with recipes."""

from pathlib import Path

_HERE = Path(__file__).parent

DEMO_BUNDLE = _HERE / "demo"
"""A network trained on camera-digits: see `provenance` in its manifest for the command that rebuilds it."""
DEMO_TAPE = _HERE / "demo.tape"
"""What it said about the test split: `offramp evaluate record --bundle demo --subset test`."""
DEMO_PROFILE = _HERE / "demo-profile.json"
"""What it took on the machine that the file names: `offramp profile`."""

"""The bundle that ships with the demo, found by its name: core imports nothing of it."""

from importlib.util import find_spec
from pathlib import Path

from offramp.bundle.store import MANIFEST
from offramp.errors import BundleError

DEMO = "demo"
"""What it is called wherever a bundle can be named; a folder of that name is ./demo."""


def find_bundle(name: str | Path) -> Path:
    """The folder that is meant: `demo` is the shipped one, anything else a path.

    Raises:
        BundleError: `demo` is meant, and what ships it is not installed.
    """
    if str(name) != DEMO:
        return Path(name)
    package = find_spec("offramp_evaluation")
    for folder in (package.submodule_search_locations or ()) if package else ():
        found = Path(folder, "assets", DEMO)
        if (found / MANIFEST).is_file():
            return found
    raise BundleError('the demo\'s bundle is not installed; pip install "offramp[demo]", or give the folder of another')

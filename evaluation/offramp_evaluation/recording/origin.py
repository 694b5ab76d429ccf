"""Where a tape comes from: the code that recorded it, and what it ran on."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import offramp
from offramp.measure.profile import describe_host

PACKAGES = ("numpy", "onnxruntime", "pillow", "zstandard", "pyarrow")
"""Whose versions decide about the bytes of a tape."""


def code_version() -> str:
    """Version, and the commit where the code is a checkout: `offramp 0.1.0 (7e1b0ce…)`."""
    place = Path(offramp.__file__).parent
    try:
        found = subprocess.run(
            # The last commit that changed what records, not the last one of all: README may change in between.
            ["git", "-C", str(place), "log", "-1", "--format=%H", "--", ".", str(Path(__file__).parent)],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        found = ""
    return f"offramp {offramp.__version__}" + (f" ({found[:12]})" if found else "")


def surroundings() -> dict[str, str]:
    """What may change a bit of a tape beside the code: libraries and processor."""
    found = {"python": platform.python_version(), "machine": describe_host()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found

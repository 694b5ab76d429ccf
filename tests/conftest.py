"""Fixtures that every folder of tests may use."""

import os
import signal
from pathlib import Path

import hypothesis
import pytest

from offramp.bundle.store import Bundle

ROOT = Path(__file__).parent.parent

# A shell that starts tests in the background has them ignore Ctrl-C, and every process they start inherits that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts how long something took, and none fails because a busy machine took its time over an example.
hypothesis.settings.register_profile("offramp", deadline=None)
hypothesis.settings.load_profile("offramp")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets; the test is skipped where there is none."""
    root = Path(os.environ.get("OFFRAMP_DATA", ROOT.parent / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real data at {root}; set OFFRAMP_DATA to run this test")
    return root


@pytest.fixture(scope="session")
def detoured_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The same with bottlenecks."""
    from tests.support.tiny_bundle import write_tiny_bundle  # as above

    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "detoured", bottlenecks=True)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A real bundle of five classes on 16x16 images, with branches at cuts 1 and 2; do not write into it."""
    from tests.support.tiny_bundle import write_tiny_bundle  # onnx takes 0.4 s to import: only where it is needed

    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")

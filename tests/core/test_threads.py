"""One pool per process, so each of these has a process of its own."""

import pytest

from offramp.bundle.store import Bundle
from offramp.errors import SettingsError
from offramp.runtime.threads import configure_threads
from tests.support.shells import run_python

OPEN = """
    import sys
    from offramp.bundle.store import open_bundle
    from offramp.errors import SettingsError
    from offramp.runtime.onnx_backend import OnnxRuntime, configure_threads

    def open_one():
        OnnxRuntime(open_bundle(sys.argv[1])).open(0, 4, branch=False)

    def refused(threads):
        try:
            configure_threads(threads)
        except SettingsError as error:
            return str(error)
"""


def test_the_same_number_again_does_nothing(tiny_bundle: Bundle) -> None:
    code = OPEN + "    configure_threads(2); open_one(); print(refused(2)); print(refused(3))"
    same, another = run_python(code, str(tiny_bundle.path)).stdout.splitlines()
    assert same == "None"
    assert "shares a pool of 2 already" in another


def test_another_number_is_refused(tiny_bundle: Bundle) -> None:
    code = OPEN + "    configure_threads(2)\n    print(refused(3))"
    said = run_python(code, str(tiny_bundle.path)).stdout
    assert "threads=3 comes too late: this process shares a pool of 2 already" in said


def test_without_a_number_the_first_segment_settles_it(tiny_bundle: Bundle) -> None:
    said = run_python(OPEN + "    open_one(); print(refused(3))", str(tiny_bundle.path)).stdout
    assert "shares a pool of every core already" in said


def test_a_session_that_somebody_opened_before_is_no_harm(tiny_bundle: Bundle) -> None:
    code = """
    import onnxruntime
    onnxruntime.InferenceSession(sys.argv[1] + "/graph/0-4.onnx")
    configure_threads(1); open_one(); print(refused(2))
    """
    assert "shares a pool of 1 already" in run_python(OPEN + code, str(tiny_bundle.path)).stdout


def test_opening_and_running_writes_nothing(tiny_bundle: Bundle) -> None:
    done = run_python(OPEN + "    open_one()", str(tiny_bundle.path))
    assert (done.stdout, done.stderr) == ("", "")


def test_a_session_that_cannot_be_made_writes_nothing_either(tiny_bundle: Bundle) -> None:
    """ONNX Runtime's wrapper would print about trying another provider."""
    code = """
    import sys
    import onnxruntime
    from offramp.runtime.session import open_session
    options = onnxruntime.SessionOptions()
    options.use_per_session_threads = False  # and there is no pool to share
    try:
        open_session(sys.argv[1] + "/graph/0-4.onnx", options)
    except RuntimeError:
        sys.exit(0)
    sys.exit("it was made")
    """
    assert run_python(code, str(tiny_bundle.path)).stdout == ""


def test_fewer_than_none_is_refused() -> None:
    with pytest.raises(SettingsError, match="threads=-1 is negative"):
        configure_threads(-1)

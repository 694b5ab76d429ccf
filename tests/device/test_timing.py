"""A board is timed once: only what candidates run here, and the result is kept."""

import sys
from pathlib import Path

import pytest

from offramp.bundle.store import Bundle
from offramp.clock import SystemClock
from offramp.errors import BundleError
from offramp.measure.profile import NEVER, Profile, read_profile, write_profile
from offramp.plan import ExitRule
from offramp.units import Seconds
from offramp_device.steering import Steering
from offramp_device.timing import board_profile, completed, find_profile, needed_segments
from tests.support.plans import a_candidate, a_profile, some_candidates
from tests.support.tiny_bundle import write_tiny_bundle

AT_ONE = ExitRule(policy="confidence", thresholds=((1, 0.9),))
AT_BOTH = ExitRule(policy="confidence", thresholds=((1, 0.9), (2, 0.9)))
CANDIDATES = some_candidates(
    a_candidate(0, codec="raw"),
    a_candidate(1, exit=AT_ONE, reach=(1.0,), offload=0.5),
    a_candidate(3, exit=AT_BOTH, reach=(1.0, 0.5), offload=0.2, codec="float16"),
    a_candidate(4, codec="none"),
)


class Hurried(SystemClock):
    """Does not pause between two runs."""

    def sleep(self, duration: Seconds) -> None: ...


def timed(bundle: Bundle, store: Path, slowdown: float = 1.0) -> Profile:
    return board_profile(bundle, CANDIDATES, store, Hurried(), threads=0, slowdown=slowdown, tell=lambda _message: None)


def test_only_segments_that_a_candidate_runs_on_the_device_are_needed() -> None:
    assert needed_segments(CANDIDATES) == {(0, 1, True, ""), (1, 2, True, ""), (2, 3, False, ""), (0, 4, False, "")}


def test_encoders_are_timed_where_a_candidate_runs_them_and_codecs_on_their_codes(
    detoured_bundle: Bundle, tmp_path: Path
) -> None:
    candidates = some_candidates(
        a_candidate(1, codec="slim/affine4:3"),
        a_candidate(2, codec="own/affine8+range", exit=AT_BOTH, reach=(1.0, 0.5), offload=0.2),
    )
    assert needed_segments(candidates) == {
        (0, 1, False, "slim"),
        (0, 1, True, ""),
        (1, 2, True, ""),
        (2, 2, False, "own"),
    }
    profile = board_profile(
        detoured_bundle, candidates, tmp_path, Hurried(), threads=0, slowdown=1.0, tell=lambda _message: None
    )
    assert set(profile.encode) == {"1:slim/affine4:3", "2:own/affine8+range"}
    assert {"0-1~slim", "2-2~own", "2-4~own"} <= set(profile.segments)
    assert len(profile.segments) == len(detoured_bundle.manifest.segments)


def test_what_was_timed_is_kept_and_used_again(tiny_bundle: Bundle, tmp_path: Path) -> None:
    told: list[str] = []
    profiles = [
        board_profile(tiny_bundle, CANDIDATES, tmp_path, Hurried(), threads=0, slowdown=1.0, tell=told.append)
        for _ in range(2)
    ]
    assert profiles[0] == profiles[1]
    assert len(told) == 1
    assert "timing 4 segments of tiny on this board, once" in told[0]


def test_a_profile_holds_every_segment_and_the_codecs_of_the_candidates(tiny_bundle: Bundle, tmp_path: Path) -> None:
    profile = timed(tiny_bundle, tmp_path)
    assert len(profile.segments) == len(tiny_bundle.manifest.segments)
    assert set(profile.encode) == {"0:raw", "1:affine8+zstd", "3:float16"}
    assert all(cost.expected > 0 for cost in profile.segments.values())


def test_an_emulated_board_has_a_profile_of_its_own(tiny_bundle: Bundle, tmp_path: Path) -> None:
    timed(tiny_bundle, tmp_path)
    slow = timed(tiny_bundle, tmp_path, slowdown=50.0)
    assert slow.slowdown == 50.0
    assert len(list(tmp_path.glob("*.profile.json"))) == 2


def test_a_damaged_profile_is_measured_again(tiny_bundle: Bundle, tmp_path: Path) -> None:
    timed(tiny_bundle, tmp_path)
    (place,) = tmp_path.glob("*.profile.json")
    place.write_text("{")
    told: list[str] = []
    board_profile(tiny_bundle, CANDIDATES, tmp_path, Hurried(), threads=0, slowdown=1.0, tell=told.append)
    assert "is not a profile" in told[0]
    assert read_profile(place).model_digest == tiny_bundle.manifest.model_digest


def test_what_was_not_timed_takes_its_operations_at_the_pace_of_the_rest(tiny_bundle: Bundle, tmp_path: Path) -> None:
    from dataclasses import replace

    manifest = tiny_bundle.manifest
    known = a_profile((0.0, 0.010, 0.030, 0.040, 0.050))
    partly = replace(known, segments={"0-1": known.segments["0-1"]})
    whole = completed(partly, manifest)
    macs = [stage.macs for stage in manifest.stages]
    assert whole.segments["0-1"] == known.segments["0-1"]
    assert whole.segments["1-3"].median == pytest.approx(0.010 * (macs[1] + macs[2]) / macs[0])


def test_a_profile_of_another_bundle_is_refused(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "bundle")
    from offramp.bundle.store import write_manifest
    from offramp.planning.candidates import FILE, write_candidates

    write_candidates(CANDIDATES, bundle.file(FILE))
    bundle = Bundle(bundle.path, write_manifest(bundle.path, bundle.manifest))
    from dataclasses import replace

    write_candidates(replace(CANDIDATES, model_digest=bundle.manifest.model_digest), bundle.file(FILE))
    write_profile(a_profile(), tmp_path / "other.json")
    steering = Steering(name="d", store=tmp_path, strategy="search", shadow=0.0, profile=tmp_path / "other.json")
    with pytest.raises(BundleError, match="a profile of another bundle than 'tiny'"):
        find_profile(bundle, steering, SystemClock(), lambda _message: None)


def test_a_bundle_without_candidates_is_not_timed(tiny_bundle: Bundle, tmp_path: Path) -> None:
    told: list[str] = []
    steering = Steering(name="d", store=tmp_path, strategy="search", shadow=0.0)
    assert find_profile(tiny_bundle, steering, SystemClock(), told.append) == (None, None)
    assert "plans have to be given" in told[0]


def test_codecs_whose_library_is_missing_are_never_worth_it(
    detoured_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    candidates = some_candidates(a_candidate(1, codec="slim/affine4:3"), a_candidate(1, codec="slim/affine4:3+range"))
    profile = board_profile(
        detoured_bundle, candidates, tmp_path, Hurried(), threads=0, slowdown=1.0, tell=lambda _message: None
    )
    assert profile.encode["1:slim/affine4:3+range"] == NEVER
    assert profile.encode["1:slim/affine4:3"].expected < 1

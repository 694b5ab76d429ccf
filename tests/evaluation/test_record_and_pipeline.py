"""What a tape says is what the deployed pipeline says: for every policy, split and codec, sample by sample."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from offramp.bundle.manifest import SCORES
from offramp.bundle.store import Bundle
from offramp.codecs.usual import known_codecs
from offramp.exits.catalog import POLICIES, open_policy
from offramp.exits.paths import path
from offramp.exits.policy import NO_STATE, BranchOutputs
from offramp.measure.listen import Listener
from offramp.measure.observe import observe, recorded
from offramp.plan import NO_EXIT, ExitRule, Plan
from offramp.planning.enumerating import enumerate_candidates
from offramp.planning.resolve import resolve
from offramp.records import Answered, Result
from offramp.runtime.onnx_backend import OnnxRuntime
from offramp.tape.header import TapeHeader, branch_voice
from offramp.tape.reader import Tape, open_tape
from offramp.tape.recording import Recording
from offramp.tape.rows import TapeRows
from offramp.units import Seconds
from offramp.wire.framing import request_wire_bytes
from offramp_device.device import Device
from offramp_device.uplink import LoopbackUplink
from offramp_evaluation.replay.static import StaticReplay
from tests.support.plans import a_profile_of
from tests.support.tiny_bundle import BRANCHES, CLASSES, some_images

COUNT = 60
IMAGES = some_images(COUNT, seed=7)
END = 4
INSTANCE = [policy for policy in POLICIES if not open_policy(path(policy, (1,))[0]).temporal]
BORDER = 1e-5
"""A score so near to its threshold may fall to either side: the pipeline runs other segments, one sample at a time."""


@pytest.fixture(scope="module")
def tape(detoured_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Tape:
    listener = Listener(detoured_bundle, OnnxRuntime(detoured_bundle), known_codecs(detoured_bundle.manifest))
    heard = listener.hear(IMAGES)
    header = TapeHeader(
        bundle="tiny",
        model_digest=detoured_bundle.manifest.model_digest,
        data="images",
        data_digest="0" * 64,
        code="a test",
        samples=COUNT,
        classes=CLASSES,
        end=END,
        branches=listener.branches,
        tails=tuple(
            dict.fromkeys(
                (entry.split, entry.codec.partition("+")[0])
                for entry in listener.entries
                if entry.voice.startswith("tail/")
            )
        ),
        codecs=listener.entries,
        scores=SCORES,
    )
    numbers = np.arange(COUNT)
    rows = TapeRows(
        id=numbers,
        index=numbers,
        group=numbers // 5,
        truth=numbers % CLASSES,
        stream=np.full(COUNT, "a"),
        subset=np.full(COUNT, "calibration"),
        logits=heard.logits,
        scores=heard.scores,
        payload_bytes=heard.payload_bytes,
    )
    recording = Recording.start(Path(tmp_path_factory.mktemp("tape")) / "tiny.tape", header)
    recording.write(0, rows)
    return open_tape(recording.finish())


@pytest.fixture(scope="module")
def device(detoured_bundle: Bundle) -> Iterator[Device]:
    runtime = OnnxRuntime(detoured_bundle, capacity=64)
    uplink = LoopbackUplink(detoured_bundle, runtime)
    with Device(detoured_bundle.manifest, runtime, uplink, Plan(split=END), deadline=Seconds(60.0)) as opened:
        yield opened


@st.composite
def plans(draw: st.DrawFn, codecs: dict[int, list[str]]) -> Plan:
    split = draw(st.integers(0, END))
    cuts = [cut for cut in BRANCHES if cut <= split]
    asked = sorted(draw(st.sets(st.sampled_from(cuts)))) if cuts else []
    rule = NO_EXIT
    if asked:
        policy = draw(st.sampled_from(INSTANCE))
        steps = [one.thresholds[0][1] for one in path(policy, asked)]
        rule = ExitRule(policy=policy, thresholds=tuple((cut, draw(st.sampled_from(steps))) for cut in asked))
    return Plan(split=split, exit=rule, codec=draw(st.sampled_from(codecs[split])) if split < END else "none")


@given(draws=st.data())
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_answers_from_the_tape_are_those_of_the_pipeline(
    detoured_bundle: Bundle, tape: Tape, device: Device, draws: st.DataObject
) -> None:
    plan = draws.draw(plans(known_codecs(detoured_bundle.manifest)))
    row = draws.draw(st.integers(0, COUNT - 1))
    assume(not near_a_border(tape, plan, row))
    device.adopt(plan)
    result = device.infer(IMAGES[row])
    assert_same(result, tape, plan, row)


def test_every_policy_split_and_codec_was_compared(detoured_bundle: Bundle, tape: Tape, device: Device) -> None:
    """Each combination once, with thresholds at which some leave and some stay."""
    for split, codecs in (known_codecs(detoured_bundle.manifest) | {END: ["none"]}).items():
        cuts = [cut for cut in BRANCHES if cut <= split]
        rules = [NO_EXIT, *(middle(path(policy, cuts)) for policy in INSTANCE if cuts)]
        for codec in codecs:
            for number, rule in enumerate(rules):
                plan = Plan(split=split, exit=rule, codec=codec)
                device.adopt(plan)
                for row in range(number, COUNT, 13):
                    if not near_a_border(tape, plan, row):
                        assert_same(device.infer(IMAGES[row]), tape, plan, row)


STREAM = np.repeat(np.arange(15), 4)
"""Rows of the tape: scenes of four frames that are all alike."""


@pytest.mark.parametrize(
    "text",
    [
        "split=2, exit=difference:0.1@1, codec=float32",
        "split=2, exit=difference:0.1@1/0.1@2+confidence:0.8@2, codec=affine8",
        "split=3, exit=temporal-patience:0@1/0@2, codec=float32",
        "split=end, exit=difference:0.1@2",
        "split=0, tail=confidence:0.7@1/0.6@2, codec=raw",
        "split=1, exit=confidence:0.8, tail=margin:0.3@2, codec=float32",
        "split=0, tail=patience:2, codec=raw",
        "split=0, tail=exclusion-monotone:0.5, codec=raw",
        "split=2, exit=exclusion:0.5, mask=on, codec=float32",
        "split=1, exit=exclusion-monotone:0.6@1, mask=on, tail=confidence:0.5@2, codec=float32",
        "split=1, exit=difference:0.1@1+exclusion:0.6@1, mask=on, tail=confidence:0.5@2, codec=float32",
        "split=2, exit=confidence:0.7@1, codec=own/affine4:3, unsure=0.5:own/affine8",
        "split=2, exit=confidence:0.7@2, codec=float32, unsure=0.5:own/affine4:3+range",
        "split=1, exit=confidence:0.7@1, codec=slim/affine4:3, unsure=0.5:affine8",
        "split=1, exit=difference:0.1@1+confidence:0.9@1, codec=slim/affine4:3, unsure=0.6:slim/affine8",
    ],
)
def test_a_stream_is_replayed_as_the_pipeline_answers_it(
    detoured_bundle: Bundle, tape: Tape, device: Device, text: str
) -> None:
    manifest = detoured_bundle.manifest
    plan, host = resolve(text, manifest), a_profile_of(manifest)
    static = StaticReplay(tape, manifest, host, host, deadline=Seconds(60.0))
    replayed = static.walk(plan, STREAM, np.arange(len(STREAM), dtype=np.float64))
    device.adopt(Plan(split=END))  # so that nothing is remembered
    device.adopt(plan)
    results = [device.infer(IMAGES[row], stream="a") for row in STREAM]
    assert [result.label for result in results] == replayed.label_N.tolist()
    assert [result.exit for result in results] == replayed.exit_N.tolist()
    assert [result.payload_bytes > 0 for result in results] == replayed.sent_N.tolist()
    sizes = [request_wire_bytes(result.payload_bytes) if result.payload_bytes else 0 for result in results]
    assert sizes == replayed.wire_N.tolist()
    assert plan.unsure is None or len({*sizes} - {0}) > 1, "some are sure, some are not"
    assert len({result.exit for result in results}) > 1, "some leave, some go on"


def middle(rules: Sequence[ExitRule]) -> ExitRule:
    return rules[len(rules) // 2]


def assert_same(result: Result, tape: Tape, plan: Plan, row: int) -> None:
    left = leaves_at(tape, plan, row)
    if left is not None:
        voice, expected = tape.branch(left[0]), (Answered.DEVICE, left[0])
    elif plan.split == END:
        voice, expected = tape.final(), (Answered.DEVICE, END)
    else:
        voice, expected = tape.answer(plan.split, plan.codec), (Answered.EDGE, END)
    assert (result.answered, result.exit) == expected
    assert result.logits is not None
    logits_K = voice.logits_Nk[row]
    np.testing.assert_allclose(result.logits, logits_K, atol=1e-4 * np.abs(logits_K).max())
    assert result.label == (voice.label_N[row] if left is None else left[1])
    sent = result.answered is Answered.EDGE
    assert result.payload_bytes == (tape.payload_bytes(plan.split, plan.codec)[row] if sent else 0)


def leaves_at(tape: Tape, plan: Plan, row: int) -> tuple[int, int] | None:
    """Cut and label, where it leaves at a branch."""
    policy, state = open_policy(plan.exit), NO_STATE
    for cut in plan.exit.asked:
        voice = tape.branch(cut)
        assert voice.scores_NS is not None
        said = BranchOutputs(cut, voice.logits_Nk[row : row + 1], voice.scores_NS[row : row + 1])
        decision, state = policy.decide(said, state)
        if decision.leaves_N[0]:
            return cut, int((voice.label_N[row : row + 1] if decision.label_N is None else decision.label_N)[0])
    return None


def near_a_border(tape: Tape, plan: Plan, row: int) -> bool:
    return any(
        bool((np.abs(tape.voice(branch_voice(cut)).scores_NS[row] - threshold) < BORDER).any())  # type: ignore[index]
        for cut, threshold in plan.exit.thresholds
    )


def test_candidates_from_a_tape_are_those_from_the_network(detoured_bundle: Bundle, tape: Tape) -> None:
    manifest, truth, group = detoured_bundle.manifest, np.arange(COUNT) % CLASSES, np.arange(COUNT) // 5
    run = observe(detoured_bundle, OnnxRuntime(detoured_bundle), IMAGES, known_codecs(manifest))
    from_tape = enumerate_candidates(recorded(tape, "calibration"), truth, group, manifest)
    assert from_tape == enumerate_candidates(run, truth, group, manifest)
    assert {item.exit.policy for item in from_tape.candidates} > {"none"}

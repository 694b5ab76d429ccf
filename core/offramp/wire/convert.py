"""Records to protobuf and back, always in pairs.

to_proto puts what a record means into a message; from_proto checks what a peer sent before it becomes a record.

# K classes, k ≤ K of them in an answer
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offramp.bundle.manifest import Manifest
from offramp.bundle.specs import TensorSpec
from offramp.errors import PayloadError, WireError
from offramp.plan import NO_EXIT, ExitRule, Plan, parse_rule
from offramp.records import NO_REVISION, Answer, EdgeTimings, Revision
from offramp.units import Seconds
from offramp.wire.v1 import inference_pb2 as pb

DIGEST_BYTES = 32  # sha256
MAX_TENSORS = 64
MAX_RANK = 8
MAX_ELEMENTS = 1 << 28  # a gigabyte of float32, far past every payload that a message may carry
MAX_NAME = 64  # characters of a codec or a dtype
MAX_EXITS = 2048  # characters of exits: those of a hundred branches
LOGITS = np.dtype("<f4")

_MICRO = 1e-6
_MAX_U32 = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """What a request needs beside its payload; the same for every request under one plan."""

    model_digest: str
    """sha256 in hexadecimal."""
    split: int
    codec: str
    tensors: tuple[tuple[tuple[int, ...], str], ...]
    """(shape without the batch dimension, dtype) of what the codec decodes to."""
    top_k: int = 0
    """0: all logits."""
    tail: ExitRule = NO_EXIT
    """Exits past the split."""
    queue: int = 0
    """Requests that have to wait for them to apply."""
    revision: Revision = NO_REVISION


def bind(plan: Plan, manifest: Manifest, *, top_k: int = 0) -> Binding:
    """The binding under which a device sends the payloads of this plan."""
    return Binding(
        model_digest=manifest.model_digest,
        split=plan.split,
        codec=plan.codec,
        tensors=shapes(manifest.crossing(plan.split, plan.via)),
        top_k=top_k,
        tail=plan.tail,
        queue=plan.queue,
        revision=plan.revision,
    )


def shapes(tensors: Sequence[TensorSpec]) -> tuple[tuple[tuple[int, ...], str], ...]:
    """What two ends must agree on about the tensors that cross."""
    return tuple((tensor.shape, tensor.dtype) for tensor in tensors)


def binding_to_proto(binding: Binding) -> pb.Binding:
    return pb.Binding(
        model_digest=bytes.fromhex(binding.model_digest),
        split=binding.split,
        codec=binding.codec,
        tensors=[pb.Tensor(shape=shape, dtype=dtype) for shape, dtype in binding.tensors],
        top_k=binding.top_k,
        epoch=binding.revision.epoch,
        counter=binding.revision.counter,
        tail=str(binding.tail) if binding.tail.thresholds else "",
        queue=binding.queue,
    )


def binding_from_proto(message: pb.Binding) -> Binding:
    """The binding that a peer declared, with its sizes bounded; whether it fits a bundle is the server's to say.

    Raises:
        WireError: A field is missing, or past what any bundle has.
        PlanError: The exits past the split are none.
    """
    if len(message.model_digest) != DIGEST_BYTES:
        raise WireError(f"a model digest has {DIGEST_BYTES} bytes (sha256), this one has {len(message.model_digest)}")
    if not 0 < len(message.codec) <= MAX_NAME:
        raise WireError(f"a codec name has 1 to {MAX_NAME} characters, this one has {len(message.codec)}")
    if len(message.tensors) > MAX_TENSORS:
        raise WireError(f"{len(message.tensors)} tensors are declared; at most {MAX_TENSORS} may cross a split")
    for tensor in message.tensors:
        _check_tensor(tensor)
    if len(message.tail) > MAX_EXITS:
        raise WireError(f"the exits past a split have at most {MAX_EXITS} characters, these have {len(message.tail)}")
    return Binding(
        model_digest=message.model_digest.hex(),
        split=message.split,
        codec=message.codec,
        tensors=tuple((tuple(tensor.shape), tensor.dtype) for tensor in message.tensors),
        top_k=message.top_k,
        tail=parse_rule(message.tail) if message.tail else NO_EXIT,
        queue=message.queue,
        revision=Revision(message.epoch, message.counter),
    )


def answer_to_proto(identity: int, answer: Answer) -> pb.Answer:
    timings = answer.timings
    return pb.Answer(
        id=identity,
        logits=np.ascontiguousarray(answer.logits, LOGITS).tobytes(),
        classes=() if answer.classes is None else answer.classes.tolist(),
        queue_us=_to_micros(timings.queue),
        decode_us=_to_micros(timings.decode),
        compute_us=_to_micros(timings.compute),
        batch=timings.batch,
        exit=answer.exit or 0,
        label=answer.decided,
    )


def answer_from_proto(message: pb.Answer) -> Answer:
    """The answer that a frame carries; the caller has looked at its `error` before.

    Raises:
        WireError: The logits are no float32 values, or the classes do not match them.
    """
    if not message.logits or len(message.logits) % LOGITS.itemsize:
        raise WireError(f"an answer carries float32 logits, {len(message.logits)} bytes are not a number of them")
    logits: NDArray[np.float32] = np.frombuffer(message.logits, LOGITS).astype(np.float32, copy=False)
    classes = None
    if message.classes:
        if len(message.classes) != len(logits):
            raise WireError(f"an answer names {len(message.classes)} classes for {len(logits)} logits")
        classes = np.array(message.classes, np.int64)
    timings = EdgeTimings(
        queue=_from_micros(message.queue_us),
        decode=_from_micros(message.decode_us),
        compute=_from_micros(message.compute_us),
        batch=message.batch,
    )
    return Answer(
        logits=logits,
        classes=classes,
        timings=timings,
        exit=message.exit or None,
        decided=message.label if message.HasField("label") else None,
    )


def alive_to_proto(alive_K: NDArray[np.bool_]) -> bytes:
    """Which classes are not excluded; where that is all of them, or none, nothing is to be said."""
    return b"" if alive_K.all() or not alive_K.any() else np.packbits(alive_K, bitorder="little").tobytes()


def alive_from_proto(raw: bytes, classes: int) -> NDArray[np.bool_] | None:
    """[K] the classes of which the edge answers one; None: of all.

    Raises:
        PayloadError: It is no bitmap of so many classes, or excludes them all.
    """
    if not raw:
        return None
    expected = -(-classes // 8)
    if len(raw) != expected:
        raise PayloadError(f"a bitmap of {classes} classes has {expected} bytes, this one has {len(raw)}")
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little").view(np.bool_)
    if bits[classes:].any():
        raise PayloadError(f"the bitmap has bits past the last of {classes} classes; are both ends of one bundle?")
    if not bits.any():
        raise PayloadError(f"the bitmap excludes all {classes} classes; send none where every class is possible")
    return bits[:classes]


def budget_to_proto(budget: Seconds | None) -> int:
    """Microseconds that remain; 0 says that no budget is stated, so one that is used up is written as 1."""
    return 0 if budget is None else max(_to_micros(budget), 1)


def budget_from_proto(budget_us: int) -> Seconds | None:
    return _from_micros(budget_us) if budget_us else None


def _to_micros(duration: Seconds) -> int:
    # Past 71 minutes a duration no longer fits 32 bits, and says no more than "long".
    return min(max(round(duration / _MICRO), 0), _MAX_U32)


def _from_micros(duration_us: int) -> Seconds:
    return Seconds(duration_us * _MICRO)


def _check_tensor(tensor: pb.Tensor) -> None:
    if len(tensor.shape) > MAX_RANK:
        raise WireError(f"a tensor of {len(tensor.shape)} dimensions is declared; at most {MAX_RANK} are allowed")
    elements = 1
    for size in tensor.shape:
        elements *= size
    if elements > MAX_ELEMENTS:
        raise WireError(f"a tensor of shape {list(tensor.shape)} is declared; at most {MAX_ELEMENTS} elements may be")
    if len(tensor.dtype) > MAX_NAME:
        raise WireError(f"a dtype of {len(tensor.dtype)} characters is declared; write a numpy name such as float32")

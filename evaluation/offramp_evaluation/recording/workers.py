"""Who runs the bundle: this process, several of them, or (in `offramp_evaluation.actors`) a Ray cluster.

    Task(number, codecs, samples) ─► a worker, which has opened the bundle ─► Advanced …, Done(number, Heard)

Workers keep nothing on disk: whoever hands out tasks writes down what they heard. A worker that dies takes its task
with it, nothing else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, Self

from offramp.bundle.store import Bundle
from offramp.measure.listen import Heard, Listener, join
from offramp.records import Array
from offramp.runtime.onnx_backend import OnnxRuntime

Codecs = tuple[tuple[int, tuple[str, ...]], ...]
"""(split, codecs there): a mapping that can be compared and sent."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    number: int
    codecs: Codecs
    samples: Array
    head: str = ""
    """In which form stages and branches run; empty: the bundle's own."""


@dataclass(frozen=True, slots=True)
class Advanced:
    """So many samples more were run."""

    samples: int


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A task is finished."""

    number: int
    heard: Heard


class Workers(Protocol):
    """Run tasks; a context manager, which ends them."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Advanced | Done]:
        """In any order of tasks; no more than a few are taken ahead.

        Raises:
            OfframpError: A worker failed or died.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Bench:
    """A bundle that is opened to be listened to, and what it was listened to with last."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        # From each point to the next, and from each split and each code to the end: all stay open.
        self._capacity = 2 * (len(bundle.manifest.cuts) + len(bundle.manifest.bottlenecks))
        self._runtime = OnnxRuntime(bundle, capacity=self._capacity)
        self._listeners: dict[tuple[Codecs, str], Listener] = {}

    def work(self, task: Task) -> Iterator[Advanced | Done]:
        key = task.codecs, task.head
        if key not in self._listeners:
            head = OnnxRuntime(self._bundle.headed(task.head), capacity=self._capacity) if task.head else None
            self._listeners[key] = Listener(self._bundle, self._runtime, dict(task.codecs), head)
        parts: list[Heard] = []
        for part in self._listeners[key].batches(task.samples):
            parts.append(part)
            yield Advanced(len(part))
        yield Done(task.number, join(parts))

    def close(self) -> None:
        self._runtime.close()


class Here:
    """In the process that asks, one task after the other."""

    def __init__(self, bundle: Bundle) -> None:
        self._bench = Bench(bundle)

    def run(self, tasks: Iterable[Task]) -> Iterator[Advanced | Done]:
        for task in tasks:
            yield from self._bench.work(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bench.close()

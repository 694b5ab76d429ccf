"""What the server counts, for Prometheus or for nobody.

Counting for Prometheus costs about 9 µs a request, so nothing is counted unless `--metrics` asks for it.
"""

from collections.abc import Callable
from typing import Any, Protocol

from offramp.errors import MissingExtraError
from offramp.records import Answer
from offramp.telemetry import EdgeReport

# Model calls last from 100 µs (the end of a tiny network) to seconds (a big one on a small edge).
_SECONDS = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)


class Tally(Protocol):
    """What is counted for one bundle at one split."""

    def requested(self, nbytes: int) -> None: ...

    def answered(self, nbytes: int, answer: Answer) -> None: ...

    def computed(self, batch: int) -> None: ...


class Meter(Protocol):
    """What is counted for the whole server."""

    def tally(self, bundle: str, split: int) -> Tally: ...

    def refused(self, reason: str) -> None: ...

    def streams(self, change: int) -> None: ...


class SilentMeter:
    """Counts nothing."""

    def tally(self, bundle: str, split: int) -> Tally:  # noqa: ARG002 - the protocol's
        return _SilentTally()

    def refused(self, reason: str) -> None: ...

    def streams(self, change: int) -> None: ...


class _SilentTally:
    def requested(self, nbytes: int) -> None: ...

    def answered(self, nbytes: int, answer: Answer) -> None: ...

    def computed(self, batch: int) -> None: ...


class PrometheusMeter:
    """Counts into a registry of its own, so that several servers fit into one process.

    Raises:
        MissingExtraError: prometheus_client is not installed.
    """

    def __init__(self, queue_length: Callable[[], int], report: Callable[[], EdgeReport]) -> None:
        """`report` is the newest; it may be a second old."""
        try:
            import prometheus_client as prometheus
        except ImportError as error:
            raise MissingExtraError("prometheus-client", "edge", "--metrics") from error
        self.registry = prometheus.CollectorRegistry()
        where: dict[str, Any] = {"labelnames": ("bundle", "split"), "registry": self.registry}
        self._requests = prometheus.Counter("offramp_edge_requests", "Requests taken into the queue", **where)
        self._answers = prometheus.Counter("offramp_edge_answers", "Requests answered", **where)
        self._early = prometheus.Counter("offramp_edge_early_answers", "Requests that left at a branch", **where)
        self._received = prometheus.Counter("offramp_edge_received_bytes", "Serialised requests taken", **where)
        self._sent = prometheus.Counter("offramp_edge_sent_bytes", "Serialised answers", **where)
        self._batches = prometheus.Histogram(
            "offramp_edge_batch_size", "Requests per model call", buckets=_BATCHES, **where
        )
        self._seconds = prometheus.Histogram(
            "offramp_edge_phase_seconds",
            "Seconds that a request spent queued, decoded and computed (its share in a batch: all of it)",
            labelnames=("bundle", "split", "phase"),
            registry=self.registry,
            buckets=_SECONDS,
        )
        self._refusals = prometheus.Counter(
            "offramp_edge_refusals", "Requests and bindings refused", labelnames=("reason",), registry=self.registry
        )
        self._streams = prometheus.Gauge("offramp_edge_streams", "Open streams", registry=self.registry)
        queue = prometheus.Gauge(
            "offramp_edge_queue_length", "Requests that wait for the model", registry=self.registry
        )
        queue.set_function(queue_length)
        busy = prometheus.Gauge(
            "offramp_edge_busy_ratio", "Share of the time in which the model worked", registry=self.registry
        )
        busy.set_function(lambda: report().busy)
        price = prometheus.Gauge(
            "offramp_edge_price", "Seconds charged for each second of work", registry=self.registry
        )
        price.set_function(lambda: report().price)

    def render(self) -> bytes:
        """The text format of Prometheus, version 0.0.4."""
        import prometheus_client as prometheus

        return prometheus.generate_latest(self.registry)

    def tally(self, bundle: str, split: int) -> Tally:
        return _PrometheusTally(self, bundle, str(split))

    def refused(self, reason: str) -> None:
        self._refusals.labels(reason).inc()

    def streams(self, change: int) -> None:
        self._streams.inc(change)


class _PrometheusTally:
    """The children for one pair of labels: looked up once, not with every request."""

    def __init__(self, meter: PrometheusMeter, *labels: str) -> None:
        self._requests = meter._requests.labels(*labels)
        self._answers = meter._answers.labels(*labels)
        self._early = meter._early.labels(*labels)
        self._received = meter._received.labels(*labels)
        self._sent = meter._sent.labels(*labels)
        self._batches = meter._batches.labels(*labels)
        self._queue, self._decode, self._compute = (
            meter._seconds.labels(*labels, phase) for phase in ("queue", "decode", "compute")
        )

    def requested(self, nbytes: int) -> None:
        self._requests.inc()
        self._received.inc(nbytes)

    def answered(self, nbytes: int, answer: Answer) -> None:
        timings = answer.timings
        self._answers.inc()
        if answer.exit is not None:
            self._early.inc()
        self._sent.inc(nbytes)
        self._queue.observe(timings.queue)
        self._decode.observe(timings.decode)
        self._compute.observe(timings.compute)

    def computed(self, batch: int) -> None:
        self._batches.observe(batch)

"""What the devices of a live run have said: results, plans, that they are done. Every sample is accounted for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from offramp.bundle.manifest import Manifest
from offramp.errors import OfframpError
from offramp.plan import Plan
from offramp.planning.resolve import resolve
from offramp.records import NO_REVISION, Result, Revision
from offramp.units import Seconds
from offramp_evaluation.replay.happened import Happened
from offramp_evaluation.replay.uplink import answer_bytes
from offramp_evaluation.road.child import Event
from offramp_evaluation.road.lines import is_result, read_result, read_revision
from offramp_evaluation.road.news import NewPlan, read_news
from offramp_evaluation.traces.trace import Trace

Id = tuple[str, int]
"""(stream, index) of a sample."""
SHOWN = 3
"""Samples that an error names."""


class Heard:
    """Filled line by line."""

    def __init__(self, manifest: Manifest) -> None:
        self.results: list[Result] = []
        self.done: set[str] = set()
        """Devices that have said their summary, after which they say nothing more."""
        self._manifest = manifest
        self._late = 0
        self._plans: dict[str, dict[Revision, Plan]] = {}

    def ready(self, device: str, plan: str) -> None:
        """The device is there, with this plan."""
        self._plans[device] = {NO_REVISION: resolve(plan, self._manifest)}

    def take(self, device: str, line: Event) -> None:
        if is_result(line):
            self.results.append(read_result(line))
        elif "summary" in line:
            self._late += line["summary"]["late_answers"]
            self.done.add(device)
        elif isinstance(news := read_news(line), NewPlan):
            self._plans[device][read_revision(news.revision)] = resolve(news.plan, self._manifest)

    def began(self) -> None:
        """Now the first samples are due: of the plans so far, each device's last is the one that it starts with."""
        for device, plans in self._plans.items():
            last = next(reversed(plans))
            self._plans[device] = {last: plans[last]}

    def happened(self, down: Trace, arrivals: Mapping[Id, float]) -> Happened:
        """Everything, as the rows of a record are made from it; `arrivals` has every sample that was asked for.

        The emulated link is known: the way back is taken to be what it must be on the link of that moment, and what is
        left of the time away, the edge's own apart, was spent on the way there.

        Raises:
            OfframpError: A sample has no result, or two.
        """
        account(arrivals, ((item.stream, item.index) for item in self.results))
        done = Happened(late=self._late)
        names = {
            (device, own): Revision(1, number)
            for number, (device, own) in enumerate(
                ((device, own) for device, plans in self._plans.items() for own in plans), start=1
            )
        }
        done.plans = {names[device, own]: self._plans[device][own] for device, own in names}
        nbytes = answer_bytes(self._manifest)
        for item in self.results:
            done.results.append(replace(item, revision=names[item.stream, item.revision]))
            edge = item.timings.edge
            if edge is None:
                continue
            # A batch is worked on once for all that share it.
            done.edge_seconds = Seconds(done.edge_seconds + edge.decode + edge.compute / edge.batch)
            away = max(item.timings.away - edge.total, 0.0)
            moment = arrivals[item.stream, item.index] + item.latency
            back = _way_back(down, moment, nbytes)
            done.up_seconds[item.stream, item.index] = Seconds(max(away - back, 0.0))
        return done


def account(asked: Iterable[Id], heard: Iterable[Id]) -> None:
    """Hold what was heard against what was asked, id by id.

    Raises:
        OfframpError: A sample has no result, or two, or one that nobody asked for.
    """
    wanted, counts = set(asked), Counter(heard)
    twice = {one for one, count in counts.items() if count > 1}
    for problem, ids in (
        ("have no result", wanted - counts.keys()),
        ("have two results", twice),
        ("were answered, and nobody had asked for them", counts.keys() - wanted),
    ):
        if ids:
            shown = ", ".join(f"{stream} #{index}" for stream, index in sorted(ids)[:SHOWN])
            more = ", …" * (len(ids) > SHOWN)
            raise OfframpError(f"{len(ids)} samples, of {len(wanted)} that were asked for, {problem}: {shown}{more}")


def _way_back(down: Trace, moment: float, nbytes: float) -> float:
    rate = float(down.goodput[down.piece_at(moment)])
    return float(down.delay_at(moment)) + (8 * nbytes / rate if rate > 0 else 0.0)

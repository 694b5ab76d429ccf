"""What the planner chooses over thin links, with these codecs and without them, and what becomes of its plans.

    tape, calibration samples ─► candidates of each side ─┐
    times of this machine, board, link ───────────────────┴─► search ─► plan
    tape, test samples ─► replay of either side's plan ─► latency, accuracy and bytes, paired sample by sample

Each side has candidates of its own, judged as a build judges them: none is left out for one that its side lacks.

# N test samples
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import say
from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle
from offramp.clock import SystemClock
from offramp.measure.observe import recorded
from offramp.measure.profile import read_profile, write_profile
from offramp.plan import Plan, via_of
from offramp.planning.candidates import Candidates
from offramp.planning.enumerating import enumerate_candidates
from offramp.planning.objective import Objective
from offramp.planning.situation import Situation
from offramp.planning.strategies.catalog import open_strategy
from offramp.planning.strategies.strategy import Choice, Grounds
from offramp.tape.reader import Tape
from offramp.units import Seconds
from offramp_evaluation.live.hosts import Hosts, measure_hosts
from offramp_evaluation.metrics.comparison import compare
from offramp_evaluation.metrics.outcomes import Outcomes
from offramp_evaluation.replay import arrivals
from offramp_evaluation.replay.drivers import Fixed, StandingClock
from offramp_evaluation.replay.run import replay
from offramp_evaluation.replay.scenario import DeviceScript, Scenario
from offramp_evaluation.replay.static import StaticReplay
from offramp_evaluation.replay.uplink import answer_bytes
from offramp_evaluation.shaper.link import constant, parse_link
from offramp_evaluation.traces.steps import from_schedule

Floats = NDArray[np.float64]

LINKS = ("250kbit,10ms", "1mbit,10ms", "5mbit,10ms")
"""As `offramp shape` reads them, so a round trip takes 20 ms."""
BOARDS = (5.0, 20.0, 35.0, 50.0, 70.0, 100.0)
"""How many times slower than this machine."""
DROPS = (0.005, 0.01, 0.02, 0.05)
"""Accuracy that may be lost."""
RATE = 8.0
"""Samples a second."""
STRATEGY = "search"
REPLICATES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Codecs that plans may use."""

    name: str
    title: str
    """For people."""
    allows: Callable[[int, str], bool]
    """(split, codec)."""


WITH, WITHOUT, RAW = "all", "unlearned", "raw"
_PLAIN = ("raw", "float32", "float16")
SIDES = (
    Side(name=WITH, title="all codecs", allows=lambda _split, _codec: True),
    Side(name=WITHOUT, title="without learned ones", allows=lambda _split, codec: not via_of(codec)),
    Side(name=RAW, title="nothing compressed", allows=lambda _split, codec: codec in _PLAIN),
)
"""Who sends nothing but answers itself, with exits or without, is on every side."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Followed:
    """What became of all test samples under one plan."""

    latency_N: Floats
    """Seconds; what was rejected counts as answered at the deadline."""
    right_N: NDArray[np.bool_]
    sent_N: NDArray[np.bool_]
    wire_N: NDArray[np.int64]

    def summary(self) -> dict[str, float]:
        return {
            "mean": float(self.latency_N.mean()),
            "p95": float(np.quantile(self.latency_N, 0.95)),
            "accuracy": float(self.right_N.mean()),
            "bytes": float(self.wire_N.mean()),
            "sent": float(self.sent_N.mean()),
        }


class Bench:
    """A tape and the hosts that it is replayed on."""

    def __init__(self, tape: Tape, manifest: Manifest, hosts: Hosts, *, rate: float = RATE) -> None:
        self.tape, self.manifest, self.hosts, self.rate = tape, manifest, hosts, rate
        self._rows = np.arange(len(tape))[tape.rows("test")]
        self._arrivals = arrivals.fixed(rate, len(self._rows))
        self.candidates_of = cache(self._candidates_of)
        self.follow = cache(self._follow)

    @property
    def units(self) -> NDArray[np.int64]:
        """[N] the independent unit of each test sample."""
        return np.asarray(self.tape.group_N[self._rows])

    def choose(self, side: Side, link: str, board: float, drop: float) -> Choice:
        """What the orchestrator would, once it knows link and hosts."""
        grounds = Grounds(
            manifest=self.manifest,
            candidates=self.candidates_of(side),
            device=self.hosts.board.slowed(board),
            edge=self.hosts.edge,
            clock=StandingClock(),
            objective=Objective(drop=drop),
        )
        return open_strategy(STRATEGY, grounds).choose(self.situation(link))

    def situation(self, link: str) -> Situation:
        """The link exactly known; a round trip is that of an answer, as devices measure it."""
        there = parse_link(link)
        back = 8 * answer_bytes(self.manifest) / there.down
        return Situation(bandwidth=there.up, round_trip=Seconds(2 * there.delay + back), rate=self.rate)

    def _candidates_of(self, side: Side) -> Candidates:
        seen, rows = recorded(self.tape, "calibration"), self.tape.rows("calibration")
        allowed = {key: said for key, said in seen.edge.items() if side.allows(*key)}
        truth_M, group_M = self.tape.truth_N[rows].astype(np.int64), self.tape.group_N[rows]
        return enumerate_candidates(replace(seen, edge=allowed), truth_M, group_M, self.manifest)

    def _follow(self, plan: Plan, link: str, board: float) -> Followed:
        """In a few numpy passes where that is exact, event by event where it is not."""
        device, deadline = self.hosts.board.slowed(board), Objective().deadline
        up, down = from_schedule(link, constant(parse_link(link)))
        static = StaticReplay(self.tape, self.manifest, device, self.hosts.edge, deadline=deadline)
        found, truth_N = static.run(plan, self._rows, self._arrivals, up, down), self.tape.truth_N[self._rows]
        if found.exact:
            return Followed(
                latency_N=found.latency_N, right_N=found.label_N == truth_N, sent_N=found.sent_N, wire_N=found.wire_N
            )
        script = DeviceScript(
            name="board", rows=self._rows, arrivals=self._arrivals, driver=Fixed(plan), profile=device
        )
        happened = replay(
            Scenario(
                tape=self.tape,
                manifest=self.manifest,
                devices=(script,),
                edge=self.hosts.edge,
                up=up,
                down=down,
                deadline=deadline,
            )
        )
        return followed(Outcomes.of(happened.results), deadline)


def hosts_of(bundle: Bundle, tape: Tape, stem: Path) -> Hosts:
    """What this machine takes for the bundle and all codecs on the tape, timed once and kept beside `stem`."""
    board, edge = (stem.with_name(f"{stem.name}-{role}.json") for role in ("board", "edge"))
    if not (board.is_file() and edge.is_file()):
        say("timing the bundle on this machine")
        found = measure_hosts(bundle, codecs_of(tape), SystemClock())
        write_profile(found.board, board)
        write_profile(found.edge, edge)
    return Hosts(board=read_profile(board), edge=read_profile(edge))


def codecs_of(tape: Tape) -> dict[int, list[str]]:
    """By split, all that were recorded."""
    found: dict[int, list[str]] = {}
    for entry in tape.header.codecs:
        found.setdefault(entry.split, []).append(entry.codec)
    return found


def followed(outcomes: Outcomes, deadline: float) -> Followed:
    """Of one device, in the order in which its samples came."""
    outcomes = outcomes.take(np.argsort(outcomes.index_N))
    return Followed(
        latency_N=np.where(outcomes.label_N >= 0, outcomes.latency_N, deadline),
        right_N=outcomes.label_N == outcomes.truth_N,
        sent_N=outcomes.wire_N > 0,
        wire_N=outcomes.wire_N,
    )


def contests(bench: Bench, boards: Sequence[float] = BOARDS) -> list[dict[str, Any]]:
    """Every link, board and floor of accuracy: each side's plan, what became of it, and how far they are apart."""
    return [
        contest(bench, link, board, drop) | {"link": link, "board": board, "drop": drop}
        for link in LINKS
        for board in boards
        for drop in DROPS
    ]


def contest(bench: Bench, link: str, board: float, drop: float) -> dict[str, Any]:
    """One link, one board, one floor of accuracy."""
    choices = {side.name: bench.choose(side, link, board, drop) for side in SIDES}
    runs = {name: bench.follow(choice.plan, link, board) for name, choice in choices.items()}
    sides = {name: runs[name].summary() | _told(choice) for name, choice in choices.items()}
    others = [side.name for side in SIDES if side.name != WITH]
    return {"sides": sides, "against": {name: against(runs[WITH], runs[name], bench.units) for name in others}}


def against(ours: Followed, other: Followed, units: NDArray[np.int64]) -> dict[str, float]:
    """Seconds that an average sample of ours takes more than the other's, with its interval."""
    if ours is other:
        return {"difference": 0.0, "low": 0.0, "high": 0.0}
    found = compare(ours.latency_N, other.latency_N, units, better="lower", replicates=REPLICATES)
    return {"difference": found.difference, "low": found.interval.low, "high": found.interval.high}


def _told(choice: Choice) -> dict[str, Any]:
    predicted = None if choice.forecast is None else float(choice.forecast.mean)
    return {"plan": str(choice.plan), "predicted": predicted}

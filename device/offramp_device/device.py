"""A device inside your own program: a bundle, an edge, a plan, and `infer`."""

import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from offramp.bundle.manifest import Manifest
from offramp.bundle.store import Bundle, open_bundle
from offramp.clock import Clock, SystemClock
from offramp.errors import LinkError, PlanError
from offramp.plan import Plan
from offramp.planning.certified import with_certificate
from offramp.planning.resolve import default_plan, resolve
from offramp.records import NO_REVISION, Array, Result, Revision, Sample
from offramp.runtime.runtime import Runtime
from offramp.units import Bytes, Seconds
from offramp_device.admission import MAX_UNANSWERED
from offramp_device.engine import Engine, open_engine
from offramp_device.farewell import Farewell
from offramp_device.pipeline import Pipeline
from offramp_device.route import Leg, OpenHead, no_other_head
from offramp_device.sources import fit_sample
from offramp_device.steering import AUTO
from offramp_device.uplink import LostUplink, Uplink

if TYPE_CHECKING:
    from offramp_device.control import Control

PATIENCE = Seconds(1.0)
"""How long the edge is waited for when a plan is opened; after that the device begins alone."""
MOVING = Seconds(3.0)
"""The same for another edge, while the one in use answers."""
ALONE = "split=end, exit=confidence:0.9"
"""What is run, as far as there are branches, when neither a plan nor an edge is given."""


class Device:
    """Answers samples, with the help of an edge where the plan asks it. Safe from several threads.

    with Device.open("bundle/", edge="192.0.2.7:50051", plan="split=3, exit=confidence:0.85") as device:
        result = device.infer(image)

    `open` with a path and an address does everything; the constructor takes what you have opened yourself.
    """

    def __init__(
        self,
        manifest: Manifest,
        runtime: Runtime,
        uplink: Uplink,
        plan: Plan,
        *,
        deadline: Seconds = Seconds(1.0),
        keep_logits: bool = True,
        clock: Clock | None = None,
        head: OpenHead = no_other_head,
    ) -> None:
        self.clock = clock or SystemClock()
        self._engine = Engine(manifest, runtime, self.clock, head)
        self._farewell = Farewell(deadline)
        route = self._engine.opener.open(plan)
        uplink.prepare(route, PATIENCE)
        self.pipeline = Pipeline(route, uplink, self.clock, deadline=deadline, keep_logits=keep_logits)
        self._adopting = threading.Lock()
        self._numbers = count()
        self._control: Control | None = None

    @classmethod
    def open(
        cls,
        bundle: str | Path | Bundle,
        *,
        edge: str | Uplink | None = None,
        plan: str | None = None,
        orchestrator: str | None = None,
        name: str = "",
        objective: str = "",
        store: str | Path | None = None,
        deadline: Seconds = Seconds(1.0),
        threads: int | None = None,
        slowdown: float = 1.0,
        keep_logits: bool = True,
        max_unanswered: Bytes = MAX_UNANSWERED,
        tell: Callable[[str], None] = lambda _message: None,
    ) -> "Device":
        """Open a bundle and connect to an edge; returns when the first sample can go its way.

        Args:
            bundle: A folder that `offramp build` wrote.
            edge: HOST:PORT or unix:PATH in plain text, or any uplink (which the device will close); None is no edge.
            plan: Such as `split=3, exit=confidence:0.85, codec=affine8+zstd`; by default every branch is asked at 0.9.
                `auto`: chosen here, again and again, by what was measured.
            orchestrator: HOST:PORT of who keeps it on the best plan, and assigns an edge when none is given.
            name: Unique among the orchestrator's devices; by default the host's.
            objective: Such as `minimise=p95, drop=1%`.
            store: Folder of fetched bundles and of this board's profiles, by default in the user's cache.
            deadline: No answer comes later than this after its sample.
            threads: Of a model call, 0 for one per core; None leaves the process's pool as it is.
            slowdown: Emulate a board that many times slower.
            keep_logits: Every Result carries the logits of its answer.
            max_unanswered: Bytes that may be on their way to the edge.
            tell: Takes news of the edge, one line each.

        Raises:
            BundleError: No bundle there, or a corrupt one.
            PlanError: The bundle cannot follow the plan.
            InputError: The edge's address is none.
        """
        if orchestrator is not None or plan == AUTO:
            from offramp_device.steered import open_steered

            return open_steered(
                bundle,
                edge=edge,
                plan=plan,
                orchestrator=orchestrator,
                name=name,
                objective=objective,
                store=store,
                deadline=deadline,
                threads=threads,
                slowdown=slowdown,
                keep_logits=keep_logits,
                max_unanswered=max_unanswered,
                tell=tell,
            )
        uplink = _open_uplink(edge, max_unanswered, tell)
        try:
            opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
            clock = SystemClock()
            engine = open_engine(opened, clock, threads=threads, slowdown=slowdown)
            written = plan and with_certificate(plan, opened)
            chosen = choose_plan(written, opened.manifest, has_edge=edge is not None)
            return cls(
                opened.manifest,
                engine.runtime,
                uplink,
                chosen,
                deadline=deadline,
                keep_logits=keep_logits,
                clock=clock,
                head=engine.open_head,
            )
        except BaseException:
            uplink.close()
            raise

    @property
    def manifest(self) -> Manifest:
        """Of the bundle that new samples run on."""
        return self._engine.manifest

    @property
    def plan(self) -> Plan:
        """The plan that new samples follow."""
        return self.pipeline.route.plan

    def infer(self, data: Array, *, stream: str = "device", truth: int | None = None) -> Result:
        """The Result of one sample; it arrives now.

        Raises:
            DataError: It is not of the shape and dtype that the bundle declares, and no picture that can be resized.
        """
        arrival = self.clock.now()
        fitted = fit_sample(np.asarray(data), self.manifest.sample)
        sample = Sample(stream=stream, index=next(self._numbers), data=fitted, arrival=arrival, truth=truth)
        result = self.pipeline.infer(sample)
        if self._control is not None:
            self._control.note(result)
        return result

    def steer_by(self, control: "Control") -> None:
        """Let it keep the device on its plan until the device closes."""
        self._control = control.__enter__()

    def adopt(
        self,
        plan: str | Plan,
        revision: Revision = NO_REVISION,
        *,
        uplink: Uplink | None = None,
        engine: Engine | None = None,
    ) -> Plan:
        """Open another plan, here and at the edge, then let new samples follow it. Returns it resolved.

        Samples go on meanwhile, on the plan before; those that are away land on the uplink that they took.

        Args:
            plan: As text, or resolved.
            revision: That of a plan as text; a plan without one is never too old.
            uplink: Another one to take from now on; the one before is closed when its flights have landed.
            engine: Another bundle to run from now on.

        Raises:
            PlanError: The bundle cannot follow it, or its revision is older than that of the plan in use.
            LinkError: The other edge is not ready, and the one in use is.
        """
        with self._adopting:
            engine, before = engine or self._engine, self.pipeline.uplink
            resolved = resolve(plan, engine.manifest, revision) if isinstance(plan, str) else plan
            in_use = self.plan.revision
            if resolved.revision != NO_REVISION and resolved.revision < in_use:
                raise PlanError(f"plan {resolved.revision} is older than {in_use}, which is in use; send a newer one")
            route = engine.opener.open(resolved)
            after = uplink or before
            moves = after is not before
            could_stay = moves and not before.unready(self.pipeline.route)
            after.prepare(route, MOVING if could_stay else PATIENCE)
            reason = "" if route.ends else after.unready(route)
            if could_stay and reason and not isinstance(after, LostUplink):
                raise LinkError(f"the edge to move to is not ready: {reason}")
            self.pipeline.adopt(route, after)
            if moves:
                self._farewell.see_off(before)
            if engine is not self._engine:
                self._engine.close()
                self._engine = engine
        return resolved

    def branch_at(self, cut: int) -> Leg:
        """From the input straight to a branch of the bundle in use, whatever the plan asks.

        Raises:
            PlanError: There is no branch.
        """
        return self._engine.opener.branch_at(cut)

    def close(self) -> None:
        """End the session with the edge; what is away is answered on the device first."""
        if self._control is not None:
            self._control.__exit__()
            self._control = None
        self._farewell.close()
        self.pipeline.uplink.close()
        self._engine.close()

    def __enter__(self) -> "Device":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def choose_plan(text: str | None, manifest: Manifest, *, has_edge: bool) -> Plan:
    """The plan that was given, or the sensible one.

    Raises:
        PlanError: The bundle cannot follow it.
    """
    if text is not None:
        return resolve(text, manifest)
    if has_edge:
        return default_plan(manifest)
    return resolve(ALONE if manifest.branches else "split=end", manifest)


def _open_uplink(edge: str | Uplink | None, max_unanswered: Bytes, tell: Callable[[str], None]) -> Uplink:
    if edge is None:
        return LostUplink()
    if not isinstance(edge, str):
        return edge
    from offramp.wire.address import parse_address
    from offramp_device.session import EdgeSession

    return EdgeSession(parse_address(edge), max_unanswered=max_unanswered, tell=tell).open()

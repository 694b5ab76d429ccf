"""A link by the kernel: a pair of virtual Ethernet cards, each behind a token bucket (`tc tbf`). Root alone makes one.

    this namespace  near ══[ tbf ]══════[ tbf ]══ far  namespace

Kernels with `netem` could delay packets too; many have none, so here the rate alone is shaped.
"""

import contextlib
from pathlib import Path

from offramp.errors import SettingsError
from offramp.units import BitsPerSecond, Bytes, Seconds, format_seconds
from offramp_evaluation.shaper.following import Following
from offramp_evaluation.shaper.link import Link, Schedule
from offramp_evaluation.shaper.namespaces import a_namespace, ip, near_card, run

BURST, LATE = Bytes(3_000), Seconds(0.005)
"""What a bucket holds: two full frames, or more where that passes in less than a busy kernel's timer may be late; what
flows over is lost to the rate."""
LIMIT = Bytes(65_536)
"""That wait in front of the bucket; what comes beyond is dropped."""
FASTEST = BitsPerSecond(30e9)
"""What stands for any rate."""
FAR = "far"
SENT = "/sys/class/net/{}/statistics/tx_bytes"
FRAME, PAYLOAD = 1_514, 1_448
"""Bytes of a full Ethernet frame, which the bucket counts, and of what TCP carries in it."""


class KernelLink:
    """A `Line`; opened with `async with`, on the running event loop."""

    def __init__(self, name: str, near: str, far: str, schedule: Schedule) -> None:
        """A link into a fresh namespace of this name, between these addresses.

        Raises:
            SettingsError: The schedule delays, which `tbf` cannot.
        """
        self.following = Following(schedule, self._change, _refuse_delays)
        self._name, self._near, self._far = name, near, far
        self._card = near_card(name)
        self._opened = contextlib.ExitStack()
        self._last: dict[str, int] | None = None  # once it is closed

    async def __aenter__(self) -> "KernelLink":
        """
        Raises:
            SettingsError: It cannot be made; the message says what is lacking.
        """
        with contextlib.ExitStack() as opened:
            opened.enter_context(a_namespace(self._name))
            ip("link", "add", self._card, "type", "veth", "peer", "name", FAR, "netns", self._name)
            # With its namespace it would go some moments later, and be in the way of the next of this name.
            opened.callback(ip, "link", "del", self._card)
            ip("address", "add", self._near, "peer", self._far, "dev", self._card)
            ip("-n", self._name, "address", "add", self._far, "peer", self._near, "dev", FAR)
            ip("link", "set", self._card, "up")
            ip("-n", self._name, "link", "set", FAR, "up")
            ip("-n", self._name, "route", "add", "default", "dev", FAR)
            self._shape("add", self.following.link)
            self._opened = opened.pop_all()
        self.following.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.following.stop()
        self._last = self.counts()
        self._opened.close()

    @property
    def place(self) -> str:
        return self._near

    def counts(self) -> dict[str, int]:
        """Bytes are those of Ethernet frames."""
        if self._last is not None:
            return self._last
        up = run("ip", "netns", "exec", self._name, "cat", SENT.format(FAR))
        return {"up_bytes": int(up), "down_bytes": int(Path(SENT.format(self._card)).read_text())}

    def _change(self, link: Link) -> None:
        self._shape("change", link)

    def _shape(self, verb: str, link: Link) -> None:
        run("tc", "qdisc", verb, "dev", self._card, *_bucket(link.down))
        run("tc", "-n", self._name, "qdisc", verb, "dev", FAR, *_bucket(link.up))


def _refuse_delays(schedule: Schedule) -> None:
    if delayed := next((link for _, link in schedule.steps if link.delay), None):
        raise SettingsError(
            f"tc shapes the rate alone here, and {delayed} delays by {format_seconds(delayed.delay)}; leave it out, or "
            "shape packets in user space (tun)"
        )


def _bucket(rate: BitsPerSecond) -> list[str]:
    if rate <= 0:  # no rate is none: a burst below every frame lets nothing pass
        return ["root", "tbf", "rate", "8bit", "burst", "1", "limit", "1"]
    rate = min(rate, FASTEST)
    burst = max(BURST, round(rate * LATE / 8))
    return ["root", "tbf", "rate", f"{round(rate)}bit", "burst", str(burst), "limit", str(LIMIT)]

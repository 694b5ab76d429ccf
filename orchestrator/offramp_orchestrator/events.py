"""What happened, told as it happens: one JSON object on one line each, for programs; one sentence, for people."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

TELEMETRY = "telemetry"
"""The one kind that comes every second from every device; all others mean that something changed."""
NEWS = (
    *("device joined", "device left", "edge joined", "edge left", "moved", "trouble", "drift"),
    *("controller up", "controller lost", "edge ended"),
)
"""What people want to hear of, however many devices there are."""


@dataclass(frozen=True, slots=True)
class Event:
    """`order`, about one device, say, with whatever belongs to it; numbers are SI."""

    kind: str
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def line(self) -> str:
        return json.dumps({"event": self.kind, **self.about}, ensure_ascii=False)

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.about.items() if value not in ("", None))
        return f"{self.kind}: {told}" if told else self.kind


Tell = Callable[[Event], None]
"""Where events go; called from the thread that decides, so it returns quickly."""


def unheard(_: Event) -> None:
    """For whom nobody listens."""

"""A profile of this machine, for a replay that was given none."""

from offramp.measure.here import profile_here as profile_here  # noqa: PLC0414 - where replays look for it

"""The bundles of this board: those in its store, and those that somebody delivers."""

from collections.abc import Callable, Sequence
from pathlib import Path

from offramp.bundle.shelf import device_part, held_digests, open_held
from offramp.bundle.store import Bundle
from offramp.clock import Clock
from offramp.errors import LinkError, OfframpError, UnknownBundleError
from offramp.units import Bytes, Seconds, format_bytes
from offramp.wire.address import parse_address
from offramp.wire.tls import ClientTls

NEWS = Seconds(2.0)
"""Between two lines about how far a fetch is."""


class Stock:
    """Opens what is there, fetches what is not. Safe from several threads."""

    def __init__(
        self,
        store: Path,
        clock: Clock,
        *,
        tls: ClientTls | None = None,
        tell: Callable[[str], None] = lambda _message: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """A fetch ends with a LinkError soon after `stopped` says so; the next one goes on from there."""
        self.store = store
        self._clock = clock
        self._tls = tls
        self._tell = tell
        self._stopped = stopped

    @property
    def digests(self) -> tuple[str, ...]:
        """Model digests of all that is there."""
        return held_digests(self.store)

    def obtain(self, digest: str, name: str, sources: Sequence[str]) -> Bundle:
        """The device's part of a bundle; fetched from the first source that delivers it, unless it is there.

        Raises:
            OfframpError: It is corrupt, or none of them delivers it; the message says what each answered.
        """
        if digest in self.digests:
            return open_held(self.store, digest)
        # Here: a device that holds its bundle needs no channel for threads.
        from offramp.wire.delivery import fetch_bundle

        reasons = []
        for source in dict.fromkeys(sources):
            self._tell(f"fetching {name or digest[:12]} from {source}")
            try:
                bundle = fetch_bundle(
                    parse_address(source), digest, self.store, device_part, self._tls, self._progress(name)
                )
            except OfframpError as error:
                if self._stopped():
                    raise
                reasons.append(f"{source}: {error}")
                continue
            self._tell(f"{bundle.manifest.name} is complete, in {bundle.path}")
            return bundle
        raise UnknownBundleError(f"nobody delivers {name or digest[:12]}: {'; '.join(reasons) or 'no source is named'}")

    def _progress(self, name: str) -> Callable[[Bytes, Bytes], None]:
        told = self._clock.now()

        def progress(done: Bytes, total: Bytes) -> None:
            nonlocal told
            if self._stopped():
                raise LinkError("the device is stopping; the next fetch goes on from here")
            if self._clock.now() - told >= NEWS:
                told = self._clock.now()
                self._tell(f"{name}: {format_bytes(done)} of {format_bytes(total)} are here")

        return progress

"""An edge that was started before its orchestrator, or while the link was down, waits for its bundles."""

import logging
from pathlib import Path

from offramp.bundle.store import Bundle
from offramp.clock import Clock, SystemClock
from offramp.errors import LinkError
from offramp.units import Bytes, Seconds, format_bytes
from offramp.wire.address import Address
from offramp.wire.channels import FIRST_BACKOFF, LAST_BACKOFF
from offramp.wire.delivery import fetch_bundle
from offramp.wire.tls import ClientTls

log = logging.getLogger(__name__)


def fetch_patiently(
    address: Address, name: str, store: Path, tls: ClientTls | None = None, clock: Clock | None = None
) -> Bundle:
    """The whole bundle, however often the link breaks meanwhile.

    Raises:
        BundleError: Nobody there holds it, it is corrupt, or cannot be kept here.
        WireError: What came is not what was asked for.
    """
    clock = clock or SystemClock()
    pause, told, reached = FIRST_BACKOFF, "", Bytes(0)

    def progress(done: Bytes, _: Bytes) -> None:
        nonlocal reached, pause
        if done > reached:
            reached, pause = done, FIRST_BACKOFF

    log.info("fetching %s from %s into %s", name, address, store)
    while True:
        try:
            bundle = fetch_bundle(address, name, store, tls=tls, progress=progress)
        except LinkError as error:
            if str(error) != told:
                told = str(error)
                log.info("%s is not fetched yet: %s; trying again", name, told)
            clock.sleep(pause)
            pause = min(Seconds(2 * pause), LAST_BACKOFF)
            continue
        log.info(
            "fetched %s (%s)", name, format_bytes(Bytes(sum(one.nbytes for one in bundle.manifest.files.values())))
        )
        return bundle

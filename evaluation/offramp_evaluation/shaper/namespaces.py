"""Network namespaces of Linux: machines on this machine, whose packets have one way out. Root alone makes them.

this namespace ══ link ══ namespace          what runs inside is started with `ip netns exec NAME …`
"""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from offramp.errors import SettingsError

PLACE = Path("/var/run/netns")
OURS = Path("/proc/self/ns/net")
NEW_NETWORK = 0x40000000
"""CLONE_NEWNET."""


def why_not() -> str:
    """Why this process can make no namespaces; empty when it can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces; run it with sudo"
    try:
        ip("netns", "list")
    except SettingsError as error:
        return str(error)
    return ""


@contextlib.contextmanager
def a_namespace(name: str) -> Iterator[str]:
    """A fresh one of this name, gone when it is left.

    Raises:
        SettingsError: It cannot be made: not root, no `ip`, or there is one of this name.
    """
    if reason := why_not():
        raise SettingsError(reason)
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


def near_card(name: str) -> str:
    """The card on this side of a link into a namespace; the kernel's names have 15 letters at most."""
    return f"near-{crc32(name.encode()):08x}"


@contextlib.contextmanager
def inside(name: str) -> Iterator[None]:
    """New sockets and devices of this thread belong to the namespace; those that it has stay where they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    with OURS.open() as ours, (PLACE / name).open() as theirs:
        _enter(libc, theirs.fileno())
        try:
            yield
        finally:
            _enter(libc, ours.fileno())


def ip(*arguments: str) -> None:
    """Run `ip` of iproute2.

    Raises:
        SettingsError: It is not installed, or says no.
    """
    run("ip", *arguments)


def run(program: str, *arguments: str) -> str:
    """What a program of iproute2 prints.

    Raises:
        SettingsError: It is not installed, or says no.
    """
    try:
        # A session of its own: Ctrl-C, which reaches all of a terminal's group, must not stop the cleaning up.
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=False, start_new_session=True
        )
    except FileNotFoundError:
        raise SettingsError(f"there is no `{program}` on this machine; install iproute2") from None
    if done.returncode:
        raise SettingsError(f"`{program} {' '.join(arguments)}` says: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _enter(libc: ctypes.CDLL, namespace: int) -> None:
    if libc.setns(namespace, NEW_NETWORK):
        number = ctypes.get_errno()
        raise SettingsError(f"the namespace cannot be entered: {os.strerror(number)}; run it as root")

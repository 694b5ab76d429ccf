"""Every error that Offramp raises on purpose.

    OfframpError
    ├── InputError (ValueError)          what a user gave cannot be used
    │   ├── PlanError                    a plan that its bundle cannot follow
    │   ├── SettingsError                a flag, an environment variable or a TOML key
    │   ├── DataError                    a data set or one sample cannot be read
    │   ├── ModelError                   a network that cannot be exported or cut
    │   └── UnknownNameError             a name that a catalogue does not hold
    ├── BundleError                      a bundle is missing, corrupt or of another version
    │   └── UnknownBundleError           nobody here serves the bundle with this digest
    ├── TapeError                        a tape is missing, corrupt, or of another recording
    ├── PayloadError (ValueError)        a payload is truncated, malformed or oversized
    ├── WireError                        a peer sent what the protocol does not allow
    ├── LinkError (ConnectionError)      no answer from the other end
    │   ├── DeadlineError (TimeoutError) no answer in time, or too little time left to start
    │   └── OverloadedError              the other end is there, but its queue is full
    └── MissingExtraError (ImportError)  an optional dependency is not installed

A message names the value, the expectation and the way out.
"""


class OfframpError(Exception):
    """The root: catch this to catch everything that Offramp raises on purpose."""


class InputError(OfframpError, ValueError):
    """What a user gave cannot be used as it is."""


class PlanError(InputError):
    """A plan is malformed, or its bundle cannot follow it."""


class SettingsError(InputError):
    """A flag, an environment variable or a TOML key has no valid meaning."""


class DataError(InputError):
    """A data set, or one sample of it, cannot be read."""


class ModelError(InputError):
    """A network cannot be exported or divided."""


class UnknownNameError(InputError):
    """A catalogue holds no entry of this name."""


class BundleError(OfframpError):
    """A bundle is missing, corrupt, or written by another version."""


class UnknownBundleError(BundleError):
    """Nobody here serves the bundle with this digest."""


class TapeError(OfframpError):
    """A tape is missing, corrupt, or belongs to another recording than the one asked for."""


class PayloadError(OfframpError, ValueError):
    """A payload is truncated, malformed, or larger than its declaration allows."""


class WireError(OfframpError):
    """A peer sent something that the protocol does not allow."""


class LinkError(OfframpError, ConnectionError):
    """No answer from the other end."""


class DeadlineError(LinkError, TimeoutError):
    """No answer in time, or too little time left to start."""


class OverloadedError(LinkError):
    """The other end is there, but its queue is full."""


class MissingExtraError(OfframpError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs {package}; install it with: pip install "offramp[{extra}]"')

"""The plans of a scenario file: written out, or multiplied from splits, exits and codecs.

plans = ["split=0, codec=jpeg:90", "split=end, exit=confidence:0.9"]
plans = [{ split = [2, 4], exit = ["none", "confidence:0.8"], codec = ["affine8+zstd", "affine4+zstd"] }]
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from offramp.bundle.store import open_bundle
from offramp.errors import PlanError, TapeError
from offramp.planning.resolve import resolve
from offramp.registry import unknown
from offramp.tape.reader import open_tape
from offramp_evaluation.sweep.cell import Network
from offramp_evaluation.sweep.table import Table, text

FIELDS = ("split", "exit", "codec")


def read_plans(table: Table, key: str, networks: Sequence[Network]) -> list[str]:
    """As texts, each of which every network can follow and has on tape.

    Raises:
        SettingsError: A plan is malformed, a network cannot follow it, or its tape lacks the codec.
    """
    value = table.raw(key, [])
    items = value if isinstance(value, list) else [value]
    found: dict[str, None] = {}
    for item in items:
        for plan in _written(table, key, item):
            for network in networks:
                _check(table, key, plan, network)
            found[plan] = None
    return list(found)


def _written(table: Table, key: str, item: Any) -> Iterator[str]:
    if isinstance(item, str):
        yield text(item)
        return
    if not isinstance(item, Mapping):
        raise table.wrong(key, item, "expected a plan such as 'split=0, codec=jpeg:90', or a table with split")
    for name in item:
        if name not in FIELDS:
            raise table.wrong(key, item, unknown("plan field", name, list(FIELDS)))
    if "split" not in item:
        raise table.wrong(key, item, "a plan has a split; add split = …")
    given = {name: item[name] if isinstance(item[name], list) else [item[name]] for name in FIELDS if name in item}
    for chosen in itertools.product(*given.values()):
        yield ", ".join(f"{name}={value}" for name, value in zip(given, chosen, strict=True))


def _check(table: Table, key: str, plan: str, network: Network) -> None:
    try:
        resolved = resolve(plan, open_bundle(network.bundle, check=False).manifest)
        if resolved.codec != "none":
            open_tape(network.tape).payload_bytes(resolved.split, resolved.codec)
    except (PlanError, TapeError) as error:
        raise table.wrong(key, plan, str(error)) from error

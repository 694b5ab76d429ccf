"""Which policy is asked of which kind of branch, where a contest has several kinds on one network.

the first kind    every instance policy, but those that another kind here learned for
any other         those that it learned for, and `confidence`, by which all kinds compare
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.exits.contest import Subject
from offramp.errors import InputError

LEARNED_FOR = {
    "eenets": ("own",),
    "gate": ("own",),
    "gate-conv": ("own",),
    "ensemble": ("own",),
    "exclusion": ("exclusion", "exclusion-monotone"),
}
"""By kind of branch, the policies that read what it alone says; the others say what every policy can read."""
COMMON = "confidence"
_SAME = 0.999
"""Share of equal answers by which a network is known again: graphs cut elsewhere round elsewhere."""


def by_kind(subjects: Sequence[Subject]) -> dict[str, list[Subject]]:
    """Subjects of one network by the kind of their branches, in the order in which kinds come first.

    Raises:
        InputError: Their networks differ, so their exits cannot stand in one table.
    """
    first, found = subjects[0], dict[str, list[Subject]]()
    for subject in subjects:
        same = np.mean(subject.test.final_label_N == first.test.final_label_N)
        if same < _SAME:
            raise InputError(
                f"{subject.place} answers {100 * (1 - same):.1f} % of the test samples otherwise than {first.place}: "
                f"they hold two networks; give it by --apart NAME={subject.place}"
            )
        found.setdefault(subject.kind, []).append(subject)
    return found


def named(policy: str, kind: str, kinds: Sequence[str]) -> str:
    """What tells apart a policy that is asked of several kinds."""
    return policy if kind == kinds[0] else f"{policy}, {kind}"


def asked_of(kind: str, kinds: Sequence[str], policies: Sequence[str]) -> list[str]:
    """Those of the policies that are asked of branches of this kind, in a contest of these kinds."""
    if list(kinds) == [kind]:
        return list(policies)
    own = LEARNED_FOR.get(kind, ())
    if kind != kinds[0]:
        return [policy for policy in policies if policy == COMMON or policy in own]
    others = {policy for other in kinds[1:] for policy in LEARNED_FOR.get(other, ())}
    return [policy for policy in policies if policy in own or policy not in others]

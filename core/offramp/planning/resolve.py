"""From what a person wrote to a plan that a bundle can follow."""

from offramp.bundle.manifest import Manifest
from offramp.codecs.catalog import codec_names, open_codec
from offramp.errors import PlanError, UnknownNameError
from offramp.exits.catalog import open_policy
from offramp.plan import NO_EXIT, ExitRule, ExitText, Plan, PlanText, parse_plan
from offramp.records import NO_REVISION, Revision
from offramp.tail import check_exits

EXCLUDING = ("exclusion", "exclusion-monotone")
"""Policies that strike out classes."""
PREFERRED_CODECS = ("affine8+zstd", "jpeg:90", "raw+zstd")
"""What is taken, in this order, when a plan names no codec and the cut allows it."""


def resolve(text: str | PlanText, manifest: Manifest, revision: Revision = NO_REVISION) -> Plan:
    """The plan that a text means for this bundle: names become indices, defaults are filled in.

    Raises:
        PlanError: The text is malformed, or the bundle cannot follow it; the message says what it could.
    """
    written = parse_plan(text) if isinstance(text, str) else text
    split = manifest.find_cut(written.split)
    plan = Plan(
        split=split,
        exit=_resolve_exit("exit", written.exits, split, manifest),
        tail=_resolve_exit("tail", written.tails, split, manifest),
        queue=written.queue,
        mask=written.mask,
        head=written.head,
        codec=written.codec or _default_codec(split, manifest),
        unsure=written.unsure,
        revision=revision,
    )
    check(plan, manifest)
    return plan


def check(plan: Plan, manifest: Manifest) -> None:
    """Refuse a plan that the bundle cannot follow.

    Raises:
        PlanError: No such cut, branch, policy or codec; the message lists those there are.
    """
    if plan.split > manifest.end:
        raise PlanError(
            f"split {plan.split} is past the end: {manifest.name!r} has cuts 0 to {manifest.end}; "
            f"split={manifest.end} or split=end sends nothing"
        )
    manifest.check_split(plan.split)
    if plan.head:
        _check_head(plan, manifest)
    for cut in plan.exit.asked:
        if manifest.branch_at(cut) is None:
            raise PlanError(f"there is no branch at cut {cut}; {manifest.name!r} has branches at {_branches(manifest)}")
    try:
        open_policy(plan.exit)
        if plan.split < manifest.end:
            for codec in dict.fromkeys((plan.codec, plan.when_unsure.codec)):
                open_codec(codec, manifest, plan.split)
        elif plan.codec != "none":
            raise PlanError(f"split {plan.split} sends nothing, so codec={plan.codec} has no use; leave it out")
    except UnknownNameError as error:
        raise PlanError(str(error)) from error
    for way in (plan, plan.when_unsure):
        check_exits(way.tail, way.split, manifest, way.via)
    if plan.mask and not any(part.policy in EXCLUDING for part in plan.exit.parts):
        raise PlanError(
            f"exit={plan.exit} excludes no class, so mask=on would send nothing; drop it, "
            f"or ask {' or '.join(EXCLUDING)}"
        )


def _check_head(plan: Plan, manifest: Manifest) -> None:
    manifest.head(plan.head)
    for way in (plan, plan.when_unsure):
        if way.via:
            raise PlanError(
                f"head={plan.head} has no encoder of the bottleneck {way.via}, which codec={way.codec} needs; take a "
                "codec of the feature itself, or leave head= out"
            )


def default_plan(manifest: Manifest) -> Plan:
    """The plan of a device that was given none: every branch asked at 0.9, the split where the last branch hangs.

    Without branches the input itself is sent: an untested split in the middle of a network rarely pays.
    """
    last = max((branch.cut for branch in manifest.branches), default=0)
    return resolve(f"split={manifest.split_from(last)}, exit=confidence:0.9" if last else "split=0", manifest)


def _resolve_exit(field: str, parts: tuple[ExitText, ...], split: int, manifest: Manifest) -> ExitRule:
    rule: ExitRule | None = None
    for part in reversed(parts):
        thresholds = tuple(sorted(_thresholds(field, part, split, manifest)))
        rule = ExitRule(policy=part.policy, thresholds=thresholds, over=rule)
    return rule or NO_EXIT


def _thresholds(field: str, written: ExitText, split: int, manifest: Manifest) -> list[tuple[int, float]]:
    if written.threshold is None:
        return [(manifest.find_cut(name), threshold) for name, threshold in written.thresholds]
    ahead = field == "exit"
    cuts = [branch.cut for branch in manifest.branches if (branch.cut <= split) is ahead]
    if not cuts:
        raise PlanError(
            f"no branch hangs {'at or before' if ahead else 'past'} split {split}, so {field}={written.policy} could "
            f"never fire; {manifest.name!r} has branches at {_branches(manifest)}; "
            f"split {'later' if ahead else 'earlier'}, or say {field}=none"
        )
    return [(cut, written.threshold) for cut in cuts]


def _default_codec(split: int, manifest: Manifest) -> str:
    if split == manifest.end:
        return "none"
    names = codec_names(manifest, split)
    for name in PREFERRED_CODECS:
        if name in names or name.partition(":")[0] in names:
            return name
    return names[0]


def _branches(manifest: Manifest) -> str:
    return ", ".join(f"{branch.cut} ({manifest.cuts[branch.cut].name})" for branch in manifest.branches) or "no cut"

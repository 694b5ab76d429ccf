"""`offramp profile`: what a bundle takes on this machine."""

import argparse
import json
import sys
from pathlib import Path

from offramp.bundle.jsonform import to_json
from offramp.bundle.shipped import find_bundle
from offramp.bundle.store import open_bundle
from offramp.errors import SettingsError
from offramp.measure.profile import Cost
from offramp.units import format_seconds


class ProfileCommand:
    summary = "time the stages, branches and codecs of a bundle on this machine"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = (
            "example:\n  offramp profile --bundle my-model --threads 1 --out board.json\n\n"
            "Times the segments that really run, at batch 1, interleaved, after a warm-up; keeps median and p95."
        )
        parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="what `offramp build` wrote")
        parser.add_argument("--threads", type=int, default=1, help="threads of the runtime (default: 1)")
        parser.add_argument("--rounds", type=int, default=30, help="how often everything is timed (default: 30)")
        parser.add_argument(
            "--slowdown",
            type=float,
            default=1.0,
            metavar="FACTOR",
            help="describe an emulated board on which the network takes FACTOR times as long (default: 1, none)",
        )
        parser.add_argument("--out", type=Path, metavar="FILE", help="write the profile here, as JSON")
        parser.add_argument("--json", action="store_true", help="print the profile as JSON instead of a table")

    def run(self, args: argparse.Namespace) -> int:
        from offramp.measure.here import profile_here
        from offramp.measure.profile import write_profile

        if args.rounds < 1 or args.threads < 1:
            raise SettingsError(f"--rounds {args.rounds} and --threads {args.threads} must both be at least 1")
        if args.slowdown < 1:
            raise SettingsError(f"--slowdown {args.slowdown:g} would make a faster board; give a factor of at least 1")
        bundle = open_bundle(find_bundle(args.bundle))
        manifest = bundle.manifest
        profile = profile_here(bundle, threads=args.threads, slowdown=args.slowdown, rounds=args.rounds)
        if args.out is not None:
            write_profile(profile, args.out)
            print(f"wrote {args.out}", file=sys.stderr)
        if args.json:
            print(json.dumps(to_json(profile), indent=1))
        else:
            print(f"{manifest.name} on {profile.host}, {profile.threads} thread(s), median (p95) at batch 1\n")
            for cut, spec in enumerate(manifest.cuts):
                line = f"cut {cut:2} {spec.name:20} "
                if spec.split:
                    head, tail = profile.segment(0, cut), profile.segment(cut, manifest.end)
                    line += f"head {_show(head):22} tail {_show(tail):22}"
                if manifest.branch_at(cut) is not None:
                    line += f" head with branch {_show(profile.segment(0, cut, branch=True))}"
                print(line.rstrip())
            for bottleneck in manifest.bottlenecks:
                cut, via = bottleneck.cut, bottleneck.name
                head, tail = profile.segment(0, cut, via=via), profile.segment(cut, manifest.end, via=via)
                print(f"via {cut:2} {via:20} head {_show(head):22} tail {_show(tail)}")
            for other in manifest.heads:
                own, there = profile.segment(0, manifest.end), profile.headed(other.name).segment(0, manifest.end)
                times = f"{own.median / there.median:.2f} times as fast"
                print(f"\nhead {other.name}: the whole network {_show(there)}, {times}")
            print()
            for name, encode in profile.encode.items():
                decode = profile.decode[name]
                print(f"{name:30} encode {format_seconds(encode.median):>9}  decode {format_seconds(decode.median):>9}")
        return 0


def _show(cost: Cost) -> str:
    return f"{format_seconds(cost.median)} ({format_seconds(cost.p95)})"


PROFILE = ProfileCommand()

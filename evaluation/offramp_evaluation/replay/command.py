"""`offramp evaluate replay`: every baseline and the planned device over one link, without running the network."""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from offramp.clock import SystemClock
from offramp.errors import SettingsError, TapeError
from offramp.units import format_bytes, format_seconds, parse_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offramp.bundle.store import Bundle
    from offramp.measure.profile import Profile
    from offramp_evaluation.replay.experiment import Experiment
    from offramp_evaluation.replay.record import Row
    from offramp_evaluation.traces.trace import Trace

EPILOG = """\
examples:
  offramp evaluate replay                                     the shipped demo over its stepping link
  offramp evaluate replay --link "2mbit,20ms" --slowdown 20   another link, a slower board
  offramp evaluate replay --bundle my-model --tape my.tape --trace lte.up --rate 5 --out runs/lte

Simulated: answers and bytes come from the tape, times from profiles, the link from the trace; the code that decides is
the deployed code. Record a tape with `offramp evaluate record`, a profile with `offramp profile`."""

DEMO = "demo"
DEMO_LINK = "20s:20mbit,10ms; 20s:2mbit,20ms; 20s:0.5mbit,30ms; 20s:outage; 20mbit,10ms"
DEMO_SLOWDOWN = 50.0


class ReplayCommand:
    summary = "compare plans and strategies over a link, from a tape, on a simulated clock"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        what = parser.add_argument_group("what is replayed")
        what.add_argument("--bundle", default=DEMO, metavar="DIR", help="a bundle, or `demo` (default)")
        what.add_argument("--tape", type=Path, metavar="FILE", help="its tape (default for demo: the shipped one)")
        what.add_argument("--subset", default="test", help="which samples of the tape (default: test)")
        what.add_argument("--device-profile", type=Path, metavar="FILE", help="of the board (default: measured now)")
        what.add_argument("--edge-profile", type=Path, metavar="FILE", help="of the edge (default: measured now)")
        what.add_argument(
            "--slowdown",
            type=float,
            metavar="FACTOR",
            help=f"emulate a board FACTOR times slower than its profile (default: 1; {DEMO_SLOWDOWN:g} for demo)",
        )
        link = parser.add_argument_group("the link").add_mutually_exclusive_group()
        link.add_argument("--trace", type=Path, metavar="FILE", help="Mahimahi, Pensieve or CSV")
        link.add_argument("--link", metavar="SPEC", help=f"such as 2mbit,20ms, or steps (default: {DEMO_LINK})")
        parser.add_argument("--delay", default="20ms", help="one-way delay of a trace that has none (default: 20ms)")
        load = parser.add_argument_group("the load")
        load.add_argument("--rate", type=float, default=8.0, help="samples per second and device (default: 8)")
        load.add_argument("--samples", type=int, default=800, help="of each device (default: 800)")
        load.add_argument("--devices", type=int, default=1, help="that share the edge (default: 1)")
        load.add_argument("--shared-link", action="store_true", help="they share the link too")
        load.add_argument("--poisson", action="store_true", help="random arrivals instead of a steady rate")
        load.add_argument("--deadline", default="1s", help="of each sample, from its arrival (default: 1s)")
        load.add_argument("--drop", type=float, default=0.005, help="acceptable loss of accuracy (default: 0.005)")
        load.add_argument("--seed", type=int, default=0, help="of samples and arrivals (default: 0)")
        parser.add_argument("--out", type=Path, metavar="DIR", help="write record.json and samples.parquet there")
        parser.add_argument("--json", action="store_true", help="print the record instead of a table")

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.replay.record import record_of, run_metadata, write_record

        clock, started = SystemClock(), datetime.now(UTC).isoformat(timespec="seconds")
        before = clock.now()
        experiment, inputs = _experiment(args)
        rows = list(experiment.rows(lambda name: _tell(f"replaying: {name}")))
        record = record_of(rows, inputs, against="planned", block=max(1, round(experiment.rate * 5)))
        record["run"] = run_metadata(started, clock.now() - before)
        if args.out is not None:
            write_record(record, rows, args.out)
            _tell(f"wrote {args.out / 'record.json'} and {args.out / 'samples.parquet'}")
        print(json.dumps(record, indent=1, ensure_ascii=False) if args.json else _table(rows, record, experiment))
        return 0


def _experiment(args: argparse.Namespace) -> "tuple[Experiment, dict[str, Any]]":
    from offramp.bundle.store import open_bundle
    from offramp.planning.candidates import read_candidates
    from offramp.tape.reader import open_tape
    from offramp_evaluation.assets import DEMO_BUNDLE, DEMO_PROFILE, DEMO_TAPE
    from offramp_evaluation.replay.experiment import Experiment

    if args.samples < 1 or args.devices < 1 or not args.rate > 0:
        raise SettingsError(f"--samples {args.samples}, --devices {args.devices}, --rate {args.rate:g}: all above 0")
    demo = args.bundle == DEMO
    bundle = open_bundle(DEMO_BUNDLE if demo else args.bundle)
    tape = args.tape or (DEMO_TAPE if demo else None)
    if tape is None:
        raise TapeError(f"--bundle {args.bundle} needs its --tape; record one with `offramp evaluate record`")
    # The demo's profile ships with it, so that its record is the same everywhere.
    shipped = DEMO_PROFILE if demo else None
    device = _profile(args.device_profile or shipped, bundle)
    edge = _profile(args.edge_profile or shipped, bundle) if args.edge_profile or shipped else device
    slowdown = args.slowdown or (DEMO_SLOWDOWN if demo else 1.0)
    if slowdown != 1.0:
        device = device.slowed(slowdown)
    up, down = _traces(args)
    opened = open_tape(tape)
    experiment = Experiment(
        manifest=bundle.manifest,
        candidates=read_candidates(bundle),
        tape=opened,
        device=device,
        edge=edge,
        up=up,
        down=down,
        rate=args.rate,
        samples=args.samples,
        devices=args.devices,
        shared_link=args.shared_link,
        poisson=args.poisson,
        deadline=parse_seconds(args.deadline),
        drop=args.drop,
        subset=args.subset,
        seed=args.seed,
    )
    inputs = {
        "bundle": bundle.manifest.name,
        "model_digest": bundle.manifest.model_digest,
        "tape_digest": opened.digest(),
        "subset": args.subset,
        "trace": up.name,
        "trace_statistics": _statistics(up),
        "device": _describe(device),
        "edge": _describe(edge),
        "rate": args.rate,
        "samples": args.samples,
        "devices": args.devices,
        "shared_link": args.shared_link,
        "arrivals": "poisson" if args.poisson else "fixed",
        "deadline": float(experiment.deadline),
        "drop": args.drop,
        "seed": args.seed,
    }
    return experiment, inputs


def _profile(path: Path | None, bundle: "Bundle") -> "Profile":
    from offramp.measure.profile import read_profile
    from offramp_evaluation.replay.hosts import profile_here

    if path is None:
        _tell("no profile given: timing the bundle on this machine")
        return profile_here(bundle)
    profile = read_profile(path)
    if profile.model_digest != bundle.manifest.model_digest:
        raise SettingsError(f"{path} is of another model than the bundle; time it again with `offramp profile`")
    return profile


def _traces(args: argparse.Namespace) -> "tuple[Trace, Trace]":
    from offramp_evaluation.shaper.link import parse_schedule
    from offramp_evaluation.traces.formats import read_trace
    from offramp_evaluation.traces.steps import from_schedule

    if args.trace is None:
        spec = args.link or DEMO_LINK
        return from_schedule(spec, parse_schedule(spec))
    trace = read_trace(args.trace)
    trace = trace if trace.delay_T.any() else trace.delayed(parse_seconds(args.delay))
    return trace, trace


def _statistics(trace: "Trace") -> dict[str, float]:
    from offramp.bundle.jsonform import to_json
    from offramp_evaluation.traces.statistics import describe

    found: dict[str, float] = to_json(describe(trace))
    return found


def _describe(profile: "Profile") -> dict[str, Any]:
    return {"host": profile.host, "threads": profile.threads, "slowdown": profile.slowdown}


def _table(rows: "Sequence[Row]", record: dict[str, Any], experiment: "Experiment") -> str:
    from offramp.inspect.table import format_table

    verdicts = {item["second"]: item["latency"]["verdict"] for item in record["comparisons"]}
    words = {"first": "planned is faster", "second": "faster than planned", "undecided": "no difference shown"}
    headers = ("row", "accuracy", "mean", "p50", "p95", "bytes", "device", "edge", "degr.", "rej.", "against planned")
    lines = []
    for row in rows:
        summary = row.summary
        latency = [format_seconds(value) for value in (summary.latency.mean, summary.latency.p50, summary.latency.p95)]
        shares = [f"{100 * summary.answered[kind]:.0f} %" for kind in ("device", "edge", "degraded", "rejected")]
        verdict = words.get(verdicts.get(row.name, ""), "")
        accuracy, size = f"{100 * summary.accuracy:.1f} %", format_bytes(summary.wire_bytes)
        lines.append((row.name, accuracy, *latency, size, *shares, verdict))
    title = (
        f"{experiment.manifest.name} over {experiment.up.name}: SIMULATED from a tape, "
        f"{experiment.samples} samples at {experiment.rate:g}/s"
    )
    notes = [f"{row.name}: {row.about}" for row in rows if row.name in ("best static plan", "planned", "oracle")]
    return "\n".join([title, "", format_table(headers, lines, right=range(1, 10)), "", *notes])


def _tell(message: str) -> None:
    print(message, file=sys.stderr)


REPLAY = ReplayCommand()

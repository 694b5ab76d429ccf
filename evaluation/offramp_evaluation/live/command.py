"""`offramp evaluate live`: what a replay simulates, by real processes over shaped links, in real time."""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from offramp.cli import DONE, FAILED, INTERRUPTED
from offramp.clock import SystemClock
from offramp.errors import SettingsError
from offramp_evaluation.replay.flags import DEMO, add_experiment_flags, bundle_of, experiment_of
from offramp_evaluation.shaper.command import PROXY, TC, TUN
from offramp_evaluation.sweep.flags import add_changes_flag

if TYPE_CHECKING:
    from offramp_evaluation.sweep.cell import Cell
    from offramp_evaluation.sweep.run import Performed

DEMO_DATA = "camera-digits"
EPILOG = """\
examples:
  offramp evaluate live --link "2mbit,20ms" --samples 80 --strategies search --out runs/once
  offramp evaluate live evaluation/scenarios/shared-uplink.toml --out runs/shared --set load.samples=40
  offramp evaluate live mine.toml --out runs/live
  offramp evaluate compare runs/live runs/mine                how far off was the replay?

A scenario is the one that `sweep` replays; without one, the flags say what runs, as for `replay`. Every device is a
process (100 MB of memory each), and so are the edge, the links and, where plans change, the orchestrator. Rows run one
after the other and take as long as their samples. Boards are emulated by this machine, slowed down; links by a proxy in
user space (docs/shaping.md says what that cannot show). Everything else is measured, and the record says so: reports
never mix it with replays. Ctrl-C ends all processes, keeps the rows that are done and says where."""


class LiveCommand:
    summary = "run plans and strategies for real: devices, links and an edge on this machine, in real time"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument("scenario", type=Path, nargs="*", metavar="FILE.toml", help="as for `sweep`; or use flags")
        parser.add_argument("--out", type=Path, metavar="DIR", help="where records go; needed with a scenario")
        add_changes_flag(parser)
        parser.add_argument("--list", action="store_true", help="print the runs of the scenario, and perform none")
        parser.add_argument("--json", action="store_true", help="print the record (of a scenario: a summary) as JSON")
        parser.add_argument("--speed", type=float, default=1.0, metavar="FACTOR", help="1; all else is refused")
        parser.add_argument(
            "--shape",
            choices=(PROXY, TUN, TC),
            default=PROXY,
            help="what emulates the links: a proxy (default), or as root packets in namespaces; see docs/shaping.md",
        )
        add_experiment_flags(parser, "what runs, without a scenario")
        parser.add_argument(
            "--data", metavar="SPEC", help=f"where the samples of the tape are, such as npz:FILE (demo: {DEMO_DATA})"
        )

    def run(self, args: argparse.Namespace) -> int:
        from offramp_evaluation.shaper.namespaces import why_not

        if args.speed != 1.0:
            raise SettingsError(
                f"--speed {args.speed:g}: links and boards are emulated and could run faster, but sockets, processes "
                "and the edge are real and cannot; `offramp evaluate replay` answers the same question in seconds"
            )
        if args.shape != PROXY and (reason := why_not()):
            raise SettingsError(f"--shape {args.shape}: {reason}; --shape proxy needs no rights")
        # Told to end, it ends as with Ctrl-C: its children go with it.
        before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            return _run_scenarios(args) if args.scenario else _run_flags(args)
        finally:
            signal.signal(signal.SIGTERM, before)


def _run_flags(args: argparse.Namespace) -> int:
    from offramp_evaluation.live.bench import run_live, sources_of
    from offramp_evaluation.replay.record import write_record
    from offramp_evaluation.replay.table import rows_table

    if args.list or args.changes:
        raise SettingsError("--list and --set are about a scenario; give its file")
    data = args.data or (DEMO_DATA if args.bundle == DEMO else None)
    if data is None:
        raise SettingsError(
            f"--bundle {args.bundle} needs its --data: where the samples of the tape are, such as npz:FILE"
        )
    bundle, clock = bundle_of(args), SystemClock()
    experiment = experiment_of(args, bundle)
    try:
        samples, hosts = sources_of(bundle, experiment.tape, data, clock, _tell)
        finished = run_live(experiment, bundle, samples, hosts, clock, _tell, args.shape)
    except KeyboardInterrupt:
        _tell("offramp: stopped before a row was done; there is nothing to keep")
        return INTERRUPTED
    if args.out is not None:
        done = finished.performed()
        write_record(done.record, done.samples, args.out)
        _tell(f"wrote {args.out / 'record.json'} and {args.out / 'samples.parquet'}")
    if args.json:
        print(json.dumps(finished.record, indent=1, ensure_ascii=False))
    else:
        print(rows_table(finished.rows, finished.record, finished.experiment))
    if not finished.complete:
        _tell(_stopped(finished.record))
    return DONE if finished.complete else INTERRUPTED


def _run_scenarios(args: argparse.Namespace) -> int:
    from offramp_evaluation.live.bench import LiveBench
    from offramp_evaluation.recording.progress import ProgressScreen
    from offramp_evaluation.sweep.command import listed, summary_of, told
    from offramp_evaluation.sweep.folder import SweepFolder
    from offramp_evaluation.sweep.scenario import read_scenario
    from offramp_evaluation.sweep.sweep import sweep
    from offramp_evaluation.sweep.workers import Here

    _refuse_flags(args)
    if args.out is None:
        raise SettingsError("a scenario needs --out DIR, where its records go")
    clock, code = SystemClock(), DONE
    for path in args.scenario:
        begun, folder = clock.now(), SweepFolder(args.out / path.stem if len(args.scenario) > 1 else args.out)
        scenario = read_scenario(path, args.changes, folder).live()
        if args.list:
            print(listed(scenario, as_json=args.json))
            continue
        with ProgressScreen(quiet=args.json, unit="runs") as screen:

            def keep(cell: "Cell", done: "Performed", folder: SweepFolder = folder) -> None:
                place = folder.keep_stopped(cell, done)
                print(f"offramp: {_stopped(done.record)}; they are in {place}", file=sys.stderr)

            try:
                swept = sweep(
                    scenario, folder, Here(LiveBench(clock, screen.say, keep, args.shape)), screen, what="live"
                )
            except KeyboardInterrupt:
                done = folder.count()
                print(
                    f"offramp: stopped with {done} of {len(scenario.cells)} runs done; the same command goes on there",
                    file=sys.stderr,
                )
                return INTERRUPTED
        summary = summary_of(scenario, folder, swept, clock.now() - begun)
        print(json.dumps(summary, ensure_ascii=False) if args.json else told(summary))
        code = FAILED if swept.failed else code
    return code


def _refuse_flags(args: argparse.Namespace) -> None:
    """Those of a run without a scenario: the file has a key for each."""
    parser = argparse.ArgumentParser()
    add_experiment_flags(parser)
    usual = vars(parser.parse_args([])) | {"data": None}
    for name, value in usual.items():
        if getattr(args, name) != value:
            raise SettingsError(
                f"--{name.replace('_', '-')} is for a run without a scenario; change the scenario with --set, such as "
                "--set load.rate=5"
            )


def _stopped(record: dict[str, Any]) -> str:
    left = record["live"]["left_out"]
    return f"stopped after {len(record['rows'])} of {len(record['rows']) + len(left)} rows; left out: {'; '.join(left)}"


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


LIVE = LiveCommand()

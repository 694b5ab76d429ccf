"""`offramp shape`: an emulated link in front of an edge, or of any TCP server."""

import argparse
from typing import TYPE_CHECKING

from offramp.cli import DONE, INTERRUPTED
from offramp.errors import SettingsError

if TYPE_CHECKING:
    from offramp_evaluation.shaper.following import Line

PROXY, TUN, TC = "proxy", "tun", "tc"
NAMESPACE, NEAR, FAR = "offramp", "10.77.0.1", "10.77.0.2"
EPILOG = """\
A link is RATE,DELAY (the delay is one way; RATE may be UP/DOWN), or outage; or a schedule of DURATION:LINK steps, of
which the last holds for ever:

  offramp shape --listen 127.0.0.1:5001 --to 127.0.0.1:5000 --link "2mbit,20ms"
  offramp shape --listen 127.0.0.1:0 --to edge:5000 --link "5s:20mbit,10ms; 5s:outage; 20mbit,10ms"

A proxy needs no rights: its rate counts bytes of TCP streams, without headers; loss and slow start it does not show.
As root, a link of packets leads into a network namespace of its own, with TCP from end to end:

  offramp shape --by tun --namespace board --link "20mbit,40ms"
  ip netns exec board offramp device --edge 10.77.0.1:50051 …        the edge listens at 10.77.0.1 or at 0.0.0.0

tun shapes packets in user space; tc leaves them to the kernel's token bucket, which shapes the rate alone. See
docs/shaping.md for which to use when.

Standard output carries JSON lines: ready, then every change of the link with the bytes moved so far, then stopped."""


class Shape:
    summary = "Emulate a link in front of an edge: bandwidth, delay, outages."

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = EPILOG
        parser.add_argument("--link", required=True, metavar="SPEC", help='such as "2mbit,20ms"; see below')
        parser.add_argument("--listen", metavar="HOST:PORT", help="proxy: where devices connect; port 0: any")
        parser.add_argument("--to", metavar="HOST:PORT", help="proxy: the edge")
        parser.add_argument(
            "--by", choices=(PROXY, TUN, TC), default=PROXY, help="what shapes (default: proxy); all else as root"
        )
        parser.add_argument(
            "--namespace", default=NAMESPACE, metavar="NAME", help=f"tun, tc: to be made (default: {NAMESPACE})"
        )
        parser.add_argument("--near", default=NEAR, metavar="IP", help=f"tun, tc: address here (default: {NEAR})")
        parser.add_argument("--far", default=FAR, metavar="IP", help=f"tun, tc: inside the namespace (default: {FAR})")
        parser.add_argument(
            "--control",
            action="store_true",
            help="read links or schedules from standard input, one a line, each in force from then on (after @SECONDS: "
            "from that moment of the monotonic clock on); stop where the input ends",
        )

    def run(self, args: argparse.Namespace) -> int:
        # Here and not at the top: `offramp --help` imports this module, too.
        from offramp_evaluation.shaper.server import serve

        return INTERRUPTED if serve(_line(args), control=args.control) else DONE


def _line(args: argparse.Namespace) -> "Line":
    from offramp.wire.address import parse_address
    from offramp_evaluation.shaper.kernel import KernelLink
    from offramp_evaluation.shaper.link import parse_schedule
    from offramp_evaluation.shaper.packets import PacketLink
    from offramp_evaluation.shaper.proxy import Proxy

    schedule = parse_schedule(args.link)
    if args.by == PROXY:
        if args.listen is None or args.to is None:
            raise SettingsError("a proxy stands between two addresses; give --listen HOST:PORT and --to HOST:PORT")
        return Proxy(parse_address(args.listen, listen=True), parse_address(args.to), schedule)
    if args.listen is not None or args.to is not None:
        raise SettingsError(
            f"--by {args.by} carries packets to whatever listens at {args.near}; leave --listen and --to out"
        )
    kind = PacketLink if args.by == TUN else KernelLink
    return kind(args.namespace, args.near, args.far, schedule)


SHAPE = Shape()

"""`offramp shape`: an emulated link in front of an edge, or of any TCP server."""

import argparse

from offramp.cli import DONE, INTERRUPTED


class Shape:
    summary = "Emulate a link in front of an edge: bandwidth, delay, outages."

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.epilog = (
            "A link is RATE,DELAY (the delay is one way; RATE may be UP/DOWN), or outage; or a schedule of\n"
            "DURATION:LINK steps, of which the last holds for ever:\n\n"
            '  offramp shape --listen 127.0.0.1:5001 --to 127.0.0.1:5000 --link "2mbit,20ms"\n'
            '  offramp shape --listen 127.0.0.1:0 --to edge:5000 --link "5s:20mbit,10ms; 5s:outage; 20mbit,10ms"\n\n'
            "Standard output carries JSON lines: ready, then every change of the link with the bytes moved so far,\n"
            "then stopped. The rate counts bytes of TCP streams, without headers; loss and slow start are not emulated."
        )
        parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where devices connect; port 0: any")
        parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the edge")
        parser.add_argument("--link", required=True, metavar="SPEC", help='such as "2mbit,20ms"; see below')
        parser.add_argument(
            "--control",
            action="store_true",
            help="read links or schedules from standard input, one a line, each in force from then on (after @SECONDS: "
            "from that moment of the monotonic clock on); stop where the input ends",
        )

    def run(self, args: argparse.Namespace) -> int:
        # Here and not at the top: `offramp --help` imports this module, too.
        from offramp.wire.address import parse_address
        from offramp_evaluation.shaper.link import parse_schedule
        from offramp_evaluation.shaper.server import serve

        listen, to = parse_address(args.listen, listen=True), parse_address(args.to)
        interrupted = serve(listen, to, parse_schedule(args.link), control=args.control)
        return INTERRUPTED if interrupted else DONE


SHAPE = Shape()

"""`offramp device`: answer samples from a source, with the help of an edge."""

import argparse
import logging
import os
import sys

from offramp.cli import DONE
from offramp.settings import add_flags, load
from offramp_device.settings import DeviceSettings

_ROLE = "device"

_TEXT = """
sources:
  pictures/             every picture below a folder; class folders tell the truth
  frames.npy, x.npz     arrays [N, …]; a .npz holds x (and y), or x_test (and y_test), and where it holds arrival, in
                        seconds since the start, each sample arrives then
  -                     paths of pictures on standard input, one a line
  camera-digits[:SEED]  digits held before a camera, frame after frame
  camera:0              a V4L2 camera (pip install "offramp[camera]")
  cifar10:DIR mnist:DIR the test part of a published data set
  listen:ADDRESS        what local programs submit: 127.0.0.1:PORT or unix:PATH

examples:
  offramp device --bundle cats/ --source pictures/ --plan "split=end, exit=confidence:0.9"
  offramp device --bundle cats/ --source camera:0 --edge 192.0.2.7:50051 \\
      --plan "split=3, exit=confidence:0.85, codec=affine8+zstd"
  offramp device --orchestrator 192.0.2.1:50050 --source camera:0
  offramp device --bundle cats/ --source camera:0 --edge 192.0.2.7:50051 --plan auto

One JSON line per sample on standard output (durations in seconds), a summary on standard error.
Ctrl-C and SIGTERM stop it; samples that are under way get their result first.
exit codes: 0 done (SIGTERM too), 1 it failed, 2 the input was wrong, 130 interrupted by Ctrl-C
"""


class DeviceCommand:
    """Everything that is written to standard output is JSON lines; what is for people goes to standard error."""

    summary = "answer samples on this board, with the help of an edge"

    def configure(self, parser: argparse.ArgumentParser) -> None:
        parser.description = f"{self.summary}\n{_TEXT}"
        add_flags(parser, DeviceSettings, _ROLE)
        parser.add_argument(
            "--no-edge", dest="edge", action="store_const", const="none", help="answer alone, whatever the settings say"
        )

    def run(self, args: argparse.Namespace) -> int:
        loaded = load(DeviceSettings, _ROLE, args, os.environ)
        if args.print_settings:
            print(loaded.describe())
            return DONE
        # Here and not at the top: `offramp --help` imports this module too.
        from offramp.wire.memory import keep_large_buffers
        from offramp_device.daemon import Daemon

        logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="offramp device: %(message)s")
        keep_large_buffers()
        return Daemon(loaded.value).run()


DEVICE = DeviceCommand()

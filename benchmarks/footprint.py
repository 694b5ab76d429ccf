"""What a device costs its board: resident memory, and the time from the start to the first answer.

offramp device, with the demo's bundle and stream, sending to a real edge; both ends on loopback
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.harness import CORES, Claim, a_parser, pin, report
from benchmarks.processes import an_edge, environment
from offramp_evaluation.demo.show import shipped_bundle

MEGABYTES, SECONDS = 100.0, 1.2
STARTS, FRAMES, RATE = 7, 60, 20
"""Sixty frames at twenty a second: every segment, codec and buffer of the plan has been used by then."""


def main() -> int:
    parser = a_parser(__doc__.partition("\n")[0])
    parser.add_argument("--plan", help="default: the device's own")
    arguments = parser.parse_args()
    if arguments.pin:
        pin(CORES[0])
    bundle = str(shipped_bundle())
    with an_edge("--bundle", bundle, "--threads", "1", pinned=arguments.pin) as edge:
        command = [sys.executable, "-m", "offramp.cli", "device", "--bundle", bundle, "--edge", str(edge), "--json"]
        command += ["--source", "camera-digits", "--rate", str(RATE), "--limit", str(FRAMES), "--threads", "1"]
        command += ["--plan", arguments.plan] if arguments.plan else []
        starts = [start(command) for _ in range(2 if arguments.quick else STARTS)]
    seconds, megabytes = (median(values) for values in zip(*starts, strict=True))
    claims = [
        Claim(name="device, resident at most", found=megabytes, limit=MEGABYTES, unit="MB"),
        Claim(name="device, start to first answer", found=seconds, limit=SECONDS, unit="s"),
    ]
    details = {"first_answer_s": [one for one, _ in starts], "peak_resident_mb": [one for _, one in starts]}
    return report("footprint", claims, details, arguments)


def start(command: list[str]) -> tuple[float, float]:
    """(seconds to the first result, largest resident megabytes) of one device, run to its end."""
    first, peak = 0.0, 0.0
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment()) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "answered" in json.loads(line):
                first = first or time.perf_counter() - began
                peak = max(peak, resident_peak(process.pid))
    if process.returncode or not first:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")
    return first, peak


def resident_peak(process: int) -> float:
    """The most memory that a running process has had resident so far, in MB; Linux only."""
    status = Path(f"/proc/{process}/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024 / 1e6


if __name__ == "__main__":
    sys.exit(main())

"""Bundles, built where they are missing, and the tapes of what they say: all of it resumes where it was stopped."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.exits.contest import Subject
from benchmarks.exits.tasks import Task
from offramp.bundle.store import open_bundle
from offramp.errors import BundleError, InputError
from offramp.exits.charge import Charge
from offramp.exits.evidence import evidence_of
from offramp.tape.reader import open_tape

TRUNK = "trunk.pt"
"""The weights that the first build of a task leaves behind; the others hang other branches on the same network."""


def bundles_of(task: Task, data: str, seeds: int, out: Path) -> list[Path]:
    """One bundle for each seed of branches, all on one trunk, built by the task's recipe where it is not there yet."""
    built = []
    for seed in range(seeds):
        place, trunk = out / f"{task.name}-{seed}", out / f"{task.name}-{TRUNK}"
        if not _is_bundle(place):
            weights = ["--weights", trunk] if trunk.is_file() else ["--save-weights", trunk]
            run_offramp(
                ["build", "--recipe", task.recipe, "--data", data, "--branch-seed", seed, "--out", place, *weights]
            )
        built.append(place)
    return built


def subject_of(bundle: Path, data: str, out: Path, *, limit: int | None = None) -> Subject:
    """What a bundle says about calibration and test samples, recorded where it is not yet.

    Raises:
        InputError: It has no branches, so no policy could be asked.
    """
    opened = open_bundle(bundle)
    manifest = opened.manifest
    if not manifest.branches:
        raise InputError(f"{bundle} has no branches, so there is nothing to leave at; build it with --branches 2")
    tape = out / f"{manifest.name}-{manifest.model_digest[:12]}-{limit or 'all'}.tape"
    if not tape.is_file():
        some = ["--limit", limit] if limit else []
        flags = ["--subset", "calibration,test", "--codecs", "", "--no-screen"]
        run_offramp(["evaluate", "record", "--bundle", bundle, "--data", data, "--out", tape, *flags, *some])
    said = open_tape(tape)
    return Subject(
        name=manifest.name,
        seed=int(manifest.provenance.get("branch_seed", manifest.provenance.get("seed", "0"))),
        place=str(bundle),
        kind="+".join(dict.fromkeys(branch.kind for branch in manifest.branches)),
        trained=trained_for(manifest.provenance.get("joint", "")),
        charge=Charge.of(manifest),
        final_temperature=manifest.final_temperature,
        calibration=evidence_of(said, "calibration"),
        test=evidence_of(said, "test"),
    )


def trained_for(joint: str) -> str:
    """For people, from what a build says of a joint training: how many epochs, and on what pictures; empty of none."""
    epochs = re.search(r"\bepochs=(\d+)", joint)
    if not epochs:
        return ""
    small = re.findall(r"\((\d+), (\d+)\)", joint)
    return epochs[1] + "".join(f", {some} at {side} px" for some, side in small)


def _is_bundle(place: Path) -> bool:
    try:
        open_bundle(place)
    except BundleError:
        return False
    return True


def run_offramp(flags: Sequence[object]) -> None:
    """In a process of its own: it brings torch, or many processes."""
    command = [sys.executable, "-m", "offramp.cli", *map(str, flags)]
    print(f"$ offramp {' '.join(command[3:])}", file=sys.stderr, flush=True)
    if subprocess.run(command, check=False).returncode:
        raise InputError(
            f"offramp {flags[0]} did not end well; what it said stands above, and the same command goes on"
        )

"""The plug-in of docs/evaluate.md, as it stands: named on the command line, and by an installed distribution."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

pytestmark = pytest.mark.system

PAGE = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Of your own")[2].partition("## The gallery")[0]
RATES = "4000\n4000\n300\n300\n300\n"


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL)
    return str(found)


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "extra.py").write_text(block("python"))
    (tmp_path / "extra.toml").write_text(block("toml"))
    (tmp_path / "link.kbit").write_text(RATES)
    return tmp_path


def run(command: str, desk: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    _, *flags = shlex.split(command)
    return subprocess.run(
        [sys.executable, "-m", "offramp.cli", *flags],
        cwd=desk,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


def test_everything_that_a_plug_in_adds_takes_part_in_a_sweep(desk: Path) -> None:
    for command in block("bash").strip().splitlines():
        done = run(command, desk)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    (path,) = desk.glob("runs/extra/runs/*/record.json")
    record = json.loads(path.read_text())
    simple, planned = record["rows"]
    assert set(simple["plans"]) == {"split=0, exit=none, codec=jpeg:75", "split=8, exit=none, codec=none"}
    assert list(planned["plans"]) == ["split=5, exit=both:0.8@3/0.8@4/0.8@5, codec=rough+zstd"]
    assert record["inputs"]["trace"] == "link.kbit"
    assert simple["metrics"]["slowest"] == simple["summary"]["latency"]["max"]
    table = pyarrow.parquet.read_table(desk / "runs/extra/runs.parquet").to_pylist()
    assert [line["metric_slowest"] for line in table] == [row["metrics"]["slowest"] for row in record["rows"]]
    (path,) = desk.glob("runs/extra-live/runs/*/record.json")
    simple, planned = json.loads(path.read_text())["rows"]
    assert set(simple["plans"]) <= {"split=0, exit=none, codec=jpeg:75", "split=8, exit=none, codec=none"}
    assert list(planned["plans"]) == ["split=5, exit=both:0.8@3/0.8@4/0.8@5, codec=rough+zstd"]
    assert planned["summary"]["exits"]["8"] > 0  # the edge finished what the codec packed


def test_an_installed_plug_in_needs_not_be_named(desk: Path) -> None:
    metadata = desk / "site" / "extra-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[offramp.plugins]\nextra = extra:register\n")
    (desk / "extra.py").rename(desk / "site" / "extra.py")
    (desk / "one.toml").write_text('rows.strategies = ["simple"]\nrows.baselines = []\nload.samples = 5\n')
    listed = "offramp evaluate sweep one.toml --out runs --list"
    assert "in each of them simple" in run(listed, desk, PYTHONPATH=str(desk / "site")).stdout
    assert "there is no strategy 'simple'" in run(listed, desk).stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No module named 'extra'"),
        ("", "has no attribute 'register'"),
        (
            "from offramp_evaluation.traces.formats import FORMATS\ndef register(): FORMATS.add('csv', None)\n",
            "already",
        ),
    ],
    ids=["absent", "no register", "a name that is taken"],
)
def test_a_plug_in_that_cannot_be_used_is_refused_with_a_way_out(
    tmp_path: Path, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "extra.py").write_text(content)
    done = run("offramp evaluate report nowhere --out page.html --plugin extra", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "see docs/evaluate.md" in done.stderr

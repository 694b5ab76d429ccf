"""What deploy/ holds would start: checked without an engine, by the programs' own parsers.

No container engine runs here, so images are not built; what can be read is read: where a stage comes from, who the user
is, what is copied, which extra is installed, and every command line down to its flags.
"""

import json
import re
import shutil
import subprocess
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from offramp.settings import add_flags, load
from offramp.telemetry import EdgeReport
from offramp_device.settings import DeviceSettings
from offramp_edge_server.meter import PrometheusMeter
from offramp_edge_server.settings import EdgeSettings
from offramp_orchestrator.settings import OrchestratorSettings
from tests.architecture.command_lines import fault, offramp_fault
from tests.architecture.test_dependencies import closure

ROOT = Path(__file__).parents[2]
SYSTEMD, DOCKER, MONITORING = (ROOT / "deploy" / name for name in ("systemd", "docker", "monitoring"))
IMAGES = sorted(DOCKER.glob("*.Dockerfile"))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yml").read_text(encoding="utf-8"))
OURS = [name for name, service in COMPOSE["services"].items() if "build" in service]
ROLES: list[tuple[str, type[Any]]] = [
    ("device", DeviceSettings),
    ("edge", EdgeSettings),
    ("orchestrator", OrchestratorSettings),
]

roles = pytest.mark.parametrize(("role", "kind"), ROLES, ids=[role for role, _ in ROLES])
images = pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
ours = pytest.mark.parametrize("service", [COMPOSE["services"][name] for name in OURS], ids=OURS)


# systemd


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units with their drop-ins as they are installed, around a program that exists on every machine."""
    for role, _ in ROLES:
        text = (SYSTEMD / f"offramp-{role}.service").read_text(encoding="utf-8")
        (tmp_path / f"offramp-{role}.service").write_text(text.replace("/opt/offramp/bin/offramp", "/bin/true"))
        drop_in = tmp_path / f"offramp-{role}.service.d"
        drop_in.mkdir()
        for path in SYSTEMD.glob(f"{role}-*.conf"):
            shutil.copy(path, drop_in)
    return sorted(tmp_path.glob("*.service"))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_to_say_about_the_units(units: list[Path]) -> None:
    run = analyze("verify", "--man=no", *map(str, units))
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_rates_the_units_as_hardly_exposed(units: list[Path]) -> None:
    rated = [analyze("security", "--offline=true", "--threshold=20", str(unit)) for unit in units]
    assert [run.stdout.splitlines()[-1] for run in rated if run.returncode] == []


@roles
def test_a_unit_starts_a_command_that_exists(role: str, kind: type[Any]) -> None:
    text = (SYSTEMD / f"offramp-{role}.service").read_text(encoding="utf-8")
    assert [fault(line) for line in re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)] == [""]


@roles
def test_the_settings_file_of_a_unit_is_understood(role: str, kind: type[Any]) -> None:
    assert settings(role, kind, ["--settings", str(SYSTEMD / f"{role}.toml")])["bundle"] == str(
        SYSTEMD / f"{role}.toml"
    )


@pytest.mark.parametrize("path", sorted(SYSTEMD.glob("*.conf")), ids=lambda path: path.stem)
def test_a_drop_in_sets_variables_that_are_read(path: Path, tmp_path: Path) -> None:
    role = path.name.partition("-")[0]
    variables = environment(path.read_text(encoding="utf-8").replace("%d", str(tmp_path)))
    assert set(settings(role, dict(ROLES)[role], [], variables).values()) == {"default", *variables}


@roles
def test_a_drop_in_names_the_credentials_that_it_loads(role: str, kind: type[Any]) -> None:
    text = (SYSTEMD / f"{role}-tls.conf").read_text(encoding="utf-8")
    loaded = {f"%d/{name}" for name in re.findall(r"^LoadCredential=([^:]+):", text, re.MULTILINE)}
    assert set(environment(text).values()) == loaded


# containers


@images
def test_a_stage_comes_from_an_image_with_an_exact_tag(image: Path) -> None:
    bases = [words[0] for name, words in instructions(image) if name == "FROM"]
    assert len(bases) == 2, "one stage builds, the other runs"
    assert [base for base in bases if not re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", base)] == []


@images
def test_an_image_runs_as_nobody(image: Path) -> None:
    users = [words[0] for name, words in instructions(image) if name == "USER"]
    assert users[-1:] == ["65532:65532"]


@images
def test_an_image_copies_what_exists_and_what_reaches_the_builder(image: Path) -> None:
    ignored = image.with_name(image.name + ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copies = [words for name, words in instructions(image) if name == "COPY" and not words[0].startswith("--from")]
    sources = [source for words in copies for source in words[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert sorted(sources) == sorted(sent)


@images
def test_an_image_installs_the_extra_of_its_role_without_torch(image: Path) -> None:
    (extra,) = {name for _, words in instructions(image) for name in re.findall(r"\[(\w+)\]", " ".join(words))}
    assert extra == image.stem
    assert {"torch", "ray", "scikit-learn", "offramp"} & closure("offramp", extra) == {"offramp"}


@images
def test_the_command_of_an_image_is_understood(image: Path) -> None:
    assert offramp_fault([*entrypoint(image), *json_words(image, "CMD")]) == ""


def test_compose_has_the_edge_the_link_and_the_device() -> None:
    assert OURS == ["edge", "link", "device"]


@ours
def test_a_service_runs_a_command_that_exists(service: dict[str, Any]) -> None:
    assert offramp_fault([*entrypoint(dockerfile(service)), *plain(service["command"])]) == ""


@ours
def test_a_service_has_nothing_that_it_does_not_need(service: dict[str, Any]) -> None:
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"


@ours
def test_a_service_says_when_it_is_healthy(service: dict[str, Any]) -> None:
    assert service["healthcheck"]["test"][:2] == ["CMD", "python"]


@ours
def test_a_service_waits_for_healthy_ones(service: dict[str, Any]) -> None:
    waits = service.get("depends_on", {})
    assert {wait["condition"] for wait in waits.values()} <= {"service_healthy"}
    assert [name for name in waits if "healthcheck" not in COMPOSE["services"][name]] == []


def test_the_device_reaches_the_edge_over_the_link_alone() -> None:
    device, link, edge = (set(COMPOSE["services"][name]["networks"]) for name in ("device", "link", "edge"))
    assert device & edge == set()
    assert device & link
    assert link & edge


def test_what_compose_mounts_exists() -> None:
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    sources = {plain([mount])[0].split(":")[0] for mount in mounts if "SAMPLES" not in mount}  # the reader's own
    assert [source for source in sources if not (DOCKER / source).exists()] == []


# monitoring


def test_what_is_watched_is_measured() -> None:
    meter = PrometheusMeter(lambda: 0, EdgeReport)
    measured = {f"{family.name}{suffix}" for family in meter.registry.collect() for suffix in SUFFIXES[family.type]}
    watched = [(MONITORING / name).read_text(encoding="utf-8") for name in ("grafana-edge.json", "alerts.yml")]
    assert set(re.findall(r"offramp_edge_\w+", "".join(watched))) <= measured


SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def test_the_dashboard_has_a_place_for_every_panel() -> None:
    dashboard = json.loads((MONITORING / "grafana-edge.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        box = panel["gridPos"]
        cells = {(box["x"] + x, box["y"] + y) for x in range(box["w"]) for y in range(box["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_prometheus_scrapes_the_port_that_the_edge_opens() -> None:
    scrape = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    (target,) = scrape["scrape_configs"][0]["static_configs"][0]["targets"]
    host, port = target.split(":")
    assert f"0.0.0.0:{port}" in COMPOSE["services"][host]["command"]
    assert [name for name in scrape["rule_files"] if not (MONITORING / name).is_file()] == []


def test_alerts_are_about_the_job_that_is_scraped() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text(encoding="utf-8"))
    jobs = set(re.findall(r'job="([\w-]+)"', json.dumps(rules).replace("\\", "")))
    scrape = yaml.safe_load((MONITORING / "prometheus.yml").read_text(encoding="utf-8"))
    assert jobs == {entry["job_name"] for entry in scrape["scrape_configs"]}


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)


def environment(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in re.findall(r"^Environment=(.+)$", unit, re.MULTILINE))


def settings(
    role: str, kind: type[Any], arguments: list[str], environment: dict[str, str] | None = None
) -> dict[str, str]:
    """Where each setting of a role comes from, given these arguments and this environment."""
    parser = ArgumentParser()
    add_flags(parser, kind, role)
    return dict(load(kind, role, parser.parse_args(arguments), environment or {}).origin)


def instructions(image: Path) -> list[tuple[str, list[str]]]:
    """(instruction, its words) of a Dockerfile, comments and continuations resolved."""
    text = re.sub(r"^\s*#.*\n", "", image.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, words) for name, *words in (line.split() for line in text.splitlines() if line.strip())]


def json_words(image: Path, instruction: str) -> list[str]:
    (words,) = [words for name, words in instructions(image) if name == instruction]
    parsed: list[str] = json.loads(" ".join(words))
    return parsed


def entrypoint(image: Path) -> list[str]:
    program, *rest = json_words(image, "ENTRYPOINT")
    assert program == "offramp"
    return rest


def dockerfile(service: dict[str, Any]) -> Path:
    path: Path = (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).resolve()
    return path


def plain(words: list[Any]) -> list[str]:
    """Words with every variable at its default: ${LINK:-2mbit} is 2mbit."""
    return [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(word)) for word in words]

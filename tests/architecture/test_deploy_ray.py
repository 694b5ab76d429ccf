"""What deploy/ray holds would start: checked without a cluster, by the programs' own parsers and Ray's own schema."""

import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from offramp_edge_server.settings import EdgeSettings
from tests.architecture.command_lines import offramp_fault
from tests.architecture.test_deploy import instructions, settings

ROOT = Path(__file__).parents[2]
RAY = ROOT / "deploy" / "ray"
CLUSTER: dict[str, Any] = yaml.safe_load((RAY / "cluster.yaml").read_text(encoding="utf-8"))
KUBERAY: dict[str, Any] = {
    document["kind"]: document for document in yaml.safe_load_all((RAY / "kuberay.yaml").read_text(encoding="utf-8"))
}
PODS = [KUBERAY["RayCluster"]["spec"]["headGroupSpec"], *KUBERAY["RayCluster"]["spec"]["workerGroupSpecs"]]
CONTAINERS = [
    container for spec in (*PODS, KUBERAY["Deployment"]["spec"]) for container in spec["template"]["spec"]["containers"]
]
VERSION = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)

containers = pytest.mark.parametrize("container", CONTAINERS, ids=[container["name"] for container in CONTAINERS])
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def start_flags() -> set[str]:
    """What `ray start` understands."""
    from ray.scripts.scripts import start

    return {flag for parameter in start.params for flag in parameter.opts}


def start_commands() -> list[str]:
    """Every `ray start …` of deploy/ray, up to the next command."""
    text = "\n".join(re.sub(r"\s+", " ", word) for word in (*CLUSTER["head_start_ray_commands"],
        *CLUSTER["worker_start_ray_commands"], *orchestrator()["args"]))  # fmt: skip
    return re.findall(r"ray start [^&;\n]*", text)


def orchestrator() -> dict[str, Any]:
    (container,) = KUBERAY["Deployment"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def orchestrate() -> list[str]:
    """Arguments of the `offramp` that the deployment runs."""
    (line,) = re.findall(r"exec offramp (.*)", orchestrator()["args"][0])
    return shlex.split(line)


@needs_ray
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_every_node_starts_with_flags_that_ray_has() -> None:
    used = [word.partition("=")[0] for line in start_commands() for word in shlex.split(line) if word.startswith("-")]
    assert set(used) - start_flags() == set()
    assert len(start_commands()) == 3


@needs_ray
@pytest.mark.filterwarnings("ignore")
def test_the_groups_of_kuberay_start_with_flags_that_ray_has() -> None:
    used = {f"--{name}" for group in PODS for name in group["rayStartParams"]}
    assert used - start_flags() == set()


@needs_ray
def test_ray_finds_its_schema_in_the_cluster_file() -> None:
    import jsonschema
    import ray

    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    validator = jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8")))
    assert [error.message for error in validator.iter_errors(CLUSTER)] == []
    assert [error.validator for error in validator.iter_errors(CLUSTER | {"max_workers": -1})] == ["minimum"]


def test_usage_is_reported_by_no_node() -> None:
    assert [line for line in start_commands() if "--disable-usage-stats" not in line] == []
    assert {group["rayStartParams"]["disable-usage-stats"] for group in PODS} == {"true"}


def test_what_the_cluster_file_sends_exists() -> None:
    sources = set(CLUSTER["file_mounts"].values()) - {"dist"}  # which `python -m build --wheel` makes
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_every_place_names_the_version_of_ray_that_is_pinned() -> None:
    assert VERSION is not None
    texts = {path.name: path.read_text(encoding="utf-8") for path in RAY.iterdir() if path.is_file()}
    version = re.compile(r"""(?:/ray:|ray\[default\]==|rayVersion: ")([\d.]+)""")
    named = {found for text in texts.values() for found in version.findall(text)}
    assert named == {VERSION[1]}


def test_the_deployment_runs_a_command_that_exists() -> None:
    assert offramp_fault(orchestrate()) == ""


def test_devices_enter_at_the_port_that_the_orchestrator_opens() -> None:
    (port,) = KUBERAY["Service"]["spec"]["ports"]
    (opened,) = orchestrator()["ports"]
    assert f"0.0.0.0:{port['port']}" in orchestrate()
    assert (port["targetPort"], port["port"]) == (opened["name"], opened["containerPort"])
    assert KUBERAY["Service"]["spec"]["selector"] == KUBERAY["Deployment"]["spec"]["selector"]["matchLabels"]


def test_the_orchestrator_joins_the_cluster_that_kuberay_makes() -> None:
    name = KUBERAY["RayCluster"]["metadata"]["name"]  # the operator calls the service of its head NAME-head-svc
    assert f"--address={name}-head-svc:6379" in orchestrator()["args"][0]


def test_there_is_room_for_every_edge_and_a_controller_beside_it() -> None:
    arguments = orchestrate()
    edges, cpus = (float(arguments[arguments.index(flag) + 1]) for flag in ("--edges", "--edge-cpus"))
    (group,) = KUBERAY["RayCluster"]["spec"]["workerGroupSpecs"]
    (worker,) = group["template"]["spec"]["containers"]
    assert edges == group["replicas"]
    assert cpus < float(worker["resources"]["requests"]["cpu"])


def test_variables_of_the_nodes_are_settings_of_an_edge() -> None:
    (worker,) = PODS[1]["template"]["spec"]["containers"]
    variables = {one["name"]: one["value"] for one in worker["env"]}
    assert set(settings("edge", EdgeSettings, [], variables).values()) == {"default", *variables}


@containers
def test_a_container_may_no_more_than_it_needs(container: dict[str, Any]) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": 1000,
    }


@containers
def test_a_container_runs_the_image_that_is_built_here(container: dict[str, Any]) -> None:
    assert re.fullmatch(r"registry\.example\.org/offramp-ray:[\d.]+", container["image"])


def test_the_image_is_made_of_what_exists_and_of_what_reaches_its_builder() -> None:
    ignored = (RAY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copies = [words for name, words in instructions(RAY / "Dockerfile") if name == "COPY" and "--from" not in words[0]]
    sources = [source for words in copies for source in words[:-1]]
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert sorted(sources) == sorted(sent)

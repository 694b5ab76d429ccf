"""Three Ray nodes on this machine, for tests."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

PATIENCE = 90.0
"""Seconds; only a bug takes longer, or a machine with much else to do."""
QUICK = {  # a lost node is noticed within 2 s, and not within 20
    "health_check_initial_delay_ms": 500,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1_000,
    "health_check_failure_threshold": 3,
}
T = TypeVar("T")


@contextlib.contextmanager
def three_nodes(environment: dict[str, str] | None = None) -> Iterator[Any]:
    """A cluster of three nodes with one core each; what runs there sees this environment."""
    ours = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", **(environment or {})}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ours.items():
            patch.setenv(name, value)
        from ray._private import services
        from ray.cluster_utils import Cluster

        patch.setattr(services, "get_node", patient(services.get_node))
        head = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True, "_system_config": QUICK}
        nodes = Cluster(initialize_head=True, head_node_args=a_node() | head)
        try:
            for _ in range(2):
                nodes.add_node(wait=False, **a_node())
            nodes.wait_for_nodes()
            yield nodes
        finally:
            nodes.shutdown()


def a_node() -> dict[str, Any]:
    # With ports of ours, Ray does not wait for those that its agents find: 15 s, and then it gives up.
    agents = ("metrics_agent_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
    return {"num_cpus": 1, "object_store_memory": 80 << 20, **{name: a_free_port() for name in agents}}


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def patient(get_node: Callable[..., T]) -> Callable[..., T]:
    """Ray gives a node 30 s to start; with much else to do, this machine may need longer."""

    def get(*arguments: Any) -> T:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return get_node(*arguments)
            except RuntimeError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    return get

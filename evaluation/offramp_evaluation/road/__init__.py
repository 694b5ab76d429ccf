"""The road as it is deployed: devices, links, an edge and an orchestrator, as child processes of this machine."""

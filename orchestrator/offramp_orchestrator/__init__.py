"""The orchestrator: keeps every device on the best plan."""

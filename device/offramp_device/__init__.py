"""The device: early stages, exits, and an uplink for what is not sure."""

"""Generated from protos/offramp/wire/v1 by protos/generate.py."""

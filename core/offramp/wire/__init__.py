"""The wire: records to protobuf and back, errors to status and back, channels."""

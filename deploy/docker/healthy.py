"""Ask a gRPC server for its health: `python healthy.py HOST:PORT`; exit code 0 when it serves.

For the container's health check. Over TLS, name the files: `--ca FILE`, and `--cert FILE --key FILE` where the server
asks for them too.
"""

import argparse
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

PATIENCE = 3.0
"""Seconds."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Exit with 0 when a gRPC server says that it serves.")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--ca", type=Path, metavar="FILE")
    parser.add_argument("--cert", type=Path, metavar="FILE")
    parser.add_argument("--key", type=Path, metavar="FILE")
    args = parser.parse_args()
    ca, cert, key = (path.read_bytes() if path else None for path in (args.ca, args.cert, args.key))
    channel = (
        grpc.secure_channel(args.address, grpc.ssl_channel_credentials(ca, key, cert))
        if ca
        else grpc.insecure_channel(args.address)
    )
    with channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            print(f"{args.address}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
    return 0 if reply.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())

# The device: ONNX Runtime, gRPC and the codecs; no torch, no ray, no scikit-learn. From the repository's root:
#
#   docker build -f deploy/docker/device.Dockerfile -t offramp-device .
#   docker run --rm -v ./bundle:/bundle:ro offramp-device --bundle /bundle --edge edge.example.org:50051 --source -
FROM python:3.13.5-slim-bookworm AS build

WORKDIR /source
COPY constraints.txt ./
RUN python -m pip install --no-cache-dir --constraint constraints.txt build hatchling
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY device device
COPY edge_server edge_server
COPY orchestrator orchestrator
COPY builder builder
COPY evaluation evaluation
RUN python -m build --wheel --no-isolation --outdir /wheels .
RUN python -m venv /opt/offramp \
    && /opt/offramp/bin/python -m pip install --no-cache-dir --constraint constraints.txt "$(echo /wheels/*.whl)[device]"

FROM python:3.13.5-slim-bookworm

COPY --from=build /opt/offramp /opt/offramp
ENV PATH=/opt/offramp/bin:$PATH PYTHONUNBUFFERED=1
# Nobody's account: a number, so that a cluster can see that it is not root's without looking into the image.
USER 65532:65532
ENTRYPOINT ["offramp", "device"]
CMD ["--help"]

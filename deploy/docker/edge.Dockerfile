# The edge server, and the emulated link that can stand in front of it (`offramp shape`). From the repository's root:
#
#   docker build -f deploy/docker/edge.Dockerfile -t offramp-edge .
#   docker run --rm -p 50051:50051 -v ./bundle:/bundle:ro offramp-edge edge --bundle /bundle --listen 0.0.0.0:50051
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
    && /opt/offramp/bin/python -m pip install --no-cache-dir --constraint constraints.txt "$(echo /wheels/*.whl)[edge]"

FROM python:3.13.5-slim-bookworm

COPY --from=build /opt/offramp /opt/offramp
COPY deploy/docker/healthy.py /opt/offramp/healthy.py
ENV PATH=/opt/offramp/bin:$PATH PYTHONUNBUFFERED=1
# Nobody's account: a number, so that a cluster can see that it is not root's without looking into the image.
USER 65532:65532
EXPOSE 50051 9464
ENTRYPOINT ["offramp"]
CMD ["edge", "--help"]

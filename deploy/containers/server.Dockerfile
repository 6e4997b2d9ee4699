# The reference server: docker build --file deploy/containers/server.Dockerfile --tag edge-server .
FROM python:3.11-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE NOTICE ./
COPY csrc csrc
COPY edge_runtime edge_runtime
COPY server_ref server_ref
RUN python -m venv /opt/edge-runtime && /opt/edge-runtime/bin/pip install --no-cache-dir ".[server]"

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 8471 --no-create-home edge-server
COPY --from=build /opt/edge-runtime /opt/edge-runtime
ENV PATH=/opt/edge-runtime/bin:$PATH EDGE_RUNTIME_KERNELS=native OMP_NUM_THREADS=1
USER 8471
EXPOSE 50151
# Whether it listens, with TLS or without.
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 50151), 4).close()"]
ENTRYPOINT ["edge-server"]
CMD ["serve", "--bundle", "/srv/edge-runtime/server", "--host", "0.0.0.0"]

# The daemon: docker build --file deploy/containers/device.Dockerfile --tag edge-runtime .
FROM python:3.11-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE NOTICE ./
COPY csrc csrc
COPY edge_runtime edge_runtime
RUN python -m venv /opt/edge-runtime && /opt/edge-runtime/bin/pip install --no-cache-dir ".[daemon,mqtt,onnxruntime]"

FROM python:3.11-slim-bookworm
# The state's folder is made here, so that a volume put in its place has its owner.
RUN useradd --system --uid 8470 --no-create-home edge-runtime && \
    install --directory --owner edge-runtime /var/lib/edge-runtime
COPY --from=build /opt/edge-runtime /opt/edge-runtime
ENV PATH=/opt/edge-runtime/bin:$PATH EDGE_RUNTIME_KERNELS=native OMP_NUM_THREADS=1
WORKDIR /var/lib/edge-runtime
USER 8470
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8470/livez', timeout=4)"]
ENTRYPOINT ["edge-runtime"]
CMD ["daemon", "--config", "/etc/edge-runtime/config.toml"]

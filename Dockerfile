# The server with the built-in model `mini`. The first stage builds the wheel, installs it with the
# locked dependencies and removes what the server never loads; the second contains only the runtime.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS build
ARG EXTRAS=redis,otel
# cpu, or cuda: ONNX Runtime for NVIDIA GPUs with the libraries of CUDA, several GB.
ARG VARIANT=cpu
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
# binutils has `strip`.
RUN apt-get update && apt-get install --yes --quiet --no-install-recommends binutils
RUN python -m venv /opt/trawl
# Lock files first: this layer is reused as long as they are unchanged.
COPY requirements.lock requirements-dev.lock ./
RUN /opt/trawl/bin/pip install --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/trawl/bin/pip wheel --no-deps --wheel-dir dist .
# The extras, by default Redis and traces, are pinned in the lock file for development.
RUN wheel="$(ls dist/*.whl)" \
    && /opt/trawl/bin/pip install --constraint requirements-dev.lock "${wheel}[$EXTRAS]"
COPY deploy/container/requirements-cuda.lock ./
RUN if [ "$VARIANT" = cuda ]; then /opt/trawl/bin/pip uninstall --yes onnxruntime; \
    /opt/trawl/bin/pip install --requirement requirements-cuda.lock; fi
COPY deploy/container/slim ./
RUN /opt/trawl/bin/python slim

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="trawl" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 trawl \
    && useradd --uid 10001 --gid trawl --no-create-home --home-dir /library --shell /usr/sbin/nologin trawl \
    && install --directory --owner=trawl --group=trawl --mode=0750 /library
COPY --from=build /opt/trawl /opt/trawl
COPY --chmod=0755 deploy/container/serve deploy/container/healthcheck /usr/local/bin/
# The root file system may be read-only: the server writes only the library, and uploads to /tmp.
# The folders of the loader exist with VARIANT=cuda only.
ENV PATH=/opt/trawl/bin:$PATH \
    LD_LIBRARY_PATH=/opt/trawl/lib/python3.11/site-packages/nvidia/cu13/lib:/opt/trawl/lib/python3.11/site-packages/nvidia/cudnn/lib \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/library \
    TRAWL_HOST=0.0.0.0 \
    TRAWL_PORT=8000 \
    TRAWL_LOG_FORMAT=json
USER 10001:10001
VOLUME ["/library"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 CMD ["healthcheck"]
ENTRYPOINT ["serve"]

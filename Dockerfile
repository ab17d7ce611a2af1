# Three images from one file:  docker build --target server|server-gpu|trainer .
# Versions come from constraints.txt: the tests ran with them. ORT_DISABLE_TELEMETRY=1 keeps onnxruntime from sending
# anything to its maker, whatever program runs in the image.

FROM python:3.12-slim AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY examples/clips/LICENSE-cmu_sample examples/clips/LICENSE-precog examples/clips/
COPY gfp_serve gfp_serve
COPY trainer trainer

FROM builder AS server-build
RUN pip install -c constraints.txt '.[cpu,map,milvus,video]'

FROM builder AS server-gpu-build
RUN pip install -c constraints.txt '.[gpu,map,milvus,video]'

FROM builder AS trainer-build
RUN pip install -c constraints.txt '.[cpu,train]'

FROM python:3.12-slim AS server
COPY --from=server-build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1 GFP_SERVE_GALLERY=/var/lib/gfp/gallery
# A volume takes its owner from the folder that it covers, so we make the folder first.
RUN useradd --uid 10001 --create-home gfp && install -d -o gfp -g gfp -m 0700 /var/lib/gfp
USER gfp
VOLUME /var/lib/gfp
EXPOSE 50051 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["gfp", "health"]
# Loopback inside a container cannot be reached from outside, so the server binds every address. It needs TLS and tokens,
# or GFP_SERVE_INSECURE=true where the port is published on loopback or on a private network only.
ENTRYPOINT ["gfp-serve", "--host", "0.0.0.0"]

# CUDA's libraries come from pip, the driver from the host.
FROM python:3.12-slim AS server-gpu
COPY --from=server-gpu-build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1 GFP_SERVE_GALLERY=/var/lib/gfp/gallery
RUN useradd --uid 10001 --create-home gfp && install -d -o gfp -g gfp -m 0700 /var/lib/gfp
USER gfp
VOLUME /var/lib/gfp
EXPOSE 50051 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 CMD ["gfp", "health"]
# --device cuda: without a usable GPU the server does not start, instead of running on the CPU unnoticed.
ENTRYPOINT ["gfp-serve", "--host", "0.0.0.0", "--device", "cuda"]

FROM python:3.12-slim AS trainer
# On a GPU, torch.compile builds its kernels with a C compiler.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY --from=trainer-build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 ORT_DISABLE_TELEMETRY=1
RUN useradd --uid 10001 --create-home gfp && install -d -o gfp -g gfp /srv/gfp /srv/gfp/stores /srv/gfp/runs
USER gfp
WORKDIR /srv/gfp
VOLUME ["/srv/gfp/stores", "/srv/gfp/runs"]
ENTRYPOINT ["gfp-train"]
CMD ["--help"]

# docker build -t torchserve .
# docker run --rm --name ts -p 127.0.0.1:8080:8080 -p 127.0.0.1:8081:8081 \
#   -v "$PWD/model_store:/home/model-server/model-store" torchserve serve --models all
# docker exec ts cat key_file.json
#
# Laid out as TorchServe's own image: user model-server, /home/model-server/config.properties and model-store, the same
# ports, entry point and words. Handlers that need torch or more: FROM this image, then RUN pip install torch …

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /programs/ ./cmd/...

FROM python:3.11-slim-bookworm
ENV PYTHONDONTWRITEBYTECODE=1 \
    TEMP=/home/model-server/tmp
RUN useradd --create-home --uid 1000 --shell /bin/bash model-server
COPY --from=build /programs/ /usr/local/bin/
COPY scripts/docker-entrypoint /usr/local/bin/docker-entrypoint
# The name that manifests for TorchServe's image may spell out.
RUN ln -s docker-entrypoint /usr/local/bin/dockerd-entrypoint.sh
# model-server, by number: Kubernetes' runAsNonRoot wants to see one.
USER 1000
WORKDIR /home/model-server
# A container's loopback reaches nobody, so it listens on all addresses; token authorization is on. The keys are in
# key_file.json, or mount your own and name them in TS_TOKEN_KEYS_FILE (configs/kubernetes.yaml).
RUN mkdir logs model-store tmp wf-store && printf '%s\n' \
    inference_address=http://0.0.0.0:8080 \
    management_address=http://0.0.0.0:8081 \
    metrics_address=http://0.0.0.0:8082 \
    grpc_inference_address=0.0.0.0 \
    grpc_management_address=0.0.0.0 \
    model_store=/home/model-server/model-store \
    workflow_store=/home/model-server/wf-store \
    > config.properties
# 7070 and 7071 are for gRPC, which is not served yet.
EXPOSE 8080 8081 8082 7070 7071
STOPSIGNAL SIGTERM
# Needs no key. With another port or with TLS in config.properties, give docker run a --health-cmd of your own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["docker-entrypoint"]
CMD ["serve"]

# One image for each role, with nothing in it but the program:
#
#	docker build --target vps .
#	docker build --target edge .
#
# BINARY=prebuilt takes the program from linux/ARCHITECTURE/sunspool beside this file instead of building it.
ARG BINARY=build

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG TARGETVARIANT
ARG VERSION=devel
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH GOARM=${TARGETVARIANT#v} \
    go build -trimpath -tags nopgxregisterdefaulttypes -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/sunspool .

FROM scratch AS prebuilt
ARG TARGETPLATFORM
COPY --chmod=0755 $TARGETPLATFORM/sunspool /out/sunspool

FROM ${BINARY} AS binary

# A folder for samples that belongs to the user below: a new volume takes its owner and its mode from it.
FROM scratch AS folders
WORKDIR /image/data

# No shell, no libraries; certificates of authorities and time zones are in the program.
FROM scratch AS sunspool
COPY --from=folders --chown=65532:65532 --chmod=0700 /image/ /
COPY --from=binary /out/sunspool /sunspool
USER 65532:65532
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["/sunspool"]

FROM sunspool AS edge
CMD ["edge"]
# Unhealthy within two intervals once polling has stopped: edge/report/check.go has the arithmetic.
HEALTHCHECK --interval=90s --timeout=10s --start-period=120s --retries=1 CMD ["/sunspool", "health", "edge"]

FROM sunspool AS vps
ENV LISTEN_ADDR=0.0.0.0:8000
EXPOSE 8000
CMD ["vps"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["/sunspool", "health", "vps"]

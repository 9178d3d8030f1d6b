# Built in one image, run in another that holds podbell alone: no shell, no libraries, nothing to update but podbell.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY src src
COPY benches benches
COPY scripts/static-binary scripts/
# Another profile is built sooner, for tests.
ARG PROFILE=dist
RUN install -D "$(scripts/static-binary --profile "$PROFILE")" /image/usr/local/bin/podbell
# The system that a static program needs: authorities for Slack, WeCom and the clouds, a user, the order of name lookups, a folder for
# the store. Time zones are in the program.
# Debian's authorities only: the builder may trust others, of its own network.
RUN install -d /image/etc/ssl/certs \
    && cat /usr/share/ca-certificates/mozilla/*.crt > /image/etc/ssl/certs/ca-certificates.crt \
    && echo 'podbell:x:10001:10001::/var/lib/podbell:/nonexistent' > /image/etc/passwd \
    && echo 'podbell:x:10001:' > /image/etc/group \
    && echo 'hosts: files dns' > /image/etc/nsswitch.conf \
    && install -d -o 10001 -g 10001 /image/var/lib/podbell

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="podbell" \
    org.opencontainers.image.description="Tells a team in its chat what goes wrong in its container services" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
COPY --from=build /image /
# Rules to start with; podbell.yaml can name them here.
COPY rules /usr/share/podbell/rules
# SQLite's temporary files belong beside the store: the root may be read-only.
ENV PATH=/usr/local/bin SQLITE_TMPDIR=/var/lib/podbell
USER 10001:10001
# The store; podbell.yaml and rule files are mounted at /etc/podbell.
VOLUME /var/lib/podbell
EXPOSE 8080
# No HEALTHCHECK: Kubernetes does not read it and has probes (/healthz, /readyz), and without a shell only podbell itself could ask.
ENTRYPOINT ["podbell"]
CMD ["run", "--config", "/etc/podbell/podbell.yaml", "--log-format", "json"]

# Built in one image, run in another that holds little more than podbell itself.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY src src
COPY benches benches
RUN cargo build --locked --profile dist --bin podbell

FROM debian:bookworm-slim
# Certificate authorities: for Slack, WeCom and the cloud's API.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --home-dir /var/lib/podbell --create-home --shell /usr/sbin/nologin podbell
COPY --from=build /build/target/dist/podbell /usr/local/bin/podbell
# Rules to start with, to be copied to /etc/podbell.
COPY rules /usr/share/podbell/rules
USER 10001:10001
# The store; podbell.yaml and rule files are mounted at /etc/podbell.
VOLUME /var/lib/podbell
EXPOSE 8080
ENTRYPOINT ["podbell"]
CMD ["run", "--config", "/etc/podbell/podbell.yaml", "--log-format", "json"]

# Builds the program and puts it, alone, on an image without a shell.
#
#   docker build -t alluvium .
#   docker run -v ./alluvium.properties:/etc/alluvium/alluvium.properties:ro alluvium
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
# librdkafka, OpenSSL and zstd are compiled in; only the C library comes from the image below.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin alluvium \
    && cp target/release/alluvium /alluvium

# The C library, the C++ runtime's libgcc, and root certificates; user `nonroot`.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /alluvium /usr/local/bin/alluvium
# Metrics and health: inside a container the default, 127.0.0.1, would answer nobody.
ENV ALLUVIUM_ADMIN_LISTEN=0.0.0.0:9464
EXPOSE 9464
ENTRYPOINT ["/usr/local/bin/alluvium"]
CMD ["run", "--config", "/etc/alluvium/alluvium.properties"]

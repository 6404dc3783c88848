# The image: one binary, and the C library that it links. Stages: fetch and build the crates (a layer that stays as long as Cargo.lock
# does), build the program, keep the binary.
#
#   docker build -t supercargo:0.1.0 .
#
# The builder's Rust version is that of rust-toolchain.toml; its Debian release is that of the last stage, so that the binary finds the
# same glibc. For builds that can be repeated byte by byte, pin both images by digest (IMAGE:TAG@sha256:...).

FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
WORKDIR /build
# ring compiles a little C and assembly.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
# The image's toolchain has all that a build needs; rust-toolchain.toml would fetch clippy and rustfmt as well.
ENV RUSTUP_TOOLCHAIN=1.95.0

# The crates alone, with an empty program around them. Cargo wants every target that Cargo.toml names to have a file: each `path = "*.rs"`
# there gets an empty one.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
    && sed -n 's/^path = "\(.*\.rs\)"$/\1/p' Cargo.toml | while read -r file; do \
         mkdir -p "$(dirname "$file")" && echo 'fn main() {}' >"$file"; \
       done \
    && cargo build --release --locked \
    && rm -r src

# The program. manifests/policies is compiled in.
COPY build.rs ./
COPY manifests/policies manifests/policies
COPY src src
# Files are copied with their old times, and cargo goes by time: without the touch it would keep the empty program.
RUN touch src/main.rs src/lib.rs \
    && cargo build --release --locked --bin supercargo

# glibc (2.36 or later, see build.rs), libgcc and CA certificates; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/release/supercargo /usr/local/bin/supercargo
# glibc keeps seven freed blocks of a size at hand in each thread, and a tree has hundreds: a tenth of the CPU of a review (docs/performance.md).
ENV GLIBC_TUNABLES=glibc.malloc.tcache_count=100
# A number, so that the kubelet can tell that it is not root (runAsNonRoot).
USER 65532:65532
EXPOSE 8443 8080
ENTRYPOINT ["/usr/local/bin/supercargo"]
CMD ["--help"]

#!/usr/bin/env bash
# `make demo`: the main job in one go. Builds the webhook (without the cluster client, which it does not need), serves TLS with fresh
# certificates and the built-in policies, sends manifests/examples/ as the API server would, and shows what came back. Leaves nothing
# behind but target/.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d)
server=
finish() {
    if [[ -n $server ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap finish EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

say "Building"
cargo build --locked --no-default-features --features server
supercargo=${CARGO_TARGET_DIR:-target}/debug/supercargo

say "Certificates"
"$supercargo" certs "$folder/certs"

say "Serving the built-in policies"
"$supercargo" serve --listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --drain-delay 0 \
    --tls-cert "$folder/certs/tls.crt" --tls-key "$folder/certs/tls.key" \
    --facts manifests/examples/namespace.yaml 2>"$folder/log" &
server=$!
address=
for _ in $(seq 300); do
    address=$(sed -n 's/.*what="\?webhook"\? address="\?\([0-9.:]*\).*/\1/p' "$folder/log")
    [[ -n $address ]] && break
    kill -0 "$server" 2>/dev/null || { cat "$folder/log" >&2; exit 1; }
    sleep 0.1
done
[[ -n $address ]] || { echo "the webhook did not start:" >&2; cat "$folder/log" >&2; exit 1; }
echo "https://$address"

# With --pods, what the controllers make of Jobs and Deployments is sent, too.
# Exit code of review: 0 everything was let pass, 1 something was refused, 2 it could not be asked.
send() { "$supercargo" review --server "https://$address" --ca "$folder/certs/ca.crt" --pods -o text "$1"; }

for file in manifests/examples/good/*.yaml manifests/examples/group/*.yaml; do
    say "Sending $file"
    send "$file"
done
for file in manifests/examples/bad/*.yaml; do
    say "Sending $file"
    code=0
    send "$file" || code=$?
    [[ $code == 1 ]] || { echo "expected a refusal, got exit code $code" >&2; exit 1; }
done

say "Done: the good ones passed and their pods were equipped, the bad ones were refused"

#!/usr/bin/env bash
# Builds the control plane that the end-to-end tests run against, and prints the folder of its binaries.
#
# Standard output is that folder and nothing else; progress goes to standard error.
#   SUPERCARGO_CONTROLPLANE=DIR   use the binaries in DIR, build nothing
#   CARGO_TARGET_DIR=DIR          build below DIR/controlplane instead of the project's target/controlplane
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
programs=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok)

say() { printf 'controlplane: %s\n' "$*" >&2; }

# Prints the programs that the folder lacks. etcd's own module builds it under the name `server`, and that is as good.
missing() {
    local program
    for program in "${programs[@]}"; do
        if [[ ! -x $1/$program ]] && ! [[ $program == etcd && -x $1/server ]]; then
            printf ' %s' "$program"
        fi
    done
}

if [[ -n ${SUPERCARGO_CONTROLPLANE:-} ]]; then
    lacking=$(missing "$SUPERCARGO_CONTROLPLANE")
    if [[ -n $lacking ]]; then
        say "SUPERCARGO_CONTROLPLANE=$SUPERCARGO_CONTROLPLANE lacks:$lacking"
        exit 1
    fi
    (cd -- "$SUPERCARGO_CONTROLPLANE" && pwd)
    exit 0
fi

if ! command -v go >/dev/null; then
    say "no 'go' in PATH: install Go 1.26 or later, or set SUPERCARGO_CONTROLPLANE to a folder that holds: ${programs[*]}"
    exit 1
fi

# A folder for each content of these files: an old build is never taken for a new one.
digest=$(cd -- "$here" && cat go.mod go.sum build.sh | sha256sum)
parent=${CARGO_TARGET_DIR:-$here/../../target}/controlplane
mkdir -p -- "$parent"
parent=$(cd -- "$parent" && pwd)
folder=$parent/${digest:0:16}
stamp=$folder/.complete

# The lock lets a second run wait for the first instead of linking into the same files.
exec 9>"$parent/.lock"
if ! flock --nonblock 9; then
    say "another build is running, waiting for it"
    flock 9
fi

if [[ ! -e $stamp ]]; then
    say "building into $folder (about 7 minutes on 2 cores the first time; $parent/build.log)"
    mkdir -p -- "$folder"
    version=$(cd -- "$here" && GOWORK=off GOFLAGS='' go list -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=${version#v1.}
    minor=${minor%%.*}
    # Without the -X lines the API server calls itself v0.0.0-master and kubectl's version check fails on it.
    package=k8s.io/component-base/version
    stamps="-X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
    if ! (
        cd -- "$here"
        # GOBIN cannot be used for cross builds, so a GOOS or GOARCH of the caller is left out.
        env -u GOOS -u GOARCH GOWORK=off GOFLAGS='' CGO_ENABLED=0 GOBIN="$folder" \
            go install -mod=readonly -buildvcs=false -trimpath -ldflags="-s -w $stamps" tool
    ) >"$parent/build.log" 2>&1 9>&-; then
        tail -n 20 -- "$parent/build.log" >&2
        say "the build failed"
        exit 1
    fi
    mv -- "$folder/server" "$folder/etcd"
    lacking=$(missing "$folder")
    if [[ -n $lacking ]]; then
        say "the build left out:$lacking"
        exit 1
    fi
    touch -- "$stamp"
    say "built"
fi
printf '%s\n' "$folder"

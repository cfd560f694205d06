# Sourced by the scripts beside it: where things are.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
services=$repo/.services
definitions=$repo/tests/services

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

need() {
    command -v "$1" >/dev/null || fail "$1 is missing: install $2"
}

# What the benchmarks have in common. To be sourced.

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$repository/.build-static/benchmarks
minivmm=$repository/.build-static/release/minivmm

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# The C compiler: the system's, or the one that every Swift toolchain brings.
compiler() {
    command -v cc || command -v clang || {
        local swift
        swift=$(readlink -f "$(command -v swift)")
        [[ -x ${swift%/*}/clang ]] && echo "${swift%/*}/clang"
    } || die "no C compiler: neither cc nor clang"
}

# compile NAME OPTION...: a C program of this folder, or a library if the name ends in .so.
compile() {
    local name=$1
    shift
    mkdir -p "$work"
    "$(compiler)" -O2 -Wall -Wextra "$@" -o "$work/$name" "$repository/Benchmarks/${name%.so}.c"
}

# build_minivmm FOLDER OPTION...: a release build in a folder of its own.
build_minivmm() {
    local scratch=$1
    shift
    swift build --package-path "$repository" --scratch-path "$scratch" -c release --static-swift-stdlib "$@" \
        --product minivmm >&2
}

# describe_host NAME VALUE...: the host, and what else is to be said.
describe_host() {
    local modules
    modules=$(cd /sys/module && echo kvm_* | tr ' ' '\n' | grep -v '\*' | paste -sd ' ' || true)
    printf '%-10s %s\n' date "$(date -u +%Y-%m-%d)" kernel "$(uname -sr)" \
        KVM "${modules:-built in}" processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
        CPUs "$(nproc)" load "$(cut -d ' ' -f 1-3 /proc/loadavg)" "$@"
}

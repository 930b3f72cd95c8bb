#!/bin/bash
# Makes the base image without a registry: debootstrap from the Debian source this machine's apt is configured with,
# pruned, then `docker import`. Does nothing when the image is there already.
#
# usage: docker/make-base-image.sh [--force]
#   SWE_SRL_BASE_IMAGE   tag to make (default swe-srl-base:bookworm)
#   SWE_SRL_BASE_SUITE   Debian suite (default bookworm)
#   SWE_SRL_BASE_SOURCE  Debian source, when apt names none for that suite
#   SWE_SRL_BASE_ENGINE  docker (default) or podman
set -euo pipefail

engine=${SWE_SRL_BASE_ENGINE:-docker}
image=${SWE_SRL_BASE_IMAGE:-swe-srl-base:bookworm}
suite=${SWE_SRL_BASE_SUITE:-bookworm}
packages=python3,python3-venv,python3-pip,git,procps,patch,ca-certificates

fail() { echo "make-base-image: $1" >&2; exit "${2:-1}"; }

case $engine in docker | podman) ;; *) fail "SWE_SRL_BASE_ENGINE is docker or podman, not $engine" ;; esac
command -v "$engine" >/dev/null || fail "no $engine client: install it (Debian: docker.io, podman)"
"$engine" info >/dev/null 2>&1 || fail "no $engine engine answers: start it (as root: 'dockerd &'), or join the docker group"
if [ "${1:-}" != --force ] && "$engine" image inspect "$image" >/dev/null 2>&1; then
    echo "$image is there already (--force makes it anew)"
    exit 0
fi
command -v debootstrap >/dev/null || fail "no debootstrap: apt-get install debootstrap"
[ "$(id -u)" = 0 ] || fail "debootstrap needs root: run this script with sudo"

source_of_suite() {
    # The indexes apt knows ("Created-By Codename Repository"), then what its source lists say before the first update.
    apt-get indextargets --format '$(CREATED_BY) $(CODENAME) $(REPO_URI)' 2>/dev/null |
        awk -v suite="$suite" '$1 == "Packages" && $2 == suite { print $3; exit }'
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null || true; } |
        sed 's/\[[^]]*\]//' | awk '$1 == "URIs:" { print $2 } $1 == "deb" { print $2 }' | grep '/debian/*$' || true
}
mirror=${SWE_SRL_BASE_SOURCE:-$(source_of_suite | sed -n 1p)}
[ -n "$mirror" ] || fail "apt names no source for Debian $suite: set SWE_SRL_BASE_SOURCE"
for scheme in http https; do
    proxy=$(apt-config shell PROXY "Acquire::$scheme::Proxy" 2>/dev/null | sed -n "s/^PROXY='\(.*\)'$/\1/p")
    [ -z "$proxy" ] || [ "$proxy" = DIRECT ] || export "${scheme}_proxy=$proxy"
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/swe-srl-base.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
echo "bootstrapping Debian $suite into $image (about 90 s) …"
debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$work/log" 2>&1 ||
    { tail -n 20 "$work/log" >&2; fail "debootstrap failed"; }

# Nothing of the build machine stays inside, and nothing a test run does not need.
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/tmp/* \
    "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* \
    "$root"/var/cache/debconf/*-old "$root"/var/lib/dpkg/*-old "$root"/etc/apt/sources.list
rm -f "$root/etc/hostname" "$root/etc/resolv.conf" "$root/etc/machine-id"
touch "$root/etc/machine-id"

raw=$(tar --numeric-owner --one-file-system -C "$root" -c . | "$engine" import \
    --message "Debian $suite with Python and git, made by swe-srl" -)
# STOPSIGNAL, so that `docker stop` of a process that ignores SIGTERM takes no ten seconds; `docker import` cannot set it.
DOCKER_BUILDKIT=0 "$engine" build --quiet --network none --tag "$image" - >/dev/null 2>"$work/log" <<DOCKERFILE ||
FROM $raw
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
LABEL swe-srl.image=base
STOPSIGNAL SIGKILL
CMD ["/bin/bash"]
DOCKERFILE
    { cat "$work/log" >&2; fail "docker build of the image's settings failed"; }
"$engine" image inspect --format "$image: {{.Id}}, {{.Size}} bytes" "$image"

#!/usr/bin/env bash
# Checks that a Vulkan driver can draw: the simulator renders every image through Vulkan, on a GPU or in software.
# Draws one image; if that fails and apt is available, installs Mesa's software driver and tries again.
#
#   bash scripts/vulkan.sh .venv/bin/python
#
# Software Vulkan needs Mesa 24 or newer (older ones crash or fail here). Debian 12 has it only in its backports.
set -euo pipefail

python=${1:?usage: vulkan.sh PYTHON}
PACKAGES=(mesa-vulkan-drivers libvulkan1 libgl1 libegl1 libglib2.0-0 libx11-6)

say() { printf '[vulkan] %s\n' "$*"; }
fail() {
  printf '[vulkan] error: %s\n' "$*" >&2
  exit 1
}

# Draws in a separate process, because a broken driver ends its process; without DISPLAY, because no window is needed.
report=$(mktemp)
trap 'rm -f "$report"' EXIT
draws() { timeout 120 env -u DISPLAY "$python" -m rlvla_sim.vulkan_probe >"$report" 2>&1; }

as_root() {
  if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo -n "$@"; fi
}
can_install() {
  command -v apt-get >/dev/null && as_root true 2>/dev/null
}
apt() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$report" 2>&1 ||
    { tail -n 5 "$report" >&2; fail "apt-get $1 failed: mend it (the lines above), then call again"; }
}

# Adds Debian 12's backports from the mirror and with the key that this machine uses for the release itself.
add_backports() {
  local uri key
  # shellcheck disable=SC2016  # apt's own placeholders
  uri=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 == "bookworm" && !seen++ { print $1 }')
  [[ -n $uri ]] || fail "apt has no source for Debian bookworm: add one and call again"
  key=/usr/share/keyrings/debian-archive-keyring.gpg
  say "adding bookworm-backports from $uri to apt's sources"
  printf 'Types: deb\nURIs: %s\nSuites: bookworm-backports\nComponents: main\nSigned-By: %s\n' "$uri" "$key" |
    as_root tee /etc/apt/sources.list.d/rlvla-backports.sources >/dev/null
  apt update
}

install_mesa() {
  local release=() id='' codename=''
  # shellcheck source=/dev/null
  id=$(. /etc/os-release && printf '%s' "${ID:-}")
  # shellcheck source=/dev/null
  codename=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  apt update
  if [[ $id == debian && $codename == bookworm ]]; then
    [[ $(apt-cache policy) == *n=bookworm-backports* ]] || add_backports
    release=(-t bookworm-backports)
  fi
  apt install -y --no-install-recommends ${release[@]+"${release[@]}"} "${PACKAGES[@]}"
}

say "drawing one image (up to 20 s)"
if draws; then
  say "works: $(tail -n 1 "$report")"
  exit 0
fi
say "no working Vulkan device: $(grep -v '^ *$' "$report" | tail -n 1)"
advice="install a GPU driver with Vulkan, or Mesa 24 or newer (packages: ${PACKAGES[*]}; on Debian 12 from bookworm-backports), then call again"
can_install || fail "this needs an administrator: $advice"
say "installing Mesa's software driver with apt: about 1 minute"
install_mesa
draws || fail "still no image ($(grep -v '^ *$' "$report" | tail -n 1)): $advice"
say "works: $(tail -n 1 "$report")"

#!/bin/sh
# Installs the Debian packages that some tests need. `make test` runs it; it may run as often as you like.
# Without root or sudo (that asks no password), or on a system without apt-get, it installs nothing and says, one line a
# package, which tests are skipped. With CI=true that is an error, because CI skips none.
set -eu

# command:package:what is skipped without it. Add a line to add a package.
NEEDED='
promtool:prometheus:tests/deploy does not run the alert rules and the dashboard against a real Prometheus
faketime:faketime:tests/faults does not let the clock of a worker jump
chromium:chromium:tests/test_report_in_browser.py does not look at the report in a browser
'

missing=
for line in $(printf '%s' "$NEEDED" | tr ' ' '~'); do
  command -v "${line%%:*}" >/dev/null 2>&1 || missing="$missing $line"
done
[ -n "$missing" ] || exit 0

as_root=
why=
if ! command -v apt-get >/dev/null 2>&1; then
  why='this system has no apt-get'
elif [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then as_root=sudo; else why='neither root nor sudo without a password'; fi
fi

if [ -n "$why" ]; then
  for line in $missing; do
    rest=${line#*:}
    printf 'SKIPPED: %s (Debian package %s is missing: %s)\n' "$(printf '%s' "${rest#*:}" | tr '~' ' ')" "${rest%%:*}" "$why" >&2
  done
  [ "${CI:-}" = true ] && exit 1
  exit 0
fi

packages=$(for line in $missing; do rest=${line#*:}; echo "${rest%%:*}"; done | sort -u)

# Debian starts a service when it is installed. The tests bring up their own on a free port, so forbid that for this run, and
# afterwards forbid the start at boot. A policy that is already there is the administrator's: it stays.
policy=/usr/sbin/policy-rc.d
made_policy=
remove_policy() { [ -z "$made_policy" ] || $as_root rm -f "$policy"; }
trap remove_policy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
  made_policy=yes
  printf '#!/bin/sh\n# for the time of touchstream/deploy/install-debian-packages.sh: start no service\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
fi

echo "Installing for the tests:" $packages >&2
log=$(mktemp)
if ! { $as_root apt-get -q update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends $packages; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  rm -f "$log"
  echo "apt-get could not install them (above); install them by hand: apt-get install --no-install-recommends" $packages >&2
  exit 1
fi
rm -f "$log"

if command -v systemctl >/dev/null 2>&1; then
  for unit in prometheus.service prometheus-node-exporter.service; do
    if $as_root systemctl is-enabled --quiet "$unit" 2>/dev/null; then $as_root systemctl --quiet disable "$unit"; fi
  done
fi

#!/usr/bin/env bash
# Relaunches Conforma sites, each behind a closed door: closes the site, has launch.mjs relaunch it, waits until the
# application is healthy, and opens.
#
#   launch.sh [--eta WHEN] [--message TEXT] [--open] SITE...
#
# A site that was closed already stays closed, unless --open is given. What fails leaves its site closed, says how to go
# on, and leaves the sites after it alone. The image is pulled before anything is closed. See README.md beside it.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$here/common.sh"

if [ "${1:-}" = --inside ]; then # within the closed window
	launched "$2"
	exit
fi
parse "launch_conforma [--eta WHEN] [--message TEXT] [--open] SITE..." "$@"

script launch.mjs
script docker-compose.yml
repository=$(sed -nE "s/^ *image: *['\"]?([^'\"]+):\\\$\{TAG\}['\"]? *\$/\\1/p" "$CONFORMA_DIR/docker-compose.yml" | head -n 1)
for site in "${words[@]}"; do
	check "$site"
	[ -n "$repository" ] || continue
	image=$repository:$(given TAG "$site")
	docker image inspect "$image" >/dev/null 2>&1 || docker pull "$image" || fail "can't get the image $image; nothing was closed" "is the TAG right?"
done
for site in "${words[@]}"; do
	closed_while "$site" 10m "$here/launch.sh" --inside "$site"
done

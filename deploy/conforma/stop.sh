#!/usr/bin/env bash
# Stops Conforma sites that are closed first, and stay closed.
#
#   stop.sh [--eta WHEN] [--message TEXT] SITE...
#
# See README.md beside it.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$here/common.sh"

parse "stop_conforma [--eta WHEN] [--message TEXT] SITE..." "$@"

script stop.mjs
for site in "${words[@]}"; do
	check "$site"
done
for site in "${words[@]}"; do
	code=0
	conforma-status set offline --site "$site" --reason "$self" "${announce[@]}" || code=$?
	[ $code = 0 ] || [ $code = 3 ] || fail "$site was not stopped: something may still be writing" "see what is left: conforma-status get --site $site" $code
	name=$(project "$site")
	heed "DONE: Successfully stopped $name" node "$CONFORMA_DIR/stop.mjs" "$site" ||
		fail "stop.mjs did not stop $name; $site stays closed" "see what it said; then try again, or go back with: launch_conforma --open $site"
	echo "$self: $site is stopped and stays closed; start and open it with: launch_conforma --open $site" >&2
done

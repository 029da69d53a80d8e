#!/usr/bin/env bash
# Pushes a local store to the maintenance server, until what is there is what is here.
#
#   push.sh DIRECTORY [USER@HOST:]DIRECTORY [RSYNC OPTION]...
#
# Each file is replaced by rename, all of them at the end; what lies at the other side besides stays. It can't tell conforma-status
# that it failed: systemd does, and conforma-status doctor looks from outside. See README.md beside it.
set -euo pipefail
[ $# -ge 2 ] || {
	echo "usage: push.sh DIRECTORY [USER@HOST:]DIRECTORY [RSYNC OPTION]..." >&2
	exit 2
}
from=${1%/} to=${2%/}
shift 2
versions() { find "$from" -ignore_readdir_race -name '.*' -prune -o -type f -printf '%p %i %T@ %s\n' | sort; }

[ -d "$from" ] || {
	echo "push.sh: there is no directory $from" >&2
	exit 1
}
while :; do
	before=$(versions)
	rsync -rt --delay-updates --exclude='.*' --chmod=D755,F644 --timeout=10 "$@" "$from/" "$to/" || [ $? = 24 ] # a file went while it ran
	[ "$(versions)" != "$before" ] || break # a change on the way may have been missed
done

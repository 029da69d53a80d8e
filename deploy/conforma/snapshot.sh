#!/usr/bin/env bash
# Takes and loads snapshots of a Conforma site while nothing can be written.
#
#   snapshot.sh take [--eta WHEN] [--message TEXT] [--open] [--backup] SITE [NAME]
#   snapshot.sh load [--eta WHEN] [--message TEXT] [--open] SITE SNAPSHOT
#   snapshot.sh list SITE
#
# "take" closes the site, has Conforma take a snapshot, looks whether it is whole, puts beside it since when the site was
# closed and safe (conforma-status.json), and opens. --backup puts a copy into BACKUPS_FOLDER, encrypted as Conforma's own
# are if there is a BACKUPS_PASSWORD. "load" takes a snapshot of what is there first, loads the one named, restarts the
# application and waits until it is healthy. See README.md beside it.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
# shellcheck source-path=SCRIPTDIR source=common.sh
. "$here/common.sh"
usage="snapshot_conforma take|load|list [--eta WHEN] [--message TEXT] [--open] [--backup] SITE [NAME]"

folder() { # KEY SITE
	local path
	path=$(given "$1" "$2")
	printf '%s\n' "${path/#\~\//$(getent passwd "${SUDO_USER:-$(id -un)}" | cut -d: -f6)/}"
}

# conforma runs Conforma's own snapshot command in the site's container.
conforma() { # SITE take|use NAME
	heed "success: true" docker compose --project-name "$(project "$1")" exec -T app node build/database/snapshotCLI.js "$2" "$3"
}

whole() { [ -s "$1/database.dump" ] && [ -s "$1/info.json" ]; } # FOLDER

# take takes one and prints its name.
take() { # SITE NAME
	local snapshots taken_now
	snapshots=$(folder SNAPSHOTS_FOLDER "$1")
	mark=$(mktemp)
	conforma "$1" take "$2" >&2 || fail "Conforma took no snapshot of $1" "see what it said"
	# Its name has the time at its end.
	taken_now=$(find "$snapshots" -mindepth 1 -maxdepth 1 -type d -name "$2_*" -newer "$mark" -printf '%T@ %f\n' | sort -n | tail -n 1 | cut -d' ' -f2)
	rm -f "$mark"
	[ -n "$taken_now" ] || fail "Conforma says that it took a snapshot, but there is no new $2_... in $snapshots" "is SNAPSHOTS_FOLDER the one that the container has?"
	whole "$snapshots/$taken_now" || fail "the snapshot $taken_now is not whole: database.dump or info.json is missing or empty" "df -h $snapshots"
	view "$1" >"$snapshots/$taken_now/conforma-status.json"
	printf '%s\n' "$taken_now"
}

keep() { # SITE SNAPSHOT
	local to password name=$2.tar.gz
	to=$(folder BACKUPS_FOLDER "$1")
	password=$(setting BACKUPS_PASSWORD "$1")
	umask 077
	if [ -n "$password" ]; then
		name=$name.enc
		tar -C "$(folder SNAPSHOTS_FOLDER "$1")" -czf - "$2" |
			BACKUPS_PASSWORD=$password openssl enc -aes-256-cbc -pbkdf2 -salt -pass env:BACKUPS_PASSWORD >"$to/.$name.tmp"
	else
		tar -C "$(folder SNAPSHOTS_FOLDER "$1")" -czf "$to/.$name.tmp" "$2"
	fi
	mv "$to/.$name.tmp" "$to/$name"
	echo "$self: backed up as $to/$name" >&2
}

case ${1:-} in
--inside-take) # SITE NAME BACKUP
	name=$(take "$2" "$3")
	[ -z "$4" ] || keep "$2" "$name"
	echo "$name"
	exit
	;;
--inside-load) # SITE SNAPSHOT
	before=$(take "$2" before_loading)
	conforma "$2" use "$3" ||
		fail "Conforma did not load $3 into $2" "see what it said; what was there is in: snapshot_conforma load --open $2 $before"
	# What serves has its preferences and its schema from before.
	docker compose --project-name "$(project "$2")" restart app || fail "the application of $2 did not restart" "launch_conforma --open $2"
	healthy "$2"
	echo "$self: $2 has $3; what was there is in $before" >&2
	exit
	;;
take | load | list) what=$1 && shift ;;
*) fail "take, load or list?" "$usage" 2 ;;
esac

parse "$usage" "$@"
[ ${#words[@]} -le 2 ] || fail "one site at a time" "$usage" 2
site=${words[0]} name=${words[1]:-}
check "$site"
snapshots=$(folder SNAPSHOTS_FOLDER "$site")
[ -d "$snapshots" ] || fail "SNAPSHOTS_FOLDER of $site is no directory: $snapshots" "" 2

case $what in
list)
	for each in "$snapshots"/*/; do
		! whole "$each" || basename "$each"
	done
	;;
take)
	name=${name:-$site}
	[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || fail "$name is no name for a snapshot" "letters, digits, _, . and -" 2
	[ -z "$backup" ] || [ -d "$(folder BACKUPS_FOLDER "$site")" ] || fail "BACKUPS_FOLDER of $site is no directory" "" 2
	closed_while "$site" 15m "$here/snapshot.sh" --inside-take "$site" "$name" "$backup"
	;;
load)
	[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || fail "which snapshot?" "snapshot_conforma list $site" 2
	whole "$snapshots/$name" || fail "there is no whole snapshot $name in $snapshots" "snapshot_conforma list $site" 2
	closed_while "$site" 30m "$here/snapshot.sh" --inside-load "$site" "$name"
	;;
esac

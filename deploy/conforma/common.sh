# shellcheck shell=bash disable=SC2034 # words and backup are for those who source it
# What launch.sh, stop.sh and snapshot.sh have in common; they source it.

# The folder with launch.mjs, stop.mjs, default.env and env_files/, of whoever called sudo.
CONFORMA_DIR=${CONFORMA_DIR:-$(getent passwd "${SUDO_USER:-$(id -un)}" | cut -d: -f6)/demo_server}
# How long an application may take until it is healthy: it migrates its database first.
CONFORMA_HEALTH_SECONDS=${CONFORMA_HEALTH_SECONDS:-300}

self=$(basename "$0" .sh)_conforma
words=()    # the arguments that are no options
announce=() # --eta and --message, where they are given
eta=        # --eta's
open=       # not empty: open a site also that was closed already
backup=     # not empty: a copy of the snapshot into BACKUPS_FOLDER

shopt -s inherit_errexit # or a failure within $(...) goes unnoticed

fail() { # WHAT [HINT] [EXIT CODE]
	echo "$self: $1" >&2
	[ -z "${2:-}" ] || echo "hint: $2" >&2
	exit "${3:-1}"
}

parse() { # USAGE ARGUMENT...; the usage names the options that there are
	local usage=$1
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		-*) [[ $usage == *"[$1"[\]\ ]* ]] || fail "no such option: $1" "$usage" 2 ;;
		esac
		case $1 in
		--eta | --message)
			[ $# -ge 2 ] || fail "$1 needs a value" "$usage" 2
			announce+=("$1" "$2")
			[ "$1" = --message ] || eta=$2
			shift
			;;
		--open) open=yes ;;
		--backup) backup=yes ;;
		*) words+=("$1") ;;
		esac
		shift
	done
	[ ${#words[@]} -gt 0 ] || fail "which site?" "$usage" 2
}

# setting prints what a key is set to: in the site's env file or, failing that, in default.env, as launch.mjs reads them.
setting() { # KEY SITE
	local file value
	for file in "$CONFORMA_DIR/env_files/$2.env" "$CONFORMA_DIR/default.env"; do
		[ -r "$file" ] || continue
		value=$(sed -nE "s/^$1=['\"]?(.+)\$/\\1/p" "$file" | tail -n 1)
		value=${value%[\'\"]}
		if [ -n "$value" ]; then
			printf '%s\n' "$value"
			return
		fi
	done
}

# given is setting, but for what launch.mjs takes from the environment first.
given() { # KEY SITE
	if [ -n "${!1:-}" ]; then
		printf '%s\n' "${!1}"
	else
		setting "$1" "$2"
	fi
}

project() { echo "conforma-$1-on-$(setting PORT "$1")"; } # SITE

# view prints what conforma-status knows of a site, as JSON. Drift (5) is what set looks after. What it says to people is
# shown only where it failed.
view() { # SITE
	local said code=0
	said=$(mktemp)
	conforma-status get --json --site "$1" 2>"$said" || code=$?
	[ $code != 5 ] || code=0
	[ $code = 0 ] || cat "$said" >&2
	rm -f "$said"
	return $code
}

mode_of() { # SITE
	local json
	json=$(view "$1") || exit
	node -pe 'JSON.parse(require("fs").readFileSync(0)).sites[0].mode' <<<"$json"
}

# check finds out, before anything is closed, what would keep it closed: launch.mjs skips a site that misses something, and
# exits with 0 all the same.
check() { # SITE
	[[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9_.-]*$ ]] || fail "$1 is no name of a site" "" 2
	local file=$CONFORMA_DIR/env_files/$1.env tool key
	for tool in conforma-status node docker curl; do
		command -v $tool >/dev/null || fail "$tool is not on the PATH" "" 2
	done
	[ -e "$file" ] || fail "there is no $file" "the site is called as its env file and in conforma-status's configuration; CONFORMA_DIR names the folder" 2
	[ -r "$file" ] || fail "can't read $file" "run it with sudo -E" 2
	for key in PORT WEB_HOST; do
		[ -n "$(setting $key "$1")" ] || fail "$key is in neither $file nor default.env" "" 2
	done
	[[ $(setting PORT "$1") =~ ^[0-9]+$ ]] || fail "PORT in $file is no number" "" 2
	for key in TAG BACKUPS_FOLDER SNAPSHOTS_FOLDER; do
		[ -n "$(given $key "$1")" ] || fail "$key is neither set nor in $file or default.env" "export $key=..., or add it to $file" 2
	done
	[ -n "$(given JWT_SECRET "$1")" ] ||
		echo "$self: warning: $1 has no JWT_SECRET: each launch makes up another one, which signs everybody out and which the gate doesn't know (conforma-status secret init)" >&2
	mode_of "$1" >/dev/null
}

script() { # NAME
	[ -r "$CONFORMA_DIR/$1" ] || fail "there is no $CONFORMA_DIR/$1" "CONFORMA_DIR names the folder" 2
}

# closed_while runs a command while the site is closed, and opens it if the command succeeded. A site that was closed
# already belongs to whoever closed it: it stays closed, unless --open is given.
closed_while() { # SITE ETA COMMAND...
	local site=$1 usual=(--eta "$2") code=0 mode
	shift 2
	mode=$(mode_of "$site")
	if [ "$mode" = online ]; then
		[ -z "$eta" ] || usual=()
		conforma-status run --mode offline --site "$site" --reason "$self" "${announce[@]}" "${usual[@]}" -- "$@" || code=$?
		if [ $code != 0 ]; then
			mode=$(mode_of "$site")
			[ "$mode" = online ] || fail "$site is closed ($mode) and stays so" "once it is as it should be: conforma-status set online --site $site" $code
			fail "$site is open" "see above what came in between; conforma-status history --site $site" $code
		fi
		return
	fi
	conforma-status set offline --site "$site" --reason "$self" "${announce[@]}" || code=$?
	[ $code = 0 ] || [ $code = 3 ] || fail "$site could not be closed so that it is safe; nothing was done" "see what is left: conforma-status get --site $site" $code
	code=0
	"$@" || code=$?
	[ $code = 0 ] || fail "$site is closed ($(mode_of "$site")) and stays so" "once it is as it should be: conforma-status set online --site $site" $code
	if [ -n "$open" ]; then
		conforma-status set online --site "$site" --reason "$self" >&2
		return
	fi
	echo "$self: $site was closed already and stays closed; open it with: conforma-status set online --site $site" >&2
}

# heed runs a command of Conforma's that says in words whether it succeeded, and exits with 0 either way.
heed() { # WORDS COMMAND...
	local log success=$1 code=0
	shift
	log=$(mktemp)
	"$@" 2>&1 | tee "$log" || code=$?
	grep -qF -- "$success" "$log" || code=$((code ? code : 1))
	rm -f "$log"
	return $code
}

# launched has launch.mjs relaunch the site, and waits until the application is healthy. One site at a time: of several
# in one call launch.mjs gives the later ones the first one's folders and secret.
launched() { # SITE
	local name
	name=$(project "$1")
	heed "DONE: Successfully launched $name" node "$CONFORMA_DIR/launch.mjs" "$1" ||
		fail "launch.mjs did not launch $name" "see what it said; then try again: launch_conforma --open $1"
	healthy "$1"
}

healthy() { # SITE
	local port url why deadline=$((SECONDS + CONFORMA_HEALTH_SECONDS))
	port=$(setting PORT "$1")
	url=http://127.0.0.1:$port/server/api/public/get-prefs # which the front end asks for first; it writes nothing
	until why=$(curl -fsS -o /dev/null --max-time 10 "$url" 2>&1); do
		[ $SECONDS -lt $deadline ] ||
			fail "$1 is not healthy after $CONFORMA_HEALTH_SECONDS s: $why" "docker compose --project-name $(project "$1") logs app; then try again: launch_conforma --open $1"
		sleep 0.3
	done
	echo "$self: $1 is healthy" >&2
}

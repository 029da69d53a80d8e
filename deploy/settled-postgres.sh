#!/bin/sh
# A site's "settled" command for an application on PostgreSQL, such as Conforma: exits 0 if PostgreSQL runs no
# transaction that could still write to the application's database. Its arguments are the command that runs psql, to
# which psql's options and, on standard input, the question are added:
#
#   settled = ["/usr/share/conforma-status/settled-postgres.sh",
#              "docker", "exec", "-i", "conforma-demo-on-8000-app-1", "psql", "-U", "postgres", "tmf_app_manager"]
#
# That is the container of the service "app" in the Compose project "conforma-demo-on-8000", which Conforma's launch.mjs
# makes for demo.env with PORT=8000; "docker ps" lists the names. "docker exec" needs its -i, and psql the database's name: it is the sessions of this database that count. The role has
# to be a superuser, the application's own or a member of pg_read_all_stats. No password belongs in the arguments.
#
# Exits 0 when there is none; 1 when there are some, saying how many and what the oldest is doing, but no statement's
# text, which can hold anything; 2 when PostgreSQL could not be asked or can't tell. It answers within 7 seconds.
#
# It speaks for PostgreSQL: an application that uses several transactions for one request may be between two of them. So
# it looks twice, 50 ms apart. For one that may stay there longer than that, it is not enough.
set -u

unknown() {
	echo "settled-postgres: can't tell whether PostgreSQL is idle: $1" >&2
	exit 2
}

[ $# -gt 0 ] || unknown "usage: settled-postgres.sh PSQL [ARGUMENT]..."

# PGCONNECT_TIMEOUT doesn't get through "docker exec", and nothing in psql bounds what comes before it: timeout does.
# The sessions are asked for before the prepared transactions, since a transaction that is being prepared goes from the
# one view to the other. Who may not see a session gets nulls for it, and a session that isn't tracked says "disabled"
# (PostgreSQL, "The Cumulative Statistics System"). What isn't a client (a logical replication worker, a scheduler)
# counts while it is in a transaction. A parallel worker is part of its leader's.
question=$(cat <<'SQL'
SELECT CASE
    WHEN backend_type IS NULL THEN '?hidden'
    WHEN state = 'disabled' THEN '?untracked'
    ELSE trunc(extract(epoch FROM clock_timestamp() - coalesce(xact_start, query_start, backend_start)))
      || ' s, ' || coalesce(state, backend_type) END
  FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND (backend_type IS NULL OR backend_type NOT IN ('autovacuum worker', 'walsender', 'parallel worker'))
    AND (backend_type IS NULL OR xact_start IS NOT NULL
      OR backend_type = 'client backend' AND state IS DISTINCT FROM 'idle');
SELECT trunc(extract(epoch FROM clock_timestamp() - prepared)) || ' s, prepared'
  FROM pg_prepared_xacts WHERE database = current_database();
SQL
)
answer=$(PGCONNECT_TIMEOUT=3 timeout -k 1 6 "$@" -X -w -q -A -t -v ON_ERROR_STOP=1 <<SQL
SET search_path = pg_catalog;
SET statement_timeout = '3s';
SELECT '?standby' WHERE pg_is_in_recovery();
$question
SELECT 'again' FROM pg_sleep(0.05);
$question
SELECT 'asked';
SQL
)
code=$?
case $code in
0) ;;
124 | 137) unknown "no answer within 6 seconds" ;;
*) unknown "the command failed with exit code $code" ;;
esac

case $answer in
again?asked) exit 0 ;; # a line each
*'?standby'*) unknown "this is a standby, which doesn't see its primary's transactions" ;;
*'?hidden'*) unknown "sessions of other roles are hidden from this one: grant it pg_read_all_stats" ;;
*'?untracked'*) unknown "a session has track_activities off" ;;
*again*asked) ;;
*) unknown "no whole answer came back (docker exec needs its -i)" ;;
esac

# What the second look found, or else the first.
busy=$(printf '%s\n' "${answer#*again}" | grep ' s, ') || busy=$(printf '%s\n' "${answer%%again*}" | grep ' s, ')
count=$(printf '%s\n' "$busy" | wc -l)
oldest=$(printf '%s\n' "$busy" | sort -rn | head -n 1)
echo "settled-postgres: transactions not finished: $count, the oldest for $oldest" >&2
exit 1

#!/bin/sh
# Tells people, and an uptime monitor, what happens to a site: an on_change command.
#
#   on_change = ["timeout", "60", "/usr/share/conforma-status/tell.sh", "slack", "/etc/conforma-status/slack.curl"]
#
#   tell.sh slack FILE       FILE has the line  url = "https://hooks.slack.com/services/…"  for curl
#   tell.sh teams FILE       likewise, of a workflow that posts what a webhook receives
#   tell.sh mail ADDRESS     by sendmail(8), which Postfix, Exim and msmtp-mta bring
#   tell.sh monitor PAUSE RESUME   two files with the curl options that pause an uptime monitor, and have it go on
#
# The files hold secrets: nobody but root may read them (chmod 600). Curl reads them itself: nothing of them is in ps.
set -eu

usage() {
	echo "usage: tell.sh slack FILE | teams FILE | mail ADDRESS | monitor PAUSE RESUME" >&2
	exit 2
}

# The event is a line of JSON. Its times hold nothing that has to be escaped.
event=$(head -c 65536)
eta=$(printf %s "$event" | sed -n 's/.*"expectedUntil":"\([0-9TZ:.-]*\)".*/\1/p')

what=${CONFORMA_STATUS_TYPE:-${CONFORMA_STATUS_EVENT:-}}
site=${CONFORMA_STATUS_SITE:-}
until=${eta:+, until $eta}
case $what in
closed) text="$site is closed for maintenance$until." ;;
admin) text="$site lets administrators in$until." ;;
extended) text="$site stays closed${eta:+ until $eta}." ;;
opened) text="$site is open again." ;;
overdue) text="$site is still closed, though its end was announced for $eta." ;;
scheduled | moved) text="A maintenance of $site is $what${eta:+; it ends $eta}." ;;
cancelled) text="A maintenance of $site is cancelled." ;;
missed) text="A MAINTENANCE OF $site DID NOT BEGIN IN TIME." ;;
unsafe) text="A MAINTENANCE OF $site HAS BEGUN, AND IT IS NOT SAFE TO WORK ON IT: see conforma-status get." ;;
*) exit 0 ;; # nothing came of it
esac

post() { # FILE, the body on standard input
	curl -fsS --max-time 30 -K "$1" -H "Content-Type: application/json" --data-binary @-
}

# Only letters, digits, - and _ are in a site's name: the text needs no escaping.
case ${1:-}${2:+ } in
"slack ") printf '{"text":"%s"}' "$text" | post "$2" ;;
"teams ")
	card='{"type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlock","wrap":true,"text":"%s"}]}'
	# shellcheck disable=SC2059 # the card is the format
	printf '{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","content":'"$card"'}]}' "$text" | post "$2"
	;;
"mail ") printf 'To: %s\nSubject: %s\n\n%s\n' "$2" "$text" "$text" | PATH=$PATH:/usr/sbin sendmail -t ;;
"monitor ")
	[ $# = 3 ] || usage
	case $what in
	closed | admin) curl -fsS --max-time 30 -K "$2" ;;
	opened) curl -fsS --max-time 30 -K "$3" ;;
	esac
	;;
*) usage ;;
esac

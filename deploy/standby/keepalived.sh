#!/bin/bash
# keepalived.sh [--dry-run] host|standby ADDRESS/LENGTH INTERFACE CHECK
#
# Has keepalived(8) move an address between the host and the machine that answers for it: the host has it while nginx answers
# there at the URL CHECK, else the standby has it. Run it on both. VRRP_ID, 1 to 255 (51), is that of the pair in its network.
# --dry-run prints what would be written, and changes nothing.
set -euo pipefail

conf=${KEEPALIVED_CONF:-/etc/keepalived/keepalived.conf}
first='# conforma-status: written by keepalived.sh, which replaces it.'
usage='keepalived.sh [--dry-run] host|standby ADDRESS/LENGTH INTERFACE CHECK'

fail() { # WHAT [EXIT CODE]
	echo "keepalived.sh: $1" >&2
	exit "${2:-1}"
}

dry=
if [ "${1-}" = --dry-run ]; then
	dry=yes
	shift
fi
[ $# -eq 4 ] || fail "the call is: $usage" 2
role=$1 address=$2 interface=$3 check=$4 id=${VRRP_ID:-51}
case $role in
host) state=MASTER priority=150 ;;
standby) state=BACKUP priority=100 ;;
*) fail "$role is neither host nor standby: $usage" 2 ;;
esac
[[ $address =~ ^[0-9a-fA-F.:]+/[0-9]{1,3}$ ]] || fail "$address is no address with its length, like 192.0.2.10/24" 2
[[ $interface =~ ^[A-Za-z0-9._-]{1,15}$ ]] || fail "$interface is no network interface" 2
[[ $check =~ ^https?://[A-Za-z0-9._~:/?=%@,+-]+$ ]] || fail "$check is no http or https URL" 2
[[ $id =~ ^[0-9]{1,3}$ && $id -ge 1 && $id -le 255 ]] || fail "VRRP_ID is $id, want 1 to 255" 2

# The host's weight takes it below the standby where its nginx doesn't answer. Where neither answers the host has the address. The
# standby's question for the status has its nginx fetch it, so that there is a copy when the store is away.
weight=-60
[ "$role" = host ] || weight=-20
text="$first
global_defs {
    enable_script_security
    script_user nobody
}
vrrp_script answers {
    script \"/usr/bin/curl -fsSk -o /dev/null --max-time 2 $check\"
    interval 2
    fall 2
    rise 2
    weight $weight
}
vrrp_instance conforma_status {
    state $state
    interface $interface
    virtual_router_id $id
    priority $priority
    advert_int 1
    virtual_ipaddress {
        $address
    }
    track_script {
        answers
    }
}"

if [ -n "$dry" ]; then
	echo "would write $conf:"
	echo "$text"
	echo "and then: systemctl reload-or-restart keepalived"
	exit
fi
if [ -e "$conf" ] && [ "$(head -n 1 "$conf")" != "$first" ]; then
	fail "$conf is somebody else's: add what --dry-run prints to it by hand"
fi
command -v keepalived >/dev/null || fail "keepalived is not installed: apt install keepalived"
ip link show dev "$interface" >/dev/null 2>&1 || fail "there is no network interface $interface"
mkdir -p "${conf%/*}"
new=$(mktemp "$conf.XXXXXX")
trap 'rm -f "$new" "$new.log"' EXIT
printf '%s\n' "$text" >"$new"
chmod 644 "$new"
# By what it says: after a test that went well 2.2.7 ends itself with SIGTERM.
(keepalived --config-test="$new.log" --use-file "$new" || true) >/dev/null 2>&1
[ ! -s "$new.log" ] || fail "keepalived refuses it: $(cat "$new.log")"
mv "$new" "$conf"
echo "wrote $conf"
systemctl reload-or-restart keepalived

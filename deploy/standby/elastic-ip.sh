#!/bin/bash
# elastic-ip.sh [--dry-run] ALLOCATION INSTANCE
#
# Moves an elastic IP address of Amazon's, by its allocation (eipalloc-…), to an instance (i-…): the standby before the host is switched
# off, the host once it is back. Run it wherever the AWS CLI may do ec2:AssociateAddress and ec2:DescribeAddresses.
# --dry-run asks Amazon whether it would be allowed, and changes nothing.
set -euo pipefail

usage='elastic-ip.sh [--dry-run] eipalloc-… i-…'

fail() { # WHAT [EXIT CODE]
	echo "elastic-ip.sh: $1" >&2
	exit "${2:-1}"
}

dry=
if [ "${1-}" = --dry-run ]; then
	dry=yes
	shift
fi
[ $# -eq 2 ] || fail "the call is: $usage" 2
allocation=$1 instance=$2
[[ $allocation =~ ^eipalloc-[0-9a-f]+$ ]] || fail "$allocation is no allocation of an address: $usage" 2
[[ $instance =~ ^i-[0-9a-f]+$ ]] || fail "$instance is no instance: $usage" 2
command -v aws >/dev/null || fail "the AWS CLI is not installed"

where() { # prints the address, and the instance that has it
	aws ec2 describe-addresses --allocation-ids "$allocation" --query 'Addresses[0].[PublicIp,InstanceId]' --output text
}

read -r address holder < <(where) || true
[ -n "${address-}" ] || fail "where $allocation is can't be found out"
if [ "$holder" = "$instance" ]; then
	echo "$address is at $instance already"
	exit
fi
move=(aws ec2 associate-address --allocation-id "$allocation" --instance-id "$instance" --allow-reassociation)
if [ -n "$dry" ]; then
	# With --dry-run an answer is always an error: DryRunOperation where it would be done.
	said=$("${move[@]}" --dry-run 2>&1) || true
	[[ $said == *DryRunOperation* ]] || fail "moving $address is not allowed: $said"
	echo "would move $address from $holder to $instance"
	exit
fi
"${move[@]}" >/dev/null || fail "$address stays at $holder"
for _ in {1..30}; do
	read -r address holder < <(where) || true
	if [ "${holder-}" = "$instance" ]; then
		echo "$address is at $instance"
		exit
	fi
	sleep 1
done
fail "$address is not seen at $instance yet"

# shellcheck shell=bash
# The aliases of Conforma's Server-Upgrade-Guide, which close a site before they touch it. In ~/.bashrc, in place of those:
#
#   . /usr/share/conforma-status/conforma/aliases.sh
#
# sudo, because the env files are root's; -E, so that an exported TAG gets through.
alias launch_conforma='sudo -E /usr/share/conforma-status/conforma/launch.sh'
alias stop_conforma='sudo -E /usr/share/conforma-status/conforma/stop.sh'
alias snapshot_conforma='sudo -E /usr/share/conforma-status/conforma/snapshot.sh'

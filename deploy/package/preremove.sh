#!/bin/sh
# Stops the service when the package goes for good, and not when a new version takes its place.
set -e
[ -z "$DPKG_ROOT" ] || exit 0
case "$1" in
upgrade | 1) exit 0 ;; # dpkg says "upgrade", rpm how many will be left
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now coze-token.service
fi

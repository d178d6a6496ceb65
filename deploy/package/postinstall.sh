#!/bin/sh
# Makes the user that the service runs as. A running service goes on with the new program.
set -e
[ -z "$DPKG_ROOT" ] || exit 0
if ! getent passwd coze-token >/dev/null; then
	useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin coze-token
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	systemctl try-restart coze-token.service
fi

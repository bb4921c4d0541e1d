#!/bin/bash
# Of an image: whether this container's daemon is well, by GET /health at SLUICE_HEALTH (host:port; 127.0.0.1:9101).
# bash speaks TCP, so the image needs no HTTP client.
set -eu
at=${SLUICE_HEALTH:-127.0.0.1:9101}
exec 3<>"/dev/tcp/${at%:*}/${at##*:}"
printf 'GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$at" >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]

#!/bin/sh
# Runs beside nginx, with the flags that it was started with: has it read renewed files. A reload that
# comes amid a renewal fails or is repeated; nginx continues with what it has.
link="$NOCREDS_TLS_DIR/..data"
seen=$(readlink "$link")
while sleep "${EVERY_SECONDS:-60}"; do
  now=$(readlink "$link")
  if [ "$now" != "$seen" ] && nginx "$@" -t -q && nginx "$@" -s reload; then seen=$now; fi
done

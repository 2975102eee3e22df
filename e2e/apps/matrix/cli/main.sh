#!/bin/sh
# See ../README.md. The aws command finds S3 with path style, as it does for any endpoint of its own.
set -eu
# By web-identity the CLI keeps the credentials it got below HOME, which is / for a uid without a name.
export HOME=/tmp
export PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1
aws() { python3 /app/bin/aws "$@"; }

version=$(aws --version | sed 's/^aws-cli.\([^ ]*\).*/\1/')
arn=$(aws sts get-caller-identity --query Arn --output text)
printf hello >/tmp/sent
aws s3api put-object --bucket "$BUCKET" --key key --body /tmp/sent >/dev/null
aws s3api get-object --bucket "$BUCKET" --key key /tmp/got >/dev/null
if refused=$(aws s3api put-object --bucket "$OTHER_BUCKET" --key key --body /tmp/sent 2>&1); then
  refused=granted
else
  refused=$(printf '%s' "$refused" | sed -n 's/.*An error occurred (\([A-Za-z]*\)).*/\1/p')
fi
printf '{"version":"%s","arn":"%s","got":"%s","refused":"%s"}\n' "$version" "$arn" "$(cat /tmp/got)" "$refused"

#!/bin/sh
# Copies programs of a Debian file system, with the libraries that they load, into another tree.
#
# copy-programs.sh ROOT TREE PATH...
set -eu
root=$1 tree=$2
shift 2
for path; do
  for file in "$path" $(chroot "$root" ldd "$path" | grep -o '/[^ ]*'); do
    mkdir -p "$tree$(dirname "$file")"
    cp -L "$root$file" "$tree$file"
  done
done

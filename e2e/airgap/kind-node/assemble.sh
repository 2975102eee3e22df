#!/bin/bash
# Puts together the file system of a kind node, as kind's own base and node images are made: kind's files
# on Debian, the programs, and the images that kubeadm asks for already in containerd.
#
# assemble.sh ROOT KIND_FILES PROGRAMS IMAGES PAUSE VERSION
#   ROOT        Debian's file system, changed in place
#   KIND_FILES  images/base/files of kind's source
#   PROGRAMS    folders of programs, separated by colons
#   IMAGES      archive of images, as docker save writes it
#   PAUSE       name of the sandbox image
#   VERSION     of Kubernetes, such as v1.37.2
set -euo pipefail
root=$1 kind_files=$2 programs=$3 images=$4 pause=$5 version=$6
here=$(dirname "$0")

program() { # path of a program
  echo "$programs" | tr : '\n' | while read -r folder; do
    if [ -e "$folder/$1" ]; then echo "$folder/$1"; fi
  done
}

cp -r "$kind_files/." "$root/"
chmod -R u+w "$root/kind" "$root/etc"
chmod 755 "$root/kind" "$root"/kind/bin/* "$root/usr/local/bin/entrypoint"
for name in kubelet kubeadm kubectl; do install -m 755 "$(program $name)" "$root/usr/bin/"; done
for name in containerd containerd-shim-runc-v2 ctr crictl; do
  install -m 755 "$(program $name)" "$root/usr/local/bin/"
done
mkdir -p "$root/opt/cni/bin" "$root/etc/cni/net.d" "$root/kind/manifests" "$root/etc/kubernetes/manifests"
for name in ptp loopback host-local portmap; do install -m 755 "$(program $name)" "$root/opt/cni/bin/"; done
install -m 644 "$here/10-ptp.conflist" "$root/etc/cni/net.d/"
install -m 644 "$here/default-cni.yaml" "$here/default-storage.yaml" "$root/kind/manifests/"
printf %s "$version" >"$root/kind/version"

# The hook of kind's file, in the specification that containerd of this version starts from.
"$(program ctr)" oci spec | chroot "$root" jq \
  '.hooks.createContainer += [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
  >"$root/etc/containerd/cri-base.json"
# The cgroup driver that works with both versions of cgroups, and no lowering of oom_score_adj, which
# needs CAP_SYS_RESOURCE.
sed -i -e "s#^\( *sandbox_image = \).*#\1\"$pause\"#" \
  -e 's/SystemdCgroup = true/SystemdCgroup = false/' \
  -e 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' \
  "$root/etc/containerd/config.toml"

# systemd starts what a node needs and nothing else.
rm -f "$root"/lib/systemd/system/multi-user.target.wants/* "$root"/etc/systemd/system/*.wants/* \
  "$root"/lib/systemd/system/local-fs.target.wants/* "$root"/lib/systemd/system/basic.target.wants/* \
  "$root"/lib/systemd/system/sockets.target.wants/*udev* \
  "$root"/lib/systemd/system/sockets.target.wants/*initctl* \
  "$root"/lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service
echo ReadKMsg=no >>"$root/etc/systemd/journald.conf"
chroot "$root" systemctl enable kubelet containerd undo-mount-hacks
chroot "$root" systemctl mask systemd-binfmt systemd-udevd systemd-logind getty.target console-getty

rm -rf "$root"/usr/share/doc/* "$root"/usr/share/man/* "$root"/usr/share/locale/* \
  "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root/etc/machine-id"

# A containerd of this host, whose store is the tree's, takes the images in. Nothing is unpacked.
state=$(mktemp -d)
cat >"$state/config.toml" <<CONFIG
version = 3
root = "$root/var/lib/containerd"
state = "$state/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images",
  "io.containerd.cri.v1.runtime", "io.containerd.nri.v1.nri",
  "io.containerd.podsandbox.controller.v1.podsandbox"]
[grpc]
  address = "$state/containerd.sock"
[ttrpc]
  address = "$state/containerd.sock.ttrpc"
CONFIG
"$(program containerd)" --config "$state/config.toml" >"$state/log" 2>&1 &
containerd=$!
trap 'kill $containerd 2>/dev/null; wait $containerd || true; rm -rf "$state"' EXIT
ctr() { "$(program ctr)" --address "$state/containerd.sock" --namespace k8s.io "$@"; }
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then
    cat "$state/log" >&2
    exit 1
  fi
  sleep 0.2
done
ctr images import --no-unpack --all-platforms --label io.cri-containerd.pinned=pinned "$images"

#!/usr/bin/env bash
# Runs an image without an engine or a cluster: its own user, a read-only root, no network but loopback.
#
#   k8s/check_image.sh ROOTFS [RENDERED]       as a pod: Ray's token on, and the rendered application handed to Serve the way
#                                              KubeRay does
#   k8s/check_image.sh ROOTFS CONFIG.json      as `docker run` does: the image's variables and its own command; CONFIG.json
#                                              is what  buildah inspect --type image IMAGE  says
#
# As root; ROOTFS is what `buildah mount` names. Needs unshare, ip and chroot. Everything it starts ends with it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ "${1:-}" != --inside ]; then
  input=$(realpath "${2:-$here/overlays/cpu/rendered.yaml}")
  exec unshare --mount --net --pid --fork --kill-child "$here/check_image.sh" --inside "$(realpath "$1")" "$input"
fi
root=$2 input=$3
check=$here/check_image.py
case $input in *.json) check=$here/check_container.py ;; esac
ip link set lo up
mount --make-rprivate /
mount --bind "$root" "$root"
mkdir -p "$root"/{data,cache,proc,sys,dev,tmp}
for folder in tmp data cache dev; do mount -t tmpfs -o size=1g,mode=1777 tmpfs "$root/$folder"; done
mkdir "$root/tmp/check"
cp "$check" "$input" "$root/tmp/check/"
for device in null zero random urandom full; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm"
mount -t tmpfs -o size=768m,mode=1777 tmpfs "$root/dev/shm"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
chroot=$(command -v chroot)
cd "$root"
exec env -i PATH=/opt/crossray/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp "$chroot" --userspec=1000:1000 "$root" \
  python "/tmp/check/$(basename "$check")" "/tmp/check/$(basename "$input")"

#!/bin/bash
# SPDX-License-Identifier: MIT
# One golden case: every output must be there and right on the cpu, or on every Vulkan device.
#   golden_case.sh tree|shared FAMILY/CASE LINES cpu|vulkan
# tree: tests/golden, which is always there; shared: a larger set beside the checkout. Exit 77 with a
# reason where the case or the device is not there.
set -u
place=$1 name=$2 lines=$3 device=$4
case $place in
tree) folder=${SOURCE:?}/tests/golden/$name ;;
shared)
    folder=${SHARED:?}/golden/$name
    if [ ! -d "$SHARED/golden" ]; then
        echo "skipped: ../shared/golden is not there"
        exit 77
    elif [ ! -d "$folder" ]; then
        echo "skipped: ../shared/golden has no case $name"
        exit 77
    fi
    ;;
*)
    echo "golden_case: $place: wanted tree or shared"
    exit 1
    ;;
esac
devices=(cpu)
if [ "$device" = vulkan ]; then
    mapfile -t devices < <("${TESSERA:?}" devices --json | grep -oE '"vulkan:[0-9]+"' | tr -d '"' | sort -u)
    if [ ${#devices[@]} = 0 ]; then
        echo "skipped: no Vulkan device"
        exit 77
    fi
fi
status=0
for device in "${devices[@]}"; do
    out=$("$TESSERA" verify --device "$device" "$folder" 2>&1)
    code=$?
    if [ $code = 0 ] && [ "${out##*$'\n'}" = "$lines passed, 0 failed" ]; then
        echo "$name on $device: $lines outputs are right"
    else
        printf '%s\n' "$out"
        echo "$name on $device: exit code $code; wanted $lines passed, 0 failed"
        status=1
    fi
done
exit $status

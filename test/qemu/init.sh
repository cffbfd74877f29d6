#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The guest's first and only process: makes the CXL expander a DAX device, then
# a node, and runs the tests in between. run.py reads the lines that begin with
# "stage".
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /tmp
echo 0 >/proc/sys/kernel/numa_balancing
echo "stage boot $(uname -r)"
end() {
  poweroff -f
}
die() {
  echo "stage $1 failed"
  end
}
run() { # NAME COMMAND...
  name=$1
  shift
  if "$@"; then
    echo "stage $name ok"
  else
    echo "stage $name failed ($?)"
  fi
}
for module in cxl_acpi cxl_pci cxl_mem cxl_pmem nd_pmem dax_pmem device_dax kmem; do
  modprobe $module || die "modules: $module"
done
i=0
while [ ! -e /sys/bus/cxl/devices/mem0 ] && [ $i -lt 50 ]; do
  sleep 0.2
  i=$((i + 1))
done
[ -e /sys/bus/cxl/devices/mem0 ] || die "no expander"

run info cira-info
run bare tier-guest bare
run units unit-tier
run threads unit-tier-threads
run far unit-tier-far test_balance # 170,000 faults are too slow here

# All of the expander becomes a region, the region a device.
size=$((256 << 20))
cxl=/sys/bus/cxl/devices
region=$(cat $cxl/decoder0.0/create_pmem_region)
echo "$region" >$cxl/decoder0.0/create_pmem_region || die region
decoder=$(echo $cxl/endpoint*/decoder*.0)
decoder=${decoder##*/}
cd $cxl/"$region" || die region
echo 256 >interleave_granularity
echo 1 >interleave_ways
cat /proc/sys/kernel/random/uuid >uuid
echo $size >size || die "region's size"
echo pmem >$cxl/"$decoder"/mode
echo $size >$cxl/"$decoder"/dpa_size || die "decoder's size"
echo "$decoder" >target0 || die target
echo 1 >commit || die commit
echo "$region" >/sys/bus/cxl/drivers/cxl_region/bind 2>/dev/null
cd /
ndctl create-namespace --mode=devdax --map=mem --align=2M || die namespace
[ -c /dev/dax0.0 ] || die "no device"
run device tier-guest device

daxctl reconfigure-device --mode=system-ram --force dax0.0 || die reconfigure
run node tier-guest node
run info cira-info
echo "stage all done"
end

#!/bin/bash
# SPDX-License-Identifier: MIT
# The library calls what POSIX, macOS and the BSDs have: none of the functions that are glibc's alone
# or that mean something else there (qsort_r has its arguments in another order).
set -euo pipefail
build=${BUILD:?}
library=$build/libtessera.a
names=(qsort_r tdestroy twalk_r hcreate_r secure_getenv strchrnul rawmemchr mempcpy memrchr strverscmp
       canonicalize_file_name get_current_dir_name program_invocation_name program_invocation_short_name
       error error_at_line fopencookie fgets_unlocked fcloseall getauxval gettid sched_getcpu get_nprocs
       renameat2 copy_file_range splice tee sendfile64 memfd_create fallocate fallocate64 mremap
       pipe2 dup3 accept4 epoll_create1 eventfd timerfd_create signalfd getrandom explicit_bzero
       pthread_setname_np pthread_setaffinity_np pthread_getattr_np pthread_tryjoin_np
       malloc_usable_size malloc_trim pow10 strfromd qecvt)
undefined=$(nm -u "$library" 2>/dev/null | awk '$1 == "U" {print $2}' | sort -u)
if ! grep -qx malloc <<<"$undefined"; then # objects of a link-time optimised build are not machine code
    echo "skipped: nm finds no calls in libtessera.a (link-time optimised objects)"
    exit 77
fi
found=$(grep -Fx -f <(printf '%s\n' "${names[@]}") <<<"$undefined" || true)
[ -z "$found" ] || { echo "wanted calls that other systems have, got:" $found; exit 1; }
echo "portable_calls: $(wc -l <<<"$undefined") outer names, none of ${#names[@]} that glibc alone has"

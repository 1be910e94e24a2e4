#!/bin/bash
# SPDX-License-Identifier: MIT
# rivals.sh [BUILD-FOLDER] [SECONDS]: nearest code by `tessera bench` and by faiss' flat index, in
# turns, so that both meet the same machine. Needs g++ and libfaiss-dev, and a good BLAS, which faiss
# multiplies with: BLAS="-lopenblas" (default where it is installed) or a library's path. oneDNN's
# rows are part of `tessera bench` itself.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../build/release}
seconds=${2:-2}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
[ -f /usr/include/faiss/IndexFlat.h ] || { echo "rivals.sh: libfaiss-dev is not installed" >&2; exit 77; }
if [ -z "${BLAS:-}" ]; then
    BLAS=-lopenblas
    grep -q 'libopenblas.so ' <(ldconfig -p) || {
        BLAS="-llapack -lblas"
        echo "rivals.sh: no OpenBLAS: faiss runs on the reference BLAS, which is no fair rival" >&2
    }
fi
# shellcheck disable=SC2086 # BLAS may be several words
g++ -O2 -fopenmp "$here/rival_faiss.cc" -o "$out/faiss" -lfaiss $BLAS
for round in 1 2; do
    for threads in 1 2; do
        OPENBLAS_NUM_THREADS=$threads OMP_NUM_THREADS=$threads "$out/faiss" "$seconds" $threads
        echo "tessera, $threads threads"
        "$build/tessera" bench --device cpu --filter "nearest_code n4096" --seconds "$seconds" \
            --threads $threads -q | grep -v reference
    done
done

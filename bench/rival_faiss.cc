// SPDX-License-Identifier: MIT
// rival_faiss.cc: nearest code by faiss' flat index, on the data and sizes of `tessera bench`'s
// nearest_code rows. Arguments: seconds, threads. Built and run by bench/rivals.sh, never by the
// build.
#include <faiss/IndexFlat.h>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <omp.h>
#include <vector>

static std::vector<float> floats(size_t n, uint32_t seed) {
    std::vector<float> x(n); // the generator of bench.c
    for (size_t i = 0; i < n; ++i) {
        uint32_t h = (uint32_t)i * 2654435761u + seed * 40503u;
        h = (h ^ (h >> 16)) * 0x7feb352du;
        h = (h ^ (h >> 15)) * 0x846ca68bu;
        h ^= h >> 16;
        x[i] = (float)(int32_t)(h >> 8) * (2.0f / 16777216.0f) - 1.0f;
    }
    return x;
}

int main(int argc, char **argv) {
    const double seconds = argc > 1 ? atof(argv[1]) : 2;
    const int threads = argc > 2 ? atoi(argv[2]) : 1;
    omp_set_num_threads(threads);
    const int64_t n = 4096, k = 4096;
    for (int64_t d : {8, 64}) {
        std::vector<float> x = floats(n * d, 1), codes = floats(k * d, 2), distance(n);
        std::vector<faiss::Index::idx_t> ids(n);
        faiss::IndexFlatL2 index((int)d);
        index.add(k, codes.data());
        std::vector<double> ms;
        for (double sum = 0; sum < seconds * 1e3 || ms.size() < 10;) {
            auto a = std::chrono::steady_clock::now();
            index.search(n, x.data(), 1, distance.data(), ids.data());
            auto b = std::chrono::steady_clock::now();
            ms.push_back(std::chrono::duration<double, std::milli>(b - a).count());
            sum += ms.back();
        }
        std::sort(ms.begin(), ms.end());
        double median = ms[ms.size() / 2], flops = 2.0 * n * k * d;
        long long check = 0;
        for (auto id : ids)
            check += id;
        printf("nearest_code n4096 k4096 d%-3d faiss    %d threads  n %4zu  min %8.3f ms  median "
               "%8.3f  p95 %8.3f  %6.1f GFLOP/s of the least  (sum of ids %lld)\n",
               (int)d, threads, ms.size(), ms[0], median, ms[ms.size() * 95 / 100],
               flops * 1e-6 / ms[0], check);
    }
}

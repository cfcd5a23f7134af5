// What the memory allows: the traffic of one step of Adam with no maths to speak of, to measure a step against.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include <sys/mman.h>

namespace {

constexpr int64_t kChunk = 1 << 15;

void pass(float* p, float* m, float* v, const float* g, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const float x = g[i];
    p[i] += x;
    m[i] += x;
    v[i] += x;
  }
}

}  // namespace

// Seconds that each of `repeats` passes over four float arrays of `count` elements takes: all four are read, three
// are written. Where `huge`, they lie on huge pages, if the system has them.
extern "C" __attribute__((visibility("default"))) int gradtx_streams(int64_t count, int threads, int huge, int repeats,
                                                                     double* seconds) {
  const size_t page = 2 << 20, bytes = (count * 4 + page - 1) / page * page;
  float* memory[4];
  for (float*& x : memory) {
    x = static_cast<float*>(std::aligned_alloc(page, bytes));
    if (x == nullptr) return 1;
#ifdef MADV_HUGEPAGE
    madvise(x, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
    std::fill(x, x + count, 1e-3f);
  }
  for (int k = 0; k < repeats; ++k) {
    std::atomic<int64_t> next{0};
    auto work = [&] {
      for (int64_t at; (at = next.fetch_add(kChunk)) < count;)
        pass(memory[0], memory[1], memory[2], memory[3], at, std::min(count, at + kChunk));
    };
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(work);
    work();
    for (std::thread& t : others) t.join();
    seconds[k] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  for (float* x : memory) std::free(x);
  return 0;
}

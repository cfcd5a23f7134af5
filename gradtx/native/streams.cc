// What the memory allows: the traffic of one step of Adam with no maths to speak of, to measure a step against.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include <sys/mman.h>

namespace {

constexpr int64_t kChunk = 1 << 17;

// Parameters and gradients in T; both moments in float. The numbers are of no interest.
template <class T>
void pass(T* p, float* m, float* v, const T* g, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    p[i] += g[i];
    m[i] += 1;
    v[i] += 1;
  }
}

template <class T>
int streams(int64_t count, int threads, int huge, int repeats, double* seconds) {
  const size_t page = 2 << 20, sizes[4] = {sizeof(T), sizeof(float), sizeof(float), sizeof(T)};
  void* memory[4];
  for (int k = 0; k < 4; ++k) {
    const size_t bytes = (count * sizes[k] + page - 1) / page * page;
    memory[k] = std::aligned_alloc(page, bytes);
    if (memory[k] == nullptr) {
      while (k > 0) std::free(memory[--k]);
      return 1;
    }
#ifdef MADV_HUGEPAGE
    madvise(memory[k], bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
    std::memset(memory[k], 0, bytes);
  }
  for (int k = 0; k < repeats; ++k) {
    std::atomic<int64_t> next{0};
    auto work = [&] {
      for (int64_t at; (at = next.fetch_add(kChunk)) < count;)
        pass(static_cast<T*>(memory[0]), static_cast<float*>(memory[1]), static_cast<float*>(memory[2]),
             static_cast<const T*>(memory[3]), at, std::min(count, at + kChunk));
    };
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(work);
    work();
    for (std::thread& t : others) t.join();
    seconds[k] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  for (void* x : memory) std::free(x);
  return 0;
}

}  // namespace

// Seconds that each of `repeats` passes over the four arrays of `count` parameters takes: all four are read, three are
// written. Where `half`, parameters and gradients have 16 bits. Where `huge`, all lie on huge pages, if the system has
// them.
extern "C" __attribute__((visibility("default"))) int gradtx_streams(int64_t count, int half, int threads, int huge,
                                                                     int repeats, double* seconds) {
  return half ? streams<uint16_t>(count, threads, huge, repeats, seconds)
              : streams<float>(count, threads, huge, repeats, seconds);
}

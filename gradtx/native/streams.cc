// What the memory allows: the traffic of one step of Adam with no maths to speak of, to measure a step against.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
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

struct Free {
  void operator()(void* x) const { std::free(x); }
};

enum Status { kDone, kNoMemory, kNoThreads, kOutOfRange };

template <class T>
Status streams(int64_t count, int threads, int huge, int repeats, double* seconds) {
  const size_t page = 2 << 20, sizes[4] = {sizeof(T), sizeof(float), sizeof(float), sizeof(T)};
  std::unique_ptr<void, Free> memory[4];
  for (int k = 0; k < 4; ++k) {
    const size_t bytes = (count * sizes[k] + page - 1) / page * page;
    memory[k].reset(std::aligned_alloc(page, bytes));
    if (memory[k] == nullptr) return kNoMemory;
#ifdef MADV_HUGEPAGE
    madvise(memory[k].get(), bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
    std::memset(memory[k].get(), 0, bytes);
  }
  for (int k = 0; k < repeats; ++k) {
    std::atomic<int64_t> next{0};
    auto work = [&] {
      for (int64_t at; (at = next.fetch_add(kChunk)) < count;)
        pass(static_cast<T*>(memory[0].get()), static_cast<float*>(memory[1].get()), static_cast<float*>(memory[2].get()),
             static_cast<const T*>(memory[3].get()), at, std::min(count, at + kChunk));
    };
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> others;
    Status status = kDone;
    try {
      for (int t = 1; t < threads; ++t) others.emplace_back(work);
    } catch (const std::exception&) {  // those that were started are at work
      status = kNoThreads;
    }
    work();
    for (std::thread& t : others) t.join();
    if (status != kDone) return status;
    seconds[k] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return kDone;
}

}  // namespace

// Seconds that each of `repeats` passes over the four arrays of `count` parameters takes: all four are read, three are
// written. Where `half`, parameters and gradients have 16 bits. Where `huge`, all lie on huge pages, if the system has
// them.
extern "C" __attribute__((visibility("default"))) int gradtx_streams(int64_t count, int half, int threads, int huge,
                                                                     int repeats, double* seconds) {
  if (count < 1 || count > int64_t{1} << 48 || threads < 1 || repeats < 1 || seconds == nullptr) return kOutOfRange;
  return half ? streams<uint16_t>(count, threads, huge, repeats, seconds)
              : streams<float>(count, threads, huge, repeats, seconds);
}

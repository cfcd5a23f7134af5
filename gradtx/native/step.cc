// The FFI handler: one program on many leaves, in chunks that XLA's own threads and the calling thread share.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <numeric>
#include <vector>

#include "call.h"
#include "codecs.h"
#include "ffi.h"
#include "program.h"

namespace gradtx {
namespace {

// Elements of a chunk. A large one is read in one go; a small one leaves enough for every thread.
constexpr int64_t kLeastChunk = 1 << 15, kMostChunk = 1 << 17;

Machines machines() {
#if defined(GRADTX_X86)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl"))
    return avx512::machines;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
    return avx2::machines;
#endif
  return baseline::machines;
}

// All leaves of one call, cut into chunks. Whoever is free takes the next chunk; the thread that made the call takes
// them too, and waits only for chunks that others have begun. So it needs no thread but itself.
class Work {
 public:
  Work(const Program& program, Machine machine, std::vector<Leaf> leaves, const std::vector<int64_t>& counts)
      : program_(program), machine_(machine), leaves_(std::move(leaves)) {
    const int64_t total = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    const int64_t most = std::clamp(total / 16, kLeastChunk, kMostChunk);  // whatever the number of threads: sums
    for (size_t i = 0; i < counts.size(); ++i)
      for (int64_t at = 0, end; at < counts[i]; at = end)
        chunks_.push_back({i, at, end = chunk_end(leaves_[i], at, most, counts[i]), 0});
  }

  int64_t elements() const {
    int64_t sum = 0;
    for (const Chunk& chunk : chunks_) sum += chunk.end - chunk.begin;
    return sum;
  }

  double sum() const {  // in the order of the elements, whoever took which chunk
    double sum = 0;
    for (const Chunk& chunk : chunks_) sum += chunk.sum;
    return sum;
  }

  void take() {
    int64_t done = 0;
    for (int64_t k; (k = next_.fetch_add(1)) < size(); ++done)
      chunks_[k].sum = machine_(program_, leaves_[chunks_[k].leaf], chunks_[k].begin, chunks_[k].end);
    if (done == 0 || finished_.fetch_add(done) + done < size()) return;
    std::lock_guard lock(mutex_);
    all_.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    all_.wait(lock, [this] { return finished_.load() == size(); });
  }

 private:
  // What is coded together stays so: whole rows, or whole spans of one.
  static int64_t chunk_end(const Leaf& leaf, int64_t at, int64_t most, int64_t end) {
    const int64_t row = leaf.row, span = leaf.span;
    if (row > most) end = std::min(end, at - at % row + row);
    return std::min(end, at + (row == 0 ? most : row <= most ? most / row * row : most / span * span));
  }

  int64_t size() const { return static_cast<int64_t>(chunks_.size()); }

  struct Chunk {
    size_t leaf;
    int64_t begin, end;
    double sum;
  };
  const Program program_;
  const Machine machine_;
  const std::vector<Leaf> leaves_;
  std::vector<Chunk> chunks_;
  std::atomic<int64_t> next_{0}, finished_{0};
  std::mutex mutex_;
  std::condition_variable all_;
};

int64_t threads(const ffi::Frame& frame) {
  int64_t count = 1;
  ffi::ThreadsArguments arguments{sizeof(arguments), nullptr, frame.context, &count};
  if (ffi::Error* error = frame.api->threads(&arguments)) {
    ffi::ErrorDestroyArguments destroy{sizeof(destroy), nullptr, error};
    frame.api->destroy_error(&destroy);
    return 1;
  }
  return count;
}

void help(void* data) {
  std::unique_ptr<std::shared_ptr<Work>> work(static_cast<std::shared_ptr<Work>*>(data));
  (*work)->take();
}

void share(const ffi::Frame& frame, const std::shared_ptr<Work>& work) {
  int64_t helpers = std::min(threads(frame), work->elements() / kLeastChunk) - 1;
  for (int64_t i = 0; i < helpers; ++i) {
    auto* data = new (std::nothrow) std::shared_ptr<Work>(work);  // once others work on it, nothing may throw
    if (data == nullptr) break;
    ffi::ScheduleArguments arguments{sizeof(arguments), nullptr, frame.context, help, data};
    if (ffi::Error* error = frame.api->schedule(&arguments)) {
      ffi::ErrorDestroyArguments destroy{sizeof(destroy), nullptr, error};
      frame.api->destroy_error(&destroy);
      delete data;
      break;
    }
  }
  work->take();
  work->wait();
}

ffi::Error* refuse(const ffi::Frame& frame, int32_t code, const char* what, const char* why) {
  char message[200];
  snprintf(message, sizeof(message), "gradtx: %s: %s", what, why);
  ffi::ErrorArguments arguments{sizeof(arguments), nullptr, message, code};
  return frame.api->make_error(&arguments);
}

// Arguments: a vector of scalars, then the inputs of every leaf. Results: the outputs of every leaf, or where there are
// none the sum of what the program adds up. Where there are codecs, one argument more: the numbers of their tables.
// Attributes: `code`, the instructions; `reads`, which scalars each leaf reads; `sizes`, the numbers of inputs, outputs,
// registers, leaves and codecs; and `streams`, what each holds (`Program::roles`), then the codecs.
ffi::Error* step(const ffi::Frame& frame) {
  Call call;
  if (const char* wrong = fault(frame, call))
    return refuse(frame, ffi::kInvalid, "a program that the native step cannot run", wrong);
  const Program& program = call.program;
  const int64_t leaves = call.leaves, streams = program.inputs + program.outputs;
  const int64_t width = call.wide ? 8 : 4, numbers = leaves * program.scalars;
  std::vector<char> scalars(numbers * width);
  for (int64_t i = 0; i < numbers; ++i)
    memcpy(&scalars[i * width], static_cast<char*>(frame.arguments[0].data) + call.reads[i] * width, width);

  std::vector<void*> data(leaves * streams);
  std::vector<int32_t> types(leaves * streams);
  std::vector<int64_t> counts(leaves);
  std::vector<Leaf> items(leaves);
  for (int64_t i = 0; i < leaves; ++i) {
    for (int64_t k = 0; k < streams; ++k) {
      const ffi::Buffer& buffer = stream(frame, program, i, k);
      data[i * streams + k] = buffer.data;
      types[i * streams + k] = buffer.type;
    }
    counts[i] = stream(frame, program, i, 0).count();
    items[i] = {&data[i * streams], &types[i * streams], &scalars[i * program.scalars * width]};
    if (program.codecs != nullptr) set_rows(frame, program, i, items[i]);
  }
  static const Machines chosen = machines();
  auto work = std::make_shared<Work>(program, call.wide ? chosen.wide : chosen.single, std::move(items), counts);
  share(frame, work);
  if (program.outputs == 0) {
    if (call.wide)
      *static_cast<double*>(frame.results[0].data) = work->sum();
    else
      *static_cast<float*>(frame.results[0].data) = static_cast<float>(work->sum());
  }
  return nullptr;
}

}  // namespace
}  // namespace gradtx

// Of what the library and the package agree on; see operations.py.
extern "C" __attribute__((visibility("default"))) int gradtx_interface() { return gradtx::kInterface; }

extern "C" __attribute__((visibility("default"))) void* gradtx_step(void* call) {
  using namespace gradtx;
  auto& frame = *static_cast<ffi::Frame*>(call);
  if (frame.extension != nullptr && frame.extension->type == ffi::kMetadata) {
    ffi::Metadata& metadata = *reinterpret_cast<ffi::MetadataExtension*>(frame.extension)->metadata;
    metadata.version = {sizeof(ffi::Version), nullptr, 0, 1};
    metadata.traits = 0;
    metadata.state_type = 0;
    return nullptr;
  }
  try {
    return step(frame);
  } catch (const std::exception& error) {  // of memory, before any work has begun; XLA's code is not made to be thrown at
    return refuse(frame, ffi::kExhausted, "no native step", error.what());
  }
}

// The part of XLA's FFI binary interface that one handler on the CPU needs, at version 0.1, which every XLA since
// jaxlib 0.8 accepts. Declared here so that a build needs no jaxlib; tests/native/test_interface.py compares the
// layout with the headers of the jaxlib that is installed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace gradtx::ffi {

enum Type : int32_t { kS8 = 2, kS32 = 4, kU8 = 6, kF16 = 10, kF32 = 11, kF64 = 12, kBF16 = 16 };

struct Extension {
  size_t size;
  int32_t type;
  Extension* next;
};

struct Version {
  size_t size;
  Extension* extension;
  int32_t major, minor;
};

struct Metadata {
  size_t size;
  Version version;
  uint32_t traits;
  int64_t state_type;
};

struct MetadataExtension {
  Extension base;
  Metadata* metadata;
};

constexpr int32_t kMetadata = 1;  // Extension::type of a MetadataExtension

struct Buffer {
  size_t size;
  Extension* extension;
  Type type;
  void* data;
  int64_t rank;
  int64_t* dims;

  int64_t count() const {
    int64_t n = 1;
    for (int64_t i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
};

constexpr int32_t kBuffer = 1;  // the type of an argument, and of a result
constexpr int32_t kArray = 1;   // the type of an attribute

// Arguments, and results, which look the same.
struct Buffers {
  size_t size;
  Extension* extension;
  int64_t count;
  int32_t* types;
  void** items;

  Buffer& operator[](int64_t i) const { return *static_cast<Buffer*>(items[i]); }
};

struct Name {
  const char* data;
  size_t size;
};

struct Array {
  int32_t type;
  size_t count;
  void* data;
};

// Attributes, sorted by name.
struct Attributes {
  size_t size;
  Extension* extension;
  int64_t count;
  int32_t* types;
  Name** names;
  void** items;
};

struct Context;
struct Error;

struct ErrorArguments {
  size_t size;
  Extension* extension;
  const char* message;
  int32_t code;
};

constexpr int32_t kInvalid = 3, kExhausted = 8;  // ErrorArguments::code

struct ErrorDestroyArguments {
  size_t size;
  Extension* extension;
  Error* error;
};

struct ScheduleArguments {
  size_t size;
  Extension* extension;
  Context* context;
  void (*task)(void*);
  void* data;
};

struct ThreadsArguments {
  size_t size;
  Extension* extension;
  Context* context;
  int64_t* threads;
};

struct Api {
  size_t size;
  Extension* extension;
  Version version;
  const void* internal;
  Error* (*make_error)(ErrorArguments*);
  void* error_message;
  void (*destroy_error)(ErrorDestroyArguments*);
  void* others[8];  // register, stream, type, context, state set and get, memory allocate and free
  Error* (*schedule)(ScheduleArguments*);
  Error* (*threads)(ThreadsArguments*);
};

struct Frame {
  size_t size;
  Extension* extension;
  const Api* api;
  Context* context;
  int32_t stage;
  Buffers arguments, results;
  Attributes attributes;
};

}  // namespace gradtx::ffi

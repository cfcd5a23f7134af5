// What a call says of codecs, checked, and how the codes of a leaf lie.
#pragma once

#include <cstdint>

#include "ffi.h"
#include "program.h"

namespace gradtx {

// Why this is not what the streams hold, then so many codecs, whose tables are the last argument; or null, and then
// `program` has them.
const char* inspect_codecs(const ffi::Frame& frame, const ffi::Array& given, int64_t codecs, Program& program);

// Set how the codes of a leaf, of which it has some, lie in rows.
void set_rows(const ffi::Frame& frame, const Program& program, int64_t leaf, Leaf& rows);

// Why these rows cannot be coded together, or null.
const char* inspect_rows(const Program& program, const Leaf& rows);

// The elements of a stream of so many numbers: as many, or as many as there are blocks of them.
int64_t size(const Program& program, int32_t k, int64_t count, int64_t row);

}  // namespace gradtx

# cmake -DLIBRARY=... -P seal.cmake: end a library with the checksum of what stands before, which load.py compares before
# it lets the system map the file: a program that touches a page beyond the end of a mapped file is killed. Linkers write
# a library without a seal, and `strip` drops it.
set(NAME "gradtx-step-sha256:")
string(LENGTH ${NAME} length)
math(EXPR length "${length} + 64")
file(SIZE ${LIBRARY} size)
math(EXPR start "${size} - ${length}")
file(READ ${LIBRARY} end OFFSET ${start} HEX)
string(HEX ${NAME} name)
if(NOT end MATCHES "^${name}")
  file(SHA256 ${LIBRARY} sum)
  file(APPEND ${LIBRARY} "${NAME}${sum}")
endif()

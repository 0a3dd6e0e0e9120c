#include "kernels.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#if !defined(__GNUC__)  // Clang defines it too
#error "GCC or Clang is needed, for vector types and regions compiled for another instruction set"
#endif
#if defined(__x86_64__)
#define LAVA_ALIGN_X86 1
#include <immintrin.h>
#endif

#define LAVA_ALIGN_VECTOR_BYTES 16
#define LAVA_ALIGN_NAMESPACE baseline
#include "kernels.inc"
#undef LAVA_ALIGN_NAMESPACE
#undef LAVA_ALIGN_VECTOR_BYTES

#ifdef LAVA_ALIGN_X86

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
#define LAVA_ALIGN_VECTOR_BYTES 32
#define LAVA_ALIGN_NAMESPACE avx2
#include "kernels.inc"
#undef LAVA_ALIGN_NAMESPACE
#undef LAVA_ALIGN_VECTOR_BYTES
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push( \
    __attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")
#endif
#define LAVA_ALIGN_VECTOR_BYTES 64
#define LAVA_ALIGN_NAMESPACE avx512
#include "kernels.inc"
#undef LAVA_ALIGN_NAMESPACE
#undef LAVA_ALIGN_VECTOR_BYTES
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif

namespace lava_align {

namespace {

std::vector<Kernels> available() {
  std::vector<Kernels> found{baseline::table("baseline")};
#ifdef LAVA_ALIGN_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2")) found.push_back(avx2::table("avx2"));
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx2"))
    found.push_back(avx512::table("avx512"));
#endif
  return found;
}

const std::vector<Kernels>& tables() {
  static const std::vector<Kernels> found = available();
  return found;
}

}  // namespace

const Kernels& kernels(const std::string& name) {
  if (name.empty()) return tables().back();
  for (const Kernels& table : tables())
    if (name == table.name) return table;
  throw std::invalid_argument("no such instruction set here: " + name);
}

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const Kernels& table : tables()) names.push_back(table.name);
  return names;
}

}  // namespace lava_align

// Where synapses lie: on whole cache lines, and many of them on pages of 2 MiB, since learning and
// delivering jump through more pages of 4 KiB than the processor keeps translations of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace lava_align {

constexpr size_t kLineBytes = 64, kHugePageBytes = size_t{1} << 21;

template <class T>
struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class U>
  Aligned(const Aligned<U>&) {}

  T* allocate(size_t n) {
    const size_t bytes = n * sizeof(T);
    const bool huge = bytes >= kHugePageBytes;
    void* memory = nullptr;
    if (posix_memalign(&memory, huge ? kHugePageBytes : kLineBytes, bytes) != 0)
      throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
    // Only advice: without it everything is slower and nothing different.
    if (huge) (void)madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }
  bool operator==(const Aligned&) const { return true; }
  bool operator!=(const Aligned&) const { return false; }
};

template <class T>
using AlignedVector = std::vector<T, Aligned<T>>;

}  // namespace lava_align

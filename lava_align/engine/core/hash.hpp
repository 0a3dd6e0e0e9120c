// Random numbers that are a hash of what they are for (see engine/hashing.py).
#pragma once

#include <cstdint>

namespace lava_align {

// One step of SplitMix64.
inline uint64_t mix(uint64_t value) {
  uint64_t z = value + 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

// Wellons' lowbias32, twice.
inline uint32_t hashed(uint32_t index, uint64_t key) {
  const auto scramble = [](uint32_t x) {
    x = (x ^ (x >> 16)) * 0x7feb352dU;
    x = (x ^ (x >> 15)) * 0x846ca68bU;
    return x ^ (x >> 16);
  };
  return scramble(scramble(index ^ static_cast<uint32_t>(key)) + static_cast<uint32_t>(key >> 32));
}

}  // namespace lava_align

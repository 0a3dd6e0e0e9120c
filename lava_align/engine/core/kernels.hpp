// The inner loops, compiled once per instruction set and chosen at run time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rule.hpp"

namespace lava_align {

struct Lif {
  int32_t keep_u, keep_v;  // what is left of current and voltage per step, in 1/4096
  int32_t threshold;
};

struct Kernels {
  const char* name;
  // Vectors may be used up to the next multiple of kPad beyond `n`.
  // Writes who spiked, up to kPad elements too far, and returns how many.
  int (*lif)(int n, const Lif&, int32_t* u, int32_t* v, const int32_t* arriving,
             const int32_t* bias, int32_t* spikes);
  void (*decay)(int n, double remaining, double number, const int32_t* from, int32_t* to);
  void (*decay_independent)(int n, double remaining, uint32_t low, uint32_t high,
                            const int32_t* from, int32_t* to);
  void (*add)(int n, const int32_t* from, int32_t* to);
  // Sum of int8 columns, times `scale`, plus `offset` per column, shifted.
  void (*columns8)(int begin, int end, int stride, const int8_t* columns, const int32_t* spikes,
                   int n_spikes, int scale, int offset, int exponent, int32_t* out);
  void (*columns16)(int begin, int end, int stride, const int16_t* columns, const int32_t* spikes,
                    int n_spikes, int scale, int offset, int exponent, int32_t* out);
  // Sum of columns of tile rows first..last-1, at least one; `masks` has kTile halves per active
  // tile, all bits set where a column counts; at most `batch` tiles fit 16 bits.
  void (*tiles)(int first, int last, int tile_columns, const int16_t* weights,
                const int32_t* active, const int16_t* masks, int n_active, int batch,
                int exponent, int32_t* out);
  // Coefficients of a product over one side at one time; `narrow`, unless null, gets the same in
  // 16 bits, and the result is whether they fit.
  bool (*coefficient)(int n, const Product&, const std::vector<Factor>&, const Learning&, int time,
                      bool finished, int32_t* out, int16_t* narrow);
  void (*narrow_coefficient)(int n, const Product&, const Learning&, int time, int16_t* narrow);
  // Learning of the tile rows first..last-1.
  void (*learn)(const Learning&, int first, int last);
};

// The best one for this machine, or the one named.
const Kernels& kernels(const std::string& name);
std::vector<std::string> kernel_names();

}  // namespace lava_align

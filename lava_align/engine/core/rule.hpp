// A learning rule as data, and what one epoch of learning works on.
//
// A product is mantissa * (factors of the pre neuron) * (factors of the post neuron) * (factors of
// the synapse), all in 32 bits that wrap, so the order is free: what depends on one neuron alone is
// multiplied once per neuron and epoch, and the loop over synapses is left with multiply, shift, clip.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace lava_align {

// Tiles of kTile post x kTile pre synapses: a spike's column and a row both use whole 16 byte pieces.
constexpr int kTile = 8;
constexpr int kTileSize = kTile * kTile;
// Vectors are padded so that loops of whole SIMD registers may run over their end.
constexpr int kPad = 16;

// Limits of an accumulator in 1/128; the lower one is Lava's, one below 16 bits.
constexpr int32_t kAccumulatorMin = -32769;
constexpr int32_t kAccumulatorMax = 32767;
constexpr int32_t kTraceMax = 127;

inline int padded(int n, int unit = kPad) { return (n + unit - 1) / unit * unit; }

enum Variable { X1, X2, Y1, Y2, Y3, W, D, T, X0, Y0 };
enum Target { DW, DD, DT, kTargets };
enum Dependency { kPre, kPost, kClock };

// The variable plus the constant, or the sign of that.
struct Factor {
  Variable variable;
  int32_t constant;
  int32_t low, high;  // of the variable, such that the sum has the factor's width
  bool sign;
};

struct Product {
  Target target;
  Dependency dependency;
  int32_t mantissa;
  int right;       // bits shifted out
  int left;        // bits shifted in
  bool clip;       // the shifted value can exceed an accumulator
  std::vector<Factor> pre, post, synapse;

  // The value of a product depends on one side alone: it can be finished once per neuron.
  // Whether factors that multiply to at most `largest` give 16 bits throughout.
  bool narrow(int64_t largest) const {
    return largest <= INT16_MAX && right <= 15 && left <= 15 &&
           ((largest >> right) + 1) << left <= INT16_MAX;
  }
  // The same of the mantissa and the factors of the pre neuron.
  bool narrow_by_pre() const {
    int64_t largest = std::abs(int64_t{mantissa});
    for (const Factor& f : pre) {
      if (f.variable == X0 || f.low < INT16_MIN || f.high > INT16_MAX) return false;
      largest *= std::max(std::abs(int64_t{f.low} + f.constant), std::abs(int64_t{f.high} + f.constant));
      if (largest > INT16_MAX) return false;
    }
    return narrow(largest);
  }
  bool finished_by_pre() const { return synapse.empty() && post.empty(); }
  bool finished_by_post() const { return synapse.empty() && pre.empty(); }
};

// What a synapse's number for rounding comes from.
struct Numbers {
  bool shared;
  int32_t offset;        // shared: 127 - floor(128 * number)
  uint32_t low, high;    // independent: the halves of the key
};

// One epoch of learning of one projection. Times run from 1 to t_epoch, 0 is no spike.
struct Learning {
  const Product* products;
  int n_products;
  int n_pre, n_post, tile_columns, tile_rows, stride_pre, stride_post;
  int t_epoch;
  bool clock;                      // the products of the clock count in this epoch
  bool careful;                    // weights may be out of range
  bool force;                      // every row, whether or not anything happened
  int16_t* synapses[kTargets];     // tiles of w, d, t; null where constantly 0
  bool only_weights;               // no product depends on d or t, and neither is stored
  bool rows_alike;                 // no product depends on a trace of the post neuron
  int32_t low[kTargets], high[kTargets];
  bool learns[kTargets];
  Numbers numbers[kTargets];
  const uint8_t *tx, *ty;
  const int32_t *pre_spikes, *rows;    // ascending
  int n_pre_spikes, n_rows;
  // Whether a row is among `rows`, per post neuron: -1 or 0.
  const int32_t* is_row;
  // Rows with a tag that changes without being touched (see Plastic::learn).
  uint8_t* unstable;
  const int32_t* history[5];       // per trace: (t_epoch + 1, stride) or, t_epoch being 1, (stride)
  // Per product. along_pre: vector over pre for y0 and the clock, (t_epoch + 1, stride_pre);
  // gated_pre: for x0, 0 where no spike; along_post: for x0 with factors of post.
  // narrow_pre: along_pre in 16 bits, null where it does not fit; it stands alone where the product
  // always fits.
  int32_t* const* along_pre;
  int16_t* const* narrow_pre;
  int32_t* const* gated_pre;
  int32_t* const* along_post;

  size_t at(int time, int stride) const { return t_epoch == 1 ? 0 : size_t(time) * size_t(stride); }
  const int32_t* trace(int variable, int time) const {
    return history[variable] + at(time, variable < Y1 ? stride_pre : stride_post);
  }
};

}  // namespace lava_align

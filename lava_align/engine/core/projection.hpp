// Connections between groups: what they buffer for the next steps, and how plastic ones learn.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernels.hpp"
#include "memory.hpp"
#include "pool.hpp"
#include "rule.hpp"

namespace lava_align {

// Spikes of a group in one step: ascending neurons, and what they carry (null: 1 each).
struct Spikes {
  const int32_t* neuron = nullptr;
  const int32_t* value = nullptr;
  int n = 0;
};

// What a connection delivers one and more steps later: a ring of vectors over post.
class Buffer {
 public:
  Buffer(int n_post, int slots)
      : stride(padded(n_post)), slots(slots), values(size_t(stride) * size_t(slots)) {}

  int32_t* slot(int k) { return values.data() + size_t((head + k) % slots) * size_t(stride); }
  // Makes the first slot, which has been delivered, the last.
  void advance();
  void clear_first();

  int stride, slots;
  bool empty = true;  // nothing arrives; where there is one slot, whatever it holds
  int head = 0;
  AlignedVector<int32_t> values;
};

class Projection {
 public:
  Projection(int pre, int post, bool acts, int n_post, int n_pre, int slots, int exponent)
      : pre(pre), post(post), acts(acts), n_post(n_post), n_pre(n_pre), exponent(exponent),
        buffer(n_post, slots) {}
  virtual ~Projection() = default;
  // Buffers what the spikes are worth.
  virtual void forward(const Spikes& spikes, const Kernels& kernels, Pool& pool) = 0;

  const int pre, post;
  const bool acts;
  const int n_post, n_pre, exponent;
  Buffer buffer;
};

// Synapses that do not change, a column per presynaptic neuron: of one byte where that holds them
// (weight = scale * byte + offset), else of two.
class Static : public Projection {
 public:
  Static(int pre, int post, bool acts, int n_post, int n_pre, int slots, int exponent,
         const int16_t* weights, const uint8_t* delays);
  void forward(const Spikes& spikes, const Kernels& kernels, Pool& pool) override;
  size_t bytes() const { return bytes_.size() + 2 * words_.size() + delays_.size(); }

 private:
  int32_t weight(size_t at) const { return words_.empty() ? bytes_[at] * scale_ + offset_ : words_[at]; }
  void forward_general(const Spikes& spikes);

  int stride_, scale_ = 1, offset_ = 0;
  AlignedVector<int8_t> bytes_;
  AlignedVector<int16_t> words_;
  std::vector<uint8_t> delays_;
};

enum GradedMode { kDefault, kOverwrite, kAddWithSaturation, kAddWithoutSaturation };

struct Trace {
  int32_t impulse;
  double remaining;
};

// What a run of steps draws: shared numbers per epoch, or the base of the hash.
struct Draws {
  const double* pre = nullptr;
  const double* post = nullptr;
  const double* synapse = nullptr;
};

struct RuleData {
  std::vector<Product> products;
  std::array<Trace, 5> traces;
  int t_epoch;
  int decimation;  // K of the clock, -1 without
  bool third_factor;
  GradedMode graded;
  std::array<bool, kTargets> learns, stored;
  std::array<int32_t, kTargets> low, high;
  bool shared_numbers;
  uint64_t hash_base;
};

class Plastic : public Projection {
 public:
  Plastic(int pre, int post, int gate, bool acts, int n_post, int n_pre, int exponent,
          const int16_t* weights, RuleData rule, std::array<int, 3> modulators);
  void forward(const Spikes& spikes, const Kernels& kernels, Pool& pool) override;
  // The rest of step `step` (from 0); `epoch` counts the epochs that end in this run of steps.
  void learn(int64_t step, const Spikes& pre, const Spikes& gate,
             const std::array<Spikes, 3>& modulated, const Draws& draws, int64_t& epoch,
             const Kernels& kernels, Pool& pool);

  void read_synapses(int target, int16_t* to) const;
  void write_synapses(int target, const int16_t* from);
  int32_t* trace(int k) { return traces_[size_t(k)].data(); }
  std::vector<uint8_t>& times(bool pre) { return pre ? tx_ : ty_; }
  // To be called after times or traces were written.
  void resume();
  size_t bytes() const;

  const int gate;
  const std::array<int, 3> modulators;

 private:
  void note_pre(const Spikes& spikes, int now);
  void note_payload(const Spikes& spikes, int now);
  void note_post(const Spikes& spikes, int now);
  void raise(int trace, int neuron);
  void histories(int64_t step, const Draws& draws, int64_t epoch, const Kernels& kernels);
  void history(int trace, int64_t step, double number, const Kernels& kernels);
  void describe();
  void prepare(const Kernels& kernels);
  void prepare_pre(size_t k, const Kernels& kernels);
  void clear_gates();
  bool busy(int trace) const;
  int stride(int trace) const { return trace < Y1 ? stride_pre_ : stride_post_; }
  int32_t* past(int trace, int time);

  RuleData rule_;
  int stride_pre_, stride_post_, tile_columns_, tile_rows_, batch_;
  bool careful_, by_pre_ = false, by_clock_ = false;
  std::array<AlignedVector<int16_t>, kTargets> tiles_;
  std::array<AlignedVector<int32_t>, 5> traces_, past_;
  AlignedVector<int32_t> kept_;
  std::vector<uint8_t> tx_, ty_, unstable_, asked_;
  std::vector<int32_t> pre_spikes_, post_spikes_, rows_, is_row_;
  AlignedVector<int16_t> masks_;
  std::vector<int32_t> active_;
  std::vector<AlignedVector<int32_t>> along_pre_, gated_pre_, along_post_;
  std::vector<AlignedVector<int16_t>> narrow_pre_;
  std::vector<int32_t*> along_pre_at_, gated_pre_at_, along_post_at_;
  std::vector<int16_t*> narrow_pre_at_;
  Learning job_{};
};

}  // namespace lava_align

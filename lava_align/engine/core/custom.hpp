// Neurons that are more than Lava's LIF (see engine/neurons.py, which says what they compute).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "memory.hpp"
#include "projection.hpp"

namespace lava_align {

using Values = AlignedVector<int32_t>;

// What a port sends in a step: a value per neuron, and those that are not 0 as spikes.
class Port {
 public:
  Port() = default;
  Port(int size, bool graded) : dense(size_t(size)), graded_(graded) {}
  void clear();
  void send(int neuron, int32_t value);
  // From `dense`, all of it.
  void send_all();
  Spikes spikes() const;

  Values dense;

 private:
  bool graded_ = false;
  std::vector<int32_t> neuron_, value_;
};

class Custom {
 public:
  explicit Custom(int size) : size(size) {}
  virtual ~Custom() = default;
  // One step (from 0) with what arrives. Writes who spiked and returns how many.
  virtual int advance(int64_t step, const int32_t* soma, const int32_t* apical,
                      int32_t* spikes) = 0;
  // A state of one value per neuron, or what a port sent; throws std::out_of_range.
  int32_t* vector(const std::string& name);

  const int size;
  std::map<std::string, Values> registers;
  std::map<std::string, Port> ports;
};

struct NoiseData {
  bool present;
  int leak, gain, report;
  uint64_t hash_base;
};

struct ApicalData {
  bool present;
  int decay, report;
};

struct WindowData {
  bool present;
  int32_t margin, reach;  // in units of the membrane
  int32_t length;
  int average, bits, scale;
};

struct ExtendedData {
  int32_t du, dv, dr;  // dr: -1 without
  int32_t threshold, reset;
  int32_t refractory;
  bool holds;
  NoiseData noise;
  ApicalData apical;
  WindowData window;
};

class Extended : public Custom {
 public:
  Extended(int size, const ExtendedData& data, const int32_t* bias);
  int advance(int64_t step, const int32_t* soma, const int32_t* apical, int32_t* spikes) override;

 private:
  void add_noise(int64_t step);
  void soma();
  void watch();
  void report(int neuron);

  const ExtendedData data_;
  // Drive of this step, the membrane before the reset, who spiked and whose window ended.
  Values bias_, drive_, reached_, spiked_, ended_, rest_;
  bool reported_ = false;
};

class Escape : public Custom {
 public:
  Escape(int size, const int32_t* bias, int window, int refractory, int shift,
         const int32_t* table, uint64_t hash_base);
  int advance(int64_t step, const int32_t* soma, const int32_t* apical, int32_t* spikes) override;
  // What arrived `window - k` steps ago, k = 0 the oldest.
  int32_t* slot(int k) { return arrived_.data() + size_t((head_ + k) % window) * size_t(size); }

  const int window;

 private:
  const int refractory_, shift_;
  const uint64_t hash_base_;
  Values bias_, table_, arrived_, spiked_, rest_;
  int head_ = 0;
};

class Relay : public Custom {
 public:
  Relay(int size, int shift);
  int advance(int64_t step, const int32_t* soma, const int32_t* apical, int32_t* spikes) override;

 private:
  const int shift_;
};

}  // namespace lava_align

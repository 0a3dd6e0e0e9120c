// Groups, connections and the loop over time.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "custom.hpp"
#include "kernels.hpp"
#include "pool.hpp"
#include "projection.hpp"

namespace lava_align {

// Events of an input group in a run of steps: those of step s are offset[s] .. offset[s + 1] - 1.
struct Events {
  const int64_t* offset = nullptr;
  const int32_t* neuron = nullptr;
  const int32_t* value = nullptr;  // null: 1 each
};

// What projections act on, and what arrives there.
struct Input {
  std::vector<int> sources;
  AlignedVector<int32_t> arriving;
};

struct Neurons {
  int group, size;
  Input soma, apical;
  std::vector<int32_t> spikes;
  // Lava's LIF ..
  Lif lif;
  AlignedVector<int32_t> u, v, bias;
  // .. or something else, and the groups that stand for its ports.
  std::unique_ptr<Custom> custom;
  std::vector<std::pair<int, Port*>> ports;
};

// Spikes of a group as they are found.
struct Recorded {
  int group;
  std::vector<int64_t> step;
  std::vector<int32_t> neuron;
};

// A vector copied after every step.
struct Probe {
  const int32_t* from;
  int size;
  int32_t* to;
};

class Network {
 public:
  Network(int threads, const std::string& instructions)
      : threads_(threads), kernels_(kernels(instructions)) {}

  int add_input() {
    groups_.emplace_back();
    return static_cast<int>(groups_.size()) - 1;
  }
  int add_neurons(int size, const Lif& lif, const int32_t* bias);
  int add_custom(std::unique_ptr<Custom> custom);
  // A group that stands for a port of custom neurons.
  int add_port(int group, const std::string& name);
  int add(std::unique_ptr<Projection> projection, bool apical);

  // Runs at most n_steps, fewer when `seconds` have passed; returns how many.
  int64_t run(int64_t n_steps, double seconds, const std::vector<Events>& inputs,
              const std::vector<Draws>& draws, std::vector<Recorded>& recorded,
              const std::vector<Probe>& probes);

  Neurons& neurons(int group);
  Custom& custom(int group);
  Projection& projection(int k) { return *projections_[size_t(k)]; }
  Plastic& plastic(int k);
  int64_t step = 0;
  const char* instructions() const { return kernels_.name; }

 private:
  Neurons& add_group(int size);
  const int32_t* arriving(Input& input);
  void integrate(Neurons& neurons, int64_t at);
  void advance(int64_t at, bool last, const std::vector<Draws>& draws, Pool& pool);

  int threads_;
  const Kernels& kernels_;
  std::vector<Spikes> groups_;  // of the step at hand
  std::vector<std::unique_ptr<Neurons>> neurons_;
  std::vector<std::unique_ptr<Projection>> projections_;
  std::vector<Plastic*> plastic_;  // per projection, null if static
  std::vector<int64_t> epochs_;
};

}  // namespace lava_align

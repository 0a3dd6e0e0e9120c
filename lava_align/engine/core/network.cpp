#include "network.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace lava_align {

namespace {

// Time between two looks at the clock that is short enough, and most steps.
constexpr std::chrono::microseconds kClockInterval{500};
constexpr int64_t kMostBetween = 64;

}  // namespace

Neurons& Network::add_group(int size) {
  auto n = std::make_unique<Neurons>();
  const size_t stride = size_t(padded(size));
  n->group = add_input();
  n->size = size;
  n->soma.arriving.resize(stride);
  n->spikes.resize(stride + kPad);
  neurons_.push_back(std::move(n));
  return *neurons_.back();
}

int Network::add_neurons(int size, const Lif& lif, const int32_t* bias) {
  Neurons& n = add_group(size);
  n.lif = lif;
  for (auto* vector : {&n.u, &n.v, &n.bias}) vector->resize(size_t(padded(size)));
  std::copy(bias, bias + size, n.bias.begin());
  return n.group;
}

int Network::add_custom(std::unique_ptr<Custom> custom) {
  Neurons& n = add_group(custom->size);
  n.apical.arriving.resize(n.soma.arriving.size());
  n.custom = std::move(custom);
  return n.group;
}

int Network::add_port(int group, const std::string& name) {
  const int port = add_input();
  neurons(group).ports.emplace_back(port, &custom(group).ports.at(name));
  return port;
}

int Network::add(std::unique_ptr<Projection> projection, bool apical) {
  const int k = static_cast<int>(projections_.size());
  for (auto& n : neurons_)
    if (projection->acts && projection->post == n->group)
      (apical ? n->apical : n->soma).sources.push_back(k);
  plastic_.push_back(dynamic_cast<Plastic*>(projection.get()));
  projections_.push_back(std::move(projection));
  epochs_.push_back(0);
  return k;
}

Neurons& Network::neurons(int group) {
  for (auto& n : neurons_)
    if (n->group == group) return *n;
  throw std::out_of_range("no neurons");
}

Custom& Network::custom(int group) {
  Neurons& n = neurons(group);
  if (n.custom == nullptr) throw std::out_of_range("Lava's LIF");
  return *n.custom;
}

Plastic& Network::plastic(int k) {
  if (plastic_.at(size_t(k)) == nullptr) throw std::out_of_range("not plastic");
  return *plastic_[size_t(k)];
}

const int32_t* Network::arriving(Input& input) {
  const int stride = static_cast<int>(input.arriving.size());
  int32_t* sum = input.arriving.data();
  const int32_t* arriving = nullptr;
  bool summed = false;
  for (int k : input.sources) {
    Buffer& buffer = projections_[size_t(k)]->buffer;
    if (buffer.empty) continue;
    if (arriving == nullptr) {
      arriving = buffer.slot(0);
      continue;
    }
    if (!summed) std::memcpy(sum, arriving, sizeof(int32_t) * size_t(stride));
    summed = true;
    kernels_.add(stride, buffer.slot(0), sum);
    arriving = sum;
  }
  if (arriving != nullptr) return arriving;
  std::fill(sum, sum + stride, 0);
  return sum;
}

void Network::integrate(Neurons& n, int64_t at) {
  const int32_t* soma = arriving(n.soma);
  if (n.custom == nullptr) {
    const int found = kernels_.lif(n.size, n.lif, n.u.data(), n.v.data(), soma, n.bias.data(),
                                   n.spikes.data());
    groups_[size_t(n.group)] = {n.spikes.data(), nullptr, found};
    return;
  }
  const int found = n.custom->advance(at, soma, arriving(n.apical), n.spikes.data());
  groups_[size_t(n.group)] = {n.spikes.data(), nullptr, found};
  for (const auto& [group, port] : n.ports) groups_[size_t(group)] = port->spikes();
}

void Network::advance(int64_t at, bool last, const std::vector<Draws>& draws, Pool& pool) {
  for (auto& n : neurons_) integrate(*n, at);
  const auto spikes = [this](int group) { return group < 0 ? Spikes{} : groups_[size_t(group)]; };
  for (size_t k = 0; k < projections_.size(); ++k) {
    Projection& p = *projections_[k];
    p.buffer.advance();
    // What nobody receives is only worked out where it can be seen.
    if (p.acts || p.buffer.slots > 1 || last) p.forward(spikes(p.pre), kernels_, pool);
    Plastic* plastic = plastic_[k];
    if (plastic == nullptr) continue;
    const std::array<Spikes, 3> modulated{spikes(plastic->modulators[0]),
                                          spikes(plastic->modulators[1]),
                                          spikes(plastic->modulators[2])};
    plastic->learn(at, spikes(p.pre), spikes(plastic->gate), modulated, draws[k], epochs_[k],
                   kernels_, pool);
  }
}

int64_t Network::run(int64_t n_steps, double seconds, const std::vector<Events>& inputs,
                     const std::vector<Draws>& draws, std::vector<Recorded>& recorded,
                     const std::vector<Probe>& probes) {
  using clock = std::chrono::steady_clock;
  Pool pool(threads_);
  const auto end = clock::now() + std::chrono::duration_cast<clock::duration>(
                                      std::chrono::duration<double>(seconds));
  std::fill(epochs_.begin(), epochs_.end(), 0);
  // Reading the clock takes as long as a part of a step: less often where steps are short.
  int64_t asked = 0, often = 1;
  auto seen = clock::now();
  const auto late = [&](int64_t s) {
    if (s < asked + often) return false;
    const auto now = clock::now();
    often = now - seen > kClockInterval ? 1 : std::min(2 * often, kMostBetween);
    asked = s;
    seen = now;
    return now > end;
  };
  for (int64_t s = 0; s < n_steps; ++s) {
    for (size_t g = 0; g < inputs.size(); ++g) {
      const Events& events = inputs[g];
      if (events.offset == nullptr) continue;
      const int64_t first = events.offset[s];
      groups_[g] = {events.neuron + first, events.value == nullptr ? nullptr : events.value + first,
                    static_cast<int>(events.offset[s + 1] - first)};
    }
    const bool last = s + 1 == n_steps || late(s);
    advance(step, last, draws, pool);
    for (Recorded& r : recorded) {
      const Spikes& found = groups_[size_t(r.group)];
      r.step.insert(r.step.end(), size_t(found.n), step);
      r.neuron.insert(r.neuron.end(), found.neuron, found.neuron + found.n);
    }
    for (const Probe& probe : probes)
      std::memcpy(probe.to + s * probe.size, probe.from, sizeof(int32_t) * size_t(probe.size));
    ++step;
    if (last) return s + 1;
  }
  return n_steps;
}

}  // namespace lava_align

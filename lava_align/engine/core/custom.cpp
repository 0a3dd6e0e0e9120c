#include "custom.hpp"

#include <algorithm>
#include <cstdlib>

#include "hash.hpp"

namespace lava_align {

namespace {

constexpr int32_t kHalf = 1 << 23;
constexpr int32_t kMiddle = 1 << 15;
constexpr int32_t kRelayed = 254;

uint32_t bits(int32_t x) { return static_cast<uint32_t>(x); }
int32_t integer(uint32_t x) { return static_cast<int32_t>(x); }

// x * keep / 4096, rounded towards zero, without a product of more than 32 bits.
int32_t kept(int32_t x, uint32_t keep) {
  const uint32_t up = bits(x >> 31) & 4095U;
  const uint32_t low = (bits(x) & 4095U) * keep + up;
  return integer(bits(x >> 12) * keep + (low >> 12));
}

int32_t current(int32_t x, uint32_t keep, int32_t arriving) {
  x = integer(bits(kept(x, keep)) + (bits(arriving) << 6));
  // Once only: what is further out stays out of 24 bits.
  const uint32_t wrap = static_cast<uint32_t>(x <= -kHalf) - static_cast<uint32_t>(x > kHalf);
  return integer(bits(x) + (wrap << 24));
}

int32_t membrane(int32_t x, uint32_t keep, int32_t drive) {
  return std::clamp(integer(bits(kept(x, keep)) + bits(drive)), 1 - kHalf, kHalf - 1);
}

int32_t reported(int32_t x, int report) { return 64 + std::clamp(x >> report, -64, 63); }

int collect(int n, const int32_t* spiked, int32_t* spikes) {
  int found = 0;
  for (int i = 0; i < n; ++i) {
    spikes[found] = i;
    found += spiked[i] != 0;
  }
  return found;
}

}  // namespace

void Port::clear() {
  for (int32_t i : neuron_) dense[size_t(i)] = 0;
  neuron_.clear();
  value_.clear();
}

void Port::send(int neuron, int32_t value) {
  if (value == 0) return;
  dense[size_t(neuron)] = value;
  neuron_.push_back(neuron);
  value_.push_back(value);
}

void Port::send_all() {
  neuron_.clear();
  value_.clear();
  for (size_t i = 0; i < dense.size(); ++i)
    if (dense[i] != 0) {
      neuron_.push_back(static_cast<int32_t>(i));
      value_.push_back(dense[i]);
    }
}

Spikes Port::spikes() const {
  return {neuron_.data(), graded_ ? value_.data() : nullptr, static_cast<int>(neuron_.size())};
}

int32_t* Custom::vector(const std::string& name) {
  const auto found = registers.find(name);
  return found != registers.end() ? found->second.data() : ports.at(name).dense.data();
}

Extended::Extended(int size, const ExtendedData& data, const int32_t* bias)
    : Custom(size), data_(data), bias_(bias, bias + size), drive_(size_t(size)),
      reached_(size_t(size)), spiked_(size_t(size)), ended_(size_t(size)), rest_(size_t(size)) {
  const auto add = [this](const char* name, int32_t start) {
    registers[name].assign(size_t(this->size), start);
  };
  add("u", 0);
  add("v", data_.reset);
  if (data_.dr >= 0) add("r", 0);
  if (data_.refractory > 0) add("rest", 0);
  if (data_.noise.present) {
    add("n", 0);
    ports["noise"] = Port(size, true);
  }
  if (data_.apical.present) {
    add("p", 0);
    ports["apical"] = Port(size, true);
  }
  if (!data_.window.present) return;
  add("z", data_.reset);
  for (const char* name : {"count", "peak", "fired"}) add(name, 0);
  add("share", kMiddle);
  for (const char* name : {"plus", "minus", "window"}) ports[name] = Port(size, false);
  for (const char* name : {"above", "below", "distance"}) ports[name] = Port(size, true);
}

int Extended::advance(int64_t step, const int32_t* arriving, const int32_t* apical,
                      int32_t* spikes) {
  const uint32_t keep_u = bits(4095 - data_.du), keep_r = bits(4095 - data_.dr);
  int32_t *u = vector("u"), *drive = drive_.data();
  const int32_t* bias = bias_.data();
  for (int i = 0; i < size; ++i) {
    u[i] = current(u[i], keep_u, arriving[i]);
    drive[i] = integer(bits(u[i]) + bits(bias[i]));
  }
  if (data_.dr >= 0) {
    int32_t* r = vector("r");
    for (int i = 0; i < size; ++i) {
      r[i] = current(r[i], keep_r, arriving[i]);
      drive[i] = integer(bits(drive[i]) - bits(r[i]));
    }
  }
  if (data_.noise.present) add_noise(step);
  if (data_.apical.present) {
    const uint32_t keep = bits(4096 - data_.apical.decay);
    int32_t* p = vector("p");
    Port& port = ports["apical"];
    for (int i = 0; i < size; ++i) {
      p[i] = current(p[i], keep, apical[i]);
      port.dense[size_t(i)] = reported(p[i], data_.apical.report);
    }
    port.send_all();
  }
  soma();
  if (data_.window.present) watch();
  return collect(size, spiked_.data(), spikes);
}

void Extended::add_noise(int64_t step) {
  const NoiseData& noise = data_.noise;
  const uint64_t key = mix(noise.hash_base + static_cast<uint64_t>(step));
  const int left = std::max(noise.gain, 0), right = std::max(-noise.gain, 0);
  int32_t *n = vector("n"), *drive = drive_.data();
  Port& port = ports["noise"];
  for (int i = 0; i < size; ++i) {
    const uint32_t drawn = hashed(bits(i), key) >> 16;
    n[i] = integer(bits(n[i]) - bits(n[i] >> noise.leak) + drawn - bits(kMiddle));
    drive[i] = integer(bits(drive[i]) + (bits(n[i] >> right) << left));
    port.dense[size_t(i)] = reported(n[i], noise.report);
  }
  port.send_all();
}

void Extended::soma() {
  const uint32_t keep = bits(4096 - data_.dv);
  // All 0 without a refractory period.
  int32_t* rest = data_.refractory > 0 ? vector("rest") : rest_.data();
  int32_t *v = vector("v"), *reached = reached_.data(), *spiked = spiked_.data();
  const int32_t *drive = drive_.data();
  const int32_t reset = data_.reset, threshold = data_.threshold, refractory = data_.refractory;
  const bool holds = data_.holds;
  for (int i = 0; i < size; ++i) {
    const int32_t moved = membrane(v[i], keep, drive[i]);
    const bool resting = rest[i] > 0;
    reached[i] = resting && holds ? reset : moved;
    const bool spike = reached[i] > threshold && !resting;
    v[i] = spike ? reset : reached[i];
    spiked[i] = spike;
    rest[i] = spike ? refractory : rest[i] - resting;
  }
}

void Extended::watch() {
  const WindowData& window = data_.window;
  const uint32_t keep = bits(4096 - data_.dv);
  const int32_t threshold = data_.threshold;
  int32_t *z = vector("z"), *count = vector("count"), *peak = vector("peak");
  int32_t *fired = vector("fired"), *ended = ended_.data();
  const int32_t *drive = drive_.data(), *reached = reached_.data(), *spiked = spiked_.data();
  int32_t any = 0;
  for (int i = 0; i < size; ++i) {
    const bool open = count[i] > 0;
    // An open window goes on without reset, from where it was.
    const int32_t alone = membrane(z[i], keep, drive[i]);
    z[i] = open ? alone : reached[i];
    const bool opens = !open && std::abs(z[i] - threshold) <= window.margin;
    const bool watched = open || opens;
    const int32_t highest = watched ? std::max(peak[i], z[i]) : peak[i];
    peak[i] = opens ? z[i] : highest;
    fired[i] = (opens ? 0 : fired[i]) | (watched ? spiked[i] : 0);
    count[i] = (opens ? window.length : count[i]) - watched;
    const bool near = std::abs(peak[i] - threshold) <= window.reach;
    ended[i] = watched && count[i] == 0 && near;
    any |= ended[i];
  }
  if (reported_)
    for (const char* name : {"plus", "minus", "window", "above", "below", "distance"})
      ports[name].clear();
  reported_ = any != 0;
  if (!reported_) return;
  for (int i = 0; i < size; ++i)
    if (ended[i]) report(i);
}

void Extended::report(int i) {
  const WindowData& window = data_.window;
  int32_t& share = registers["share"][size_t(i)];
  const int32_t q = (share + (1 << (15 - window.bits))) >> (16 - window.bits);
  const int32_t distance = std::abs(registers["peak"][size_t(i)] - data_.threshold);
  ports["window"].send(i, 1);
  ports["distance"].send(i, std::min(distance >> window.scale, 127));
  if (registers["fired"][size_t(i)]) {
    ports["plus"].send(i, 1);
    ports["above"].send(i, (1 << window.bits) - q);
    share += (65535 - share) >> window.average;
  } else {
    ports["minus"].send(i, 1);
    ports["below"].send(i, q);
    share -= share >> window.average;
  }
}

Escape::Escape(int size, const int32_t* bias, int window, int refractory, int shift,
               const int32_t* table, uint64_t hash_base)
    : Custom(size), window(window), refractory_(refractory), shift_(shift), hash_base_(hash_base),
      bias_(bias, bias + size), table_(table, table + 256),
      arrived_(size_t(size) * size_t(window)), spiked_(size_t(size)), rest_(size_t(size)) {
  registers["u"].resize(size_t(size));
  if (refractory > 0) registers["rest"].resize(size_t(size));
}

int Escape::advance(int64_t step, const int32_t* arriving, const int32_t*, int32_t* spikes) {
  int32_t *u = vector("u"), *oldest = slot(0), *spiked = spiked_.data();
  // All 0 without a refractory period.
  int32_t* rest = refractory_ > 0 ? vector("rest") : rest_.data();
  const int32_t *bias = bias_.data(), *table = table_.data();
  const uint64_t key = mix(hash_base_ + static_cast<uint64_t>(step));
  for (int i = 0; i < size; ++i) {
    u[i] = integer(bits(u[i]) + bits(arriving[i]) - bits(oldest[i]));
    oldest[i] = arriving[i];
    const int32_t x = integer(bits(u[i]) + bits(bias[i])) >> shift_;
    const int32_t chance = table[std::clamp(x, -128, 127) + 128];
    const bool resting = rest[i] > 0;
    const bool spike = !resting && integer(hashed(bits(i), key) >> 16) < chance;
    spiked[i] = spike;
    rest[i] = spike ? refractory_ : rest[i] - resting;
  }
  head_ = (head_ + 1) % window;
  return collect(size, spiked, spikes);
}

Relay::Relay(int size, int shift) : Custom(size), shift_(shift) {
  for (const char* name : {"up", "down"}) ports[name] = Port(size, true);
}

int Relay::advance(int64_t, const int32_t* arriving, const int32_t*, int32_t* spikes) {
  Port &up = ports["up"], &down = ports["down"];
  up.clear();
  down.clear();
  int found = 0;
  for (int i = 0; i < size; ++i) {
    const int64_t a = arriving[i];
    const auto value = [this](int64_t x) {
      return static_cast<int32_t>(std::clamp<int64_t>(x >> shift_, 0, kRelayed));
    };
    up.send(i, value(a));
    down.send(i, value(-a));
    if (up.dense[size_t(i)] != 0 || down.dense[size_t(i)] != 0) spikes[found++] = i;
  }
  return found;
}

}  // namespace lava_align

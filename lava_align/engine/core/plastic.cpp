#include <algorithm>
#include <cmath>
#include <cstring>

#include "hash.hpp"
#include "projection.hpp"

namespace lava_align {

namespace {

// Tile visits from which two threads pay.
constexpr int64_t kWorthForward = 4096, kWorthLearning = 4096;

// Streams: the five traces, then dw, dd, dt.
uint64_t key(uint64_t base, int stream, int64_t step) {
  return mix(mix(base + static_cast<uint64_t>(stream)) + static_cast<uint64_t>(step));
}

}  // namespace

Plastic::Plastic(int pre, int post, int gate, bool acts, int n_post, int n_pre, int exponent,
                 const int16_t* weights, RuleData rule, std::array<int, 3> modulators)
    : Projection(pre, post, acts, n_post, n_pre, 1, exponent),
      gate(gate),
      modulators(modulators),
      rule_(std::move(rule)),
      stride_pre_(padded(n_pre)),
      stride_post_(padded(n_post)),
      tile_columns_((n_pre + kTile - 1) / kTile),
      tile_rows_((n_post + kTile - 1) / kTile) {
  for (size_t target = 0; target < kTargets; ++target)
    if (rule_.stored[target])
      tiles_[target].resize(size_t(tile_columns_) * size_t(tile_rows_) * kTileSize);
  write_synapses(DW, weights);
  for (int k = 0; k < 5; ++k) {
    traces_[size_t(k)].resize(size_t(stride(k)));
    if (rule_.t_epoch > 1) past_[size_t(k)].resize(size_t(stride(k)) * size_t(rule_.t_epoch + 1));
  }
  tx_.resize(size_t(stride_pre_));
  ty_.resize(size_t(stride_post_));
  unstable_.resize(size_t(stride_post_));
  is_row_.resize(size_t(stride_post_));
  masks_.resize(size_t(stride_pre_));
  const size_t count = rule_.products.size(), times = rule_.t_epoch == 1 ? 1 : size_t(rule_.t_epoch + 1);
  along_pre_.resize(count);
  narrow_pre_.resize(count);
  narrow_pre_at_.resize(count);
  gated_pre_.resize(count);
  along_post_.resize(count);
  for (size_t k = 0; k < count; ++k) {
    const Product& p = rule_.products[k];
    by_pre_ = by_pre_ || p.dependency == kPre;
    by_clock_ = by_clock_ || p.dependency == kClock;
    if (p.dependency != kPre && !p.pre.empty()) {
      const bool narrow = p.finished_by_pre() && p.narrow_by_pre();
      if (!narrow) along_pre_[k].resize(times * size_t(stride_pre_));
      // Registers of 16 bits may end beyond the last time.
      if (p.finished_by_pre()) narrow_pre_[k].resize(times * size_t(stride_pre_) + 2 * kPad);
    }
    if (p.dependency == kPre) gated_pre_[k].resize(size_t(stride_pre_));
    // A part of the tile rows may end in the middle of a register.
    if (p.dependency == kPre && !p.post.empty()) along_post_[k].resize(times * size_t(stride_post_) + kPad);
  }
  const auto at = [](std::vector<AlignedVector<int32_t>>& vectors) {
    std::vector<int32_t*> found;
    for (auto& vector : vectors) found.push_back(vector.empty() ? nullptr : vector.data());
    return found;
  };
  along_pre_at_ = at(along_pre_);
  gated_pre_at_ = at(gated_pre_);
  along_post_at_ = at(along_post_);
  describe();
}

void Plastic::read_synapses(int target, int16_t* to) const {
  const auto& tiles = tiles_[size_t(target)];
  if (tiles.empty()) {
    std::fill(to, to + size_t(n_post) * size_t(n_pre), int16_t{0});
    return;
  }
  for (int j = 0; j < n_post; ++j) {
    const int16_t* from = tiles.data() + size_t(j / kTile) * size_t(tile_columns_) * kTileSize +
                          size_t(j % kTile) * kTile;
    int16_t* row = to + size_t(j) * size_t(n_pre);
    int i = 0;
    for (; i + kTile <= n_pre; i += kTile) std::memcpy(row + i, from + size_t(i) * kTile, 2 * kTile);
    for (int c = 0; i + c < n_pre; ++c) row[i + c] = from[size_t(i) * kTile + size_t(c)];
  }
}

void Plastic::write_synapses(int target, const int16_t* from) {
  auto& tiles = tiles_[size_t(target)];
  if (tiles.empty()) return;
  int largest = 256;
  bool careful = false;
  for (int j = 0; j < n_post; ++j)
    for (int i = 0; i < n_pre; ++i) {
      const int16_t value = from[size_t(j) * size_t(n_pre) + size_t(i)];
      const size_t tile = size_t(j / kTile) * size_t(tile_columns_) + size_t(i / kTile);
      tiles[tile * kTileSize + size_t(j % kTile * kTile + i % kTile)] = value;
      largest = std::max(largest, std::abs(int{value}));
      careful = careful || value < rule_.low[size_t(target)] || value > rule_.high[size_t(target)];
    }
  if (target != DW) return;
  batch_ = std::max(1, 32767 / largest);
  careful_ = careful;
}

void Plastic::resume() {
  pre_spikes_.clear();
  post_spikes_.clear();
  for (int i = 0; i < n_pre; ++i)
    if (tx_[size_t(i)] > 0) pre_spikes_.push_back(i);
  for (int j = 0; j < n_post; ++j)
    if (ty_[size_t(j)] > 0) post_spikes_.push_back(j);
  const auto& tags = tiles_[DT];
  for (int j = 0; j < n_post; ++j) {
    unstable_[size_t(j)] = 0;
    for (int i = 0; i < n_pre && rule_.learns[DT]; ++i) {
      const size_t tile = size_t(j / kTile) * size_t(tile_columns_) + size_t(i / kTile);
      if (tags[tile * kTileSize + size_t(j % kTile * kTile + i % kTile)] == rule_.low[DT])
        unstable_[size_t(j)] = 1;
    }
  }
}

size_t Plastic::bytes() const {
  size_t total = 0;
  for (const auto& tiles : tiles_) total += 2 * tiles.size();
  return total;
}

void Plastic::forward(const Spikes& spikes, const Kernels& kernels, Pool& pool) {
  if (spikes.n == 0) return;
  buffer.empty = false;
  int32_t* out = buffer.slot(0);
  if (spikes.value != nullptr) {
    for (int j = 0; j < n_post; ++j) {
      uint32_t sum = 0;
      const size_t row = size_t(j / kTile) * size_t(tile_columns_) * kTileSize + size_t(j % kTile) * kTile;
      for (int s = 0; s < spikes.n; ++s) {
        const size_t i = size_t(spikes.neuron[s]);
        const int16_t weight = tiles_[DW][row + i / kTile * kTileSize + i % kTile];
        sum += static_cast<uint32_t>(int32_t{weight}) * static_cast<uint32_t>(spikes.value[s]);
      }
      const int32_t total = static_cast<int32_t>(sum);
      if (exponent > 0)
        out[j] = exponent > 31 ? 0 : static_cast<int32_t>(sum << exponent);
      else
        out[j] = total >> std::min(31, -exponent);
    }
    return;
  }
  active_.clear();
  for (int s = 0; s < spikes.n; ++s) {
    const int i = spikes.neuron[s], tile = i / kTile;
    if (active_.empty() || active_.back() != tile) {
      std::fill_n(masks_.data() + active_.size() * kTile, kTile, int16_t{0});
      active_.push_back(tile);
    }
    masks_[(active_.size() - 1) * kTile + size_t(i % kTile)] = -1;
  }
  const int n_active = static_cast<int>(active_.size());
  pool.split(tile_rows_, int64_t{n_active} * tile_rows_ > kWorthForward, [&](int first, int last) {
    kernels.tiles(first, last, tile_columns_, tiles_[DW].data(), active_.data(), masks_.data(),
                  n_active, batch_, exponent, out);
  });
}

void Plastic::raise(int trace, int neuron) {
  int32_t& value = traces_[size_t(trace)][size_t(neuron)];
  const int64_t sum = int64_t{value} + rule_.traces[size_t(trace)].impulse;
  value = static_cast<int32_t>(std::clamp<int64_t>(sum, 0, kTraceMax));
}

void Plastic::note_pre(const Spikes& spikes, int now) {
  if (rule_.graded != kDefault) {
    note_payload(spikes, now);
    return;
  }
  for (int s = 0; s < spikes.n; ++s) {
    const int i = spikes.neuron[s];
    if (tx_[size_t(i)] > 0) {
      raise(X1, i);
      raise(X2, i);
    } else {
      pre_spikes_.push_back(i);
    }
    tx_[size_t(i)] = static_cast<uint8_t>(now);
  }
}

// Payloads go to x1 in eight bits; what adds up beyond is looked for in all neurons, as Lava does.
void Plastic::note_payload(const Spikes& spikes, int now) {
  int32_t* x1 = traces_[X1].data();
  std::vector<uint8_t> noted(size_t(stride_pre_), 0);
  for (int s = 0; s < spikes.n; ++s) {
    const int i = spikes.neuron[s];
    const int32_t value = spikes.value == nullptr ? 1 : spikes.value[s];
    const int32_t payload = static_cast<int32_t>(std::nearbyint(value / 2.0)) & 255;
    noted[size_t(i)] = 1;
    x1[i] = rule_.graded == kOverwrite ? payload : ((x1[i] & 255) + payload) & 255;
  }
  for (int i = 0; i < n_pre; ++i) {
    const bool over = x1[i] > kTraceMax;
    if (rule_.graded == kAddWithSaturation && over) x1[i] = kTraceMax;
    if (rule_.graded == kAddWithoutSaturation) {
      if (over) x1[i] -= kTraceMax;
      noted[size_t(i)] &= over;
    }
    if (!noted[size_t(i)]) continue;
    if (tx_[size_t(i)] > 0)
      raise(X2, i);
    else
      pre_spikes_.push_back(i);
    tx_[size_t(i)] = static_cast<uint8_t>(now);
  }
}

void Plastic::note_post(const Spikes& spikes, int now) {
  for (int s = 0; s < spikes.n; ++s) {
    const int j = spikes.neuron[s];
    if (ty_[size_t(j)] > 0)
      for (int k : {Y1, Y2, Y3}) raise(k, j);
    else
      post_spikes_.push_back(j);
    ty_[size_t(j)] = static_cast<uint8_t>(now);
  }
}

void Plastic::learn(int64_t step, const Spikes& pre, const Spikes& gate,
                    const std::array<Spikes, 3>& modulated, const Draws& draws, int64_t& epoch,
                    const Kernels& kernels, Pool& pool) {
  const int now = static_cast<int>(step % rule_.t_epoch) + 1;
  note_pre(pre, now);
  note_post(gate, now);
  for (size_t k = 0; rule_.third_factor && k < 3; ++k) {
    auto& y = traces_[Y1 + k];
    std::fill(y.begin(), y.end(), 0);
    for (int s = 0; s < modulated[k].n; ++s)
      y[size_t(modulated[k].neuron[s])] = modulated[k].value == nullptr ? 1 : modulated[k].value[s];
  }
  if (now < rule_.t_epoch) return;

  histories(step, draws, epoch, kernels);
  Learning& job = job_;
  job.clock = by_clock_ && (step + 1) / rule_.t_epoch % (int64_t{1} << rule_.decimation) == 0;
  job.force = careful_ && rule_.learns[DW];
  job.careful = careful_;
  rows_.clear();
  if (job.clock || job.force) {
    for (int j = 0; j < n_post; ++j) rows_.push_back(j);
  } else {
    rows_ = post_spikes_;
    if (rule_.learns[DT])
      for (int j = 0; j < n_post; ++j)
        if (unstable_[size_t(j)] && ty_[size_t(j)] == 0) rows_.push_back(j);
    // The spikes of one step are in order.
    if (rule_.t_epoch > 1 || rule_.learns[DT]) std::sort(rows_.begin(), rows_.end());
  }
  const bool columns = by_pre_ && !pre_spikes_.empty();
  if (!rows_.empty() || columns) {
    if (rule_.t_epoch > 1) std::sort(pre_spikes_.begin(), pre_spikes_.end());
    for (int target = 0; target < kTargets; ++target) {
      Numbers& numbers = job.numbers[target];
      numbers.shared = rule_.shared_numbers;
      if (numbers.shared) {
        numbers.offset = 127 - static_cast<int32_t>(128 * draws.synapse[epoch]);
      } else {
        const uint64_t k = key(rule_.hash_base, 5 + target, step);
        numbers.low = static_cast<uint32_t>(k);
        numbers.high = static_cast<uint32_t>(k >> 32);
      }
    }
    if (columns)
      for (int j : rows_) is_row_[size_t(j)] = -1;
    prepare(kernels);
    const int64_t visits = int64_t(rows_.size()) * tile_columns_ +
                           (columns ? int64_t(pre_spikes_.size()) * tile_rows_ : 0);
    pool.split(tile_rows_, visits > kWorthLearning,
               [&](int first, int last) { kernels.learn(job, first, last); });
    if (columns)
      for (int j : rows_) is_row_[size_t(j)] = 0;
    clear_gates();
    if (rule_.learns[DW]) careful_ = false;
  }
  for (int i : pre_spikes_) tx_[size_t(i)] = 0;
  for (int j : post_spikes_) ty_[size_t(j)] = 0;
  pre_spikes_.clear();
  post_spikes_.clear();
  ++epoch;
}

int32_t* Plastic::past(int trace, int time) {
  if (rule_.t_epoch == 1) return traces_[size_t(trace)].data();
  return past_[size_t(trace)].data() + size_t(time) * size_t(stride(trace));
}

// Whether a trace can be anything but 0.
bool Plastic::busy(int trace) const {
  if (trace >= Y1 && rule_.third_factor) return modulators[size_t(trace - Y1)] >= 0;
  return rule_.traces[size_t(trace)].impulse > 0 || (trace == X1 && rule_.graded != kDefault);
}

void Plastic::histories(int64_t step, const Draws& draws, int64_t epoch, const Kernels& kernels) {
  for (int k = X1; k <= Y3; ++k) {
    const double* shared = k < Y1 ? draws.pre : draws.post;
    if (busy(k)) history(k, step, rule_.shared_numbers ? shared[epoch] : 0, kernels);
  }
}

// Of several spikes in the epoch only the last is in its place.
void Plastic::history(int k, int64_t step, double number, const Kernels& kernels) {
  const double remaining = rule_.traces[size_t(k)].remaining;
  const int32_t impulse = rule_.traces[size_t(k)].impulse;
  const std::vector<int32_t>& spiked = k < Y1 ? pre_spikes_ : post_spikes_;
  const std::vector<uint8_t>& times = k < Y1 ? tx_ : ty_;
  const bool overwritten = rule_.third_factor && k >= Y1;
  auto& trace = traces_[size_t(k)];
  if (rule_.t_epoch > 1) std::copy(trace.begin(), trace.end(), past(k, 0));
  // y1, y2, y3 of a three-factor rule are what the neuron wrote, whatever happens in the epoch.
  if (overwritten && rule_.t_epoch == 1) kept_ = trace;
  for (int now = 1; now <= rule_.t_epoch; ++now) {
    const int32_t* from = past(k, rule_.t_epoch == 1 ? 0 : now - 1);
    int32_t* to = past(k, now);
    if (rule_.shared_numbers) {
      kernels.decay(stride(k), remaining, number, from, to);
    } else {
      const uint64_t bits = key(rule_.hash_base, k, step - rule_.t_epoch + now);
      kernels.decay_independent(stride(k), remaining, static_cast<uint32_t>(bits),
                                static_cast<uint32_t>(bits >> 32), from, to);
    }
    for (int n : spiked)
      if (times[size_t(n)] == now)
        to[n] = static_cast<int32_t>(
            std::clamp<int64_t>(int64_t{to[n]} + impulse, 0, kTraceMax));
  }
  if (overwritten && rule_.t_epoch == 1) {
    past_[size_t(k)] = trace;
    trace = kept_;
  } else if (!overwritten && rule_.t_epoch > 1) {
    std::copy(past(k, rule_.t_epoch), past(k, rule_.t_epoch) + stride(k), trace.begin());
  }
}

// What stays the same in every epoch.
void Plastic::describe() {
  Learning& job = job_;
  job.products = rule_.products.data();
  job.n_products = static_cast<int>(rule_.products.size());
  job.n_pre = n_pre;
  job.n_post = n_post;
  job.tile_columns = tile_columns_;
  job.tile_rows = tile_rows_;
  job.stride_pre = stride_pre_;
  job.stride_post = stride_post_;
  job.t_epoch = rule_.t_epoch;
  for (size_t target = 0; target < kTargets; ++target) {
    job.synapses[target] = tiles_[target].empty() ? nullptr : tiles_[target].data();
    job.low[target] = rule_.low[target];
    job.high[target] = rule_.high[target];
    job.learns[target] = rule_.learns[target];
  }
  job.only_weights = tiles_[DD].empty() && tiles_[DT].empty();
  job.rows_alike = std::all_of(rule_.products.begin(), rule_.products.end(),
                               [](const Product& p) { return p.post.empty(); });
  for (const Product& p : rule_.products)
    for (const Factor& f : p.synapse) job.only_weights = job.only_weights && f.variable == W;
  job.tx = tx_.data();
  job.ty = ty_.data();
  job.is_row = is_row_.data();
  job.unstable = unstable_.data();
  job.along_pre = along_pre_at_.data();
  job.narrow_pre = narrow_pre_at_.data();
  job.gated_pre = gated_pre_at_.data();
  job.along_post = along_post_at_.data();
}

// What the products are worth on the side of the neurons, once for all synapses.
void Plastic::prepare(const Kernels& kernels) {
  Learning& job = job_;
  job.pre_spikes = pre_spikes_.data();
  job.n_pre_spikes = static_cast<int>(pre_spikes_.size());
  job.rows = rows_.data();
  job.n_rows = static_cast<int>(rows_.size());
  for (int k = X1; k <= Y3; ++k) {
    // Of a three-factor rule past_ is made by the first epoch.
    const bool aside = rule_.t_epoch > 1 || (rule_.third_factor && k >= Y1 && busy(k));
    job.history[k] = aside ? past_[size_t(k)].data() : traces_[size_t(k)].data();
  }
  for (size_t k = 0; k < rule_.products.size(); ++k) prepare_pre(k, kernels);
}

void Plastic::prepare_pre(size_t k, const Kernels& kernels) {
  const Product& p = rule_.products[k];
  const Learning& job = job_;
  if (p.dependency == kPre) {
    for (int i : pre_spikes_) {
      uint32_t product = 1;
      for (const Factor& f : p.pre) {
        const int32_t x = f.variable == X0 ? 1 : job.trace(f.variable, tx_[size_t(i)])[i];
        product *= static_cast<uint32_t>(std::clamp(x, f.low, f.high) + f.constant);
      }
      int32_t value = static_cast<int32_t>(product);
      if (p.finished_by_pre()) {
        value = static_cast<int32_t>(product * static_cast<uint32_t>(p.mantissa)) >> p.right;
        value = static_cast<int32_t>(static_cast<uint32_t>(value) << p.left);
        value = std::clamp(value, kAccumulatorMin, kAccumulatorMax);
      }
      gated_pre_[k][size_t(i)] = value;
    }
    if (p.post.empty()) return;
  } else if (p.pre.empty() || rows_.empty()) {
    return;
  }
  // At the times at which the other side asks.
  asked_.assign(size_t(rule_.t_epoch) + 1, 0);
  if (p.dependency == kPre)
    for (int i : pre_spikes_) asked_[tx_[size_t(i)]] = 1;
  else if (p.dependency == kPost)
    for (int j : post_spikes_) asked_[ty_[size_t(j)]] = 1;
  else
    asked_[size_t(rule_.t_epoch)] = job.clock;
  auto& narrow = narrow_pre_[k];
  narrow_pre_at_[k] = narrow.empty() ? nullptr : narrow.data();
  for (int time = 1; time <= rule_.t_epoch; ++time) {
    if (!asked_[size_t(time)]) continue;
    const bool pre = p.dependency != kPre;
    const int stride = pre ? stride_pre_ : stride_post_;
    const bool finished = pre ? p.finished_by_pre() : p.finished_by_post();
    int16_t* narrow_out = narrow.empty() ? nullptr : narrow.data() + job.at(time, stride);
    if (pre && along_pre_[k].empty()) {
      kernels.narrow_coefficient(stride, p, job, time, narrow_out);
      continue;
    }
    int32_t* out = (pre ? along_pre_[k] : along_post_[k]).data() + job.at(time, stride);
    if (!kernels.coefficient(stride, p, pre ? p.pre : p.post, job, time, finished, out, narrow_out))
      narrow_pre_at_[k] = nullptr;
  }
}

void Plastic::clear_gates() {
  for (auto& gates : gated_pre_)
    if (!gates.empty())
      for (int i : pre_spikes_) gates[size_t(i)] = 0;
}

}  // namespace lava_align

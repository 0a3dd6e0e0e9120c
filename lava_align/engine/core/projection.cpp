#include "projection.hpp"

#include <algorithm>

namespace lava_align {

namespace {

uint32_t bits(int32_t x) { return static_cast<uint32_t>(x); }
int32_t integer(uint32_t x) { return static_cast<int32_t>(x); }

int32_t shifted(int64_t x, int exponent) {
  const uint32_t low = static_cast<uint32_t>(x);
  if (exponent > 0) return exponent > 31 ? 0 : integer(low << exponent);
  return integer(static_cast<uint32_t>(x >> std::min(63, -exponent)));
}

// Bytes of columns from which two threads pay.
constexpr int64_t kWorthColumns = 1 << 19;

}  // namespace

void Buffer::advance() {
  if (slots == 1) {
    empty = true;
    return;
  }
  if (!empty) clear_first();
  head = (head + 1) % slots;
}

void Buffer::clear_first() {
  int32_t* first = slot(0);
  std::fill(first, first + stride, 0);
}

Static::Static(int pre, int post, bool acts, int n_post, int n_pre, int slots, int exponent,
               const int16_t* weights, const uint8_t* delays)
    : Projection(pre, post, acts, n_post, n_pre, slots, exponent), stride_(padded(n_post)) {
  const size_t count = size_t(n_post) * size_t(n_pre), stored = size_t(stride_) * size_t(n_pre);
  int low = 0, high = 0;
  bool even = true;
  for (size_t k = 0; k < count; ++k) {
    low = k == 0 ? weights[k] : std::min<int>(low, weights[k]);
    high = k == 0 ? weights[k] : std::max<int>(high, weights[k]);
    even = even && weights[k] % 2 == 0;
  }
  const bool odd_fit = high - low <= 255, even_fit = even && high - low <= 510;
  if (odd_fit || even_fit) {
    scale_ = odd_fit ? 1 : 2;
    offset_ = low + 128 * scale_;
    bytes_.resize(stored);
  } else {
    words_.resize(stored);
  }
  if (delays != nullptr) delays_.resize(stored);
  for (int i = 0; i < n_pre; ++i)
    for (int j = 0; j < n_post; ++j) {
      const size_t from = size_t(j) * size_t(n_pre) + size_t(i), to = size_t(i) * size_t(stride_) + size_t(j);
      if (words_.empty())
        bytes_[to] = static_cast<int8_t>((weights[from] - offset_) / scale_);
      else
        words_[to] = weights[from];
      if (delays != nullptr) delays_[to] = delays[from];
    }
}

void Static::forward(const Spikes& spikes, const Kernels& kernels, Pool& pool) {
  if (spikes.n == 0) return;
  const bool general = spikes.value != nullptr || !delays_.empty();
  if (general && buffer.empty) buffer.clear_first();
  buffer.empty = false;
  if (general) {
    forward_general(spikes);
    return;
  }
  int32_t* out = buffer.slot(0);
  const bool worth = int64_t{spikes.n} * stride_ > kWorthColumns;
  pool.split(stride_ / kPad, worth, [&](int first, int last) {
    if (words_.empty())
      kernels.columns8(first * kPad, last * kPad, stride_, bytes_.data(), spikes.neuron, spikes.n,
                       scale_, offset_, exponent, out);
    else
      kernels.columns16(first * kPad, last * kPad, stride_, words_.data(), spikes.neuron, spikes.n,
                        scale_, offset_, exponent, out);
  });
}

// Payloads or delays: what arrives at the same time is summed, shifted, and added to the buffer.
// Lava sums in 32 bits without delays, and products of 32 bits in 64 with them.
void Static::forward_general(const Spikes& spikes) {
  std::vector<int64_t> sums(size_t(buffer.stride) * size_t(buffer.slots), 0);
  const bool wide = !delays_.empty();
  for (int s = 0; s < spikes.n; ++s) {
    const size_t column = size_t(spikes.neuron[s]) * size_t(stride_);
    const int32_t value = spikes.value == nullptr ? 1 : spikes.value[s];
    for (int j = 0; j < n_post; ++j) {
      const size_t at = column + size_t(j);
      const size_t delay = delays_.empty() ? 0 : delays_[at];
      int64_t& sum = sums[delay * size_t(buffer.stride) + size_t(j)];
      sum += integer(bits(weight(at)) * bits(value));
      if (!wide) sum = integer(static_cast<uint32_t>(sum));
    }
  }
  for (int k = 0; k < buffer.slots; ++k) {
    int32_t* out = buffer.slot(k);
    const int64_t* sum = sums.data() + size_t(k) * size_t(buffer.stride);
    for (int j = 0; j < n_post; ++j) out[j] = integer(bits(out[j]) + bits(shifted(sum[j], exponent)));
  }
}

}  // namespace lava_align

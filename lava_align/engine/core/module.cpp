// Python's view of the engine. lava_align/engine/native.py is its only user and checks everything.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "network.hpp"

namespace py = pybind11;

namespace lava_align {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

using FactorData = std::tuple<int, int, int, int, bool>;
using ProductData = std::tuple<int, int, int, int, int, bool, std::vector<FactorData>>;

Product product(const ProductData& data) {
  Product p;
  const auto& [target, dependency, mantissa, right, left, clip, factors] = data;
  p.target = static_cast<Target>(target);
  p.dependency = static_cast<Dependency>(dependency);
  p.mantissa = mantissa;
  p.right = right;
  p.left = left;
  p.clip = clip;
  for (const auto& [variable, constant, low, high, sign] : factors) {
    const Factor factor{static_cast<Variable>(variable), constant, low, high, sign};
    auto& side = variable == X1 || variable == X2 || variable == X0 ? p.pre
                 : variable >= W && variable <= T                  ? p.synapse
                                                                   : p.post;
    side.push_back(factor);
  }
  return p;
}

RuleData rule(const py::dict& data) {
  RuleData r;
  for (const auto& one : data["products"].cast<std::vector<ProductData>>())
    r.products.push_back(product(one));
  const auto traces = data["traces"].cast<std::vector<std::pair<int32_t, double>>>();
  for (size_t k = 0; k < 5; ++k) r.traces[k] = {traces.at(k).first, traces.at(k).second};
  r.t_epoch = data["t_epoch"].cast<int>();
  r.decimation = data["decimation"].cast<int>();
  r.third_factor = data["third_factor"].cast<bool>();
  r.graded = static_cast<GradedMode>(data["graded"].cast<int>());
  r.learns = data["learns"].cast<std::array<bool, kTargets>>();
  r.stored = data["stored"].cast<std::array<bool, kTargets>>();
  r.low = data["low"].cast<std::array<int32_t, kTargets>>();
  r.high = data["high"].cast<std::array<int32_t, kTargets>>();
  r.shared_numbers = data["shared_numbers"].cast<bool>();
  r.hash_base = data["hash_base"].cast<uint64_t>();
  return r;
}

template <class T>
Array<T> taken(std::vector<T>&& values) {
  auto* owned = new std::vector<T>(std::move(values));
  py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<T>*>(p); });
  return Array<T>(static_cast<py::ssize_t>(owned->size()), owned->data(), owner);
}

template <class T>
const T* pointer(const std::optional<Array<T>>& array) {
  return array ? array->data() : nullptr;
}

using EventArrays =
    std::tuple<std::optional<Array<int64_t>>, std::optional<Array<int32_t>>, std::optional<Array<int32_t>>>;
using DrawArrays =
    std::tuple<std::optional<Array<double>>, std::optional<Array<double>>, std::optional<Array<double>>>;

// (kind, index, variable, rows): a register or port of a group or a trace of a projection.
using ProbeArrays = std::tuple<std::string, int, int, Array<int32_t>>;

int32_t* vector_of(Network& network, const std::string& kind, int index, int variable) {
  if (kind == "trace") return network.plastic(index).trace(variable);
  Neurons& neurons = network.neurons(index);
  if (neurons.custom != nullptr) return neurons.custom->vector(kind);
  return (kind == "u" ? neurons.u : neurons.v).data();
}

py::tuple run(Network& network, int64_t n_steps, double seconds,
              const std::vector<EventArrays>& inputs, const std::vector<DrawArrays>& draws,
              const std::vector<int>& groups, std::vector<ProbeArrays> probes) {
  std::vector<Events> events;
  for (const auto& [offset, neuron, value] : inputs)
    events.push_back({pointer(offset), pointer(neuron), pointer(value)});
  std::vector<Draws> drawn;
  for (const auto& [pre, post, synapse] : draws)
    drawn.push_back({pointer(pre), pointer(post), pointer(synapse)});
  std::vector<Recorded> recorded;
  for (int group : groups) recorded.push_back({group, {}, {}});
  std::vector<Probe> probed;
  for (auto& [kind, index, variable, rows] : probes)
    probed.push_back({vector_of(network, kind, index, variable), static_cast<int>(rows.shape(1)),
                      rows.mutable_data()});
  int64_t done;
  {
    py::gil_scoped_release release;
    done = network.run(n_steps, seconds, events, drawn, recorded, probed);
  }
  py::list spikes;
  for (Recorded& r : recorded)
    spikes.append(py::make_tuple(taken(std::move(r.step)), taken(std::move(r.neuron))));
  return py::make_tuple(done, spikes);
}

Array<int32_t> read_vector(Network& network, const std::string& kind, int index, int variable, int n) {
  const int32_t* from = vector_of(network, kind, index, variable);
  Array<int32_t> out(n);
  std::copy(from, from + n, out.mutable_data());
  return out;
}

void write_vector(Network& network, const std::string& kind, int index, int variable,
                  const Array<int32_t>& values) {
  std::copy(values.data(), values.data() + values.size(), vector_of(network, kind, index, variable));
}

Array<int16_t> read_synapses(Network& network, int k, int target) {
  Plastic& plastic = network.plastic(k);
  Array<int16_t> out({plastic.n_post, plastic.n_pre});
  int16_t* to = out.mutable_data();
  py::gil_scoped_release release;
  plastic.read_synapses(target, to);
  return out;
}

Array<int32_t> read_buffer(Network& network, int k) {
  Projection& p = network.projection(k);
  Array<int32_t> out({p.n_post, p.buffer.slots});
  auto to = out.mutable_unchecked<2>();
  for (int s = 0; s < p.buffer.slots; ++s)
    for (int j = 0; j < p.n_post; ++j) to(j, s) = p.buffer.empty ? 0 : p.buffer.slot(s)[j];
  return out;
}

void write_buffer(Network& network, int k, const Array<int32_t>& values) {
  Projection& p = network.projection(k);
  auto from = values.unchecked<2>();
  for (int s = 0; s < p.buffer.slots; ++s)
    for (int j = 0; j < p.n_post; ++j) p.buffer.slot(s)[j] = from(j, s);
  p.buffer.empty = false;
}

Escape& escape(Network& network, int group) {
  return dynamic_cast<Escape&>(network.custom(group));
}

// (size, window), the oldest first.
Array<int32_t> read_arrived(Network& network, int group) {
  Escape& e = escape(network, group);
  Array<int32_t> out({e.size, e.window});
  auto to = out.mutable_unchecked<2>();
  for (int k = 0; k < e.window; ++k)
    for (int i = 0; i < e.size; ++i) to(i, k) = e.slot(k)[i];
  return out;
}

void write_arrived(Network& network, int group, const Array<int32_t>& values) {
  Escape& e = escape(network, group);
  auto from = values.unchecked<2>();
  for (int k = 0; k < e.window; ++k)
    for (int i = 0; i < e.size; ++i) e.slot(k)[i] = from(i, k);
}

ExtendedData extended(const py::dict& data) {
  const auto number = [](const py::dict& from, const char* key) { return from[key].cast<int32_t>(); };
  ExtendedData e{};
  e.du = number(data, "du");
  e.dv = number(data, "dv");
  e.dr = number(data, "dr");
  e.threshold = number(data, "threshold");
  e.reset = number(data, "reset");
  e.refractory = number(data, "refractory");
  e.holds = data["holds"].cast<bool>();
  if (data.contains("noise")) {
    const py::dict noise = data["noise"];
    e.noise = {true, number(noise, "leak"), number(noise, "gain"), number(noise, "report"),
               noise["hash_base"].cast<uint64_t>()};
  }
  if (data.contains("apical")) {
    const py::dict apical = data["apical"];
    e.apical = {true, number(apical, "decay"), number(apical, "report")};
  }
  if (data.contains("window")) {
    const py::dict window = data["window"];
    e.window = {true,
                number(window, "margin"),
                number(window, "reach"),
                number(window, "length"),
                number(window, "average"),
                number(window, "bits"),
                number(window, "scale")};
  }
  return e;
}

Array<int32_t> read_times(Network& network, int k, bool pre) {
  Plastic& plastic = network.plastic(k);
  const auto& times = plastic.times(pre);
  const int n = pre ? plastic.n_pre : plastic.n_post;
  Array<int32_t> out(n);
  std::copy(times.begin(), times.begin() + n, out.mutable_data());
  return out;
}

void write_times(Network& network, int k, bool pre, const Array<int32_t>& values) {
  auto& times = network.plastic(k).times(pre);
  for (py::ssize_t i = 0; i < values.size(); ++i) times[size_t(i)] = static_cast<uint8_t>(values.data()[i]);
}

}  // namespace
}  // namespace lava_align

PYBIND11_MODULE(_core, m) {
  using namespace lava_align;
  m.doc() = "The integer engine in C++; see lava_align.engine.native.";
  m.def("instruction_sets", &kernel_names, "Names of the instruction sets this machine can run.");
  py::class_<Network>(m, "Network")
      .def(py::init<int, const std::string&>())
      .def_readwrite("step", &Network::step)
      .def_property_readonly("instructions", &Network::instructions)
      .def("add_input", &Network::add_input)
      .def("add_neurons",
           [](Network& n, int size, int keep_u, int keep_v, int threshold, const Array<int32_t>& bias) {
             return n.add_neurons(size, {keep_u, keep_v, threshold}, bias.data());
           })
      .def("add_extended",
           [](Network& n, int size, const py::dict& data, const Array<int32_t>& bias) {
             return n.add_custom(std::make_unique<Extended>(size, extended(data), bias.data()));
           })
      .def("add_escape",
           [](Network& n, int size, const Array<int32_t>& bias, int window, int refractory, int shift,
              const Array<int32_t>& table, uint64_t hash_base) {
             return n.add_custom(std::make_unique<Escape>(size, bias.data(), window, refractory, shift,
                                                          table.data(), hash_base));
           })
      .def("add_relay",
           [](Network& n, int size, int shift) {
             return n.add_custom(std::make_unique<Relay>(size, shift));
           })
      .def("add_port", &Network::add_port)
      .def("add_static",
           [](Network& n, int pre, int post, bool apical, bool acts, int exponent, int slots,
              const Array<int16_t>& weights, const std::optional<Array<uint8_t>>& delays) {
             return n.add(std::make_unique<Static>(
                 pre, post, acts, static_cast<int>(weights.shape(0)),
                 static_cast<int>(weights.shape(1)), slots, exponent, weights.data(),
                 pointer(delays)), apical);
           })
      .def("add_plastic",
           [](Network& n, int pre, int post, bool apical, int gate, bool acts, int exponent,
              const Array<int16_t>& weights, const py::dict& data, std::array<int, 3> modulators) {
             return n.add(std::make_unique<Plastic>(
                 pre, post, gate, acts, static_cast<int>(weights.shape(0)),
                 static_cast<int>(weights.shape(1)), exponent, weights.data(), rule(data), modulators),
                 apical);
           })
      .def("run", &run)
      .def("read_vector", &read_vector)
      .def("write_vector", &write_vector)
      .def("read_synapses", &read_synapses)
      .def("write_synapses",
           [](Network& n, int k, int target, const Array<int16_t>& values) {
             n.plastic(k).write_synapses(target, values.data());
           })
      .def("read_buffer", &read_buffer)
      .def("write_buffer", &write_buffer)
      .def("read_arrived", &read_arrived)
      .def("write_arrived", &write_arrived)
      .def("read_times", &read_times)
      .def("write_times", &write_times)
      .def("resume", [](Network& n, int k) { n.plastic(k).resume(); })
      .def("synapse_bytes", [](Network& n, int k) {
        if (auto* fixed = dynamic_cast<Static*>(&n.projection(k))) return fixed->bytes();
        return n.plastic(k).bytes();
      });
}

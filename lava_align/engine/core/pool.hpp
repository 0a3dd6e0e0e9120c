// Threads that wait for work by spinning, for parts of a step that take some ten microseconds, and
// fall asleep where no work comes, as in a network whose steps are too short to share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace lava_align {

class Pool {
 public:
  explicit Pool(int threads) : parts_(threads) {
    for (int part = 1; part < threads; ++part) workers_.emplace_back([this, part] { work(part); });
  }
  ~Pool() {
    stop_.store(true, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    for (std::thread& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Calls task(first, last) on consecutive parts of 0 .. n - 1, in parallel if it is worth it.
  template <class Task>
  void split(int n, bool worth, const Task& task) {
    if (workers_.empty() || !worth || n < parts_) {
      task(0, n);
      return;
    }
    // Not std::function, which would allocate for every call.
    task_ = &task;
    call_ = [](const void* t, int first, int last) { (*static_cast<const Task*>(t))(first, last); };
    n_ = n;
    left_.store(parts_ - 1, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    run(0);
    int spins = 0;
    while (left_.load(std::memory_order_acquire) != 0) pause(spins);
  }

 private:
  void run(int part) {
    const auto edge = [this](int k) { return static_cast<int>(int64_t{n_} * k / parts_); };
    call_(task_, edge(part), edge(part + 1));
  }
  void work(int part) {
    unsigned seen = 0;
    for (;;) {
      int spins = 0;
      while (generation_.load(std::memory_order_acquire) == seen)
        if (!pause(spins)) std::this_thread::sleep_for(std::chrono::microseconds(50));
      ++seen;
      if (stop_.load(std::memory_order_relaxed)) return;
      run(part);
      left_.fetch_sub(1, std::memory_order_release);
    }
  }
  // Spins, then gives way: on a busy machine the one waited for may need this core. False once
  // this has lasted about a millisecond.
  static bool pause(int& spins) {
    if (spins >= kSpins) std::this_thread::yield();
    if (spins == kSpins + kYields) return false;
    ++spins;
    return true;
  }

  static constexpr int kSpins = 2000, kYields = 2000;
  int parts_;
  std::vector<std::thread> workers_;
  std::atomic<unsigned> generation_{0};
  std::atomic<int> left_{0};
  std::atomic<bool> stop_{false};
  const void* task_ = nullptr;
  void (*call_)(const void*, int, int) = nullptr;
  int n_ = 0;
};

}  // namespace lava_align

// SPDX-License-Identifier: Apache-2.0
// C++20 coroutines with loops, and thread_local objects with constructors.
#include <coroutine>
#include <cstdio>
#include <exception>
#include <vector>

struct Numbers {
  struct promise_type {
    int value = 0;
    Numbers get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() {
      return {};
    }
    std::suspend_always final_suspend() noexcept {
      return {};
    }
    std::suspend_always yield_value(int v) {
      value = v;
      return {};
    }
    void return_void() {}
    void unhandled_exception() {
      std::terminate();
    }
  };
  std::coroutine_handle<promise_type> handle;
};

static Numbers pick(const std::vector<int> &a, const std::vector<int> &b) {
  for (std::size_t i = 0; i < b.size(); i++) {
    if (a[static_cast<std::size_t>(b[i])] & 1) {
      co_yield a[static_cast<std::size_t>(b[i])];
    }
  }
}

struct Counter {
  long n = 7;
  ~Counter() {
    std::printf("bye %ld\n", n);
  }
};
thread_local Counter counter;

int main() {
  std::vector<int> a, b;
  for (int i = 0; i < 50; i++) {
    a.push_back(i * 3);
    b.push_back(i * 7 % 50);
  }
  Numbers numbers = pick(a, b);
  while (numbers.handle.resume(), !numbers.handle.done()) {
    counter.n = counter.n * 3 + numbers.handle.promise().value;
  }
  numbers.handle.destroy();
  std::printf("%ld\n", counter.n);
}

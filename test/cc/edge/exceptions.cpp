// SPDX-License-Identifier: Apache-2.0
// Exceptions through loops: values that meet in landing pads, clean-ups,
// rethrow, specifications, nested handlers.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

static int alive;
struct Guard {
  int n;
  explicit Guard(int n) : n(n) {
    alive++;
  }
  ~Guard() {
    alive--;
  }
};

__attribute__((noinline)) static int risky(int i) {
  if (i % 7 == 3) {
    throw std::runtime_error("r" + std::to_string(i));
  }
  if (i % 11 == 5) {
    throw i;
  }
  return i * 2;
}

__attribute__((noinline)) static int quiet(int i) noexcept {
  try {
    return risky(i);
  } catch (...) {
    return -1;
  }
}

__attribute__((noinline)) static long loop(const std::vector<int> &index,
                                           const std::vector<int> &value) {
  long sum = 0;
  std::string text;
  for (std::size_t i = 0; i < index.size(); i++) {
    Guard a(static_cast<int>(i));
    try {
      std::unique_ptr<Guard> b(new Guard(1));
      if (value[static_cast<std::size_t>(index[i])] & 1) {
        sum += risky(static_cast<int>(i));
        text += "x";
      }
      sum += quiet(static_cast<int>(i));
    } catch (const std::runtime_error &e) {
      sum += e.what()[1];
      text += e.what();
      try {
        if (i & 1) {
          throw;
        }
      } catch (const std::exception &) {
        sum ^= 0x55;
      }
    } catch (int n) {
      sum -= n;
      if (n == 38) {
        break;
      }
    }
    sum += alive;
  }
  return sum * 1000 + static_cast<long>(text.size());
}

int main() {
  std::vector<int> index, value;
  for (int i = 0; i < 64; i++) {
    index.push_back(i * 37 % 64);
    value.push_back(i * i);
  }
  std::printf("%ld %d\n", loop(index, value), alive);
  try {
    (void)value.at(1000);
  } catch (const std::out_of_range &) {
    std::puts("range");
  }
}

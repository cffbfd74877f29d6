// SPDX-License-Identifier: Apache-2.0
// Large blocks of new, which throws or does not, and of containers.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <vector>

static volatile std::size_t most = PTRDIFF_MAX, many = 3000000;

struct alignas(128) wide {
  char bytes[128];
};

template <class F> static void attempt(const char *name, F f) {
  try {
    f();
    std::printf("%s done\n", name);
  } catch (const std::bad_alloc &) {
    std::printf("%s: bad_alloc\n", name);
  } catch (const std::exception &e) {
    std::printf("%s: %s\n", name, e.what());
  } catch (int n) {
    std::printf("%s: %d\n", name, n);
  }
}

// The address sanitizer ends a program that asks for more than there can be.
#if __has_feature(address_sanitizer)
constexpr bool refusals = false;
#else
constexpr bool refusals = true;
#endif

__attribute__((noinline)) static long *numbers(std::size_t n) {
  return new long[n];
}

// Both calls come to the same place.
__attribute__((noinline)) static char *either(bool first, std::size_t n) {
  char *p;
  try {
    p = first ? new char[n] : new char[n + 1];
  } catch (...) {
    p = nullptr;
  }
  return p;
}

int main() {
  attempt("array", [] {
    std::unique_ptr<long[]> p(numbers(many));
    for (std::size_t i = 0; i < many; i += 1000) {
      p[i] = static_cast<long>(i);
    }
    std::printf("%ld\n", p[2000000]);
  });
  attempt("too large", [] { refusals ? numbers(most / 16) : nullptr; });
  attempt("nothrow", [] {
    char *p = refusals ? new (std::nothrow) char[most - 100] : nullptr;
    char *q = new (std::nothrow) char[many * 3];
    std::printf("%d %d\n", p == nullptr, q != nullptr);
    delete[] q;
  });
  attempt("aligned", [] {
    wide *p = new wide[many / 50];
    p[many / 50 - 1].bytes[127] = 9;
    std::printf("%d\n", p[many / 50 - 1].bytes[127]);
    delete[] p;
    throw 5;
  });
  attempt("vector", [] {
    std::vector<unsigned> v;
    for (unsigned i = 0; i < many; i++) {
      v.push_back(i * i);
    }
    std::string s(many * 2, 'x');
    std::printf("%u %d\n", v[12345], s.find('y') == std::string::npos);
    v.reserve(refusals ? most / 2 : many);
  });
  for (int i = 0; i < 2; i++) {
    char *p = either(i != 0, many * 2);
    char *q = refusals ? either(i != 0, most - 10) : nullptr;
    std::printf("%d %d\n", p != nullptr, q != nullptr);
    delete[] p;
  }
  return 0;
}

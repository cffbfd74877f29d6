// SPDX-License-Identifier: Apache-2.0
// libstdc++ containers, algorithms, virtual calls, RTTI, lambdas, statics.
#include <algorithm>
#include <cstdio>
#include <functional>
#include <list>
#include <map>
#include <numeric>
#include <string>
#include <unordered_map>
#include <vector>

struct Shape {
  virtual ~Shape() = default;
  virtual long area() const = 0;
};
struct Square : Shape {
  long a;
  explicit Square(long a) : a(a) {}
  long area() const override {
    return a * a;
  }
};
struct Strip : Shape {
  long a, b;
  Strip(long a, long b) : a(a), b(b) {}
  long area() const override {
    return a * b;
  }
};

static const std::map<std::string, int> &names() {
  static const std::map<std::string, int> all = {
      {"one", 1}, {"two", 2}, {"three", 3}};
  return all;
}

int main() {
  std::vector<int> v(200), index(200);
  std::iota(v.begin(), v.end(), 0);
  for (std::size_t i = 0; i < 200; i++) {
    index[i] = static_cast<int>(i * 73 % 200);
  }
  long sum = 0;
  for (int i : index) {
    if (v[static_cast<std::size_t>(i)] % 3 == 0) {
      sum += i;
    }
  }
  std::unordered_map<int, std::list<int>> groups;
  for (int x : v) {
    groups[x % 17].push_back(x);
  }
  for (int k = 0; k < 17; k++) {
    auto found = groups.find(k);
    for (int x : found->second) {
      sum = sum * 3 + x;
    }
  }
  std::vector<Shape *> shapes;
  for (long i = 0; i < 20; i++) {
    if (i % 3) {
      shapes.push_back(new Square(i));
    } else {
      shapes.push_back(new Strip(i, i + 1));
    }
  }
  std::function<long(long)> add = [&](long x) { return x + sum; };
  long strips = 0;
  for (Shape *s : shapes) {
    sum ^= add(s->area());
    strips += dynamic_cast<Strip *>(s) != nullptr;
    delete s;
  }
  std::sort(v.begin(), v.end(),
            [](int a, int b) { return (a * 7 % 31) < (b * 7 % 31); });
  for (const auto &[name, number] : names()) {
    sum += static_cast<long>(name.size()) * number;
  }
  std::printf("%ld %ld %d\n", sum, strips, v[17] % 31);
}

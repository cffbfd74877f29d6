// SPDX-License-Identifier: Apache-2.0
// C++ on far memory: containers, iostreams, exceptions across far objects,
// every form of new and delete, new handlers, threads and condition variables.
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <fstream>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <vector>

static int handler_calls;
static void handler() {
  if (++handler_calls == 3) {
    std::set_new_handler(nullptr);
  }
}
static void throwing_handler() {
  handler_calls++;
  throw std::bad_alloc();
}

struct alignas(256) Wide {
  char c[300];
};

static void forms() {
  const size_t huge = size_t(1) << 62;
  delete new int(5);
  delete[] new char[70000];
  delete new (std::nothrow) int;
  Wide *w = new Wide;
  std::cout << "aligned " << (reinterpret_cast<uintptr_t>(w) % 256) << "\n";
  delete w;
  delete[] new Wide[3];
  try {
    ::operator delete(::operator new(huge));
    std::cout << "no throw\n";
  } catch (const std::bad_alloc &) {
    std::cout << "bad_alloc\n";
  }
  std::cout << "nothrow " << (::operator new(huge, std::nothrow) == nullptr)
            << "\n";
  std::set_new_handler(handler);
  try {
    ::operator delete(::operator new(huge));
  } catch (const std::bad_alloc &) {
    std::cout << "after handlers " << handler_calls << "\n";
  }
  std::set_new_handler(throwing_handler);
  std::cout << "nothrow with throwing handler "
            << (::operator new(huge, std::nothrow) == nullptr) << " "
            << handler_calls << "\n";
  std::set_new_handler(nullptr);
}

static void containers() {
  std::map<std::string, std::vector<int>> m;
  std::unordered_map<long, std::string> u;
  for (int i = 0; i < 20000; i++) {
    m["key " + std::to_string(i * 7919 % 5003)].push_back(i);
    u[i * 31L] = std::string(size_t(i % 90), 'u');
  }
  long sum = 0;
  for (auto &e : m) {
    sum = sum * 31 + long(e.second.size()) + e.second.back();
  }
  for (int i = 0; i < 20000; i++) {
    sum += long(u[i * 31L].size());
  }
  std::vector<long> v(200000);
  for (size_t i = 0; i < v.size(); i++) {
    v[i] = long(i * 2654435761u % 1000003);
  }
  std::sort(v.begin(), v.end());
  std::cout << sum << " " << v[12345] << "\n";
}

static void streams() {
  std::string name = "/tmp/cira-cxx-" + std::to_string(getpid());
  std::string big(700000, 'b');
  for (size_t i = 0; i < big.size(); i++) {
    big[i] = char('a' + i % 23);
  }
  {
    std::ofstream out(name);
    out << big << "\n";
    out.write(big.data(), 300000);
    for (int i = 0; i < 20000; i++) {
      out << i << " " << 1.5 * i << "\n";
    }
  }
  std::ifstream in(name);
  std::string line;
  std::getline(in, line);
  std::cout << (line == big) << "\n";
  std::vector<char> rest(600000);
  in.read(rest.data(), 600000);
  std::cout << in.gcount() << " " << in.eof() << "\n";
  std::filebuf own;
  std::vector<char> buffer(100000);
  own.pubsetbuf(buffer.data(), 100000); // a far buffer for read(2)
  own.open(name, std::ios::in);
  std::istream through(&own);
  long n = 0;
  while (std::getline(through, line)) {
    n += long(line.size());
  }
  std::cout << n << "\n";
  unlink(name.c_str());
  std::cout << std::string(30000, 'x').size() << std::endl;
}

static int depth(int n, std::unique_ptr<std::string> p) {
  if (n == 0) {
    throw std::runtime_error(*p + " thrown");
  }
  auto copy = std::make_unique<std::string>(*p);
  return depth(n - 1, std::move(copy)) + 1;
}

static void threads() {
  auto m = std::make_unique<std::mutex>();
  auto c = std::make_unique<std::condition_variable>();
  auto turn = std::make_unique<int>(0);
  std::vector<std::thread> all;
  std::atomic<long> total{0};
  for (int id = 0; id < 4; id++) {
    all.emplace_back([&, id] {
      std::vector<int> mine(50000, id);
      for (int i = 0; i < 50; i++) {
        std::unique_lock<std::mutex> lock(*m);
        c->wait(lock, [&] { return *turn % 4 == id; });
        ++*turn;
        for (int x : mine) {
          total += x;
        }
        c->notify_all();
      }
      try {
        depth(50, std::make_unique<std::string>("in thread"));
      } catch (const std::exception &) {
        total++;
      }
    });
  }
  for (auto &t : all) {
    t.join();
  }
  auto f =
      std::async(std::launch::async, [] { return std::string(5000, 'f'); });
  std::cout << total << " " << *turn << " " << f.get().size() << "\n";
}

int main() {
  forms();
  containers();
  streams();
  try {
    depth(200, std::make_unique<std::string>("deep"));
  } catch (const std::exception &e) {
    std::cout << e.what() << "\n";
  }
  threads();
  std::ostringstream o;
  for (int i = 0; i < 100000; i++) {
    o << i;
  }
  std::cout << o.str().size() << "\n";
  return 0;
}

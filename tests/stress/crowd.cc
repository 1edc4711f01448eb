// crowd PROGRAM [--seconds N] [--writers N] [--readers N]: processes that write and read through one server,
// all at once; each remembers what was acknowledged to it. Afterwards every acknowledged write must be there,
// word for word and in the version that was last said, nothing that was erased, and the store must be sound.
#include <httplib.h>

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

#include "core/base/hash.h"
#include "core/base/rng.h"
#include "core/format/json.h"
#include "tests/e2e/child.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using Time = std::chrono::steady_clock;

struct Crowd {
  std::string program, folder, key;
  int port = 0, seconds = 5, writers = 8, readers = 4;
};

// Words that carry their own proof: whoever reads them can tell whether they are whole.
std::string sealed(const std::string& words) {
  return words + " #" + sha256(words).hex().substr(0, 12);
}
bool whole(const std::string& text) {
  const size_t at = text.rfind(" #");
  return at != std::string::npos && text == sealed(text.substr(0, at));
}

class Client {
 public:
  Client(const Crowd& crowd, int number) : http_("127.0.0.1", crowd.port), number_(uint64_t(number)) {
    http_.set_keep_alive(true);
    http_.set_read_timeout(60);
    http_.set_default_headers({{"Authorization", "Bearer " + crowd.key}});
  }
  // 0: no answer came.
  int ask(const std::string& method, const std::string& path, const Json& body, Json& out) {
    httplib::Request request;
    request.method = method;
    request.path = path;
    if (!body.is_null()) {
      request.set_header("Content-Type", "application/json");
      request.body = body.dump();
    }
    const auto reply = http_.send(request);
    if (!reply) return 0;
    auto json = parse_json(reply->body);
    if (!json.ok()) return 0;
    out = std::move(json).value();
    return reply->status;
  }
  uint32_t roll(uint32_t below) { return random_bits({.seed = number_}, rolls_++) % below; }

 private:
  httplib::Client http_;
  const uint64_t number_;
  uint64_t rolls_ = 0;
};

int fail(int number, const std::string& what) {
  std::cerr << "process " << number << ": " << what << std::endl;
  return 1;
}

// Adds, and now and then updates or erases one of its own; every acknowledgement is a line of its log.
int write_until(const Crowd& crowd, int number, Time::time_point end) {
  Client client(crowd, number);
  std::ofstream log(crowd.folder + "/writer-" + std::to_string(number));
  std::vector<std::pair<std::string, int64_t>> own;  // id, version
  for (int64_t count = 0; Time::now() < end; ++count) {
    const std::string text =
        sealed("writer " + std::to_string(number) + " says number " + std::to_string(count) + " of basket " +
               std::to_string(client.roll(1000)));
    const uint32_t what = own.empty() ? 9 : client.roll(10);
    const size_t at = own.empty() ? 0 : client.roll(uint32_t(own.size()));
    Json body = Json::object().set("text", text), reply;
    if (what == 0) {
      const int status = client.ask("DELETE", "/v1/memories/" + own[at].first, {}, reply);
      if (status != 200) return fail(number, "a delete got " + std::to_string(status) + " " + reply.dump());
      log << "gone " << own[at].first << " 0 -\n";
      own.erase(own.begin() + int64_t(at));
    } else if (what == 1) {
      body.set("version", own[at].second);
      const int status = client.ask("PUT", "/v1/memories/" + own[at].first, body, reply);
      if (status != 200) return fail(number, "an update got " + std::to_string(status) + " " + reply.dump());
      log << "said " << own[at].first << " " << ++own[at].second << " " << text << "\n";
    } else {
      const int status = client.ask("POST", "/v1/memories", body, reply);
      if (status != 201) return fail(number, "a write got " + std::to_string(status) + " " + reply.dump());
      own.emplace_back(reply["id"].as_string(), 1);
      log << "said " << own.back().first << " 1 " << text << "\n";
    }
    log.flush();
  }
  return 0;
}

int read_until(const Crowd& crowd, int number, Time::time_point end) {
  Client client(crowd, number);
  int64_t asked = 0;
  for (; Time::now() < end; ++asked) {
    Json reply;
    int status = 0;
    if (client.roll(3) == 0) {
      status = client.ask("GET", "/v1/memories?limit=50", {}, reply);
    } else {
      const std::string query = "basket " + std::to_string(client.roll(1000));
      status = client.ask("POST", "/v1/memories/search", Json::object().set("query", query), reply);
    }
    if (status != 200) return fail(number, "reading got " + std::to_string(status) + " " + reply.dump());
    for (const Json& one : reply["data"].as_array()) {
      if (!whole(one["text"].as_string())) return fail(number, "read torn words: " + one["text"].as_string());
    }
  }
  std::ofstream(crowd.folder + "/reader-" + std::to_string(number)) << asked << "\n";
  return 0;
}

struct Last {
  int64_t version = 0;
  std::string text;  // empty: erased
};

std::map<std::string, Last> acknowledged(const Crowd& crowd, int64_t& count) {
  std::map<std::string, Last> all;
  for (int i = 0; i < crowd.writers; ++i) {
    std::ifstream log(crowd.folder + "/writer-" + std::to_string(i));
    std::string what, id, text;
    for (Last last; log >> what >> id >> last.version && log.get() && std::getline(log, text); ++count) {
      last.text = what == "gone" ? "" : text;
      all[id] = last;
    }
  }
  return all;
}

// What the server shows against what it acknowledged: how many differ.
int64_t compare(const Crowd& crowd, std::map<std::string, Last> expected) {
  Client client(crowd, 0);
  int64_t wrong = 0;
  std::string after;
  for (bool more = true; more;) {
    Json reply;
    if (client.ask("GET", "/v1/memories?limit=1000" + after, {}, reply) != 200) return fail(0, "no list"), 1;
    for (const Json& one : reply["data"].as_array()) {
      const auto found = expected.find(one["id"].as_string());
      if (found == expected.end() || found->second.text != one["text"].as_string() ||
          found->second.version != one["version"].as_int()) {
        ++wrong;
        std::cerr << "not as acknowledged: " << one.dump() << "\n";
      }
      if (found != expected.end()) expected.erase(found);
    }
    more = reply["has_more"] == Json(true);
    if (more) after = "&after=" + reply["last_id"].as_string();
  }
  for (const auto& [id, last] : expected) {
    if (last.text.empty()) continue;
    ++wrong;
    std::cerr << "lost: " << id << " " << last.text << "\n";
  }
  return wrong;
}

int number_after(int argc, char** argv, const std::string& name, int otherwise) {
  for (int i = 2; i + 1 < argc; ++i) {
    if (argv[i] == name) return std::atoi(argv[i + 1]);
  }
  return otherwise;
}

int64_t reads(const Crowd& crowd) {
  int64_t sum = 0;
  for (int i = 0; i < crowd.readers; ++i) {
    int64_t one = 0;
    std::ifstream(crowd.folder + "/reader-" + std::to_string(crowd.writers + i)) >> one;
    sum += one;
  }
  return sum;
}

int run(Crowd crowd) {
  const std::string home = crowd.folder + "/home";
  Child server(crowd.program, {"serve", "--home", home, "--port", "0", "--budget", "512MiB"});
  std::string line;
  while (crowd.port == 0 && server.hear(line)) {
    if (const size_t at = line.find("vk-"); at != std::string::npos) crowd.key = line.substr(at);
    if (line.find("http://") != std::string::npos) crowd.port = std::stoi(line.substr(line.rfind(':') + 1));
  }
  if (crowd.port == 0) return fail(0, "no server: " + server.finish().err);
  const auto end = Time::now() + std::chrono::seconds(crowd.seconds);
  for (int i = 0; i < crowd.writers + crowd.readers; ++i) {
    if (fork() == 0) _exit(i < crowd.writers ? write_until(crowd, i, end) : read_until(crowd, i, end));
  }
  int failed = 0;
  for (int i = 0; i < crowd.writers + crowd.readers; ++i) {
    int status = 0;
    wait(&status);
    failed += status != 0;
  }
  int64_t count = 0;
  auto expected = acknowledged(crowd, count);
  const size_t cubes = expected.size();
  const int64_t wrong = compare(crowd, std::move(expected));
  const int64_t peak = server.peak_resident_bytes();
  server.signal(SIGTERM);
  const Child::End ended = server.finish();
  const Child::End checked = run_child(crowd.program, {"doctor", "--home", home});
  std::cout << crowd.writers << " writers and " << crowd.readers << " readers for " << crowd.seconds
            << " s: " << count << " acknowledged writes of " << cubes << " memories, " << reads(crowd)
            << " reads, " << failed << " processes failed, " << wrong
            << " memories not as acknowledged, server ended with " << ended.exit_code << " after "
            << (peak >> 20) << " MiB at most, check "
            << (checked.exit_code == 0 ? "clean" : "found: " + checked.err) << std::endl;
  return failed == 0 && wrong == 0 && count > 0 && ended.exit_code == 0 && checked.exit_code == 0 ? 0 : 1;
}

}  // namespace
}  // namespace varve

int main(int argc, char** argv) {
  using namespace varve;
  if (argc < 2) {
    std::cerr << "usage: crowd PROGRAM [--seconds N] [--writers N] [--readers N]\n";
    return 2;
  }
  const TempFolder folder;
  Crowd crowd{.program = argv[1], .folder = folder.path()};
  crowd.seconds = number_after(argc, argv, "--seconds", crowd.seconds);
  crowd.writers = number_after(argc, argv, "--writers", crowd.writers);
  crowd.readers = number_after(argc, argv, "--readers", crowd.readers);
  return run(std::move(crowd));
}

#include "serve/home/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "core/format/json.h"

namespace varve {
namespace {

constexpr size_t kMostLine = 8192;
constexpr int kPollMs = 200, kPatienceMs = 5000;

Status failure(const std::string& doing) {
  return Status(Code::io, doing + ": " + std::strerror(errno));
}

class Socket {
 public:
  explicit Socket(int raw) : raw_(raw) {}
  Socket(Socket&& other) noexcept : raw_(other.raw_) { other.raw_ = -1; }
  Socket& operator=(Socket&&) = delete;
  ~Socket() {
    if (raw_ >= 0) ::close(raw_);
  }
  int raw() const { return raw_; }
  int release() {
    const int raw = raw_;
    raw_ = -1;
    return raw;
  }

 private:
  int raw_;
};

// A path too long for a socket's address is unsupported.
Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Status(Code::unsupported, path + " is too long a path for a socket");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Result<Socket> make_socket() {
  Socket made(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (made.raw() < 0) return failure("making a socket");
  return made;
}

// Up to the end of a line; empty when none comes in time (-1: however long it takes).
std::string read_line(int from, int patience_ms) {
  std::string line;
  char piece[512];
  while (line.size() < kMostLine && !line.ends_with('\n')) {
    pollfd ready{from, POLLIN, 0};
    if (::poll(&ready, 1, patience_ms) <= 0) return "";
    const ssize_t bytes = ::read(from, piece, sizeof(piece));
    if (bytes <= 0) return "";
    line.append(piece, size_t(bytes));
  }
  if (!line.ends_with('\n')) return "";
  line.pop_back();
  return line;
}

bool write_line(int to, std::string line) {
  line += '\n';
  for (size_t at = 0; at < line.size();) {
    const ssize_t bytes = ::send(to, line.data() + at, line.size() - at, MSG_NOSIGNAL);
    if (bytes <= 0) return false;
    at += size_t(bytes);
  }
  return true;
}

Json failed(const Status& status) {
  return Json::object().set("code", int64_t(status.code())).set("error", status.message());
}

Status no_request() {
  return Status(Code::invalid, "this is no request");
}

}  // namespace

Result<std::unique_ptr<Control>> Control::open(const std::string& folder, Governance& governance,
                                               OnBudget on_budget) {
  const std::string path = folder + "/control";
  const sockaddr_un address = TRY(address_of(path));
  Socket made = TRY(make_socket());
  ::unlink(path.c_str());  // of a process that died: the home's lock says that nobody else lives here
  if (::bind(made.raw(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(made.raw(), 4) != 0) {
    return failure("listening at " + path);
  }
  return std::unique_ptr<Control>(new Control(made.release(), path, governance, std::move(on_budget)));
}

Control::Control(int socket, std::string path, Governance& governance, OnBudget on_budget)
    : socket_(socket),
      path_(std::move(path)),
      governance_(governance),
      on_budget_(std::move(on_budget)),
      thread_([this] { run(); }) {}

Control::~Control() {
  stop_ = true;
  thread_.join();
  ::close(socket_);
  ::unlink(path_.c_str());
}

void Control::run() {
  while (!stop_) {
    pollfd ready{socket_, POLLIN, 0};
    if (::poll(&ready, 1, kPollMs) <= 0) continue;
    const Socket peer(::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC));
    if (peer.raw() >= 0) answer(peer.raw());
  }
}

void Control::answer(int peer) {
  auto asked = parse_json(read_line(peer, kPatienceMs));
  write_line(peer,
             (asked.ok() ? reply_to(*asked) : failed(no_request())).dump());  // who left does not get it
}

Json Control::reply_to(const Json& asked) {
  if (asked["backup"].is_string() && asked["by"].is_string()) {
    auto made = governance_.backup({asked["by"].as_string()}, asked["backup"].as_string());
    if (!made.ok()) return failed(std::move(made).status());
    return Json::object().set("files", made->files).set("bytes", made->bytes);
  }
  if (asked["budget"].is_int() && on_budget_) {
    const int64_t bytes = asked["budget"].as_int();
    auto report = on_budget_(bytes > 0 ? std::optional(bytes) : std::nullopt);
    return report.ok() ? Json::object().set("report", std::move(*report))
                       : failed(std::move(report).status());
  }
  return failed(no_request());
}

namespace {

// One question, one answer. not_found: nobody listens.
Result<Json> ask(const std::string& home, const Json& question) {
  const sockaddr_un address = TRY(address_of(home + "/control"));
  const Socket made = TRY(make_socket());
  if (::connect(made.raw(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return Status(Code::not_found, "no process that has " + home + " open listens there");
  if (!write_line(made.raw(), question.dump())) return failure("asking who has the home open");
  Json reply = TRY(parse_json(read_line(made.raw(), -1)).with("waiting for the answer"));
  if (reply["error"].is_string() && reply["code"].is_int()) {
    const int64_t code = reply["code"].as_int();
    const bool known = code > 0 && code <= int64_t(Code::internal);
    return Status(known ? Code(code) : Code::internal, reply["error"].as_string());
  }
  return reply;
}

Status something_else() {
  return Status(Code::internal, "the process that has the home open answered something else");
}

}  // namespace

Result<Backup> ask_for_backup(const std::string& home, const Principal& by, const std::string& folder) {
  const Json reply = TRY(ask(home, Json::object().set("backup", folder).set("by", by.name)));
  if (!reply["files"].is_int() || !reply["bytes"].is_int()) return something_else();
  return Backup{.files = reply["files"].as_int(), .bytes = reply["bytes"].as_int()};
}

Result<Json> ask_for_budget(const std::string& home, std::optional<int64_t> bytes) {
  const Json reply = TRY(ask(home, Json::object().set("budget", bytes.value_or(0))));
  if (!reply["report"].is_object()) return something_else();
  return reply["report"];
}

}  // namespace varve

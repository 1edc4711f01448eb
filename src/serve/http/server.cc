#include "serve/http/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <limits>
#include <thread>

#include "serve/http/connection.h"
#include "serve/http/parking.h"

namespace varve {
namespace {

constexpr uint64_t kSmallBody = 64 << 10;  // not worth booking
constexpr int kMostRequests = 1000;        // on one connection
constexpr int kTellIdleSeconds = 15;       // how long clients may believe that it stays open

bool loopback(const std::string& address) {
  return address == "::1" || address == "localhost" || address.starts_with("127.");
}

uint64_t length_of(const httplib::Request& from) {
  return from.get_header_value<uint64_t>("Content-Length");
}

// None, or one of digits alone: two readers must never take it for two lengths.
bool one_length(const httplib::Request& from) {
  const std::string text = from.get_header_value("Content-Length");
  return from.get_header_value_count("Content-Length") <= 1 &&
         (text.size() < 20 && text.find_first_not_of("0123456789") == std::string::npos);
}

// Counts the connections that wait for a worker, so that a flood is answered with 429 as fast as it is read.
class CountedQueue : public httplib::TaskQueue {
 public:
  CountedQueue(int workers, std::atomic<int>& waiting, std::function<void()> before_end)
      : pool_(size_t(workers)), waiting_(waiting), before_end_(std::move(before_end)) {}
  void enqueue(std::function<void()> task) override {
    ++waiting_;
    pool_.enqueue([this, task = std::move(task)] {
      --waiting_;
      task();
    });
  }
  void shutdown() override {
    before_end_();
    pool_.shutdown();
  }

 private:
  httplib::ThreadPool pool_;
  std::atomic<int>& waiting_;
  std::function<void()> before_end_;
};

// The library reads each request from a Connection. Between two requests a connection is parked: an idle
// client holds no worker. It goes on only when the request was read to its last byte, so that what is left
// unread can never be taken for the next one.
class Library : public httplib::Server {
 public:
  // The library's five are gone in an instant; who finds the queue full tries again after a second.
  void widen_backlog() { ::listen(svr_sock_, 1024); }

  httplib::TaskQueue* make_queue(int workers, std::atomic<int>& waiting) {
    auto* queue = new CountedQueue(workers, waiting, [this] { parking_->stop(); });
    parking_ = std::make_unique<Parking>([this, queue](int socket, int served) {
      queue->enqueue([this, socket, served] { serve(socket, served); });
    });
    return queue;
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    const int on = 1;  // head and body are written apart; the second must not wait for the first's receipt
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return serve(socket, 0);
  }

  bool serve(socket_t socket, int served) {
    Connection connection(socket, svr_sock_);
    for (;;) {
      uint64_t body = std::numeric_limits<uint64_t>::max();  // until the head is read
      bool last = ++served >= kMostRequests;
      const bool good = process_request(connection, last, last, [&](const httplib::Request& request) {
        if (!request.has_header("Transfer-Encoding") && one_length(request)) body = length_of(request);
      });
      if (!good || last || !connection.begin_next(body)) {
        if (connection.body_bytes() < body) connection.linger();
        close(socket);
        return good;
      }
      if (connection.has_more()) continue;
      if (!parking_->park(socket, served)) close(socket);
      return true;
    }
  }

  std::unique_ptr<Parking> parking_;
};

class Server : public HttpServer {
 public:
  Server(Api& api, const Keys& keys, const ServerOptions& options)
      : api_(api), keys_(keys), options_(options) {}
  ~Server() override { stop(), wait(); }

  Status start() {
    http_.new_task_queue = [this] { return http_.make_queue(options_.workers, waiting_); };
    http_.set_keep_alive_timeout(kTellIdleSeconds).set_keep_alive_max_count(kMostRequests);
    http_.set_payload_max_length(size_t(options_.max_body_bytes));
    http_.set_pre_routing_handler([this](const httplib::Request& from, httplib::Response& to) {
      auto refused = refuse_unread(from);
      if (!refused) return httplib::Server::HandlerResponse::Unhandled;
      if (from.has_header("Content-Length") || from.has_header("Transfer-Encoding"))
        to.set_header("Connection", "close");  // its body is left unread
      send(std::move(*refused), to);
      return httplib::Server::HandlerResponse::Handled;
    });
    http_.set_exception_handler([](const httplib::Request&, httplib::Response& response, std::exception_ptr) {
      response.status = 500;
      response.set_content(error_reply(Status(Code::internal, "a bug in the server; please report it")).body,
                           "application/json");
    });
    http_.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      const bool large = response.status == 413;
      response.set_content(error_reply(Status(Code::invalid, large ? "the request's body is too large"
                                                                   : "the request could not be read"))
                               .body,
                           "application/json");
    });
    const auto bare = [this](const httplib::Request& from, httplib::Response& to) { one(from, to, {}); };
    const auto with_body = [this](const httplib::Request& from, httplib::Response& to,
                                  const httplib::ContentReader& reader) { read_one(from, to, reader); };
    http_.Get(".*", bare).Options(".*", bare);
    http_.Post(".*", with_body).Put(".*", with_body).Patch(".*", with_body).Delete(".*", with_body);
    port_ = options_.port == 0
                ? http_.bind_to_any_port(options_.address.c_str())
                : (http_.bind_to_port(options_.address.c_str(), options_.port) ? options_.port : -1);
    if (port_ < 0) {
      return Status(Code::io, "port " + std::to_string(options_.port) + " of " + options_.address +
                                  " cannot be had; is another server running? --port N takes another");
    }
    http_.widen_backlog();
    thread_ = std::thread([this] { http_.listen_after_bind(); });
    while (!http_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return {};
  }

  int port() const override { return port_; }
  void stop() override { http_.stop(); }
  void wait() override {
    if (thread_.joinable()) thread_.join();
  }

 private:
  static Head head_of(const httplib::Request& from) {
    return {.method = from.method,
            .host = from.get_header_value("Host"),
            .origin = from.get_header_value("Origin"),
            .content_type = from.get_header_value("Content-Type"),
            .authorization = from.get_header_value("Authorization"),
            .has_body = length_of(from) > 0};
  }

  // What is refused before its body is read: a flood, bodies without a length or packed, ranges (the library
  // bounds none of these), and bodies that are too large or of those who may not send them.
  std::optional<HttpReply> refuse_unread(const httplib::Request& from) {
    if (waiting_ > options_.queue) {
      return error_reply(Status(Code::over_budget, "too many requests wait; try again later"), 429);
    }
    if (from.has_header("Transfer-Encoding")) {
      return error_reply(Status(Code::invalid, "send the body with a Content-Length, not in chunks"), 411);
    }
    if (from.has_header("Content-Encoding")) {
      return error_reply(Status(Code::unsupported, "send the body without Content-Encoding"), 415);
    }
    if (!one_length(from)) return error_reply(Status(Code::invalid, "the Content-Length is not one number"));
    if (!from.ranges.empty()) return error_reply(Status(Code::invalid, "there are no ranges here"));
    if (length_of(from) > uint64_t(options_.max_body_bytes)) {
      return error_reply(Status(Code::invalid, "the request's body is too large"), 413);
    }
    auto refused = refuse(keys_, options_, head_of(from), port_, {.method = from.method, .path = from.path});
    if (refused) api_.counters.request(from.method, "refused", refused->status, 0);
    return refused;
  }

  // A large body is booked, with what becomes of it, before it is read.
  void read_one(const httplib::Request& from, httplib::Response& to, const httplib::ContentReader& reader) {
    const uint64_t length = length_of(from);
    Reservation booked;
    if (length > kSmallBody) {
      auto room = api_.home.ledger().reserve(Tag::io, 2 * int64_t(length));
      if (!room.ok())
        return send(error_reply(std::move(room).with("reading the request's body").status()), to);
      booked = std::move(room).value();
    }
    std::string body;
    body.reserve(length);
    const auto take = [&body](const char* bytes, size_t size) {
      body.append(bytes, size);
      return true;
    };
    // Without a length there is no body, whatever the method.
    if (length > 0 && !reader(take)) {
      return send(error_reply(Status(Code::invalid, "the request's body ended too early")), to);
    }
    one(from, to, std::move(body));
  }

  void one(const httplib::Request& from, httplib::Response& to, std::string body) {
    HttpRequest request{.method = from.method, .path = from.path, .body = std::move(body)};
    for (const auto& [key, value] : from.params) request.query[key] = value;
    for (const char* name : {"accept", "mcp-session-id", "mcp-protocol-version"})
      if (from.has_header(name)) request.headers[name] = from.get_header_value(name);
    send(answer(api_, keys_, options_, head_of(from), port_, std::move(request)), to);
  }

  static void send(HttpReply reply, httplib::Response& to) {
    to.status = reply.status;
    to.set_header("X-Content-Type-Options", "nosniff");
    to.set_header("Cache-Control", "no-store");
    for (const auto& [name, value] : reply.headers) to.set_header(name, value);
    if (!reply.stream) {
      to.set_content(reply.body, reply.type);
      return;
    }
    to.set_chunked_content_provider(
        reply.type, [stream = std::move(reply.stream)](size_t, httplib::DataSink& sink) {
          stream([&sink](std::string_view chunk) { return sink.write(chunk.data(), chunk.size()); });
          sink.done();
          return true;
        });
  }

  Api& api_;
  const Keys& keys_;
  ServerOptions options_;
  std::atomic<int> waiting_{0};
  Library http_;
  int port_ = -1;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> start_server(Api& api, const Keys& keys, const ServerOptions& options) {
  if (!loopback(options.address) && !options.expose) {
    return Status(Code::invalid,
                  options.address + " can be reached from outside this machine; say --expose to want that");
  }
  if (options.open && !loopback(options.address)) {
    return Status(Code::invalid,
                  "--no-key is for loopback only: outside it everybody could read every memory");
  }
  TRY(check_name("principal", options.open_as));
  auto server = std::make_unique<Server>(api, keys, options);
  TRY(server->start());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace varve

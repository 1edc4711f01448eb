#include "serve/http/keys.h"

#include <array>

namespace varve {
namespace {

constexpr int64_t kMaxFileBytes = 4 << 20;

std::string new_secret() {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<std::byte, 43> random;
  secure_random(random);
  std::string secret = "vk-";
  for (std::byte byte : random) secret += digits[size_t(byte) & 63];
  return secret;
}

Status check_who(const Principal& who) {
  TRY(check_name("principal", who.name));
  if (!who.agent.empty()) TRY(check_name("agent", who.agent));
  return check_text("session", who.session, kMaxNameBytes);
}

Result<Key> read_key(const Json& entry) {
  const Json &hash = entry["sha256"], &name = entry["principal"], &role = entry["role"];
  if (!hash.is_string() || !name.is_string() || !role.is_string()) {
    return Status(Code::corrupt, "a key needs sha256, principal and role");
  }
  Key key;
  key.hash = TRY(Hash256::from_hex(hash.as_string()));
  key.who.name = name.as_string();
  if (entry["agent"].is_string()) key.who.agent = entry["agent"].as_string();
  if (entry["session"].is_string()) key.who.session = entry["session"].as_string();
  key.role = TRY(parse_role(role.as_string()));
  TRY(check_who(key.who));
  return key;
}

// What is not named is any.
bool is_of(const Key& key, const Principal& who) {
  return key.who.name == who.name && (who.agent.empty() || key.who.agent == who.agent) &&
         (who.session.empty() || key.who.session == who.session);
}

}  // namespace

Result<Access> parse_role(std::string_view text) {
  for (Access role : {Access::read, Access::write, Access::admin}) {
    if (to_string(role) == text) return role;
  }
  return Status(Code::invalid, "'" + std::string(text) + "' is no role; there are read, write, admin");
}

std::string_view to_string(Access role) {
  static constexpr std::string_view names[] = {"open", "read", "write", "admin"};
  return names[size_t(role)];
}

Result<std::unique_ptr<Keys>> Keys::open(Env& env, const std::string& home) {
  std::unique_ptr<Keys> keys(new Keys(env, home + "/keys.json"));
  if (!TRY(env.exists(keys->path_))) return keys;
  const auto bytes = TRY(read_file(env, keys->path_, kMaxFileBytes));
  auto json = parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!json.ok() || !(*json)["keys"].is_array()) {
    return Status(Code::corrupt,
                  keys->path_ + " is damaged; remove it and make new keys with `varve key add`");
  }
  for (const Json& entry : (*json)["keys"].as_array()) {
    auto key = read_key(entry);
    if (!key.ok()) return std::move(key).status().with("reading " + keys->path_);
    keys->keys_.push_back(*key);
  }
  return keys;
}

Status Keys::save() const {
  Json list = Json::array();
  for (const Key& key : keys_) {
    Json one = Json::object().set("sha256", key.hash.hex()).set("principal", key.who.name);
    if (!key.who.agent.empty()) one.set("agent", key.who.agent);
    if (!key.who.session.empty()) one.set("session", key.who.session);
    list.push(one.set("role", to_string(key.role)));
  }
  const std::string text = Json::object().set("keys", std::move(list)).dump(2) + "\n";
  return write_file(env_, path_, std::as_bytes(std::span(text)));
}

Result<std::string> Keys::make(const Principal& who, Access role) {
  TRY(check_who(who));
  std::string secret = new_secret();
  keys_.push_back({sha256(secret), who, role});
  Status saved = save();
  if (!saved.ok()) {
    keys_.pop_back();
    return saved;
  }
  return secret;
}

Status Keys::revoke(const Principal& who) {
  const std::vector<Key> before = keys_;
  if (std::erase_if(keys_, [&](const Key& key) { return is_of(key, who); }) == 0) {
    return Status(Code::not_found, "'" + who.name + "' has no key");
  }
  Status saved = save();
  if (!saved.ok()) keys_ = before;
  return saved;
}

std::optional<Key> Keys::find(std::string_view secret) const {
  const std::string given = sha256(secret).hex();
  std::optional<Key> found;
  for (const Key& key : keys_) {  // no early exit: the time tells nothing about which key was near
    if (equal_in_constant_time(key.hash.hex(), given)) found = key;
  }
  return found;
}

}  // namespace varve

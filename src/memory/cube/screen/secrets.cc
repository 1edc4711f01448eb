// Keys, tokens, passwords, card and account numbers. Forms are as their issuers document them.
#include <array>

#include "memory/cube/screen/letters.h"
#include "memory/cube/screen/sensitive.h"

namespace varve {
namespace {

constexpr size_t kMostToken = 4096;

constexpr bool is_token(char c) {
  return is_alnum(c) || c == '_' || c == '-';
}
constexpr bool is_base64(char c) {
  return is_alnum(c) || c == '+' || c == '/' || c == '_' || c == '-' || c == '=' || c == '.' || c == '~';
}
constexpr bool is_space(char c) {
  return c == ' ' || c == '\t';
}

struct Prefix {
  std::string_view text;
  size_t least;  // characters that must follow
};
constexpr Prefix kPrefixes[] = {
    {"sk-", 20},         {"sk_live_", 16},
    {"sk_test_", 16},    {"rk_live_", 16},
    {"pk_live_", 16},    {"ghp_", 36},
    {"gho_", 36},        {"ghu_", 36},
    {"ghs_", 36},        {"ghr_", 36},
    {"github_pat_", 22}, {"glpat-", 20},
    {"xoxb-", 10},       {"xoxp-", 10},
    {"xoxa-", 10},       {"xoxr-", 10},
    {"xoxs-", 10},       {"AIza", 35},
    {"hf_", 30},         {"npm_", 36},
    {"pypi-", 40},       {"dop_v1_", 60},
    {"shpat_", 32},      {"ya29.", 20},
    {"SG.", 40},         {"AGE-SECRET-KEY-", 40},
};

// A key has digits and is no row of words with hyphens.
bool mixed(std::string_view key) {
  size_t digits = 0, letters = 0;
  for (char c : key) {
    digits += is_digit(c);
    letters += is_upper(c) || is_lower(c);
  }
  return digits >= 2 && letters >= 2;
}

SensitivePart api_key(std::string_view text, size_t at) {
  for (const Prefix& prefix : kPrefixes) {
    if (text.substr(at, prefix.text.size()) != prefix.text) continue;
    const size_t from = at + prefix.text.size();
    const bool dotted = prefix.text.ends_with('.');
    const size_t length =
        run(text, from, kMostToken, [&](char c) { return is_token(c) || (dotted && c == '.'); });
    if (length >= prefix.least && mixed(text.substr(from, length))) return {at, from + length, "api key"};
  }
  if (text.substr(at, 4) == "AKIA" || text.substr(at, 4) == "ASIA") {
    const size_t length = run(text, at, 21, [](char c) { return is_upper(c) || is_digit(c); });
    if (length == 20) return {at, at + length, "api key"};
  }
  return {};
}

SensitivePart private_key(std::string_view text, size_t at) {
  constexpr std::string_view kBegin = "-----BEGIN ", kEnd = "-----END ";
  if (text.substr(at, kBegin.size()) != kBegin) return {};
  const std::string_view head = text.substr(at, 80);
  if (head.find("PRIVATE KEY") == std::string_view::npos) return {};
  const size_t end = text.find(kEnd, at);
  if (end == std::string_view::npos) return {at, text.size(), "private key"};
  const size_t close = text.find("-----", end + kEnd.size());
  return {at, close == std::string_view::npos ? text.size() : close + 5, "private key"};
}

SensitivePart web_token(std::string_view text, size_t at) {
  if (text.substr(at, 3) != "eyJ") return {};
  size_t end = at;
  for (int part = 0; part < 3; ++part) {
    const size_t length = run(text, end, kMostToken, is_token);
    if (length < 8) return {};
    end += length;
    if (part < 2 && (end >= text.size() || text[end++] != '.')) return {};
  }
  return {at, end, "token"};
}

SensitivePart bearer(std::string_view text, size_t at) {
  if (!begins(text, at, "bearer ")) return {};
  const size_t from = at + 7, length = run(text, from, kMostToken, is_base64);
  return length >= 20 && mixed(text.substr(from, length)) ? SensitivePart{from, from + length, "token"}
                                                          : SensitivePart{};
}

// scheme://user:password@host
SensitivePart url_password(std::string_view text, size_t at) {
  const size_t scheme = run(text, at, 16, [](char c) { return is_alnum(c) || c == '+' || c == '-'; });
  if (scheme < 2 || text.substr(at + scheme, 3) != "://") return {};
  const auto in_authority = [](char c) { return c > ' ' && c != '/' && c != '?' && c != '#' && c != '"'; };
  const size_t from = at + scheme + 3;
  const std::string_view authority = text.substr(from, run(text, from, 512, in_authority));
  const size_t host = authority.rfind('@'), colon = authority.find(':');
  if (host == std::string_view::npos || colon >= host || colon + 1 == host) return {};
  return {from + colon + 1, from + host, "password"};
}

// password=..., "api_key": "..."
SensitivePart assignment(std::string_view text, size_t at) {
  constexpr std::string_view kNames[] = {"password",     "passwd",     "passphrase",   "pwd",
                                         "secret",       "api_key",    "api-key",      "apikey",
                                         "access_token", "auth_token", "access_key",   "client_secret",
                                         "secret_key",   "accountkey", "refresh_token"};
  for (const std::string_view name : kNames) {
    if (!begins(text, at, name)) continue;
    size_t from = at + name.size();
    const auto skip = [&](auto kind, size_t most) { from += run(text, from, most, kind); };
    const auto is_quote = [](char c) { return c == '"' || c == '\'' || c == '`'; };
    skip(is_quote, 1);
    skip(is_space, 4);
    if (run(text, from, 1, [](char c) { return c == '=' || c == ':'; }) == 0) continue;
    ++from;
    skip(is_space, 4);
    skip(is_quote, 1);
    const size_t length = run(text, from, 512, [&](char c) {
      return c > ' ' && !is_quote(c) && c != ',' && c != ';' && c != '<' && c != '\\' && uint8_t(c) < 0x7F;
    });
    bool odd = false;  // words and numbers alone are no passwords
    size_t letters = 0;
    for (char c : text.substr(from, length)) {
      odd = odd || is_digit(c) || !is_alnum(c);
      letters += !is_digit(c);
    }
    if (length >= 8 && odd && letters > 0) return {from, from + length, "password"};
  }
  return {};
}

// Digits with single spaces or hyphens between; 0 when there are more than `most`.
size_t spaced_digits(std::string_view text, size_t at, std::array<char, 20>& digits, size_t& end) {
  size_t count = 0;
  for (size_t i = at; i < text.size(); ++i) {
    if (is_digit(text[i])) {
      if (count == digits.size()) return 0;
      digits[count++] = char(text[i] - '0');
      end = i + 1;
    } else if (!((text[i] == ' ' || text[i] == '-') && i == end && count > 0)) {
      break;
    }
  }
  return end < text.size() && is_alnum(text[end]) ? 0 : count;
}

SensitivePart card_number(std::string_view text, size_t at) {
  std::array<char, 20> digits{};
  size_t end = at;
  const size_t count = spaced_digits(text, at, digits, end);
  if (count < 14 || (count > 16 && count != 19) || digits[0] < 2 || digits[0] > 6) return {};
  int sum = 0;
  bool same = true;
  for (size_t i = 0; i < count; ++i) {
    const int digit = digits[count - 1 - i], twice = i % 2 ? 2 * digit : digit;
    sum += twice > 9 ? twice - 9 : twice;
    same = same && digits[i] == digits[0];
  }
  return sum % 10 == 0 && !same ? SensitivePart{at, end, "card number"} : SensitivePart{};
}

// The length that a country's account numbers have; 0: none is known.
size_t iban_length(std::string_view country) {
  constexpr std::string_view kLengths =
      "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE"
      "22"
      "GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR"
      "27"
      "MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK"
      "20";
  for (size_t i = 0; i < kLengths.size(); i += 4) {
    if (kLengths.substr(i, 2) == country)
      return size_t(kLengths[i + 2] - '0') * 10 + size_t(kLengths[i + 3] - '0');
  }
  return 0;
}

SensitivePart account_number(std::string_view text, size_t at) {
  const size_t length = iban_length(text.substr(at, 2));
  if (length == 0) return {};
  std::string plain;
  size_t end = at;
  for (size_t i = at; i < text.size() && plain.size() < length; ++i) {
    if (is_digit(text[i]) || is_upper(text[i])) {
      plain += text[i];
      end = i + 1;
    } else if (text[i] != ' ' || i != end) {
      break;
    }
  }
  if (plain.size() != length || (end < text.size() && is_alnum(text[end]))) return {};
  uint32_t rest = 0;  // ISO 7064: the first four at the end, letters as 10 to 35, modulo 97 is 1
  for (size_t i = 0; i < length; ++i) {
    const char c = plain[(i + 4) % length];
    rest = is_digit(c) ? (rest * 10 + uint32_t(c - '0')) % 97 : (rest * 100 + uint32_t(c - 'A' + 10)) % 97;
  }
  return rest == 1 ? SensitivePart{at, end, "account number"} : SensitivePart{};
}

}  // namespace

SensitivePart secret_at(std::string_view text, size_t at) {
  constexpr SensitivePart (*kMatchers[])(std::string_view, size_t) = {
      api_key, private_key, web_token, bearer, url_password, assignment, card_number, account_number};
  for (const auto matcher : kMatchers) {
    if (const SensitivePart found = matcher(text, at); found.end != 0) return found;
  }
  return {};
}

}  // namespace varve

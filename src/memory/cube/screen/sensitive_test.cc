#include "memory/cube/screen/sensitive.h"

#include <gtest/gtest.h>

#include "core/base/rng.h"

namespace varve {
namespace {

std::string shown(std::string_view text, bool secrets, bool personal) {
  return redacted(text, find_sensitive(text, secrets, personal));
}
std::string secret(std::string_view text) {
  return shown(text, true, false);
}
std::string personal(std::string_view text) {
  return shown(text, false, true);
}

struct Case {
  const char *text, *redacted;
};

TEST(Sensitive, SecretsAreFound) {
  const Case cases[] = {
      {"use sk-proj-Ab12Cd34Ef56Gh78Ij90 today", "use [redacted: api key] today"},
      {"sk-ant-api03-AAAAbbbb1111cccc2222", "[redacted: api key]"},
      {"(ghp_0123456789abcdefghijABCDEFGHIJ012345)", "([redacted: api key])"},
      {"AWS AKIAIOSFODNN7EXAMPLE, ok", "AWS [redacted: api key], ok"},
      {"AIzaSyA1234567890abcdefghijklmnopqrstuv!", "[redacted: api key]!"},
      {"xoxb-123456789012-abcdefghij", "[redacted: api key]"},
      {"hf_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted: api key]"},
      {"sk_live_4eC39HqLyjWDarjtT1zdp7dc.", "[redacted: api key]."},
      {"SG.abcdefghij0123456789AB.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "[redacted: api key]"},
      {"key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc=\n-----END RSA PRIVATE KEY-----\nend",
       "key:\n[redacted: private key]\nend"},
      {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn and then cut", "[redacted: private key]"},
      {"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF123456_-xyz", "[redacted: token]"},
      {"Authorization: Bearer abcdef0123456789ABCDEF", "Authorization: Bearer [redacted: token]"},
      {"postgres://bob:hunter2@db.example.org/app", "postgres://bob:[redacted: password]@db.example.org/app"},
      {"https://u:p%40ss@host", "https://u:[redacted: password]@host"},
      {"password=hunter2!x", "password=[redacted: password]"},
      {"{\"api_key\": \"q9w8e7r6t5\"}", "{\"api_key\": \"[redacted: password]\"}"},
      {"Password: Tr0ub4dor&3 thanks", "Password: [redacted: password] thanks"},
      {"pay with 4111 1111 1111 1111 now", "pay with [redacted: card number] now"},
      {"5500-0000-0000-0004", "[redacted: card number]"},
      {"378282246310005", "[redacted: card number]"},
      {"DE89 3704 0044 0532 0130 00 is mine", "[redacted: account number] is mine"},
      {"GB82WEST12345698765432.", "[redacted: account number]."},
  };
  for (const Case& one : cases) EXPECT_EQ(secret(one.text), one.redacted);
}

TEST(Sensitive, WhatOnlyLooksLikeASecretStays) {
  for (const char* text : {
           "the sk-learn-based-classifier-of-last-summer-again",
           "a task-oriented-dialogue-system-with-many-words",
           "AKIA is a prefix, AKIAIOSFODNN7 is too short",
           "the password is a secret: nobody knows it",
           "Password: required",
           "secret: everything about him",
           "http://example.org:8080/path@home?a=b",
           "mail me at user@example.org",
           "4111 1111 1111 1112",  // Luhn says no
           "0000 0000 0000 0000",
           "my number is 1234567890123456",
           "order 79927398713000",
           "DE89 3704 0044 0532 0130 01",  // modulo 97 says no
           "GB82 is not enough",
           "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
           "018bcfe56be89eb915f3316be4b5fd70",
           "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
           "bearer of good news, as always I am told",
           "2024-05-08 12:00, room 4111",
           "D1:3 and s17_t4, turn 12345678901",
       }) {
    EXPECT_EQ(secret(text), text);
  }
}

TEST(Sensitive, PersonalWordsAreFoundAndNumbersOfOtherKindsStay) {
  const Case cases[] = {
      {"write to jane.doe+x@mail.example.co.uk.", "write to [redacted: email address]."},
      {"<a@b.io>", "<[redacted: email address]>"},
      {"call +49 30 1234567 or", "call [redacted: telephone number] or"},
      {"call (415) 555-0100", "call [redacted: telephone number]"},
      {"415-555-0100 x", "[redacted: telephone number] x"},
      {"030 1234 5678.", "[redacted: telephone number]."},
  };
  for (const Case& one : cases) EXPECT_EQ(personal(one.text), one.redacted);
  for (const char* text : {"at 2024-05-08 12:30:00 sharp", "2024-05-08 1200", "192.168.100.200", "1234567890",
                           "user@localhost", "@handle and a@b", "v1.2.3-4", "1 2 3 4 5 6 7 8 9 10",
                           "a total of 1 000 000 000", "+1 day", "3.14159265358979", "from 1990 to 2005"}) {
    EXPECT_EQ(personal(text), text);
  }
}

// Text made of what the matchers look for, again and again: each stretch is looked at a bounded number of
// times. What is found lies in order, inside, and nothing is found in it again.
TEST(Sensitive, AnyTextIsSearchedAndWhatRemainsIsClean) {
  const std::string_view pieces[] = {"sk-", "a1B2", "-----BEGIN PRIVATE KEY-----",
                                     "://", "u:p@", "eyJ",
                                     ".",   "4111", " ",
                                     "+49", "DE89", "password=",
                                     "@",   "é",    "\n",
                                     "(0"};
  for (uint64_t seed = 0; seed < 400; ++seed) {
    std::string text;
    for (uint64_t i = 0; i < 200; ++i) text += pieces[random_bits({.seed = seed}, i) % std::size(pieces)];
    size_t end = 0;
    for (const SensitivePart& found : find_sensitive(text, true, true)) {
      EXPECT_GE(found.begin, end);
      EXPECT_GT(found.end, found.begin);
      EXPECT_LE(found.end, text.size());
      end = found.end;
    }
  }
  std::string long_text(4 << 20, '-');  // and no such text takes longer than its length
  for (size_t i = 0; i + 11 < long_text.size(); i += 11) long_text.replace(i, 11, "sk-eyJ://a@");
  EXPECT_TRUE(find_sensitive(long_text, true, true).size() < long_text.size());
}

}  // namespace
}  // namespace varve

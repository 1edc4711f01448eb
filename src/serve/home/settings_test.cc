#include "serve/home/settings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "serve/home/home.h"

namespace varve {
namespace {

std::string temporary_folder() {
  char name[] = "/tmp/varve_settings_XXXXXX";
  return mkdtemp(name);
}
void put(const std::string& path, std::string_view text) {
  ASSERT_TRUE(write_file(posix_env(), path, std::as_bytes(std::span(text))).ok());
}

TEST(Bytes, are_read_with_binary_and_decimal_units) {
  EXPECT_EQ(*parse_bytes("123456"), 123456);
  EXPECT_EQ(*parse_bytes("800MiB"), 800ll << 20);
  EXPECT_EQ(*parse_bytes("4gib"), 4ll << 30);
  EXPECT_EQ(*parse_bytes("1.5GB"), 1500000000);
  EXPECT_EQ(*parse_bytes("2 KiB"), 2048);
}

TEST(Bytes, nonsense_is_invalid) {
  for (const char* text : {"", "GiB", "4 gigs", "-1", "-4GiB", "1e30", "nan", "inf", "4GiBs", "0x10"}) {
    EXPECT_EQ(parse_bytes(text).code(), Code::invalid) << text;
  }
}

TEST(Bytes, are_written_for_people) {
  EXPECT_EQ(format_bytes(17), "17 bytes");
  EXPECT_EQ(format_bytes(1536), "1.50 KiB");
  EXPECT_EQ(format_bytes(4ll << 30), "4.00 GiB");
}

TEST(Settings, every_field_reads_back_what_it_writes) {
  HomeOptions options, copy;
  auto from = settings_of(options), to = settings_of(copy);
  std::set<std::string_view> names;
  for (size_t i = 0; i < from.size(); ++i) {
    EXPECT_TRUE(to[i].set(from[i].text()).ok()) << from[i].name;
    EXPECT_EQ(to[i].text(), from[i].text());
    EXPECT_FALSE(from[i].sentence.empty());
    EXPECT_TRUE(names.insert(from[i].name).second) << from[i].name;
  }
}

TEST(Settings, a_number_outside_its_range_is_invalid_and_changes_nothing) {
  HomeOptions options;
  for (Setting& one : settings_of(options)) {
    if (!std::holds_alternative<int32_t*>(one.field)) continue;
    const std::string before = one.text();
    EXPECT_EQ(one.set(std::to_string(one.high + 1)).code(), Code::invalid);
    EXPECT_EQ(one.set(std::to_string(one.low - 1)).code(), Code::invalid);
    EXPECT_EQ(one.set("many").code(), Code::invalid);
    EXPECT_EQ(one.text(), before);
  }
}

TEST(Settings, are_read_from_the_home) {
  const std::string folder = temporary_folder();
  put(folder + "/settings.json", R"({"budget": "2GiB", "context": 512, "http": {"port": 1}})");
  HomeOptions options;
  ASSERT_TRUE(read_settings(posix_env(), folder, "", settings_of(options)).ok());
  EXPECT_EQ(options.budget_bytes, 2ll << 30);
  EXPECT_EQ(options.engine.context, 512);
}

TEST(Settings, an_absent_file_means_defaults) {
  HomeOptions options;
  EXPECT_TRUE(read_settings(posix_env(), temporary_folder(), "", settings_of(options)).ok());
}

TEST(Settings, an_unknown_key_is_invalid_and_named) {
  const std::string folder = temporary_folder();
  put(folder + "/settings.json", R"({"bugdet": "2GiB"})");
  HomeOptions options;
  const Status status = read_settings(posix_env(), folder, "", settings_of(options));
  EXPECT_EQ(status.code(), Code::invalid);
  EXPECT_NE(status.message().find("bugdet"), std::string::npos);
}

TEST(Settings, broken_json_is_invalid) {
  const std::string folder = temporary_folder();
  put(folder + "/settings.json", "{");
  HomeOptions options;
  EXPECT_EQ(read_settings(posix_env(), folder, "", settings_of(options)).code(), Code::invalid);
}

TEST(Outside, every_code_has_a_place_outside) {
  std::set<int> exits;
  for (int code = 0; code <= int(Code::internal); ++code) {
    const OutsideCode out = outside(Code(code));
    EXPECT_TRUE(out.http == 200 ? code == 0 : out.http >= 400 && out.http < 600);
    EXPECT_TRUE(exits.insert(out.exit).second) << "exit codes must tell causes apart";
    EXPECT_TRUE(out.exit >= 0 && out.exit < 126);
    EXPECT_NE(std::string(out.type), "");
  }
}

}  // namespace
}  // namespace varve

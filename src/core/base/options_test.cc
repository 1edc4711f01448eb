#include "core/base/options.h"

#include <gtest/gtest.h>

namespace varve {
namespace {

TEST(Options, SpecsAreANameAndOptions) {
  auto spec = parse_spec("snapkv:window=64,pool=7,empty=");
  ASSERT_TRUE(spec.ok());
  EXPECT_EQ(spec->name, "snapkv");
  EXPECT_EQ(spec->options.size(), 3u);
  EXPECT_EQ(spec->options["window"], "64");
  EXPECT_TRUE(parse_spec("plain").ok());
  for (const char* bad : {"", ":a=1", "x:a", "x:=1", "x:a=1,,b=2", "x:a=1,a=2"}) {
    EXPECT_EQ(parse_spec(bad).code(), Code::invalid) << bad;
  }
}

TEST(Options, ValuesOutOfRangeAndUnknownOptionsAreErrors) {
  const auto read = [](const char* text) {
    int window = 5;
    double ratio = 0.5;
    auto spec = parse_spec(text);
    return OptionReader(*spec).read("window", window, 1, 10).read("ratio", ratio, 0.0, 1.0).done().code();
  };
  for (const char* good : {"x", "x:window=1", "x:window=10,ratio=1e-3"})
    EXPECT_EQ(read(good), Code::ok) << good;
  for (const char* bad : {"x:window=0", "x:window=11", "x:window=1.5", "x:window=", "x:window=99999999999",
                          "x:ratio=1.1", "x:ratio=nan", "x:ratio=inf", "x:rato=1"}) {
    EXPECT_EQ(read(bad), Code::invalid) << bad;
  }
}

}  // namespace
}  // namespace varve

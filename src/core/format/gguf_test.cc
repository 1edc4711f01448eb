#include "core/format/gguf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/base/rng.h"
#include "tests/support/shared.h"
#include "tests/support/temp_folder.h"

namespace varve {
namespace {

using Bytes = std::vector<std::byte>;

// What the writer makes, as bytes.
Bytes written(const GgufWriter& writer) {
  const TempFolder folder;
  const Status status = writer.write(posix_env(), folder / "a.gguf");
  EXPECT_TRUE(status.ok()) << status.text();
  auto bytes = read_file(posix_env(), folder / "a.gguf", 1 << 26);
  return bytes.ok() ? std::move(bytes).value() : Bytes();
}

Bytes noise(int64_t bytes, uint64_t seed) {
  Bytes made(static_cast<size_t>(bytes));
  for (size_t i = 0; i < made.size(); ++i) made[i] = std::byte(random_bits({.seed = seed}, i) & 255);
  return made;
}

GgufWriter every_kind() {
  GgufWriter writer;
  writer.set("general.architecture", "llama").set("a.u32", 7u).set("a.f32", 0.1f).set("a.bool", true);
  writer.set("a.strings", std::vector<std::string>{"", "x", std::string(40, 'y'), std::string("\0\xFF", 2)});
  writer.set("a.no_strings", std::vector<std::string>{});
  const std::pair<GgufType, int64_t> extremes[] = {{GgufType::u8, 255},         {GgufType::i8, -128},
                                                   {GgufType::u16, 65535},      {GgufType::i16, -32768},
                                                   {GgufType::u32, 4294967295}, {GgufType::i32, INT32_MIN},
                                                   {GgufType::u64, INT64_MAX},  {GgufType::i64, INT64_MIN}};
  for (auto [type, value] : extremes) {
    const std::string name = std::to_string(uint32_t(type));
    writer.set("a.one." + name, GgufValue{type, false, value});
    writer.set("a.many." + name, GgufValue{type, true, GgufValue::Ints{value, 0, 1}});
  }
  writer.set("a.bools", GgufValue{GgufType::boolean, true, GgufValue::Ints{1, 0, 1}});
  writer.set("a.f64", GgufValue{GgufType::f64, false, 0.1});
  writer.set("a.f64s", GgufValue{GgufType::f64, true, GgufValue::Floats{0.1, -1e300}});
  writer.set("a.f32s", GgufValue{GgufType::f32, true, GgufValue::Floats{0.5, INFINITY}});
  return writer;
}

// A file written by hand, so that it may lie.
class Raw {
 public:
  Raw(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
    bytes_ = {std::byte('G'), std::byte('G'), std::byte('U'), std::byte('F')};
    number(version).number(tensors).number(entries);
  }
  template <class T>
  Raw& number(T value) {
    const size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    std::memcpy(&bytes_[at], &value, sizeof(T));
    return *this;
  }
  Raw& u32(uint32_t value) { return number(value); }
  Raw& u64(uint64_t value) { return number(value); }
  Raw& text(std::string_view value) {
    u64(value.size());
    for (char c : value) bytes_.push_back(std::byte(c));
    return *this;
  }
  Raw& tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t type, uint64_t offset) {
    text(name).u32(uint32_t(shape.size()));
    for (uint64_t dimension : shape) u64(dimension);
    return u32(type).u64(offset);
  }
  Raw& zeros(size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  Raw& align(size_t to = 32) { return zeros((to - bytes_.size() % to) % to); }

  std::string error(Code code = Code::corrupt) const {
    auto parsed = Gguf::parse(bytes_);
    EXPECT_EQ(parsed.code(), code);
    return std::string(std::move(parsed).status().message());
  }
  bool good() const { return Gguf::parse(bytes_).ok(); }

 private:
  Bytes bytes_;
};

void expect_in(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message;
}

TEST(Gguf, EveryKindOfValueReadsBackEqual) {
  const Bytes bytes = written(every_kind());
  auto parsed = Gguf::parse(bytes);
  ASSERT_TRUE(parsed.ok()) << std::move(parsed).status().text();
  EXPECT_EQ(parsed->version(), 3u);
  EXPECT_EQ(parsed->head_bytes(), int64_t(bytes.size()));
  EXPECT_EQ(*parsed->string("general.architecture"), "llama");
  EXPECT_EQ(*parsed->integer("a.u32"), 7);
  EXPECT_EQ(*parsed->number("a.f32"), double(0.1f));
  EXPECT_TRUE(*parsed->boolean("a.bool"));
  EXPECT_EQ(parsed->strings("a.strings")->at(3), std::string("\0\xFF", 2));
  EXPECT_EQ(parsed->strings("a.no_strings")->size(), 0u);
  EXPECT_EQ(*parsed->integer("a.one.10"), INT64_MAX);
  EXPECT_EQ(*parsed->integers("a.many.11"), (std::vector<int64_t>{INT64_MIN, 0, 1}));
  EXPECT_EQ(*parsed->integers("a.bools"), (std::vector<int64_t>{1, 0, 1}));
  GgufWriter again;
  for (const auto& [key, value] : parsed->metadata()) again.set(key, value);
  EXPECT_EQ(written(again), bytes);
}

TEST(Gguf, VersionTwoIsWrittenToo) {
  GgufWriter old(2);
  old.set("general.architecture", "llama").set("n", 7u);
  const Bytes bytes = written(old);
  auto parsed = Gguf::parse(bytes);
  ASSERT_TRUE(parsed.ok()) << std::move(parsed).status().text();
  EXPECT_EQ(parsed->version(), 2u);
  EXPECT_EQ(*parsed->integer("n"), 7);
  const TempFolder folder;
  EXPECT_EQ(GgufWriter(1).write(posix_env(), folder / "x.gguf").code(), Code::unsupported);
}

TEST(Gguf, EveryTensorTypeReadsBackEqual) {
  GgufWriter writer;
  std::vector<Bytes> contents;
  std::vector<uint32_t> types;
  for (uint32_t i = 0; i < 120; ++i) {
    const uint32_t type = i < 60 ? i : kOwnTensorTypes + i - 60;
    if (!gguf_block(type).ok()) continue;
    types.push_back(type);
    contents.push_back(noise(*gguf_bytes(type, std::vector<int64_t>{256, 3}), type));
  }
  EXPECT_EQ(types.size(), 53u);
  for (size_t i = 0; i < types.size(); ++i) {
    writer.add("t" + std::to_string(types[i]), types[i], {256, 3}, contents[i]);
  }
  const Bytes bytes = written(writer);
  auto parsed = Gguf::parse(bytes);
  ASSERT_TRUE(parsed.ok()) << std::move(parsed).status().text();
  for (size_t i = 0; i < types.size(); ++i) {
    const GgufTensor* tensor = parsed->tensor("t" + std::to_string(types[i]));
    ASSERT_NE(tensor, nullptr);
    EXPECT_EQ(tensor->type, types[i]);
    EXPECT_EQ(tensor->elements(), 768);
    EXPECT_EQ(tensor->offset % 32, 0);
    ASSERT_EQ(tensor->bytes, int64_t(contents[i].size()));
    EXPECT_EQ(std::memcmp(bytes.data() + tensor->offset, contents[i].data(), contents[i].size()), 0);
  }
}

TEST(Gguf, TypedReadsNameTheKeyAndLoseNothing) {
  GgufWriter writer = every_kind();
  writer.set("whole", GgufValue{GgufType::f64, false, 8.0}).set("half", GgufValue{GgufType::f64, false, 8.5});
  auto parsed = Gguf::parse(written(writer));
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed->integer("whole"), 8);
  EXPECT_EQ(parsed->integer("half").code(), Code::invalid);
  EXPECT_EQ(*parsed->number("a.u32"), 7);
  EXPECT_EQ(parsed->number("a.one.10").code(), Code::invalid);  // 2^63-1 is no double
  EXPECT_EQ(parsed->integers("a.f64s").code(), Code::invalid);
  EXPECT_EQ(*parsed->numbers("a.many.0"), (std::vector<double>{255, 0, 1}));
  EXPECT_EQ(parsed->boolean("a.u32").code(), Code::invalid);
  EXPECT_EQ(parsed->strings("a.u32").code(), Code::invalid);
  EXPECT_EQ(parsed->numbers("a.strings").code(), Code::invalid);
  expect_in(parsed->string("not.there").status().text(), "'not.there' is missing");
  expect_in(parsed->string("a.u32").status().text(), "'a.u32' is no string");
}

TEST(Gguf, TheWriterRefusesWhatTheReaderWould) {
  const TempFolder folder;
  const auto code = [&](const GgufWriter& writer) { return writer.write(posix_env(), folder / "a").code(); };
  const Bytes bytes(128);
  EXPECT_EQ(code(GgufWriter().add("a", 0, {32}, bytes)), Code::ok);
  EXPECT_EQ(code(GgufWriter().add("a", 0, {31}, bytes)), Code::invalid);
  EXPECT_EQ(code(GgufWriter().add("", 0, {32}, bytes)), Code::invalid);
  EXPECT_EQ(code(GgufWriter().add("a", 0, {32}, bytes).add("a", 0, {32}, bytes)), Code::invalid);
  EXPECT_EQ(code(GgufWriter().add("a", 4, {32}, bytes)), Code::not_found);
  EXPECT_EQ(code(GgufWriter().add("a", 0, {2, 2, 2, 2, 2}, bytes)), Code::invalid);
  EXPECT_EQ(code(GgufWriter().add("a", 0, {32, 0}, {})), Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("a", GgufValue{GgufType::u8, false, int64_t(256)})), Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("a", GgufValue{GgufType::u8, false, int64_t(-1)})), Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("a", GgufValue{GgufType::string, false, int64_t(1)})), Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("a", GgufValue{GgufType::u8, true, int64_t(1)})), Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("a", GgufValue{GgufType::boolean, false, int64_t(1)})), Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("a", GgufValue{GgufType::boolean, true, GgufValue::Ints{2}})),
            Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("a", GgufValue{GgufType::f32, false, 0.1})), Code::invalid);
  EXPECT_EQ(code(GgufWriter().set("general.alignment", 24u)), Code::invalid);
  EXPECT_EQ(posix_env().list(folder.path())->size(), 1u);  // only the good one
}

TEST(Gguf, ObeysTheAlignmentOfTheFile) {
  const Bytes content = noise(12, 1);
  for (uint32_t alignment : {8u, 64u, 4096u}) {
    GgufWriter writer;
    writer.set("general.alignment", alignment).add("a", 0, {3}, content).add("b", 0, {3}, content);
    auto parsed = Gguf::parse(written(writer));
    ASSERT_TRUE(parsed.ok());
    for (const GgufTensor& tensor : parsed->tensors()) EXPECT_EQ(tensor.offset % alignment, 0);
    EXPECT_EQ(parsed->tensor("b")->offset - parsed->tensor("a")->offset, std::max(alignment, 16u));
  }
}

TEST(Gguf, TruncationAtEveryByteIsACleanError) {
  const Bytes content = noise(256 * 4, 1);
  GgufWriter tensors, both = every_kind();
  tensors.add("a", 0, {16, 16}, content).add("b", 8, {32, 3}, std::span(content).first(102));
  tensors.add("last", 1, {32, 16}, content);
  both.add("last", 0, {256}, content);
  for (const GgufWriter& writer : {every_kind(), tensors, both}) {
    const Bytes bytes = written(writer);
    auto whole = Gguf::parse(bytes);
    ASSERT_TRUE(whole.ok());
    // Padding behind the last byte of meaning may go.
    const size_t end = whole->tensors().empty() ? size_t(whole->head_bytes()) - 31 : bytes.size();
    for (size_t n = 0; n < end; ++n) {
      ASSERT_EQ(Gguf::parse(std::span(bytes).first(n)).code(), Code::corrupt) << n << " of " << bytes.size();
    }
  }
}

TEST(Gguf, FlippedBitsNeverDoWorseThanAnError) {
  GgufWriter writer = every_kind();
  const Bytes content = noise(256 * 4, 1);
  writer.add("a", 0, {16, 16}, content).add("b", 8, {32, 3}, std::span(content).first(102));
  const Bytes bytes = written(writer);
  size_t accepted = 0;
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    Bytes flipped = bytes;
    flipped[bit / 8] ^= std::byte(1 << bit % 8);
    auto parsed = Gguf::parse(flipped);
    accepted += parsed.ok();
    if (!parsed.ok()) continue;
    for (const GgufTensor& tensor : parsed->tensors()) {
      ASSERT_LE(tensor.offset + tensor.bytes, int64_t(bytes.size()));
    }
  }
  EXPECT_GT(accepted, content.size() * 8);  // those in values and contents
}

TEST(Gguf, VersionTwoReadsLikeThree) {
  EXPECT_TRUE(Raw(0, 1, 2).text("k").u32(4).u32(1).good());
  expect_in(Raw(0, 0, 1).error(Code::unsupported), "version 1; convert it to version 3");
  expect_in(Raw(0, 0, 4).error(Code::unsupported), "version 4");
  expect_in(Raw(0, 0, 0x03000000).error(Code::unsupported), "big-endian");
  EXPECT_EQ(Gguf::parse({}).code(), Code::corrupt);
}

// The flaws that other readers of this format had, each by the class of its report.

TEST(GgufRegression, HugeCountsAreRefusedBeforeAnythingIsTaken) {  // CVE-2024-21802 and its siblings
  for (uint64_t many :
       {uint64_t(1) << 20, uint64_t(1) << 32, uint64_t(1) << 61, UINT64_MAX / 2, UINT64_MAX}) {
    expect_in(Raw(many, 0).zeros(64).error(), "tensor count");
    expect_in(Raw(0, many).zeros(64).error(), "metadata count");
    expect_in(Raw(0, 1).u64(many).zeros(64).error(), "key");
    expect_in(Raw(0, 1).text("k").u32(8).u64(many).zeros(64).error(), "'k': string");
    for (uint32_t type : {0u, 4u, 6u, 7u, 8u, 10u, 12u}) {
      expect_in(Raw(0, 1).text("k").u32(9).u32(type).u64(many).zeros(64).error(), "'k': item count");
    }
    expect_in(Raw(1, 0).u64(many).zeros(64).error(), "tensor 0: name");
  }
}

TEST(GgufRegression, WrappingTensorSizesAreRefused) {  // CVE-2025-53630, CVE-2026-27940, CVE-2026-33298
  const auto with_shape = [](std::vector<uint64_t> shape, uint32_t type) {
    return Raw(1, 0).tensor("t", std::move(shape), type, 0).align().zeros(4096).error();
  };
  const uint64_t k32 = uint64_t(1) << 32;
  expect_in(with_shape({k32, k32}, 0), "elements");                // 2^64 wraps to 0
  expect_in(with_shape({k32, k32 + 1}, 0), "elements");            // wraps to 2^32
  expect_in(with_shape({uint64_t(1) << 62}, 0), "bytes");          // elements fit, bytes wrap to 0
  expect_in(with_shape({(uint64_t(1) << 62) + 256}, 0), "bytes");  // ... and to 1024
  expect_in(with_shape({UINT64_MAX}, 0), "dimension");             // negative as int64
  expect_in(with_shape({uint64_t(1) << 63}, 0), "dimension");
  expect_in(with_shape({1u << 16, 1u << 16, 1u << 16, 1u << 16}, 24), "elements");
  expect_in(with_shape({uint64_t(1) << 40}, 24), "beyond the file");  // exabytes declared, 4 KB there
}

TEST(GgufRegression, OffsetsThatWrapOrLeaveTheFileAreRefused) {
  const auto at_offset = [](uint64_t offset) {
    return Raw(1, 0).tensor("t", {64}, 0, offset).align().zeros(256).error();
  };
  EXPECT_TRUE(Raw(1, 0).tensor("t", {64}, 0, 0).align().zeros(256).good());
  for (uint64_t offset : {uint64_t(32), uint64_t(256), uint64_t(1) << 40, uint64_t(1) << 63, UINT64_MAX - 31,
                          UINT64_MAX - 255}) {
    expect_in(at_offset(offset), "beyond the file");
  }
  expect_in(at_offset(1), "no multiple of 32");
}

TEST(GgufRegression, ADeclaredSizeBeyondTheFileIsRefused) {  // CVE-2026-7482: the rest would be heap
  expect_in(Raw(1, 0).tensor("t", {64}, 0, 0).align().zeros(255).error(), "beyond the file");
  expect_in(Raw(1, 0).tensor("t", {64}, 0, 0).error(), "beyond the file");  // no data, not even padding
}

TEST(GgufRegression, OverlappingTensorsAreRefused) {
  const auto two = [](uint64_t second) {
    return Raw(2, 0).tensor("a", {16}, 0, 0).tensor("b", {16}, 0, second).align().zeros(512);
  };
  EXPECT_TRUE(two(64).good());
  EXPECT_TRUE(two(256).good());
  expect_in(two(32).error(), "overlap");
  expect_in(two(0).error(), "overlap");
}

TEST(GgufRegression, ZeroAndTooManyDimensionsAreRefused) {  // division by zero: GO-2025-3557 and siblings
  const auto with_shape = [](std::vector<uint64_t> shape, uint32_t type) {
    return Raw(1, 0).tensor("t", std::move(shape), type, 0).align().zeros(4096).error();
  };
  expect_in(with_shape({}, 0), "0 dimensions");
  expect_in(with_shape({1, 1, 1, 1, 1}, 0), "5 dimensions");
  expect_in(with_shape({0}, 0), "not positive");
  expect_in(with_shape({4, 0, 4}, 0), "not positive");
  expect_in(with_shape({33}, 8), "no multiple of the 32");
  expect_in(with_shape({128, 2}, 12), "no multiple of the 256");
  expect_in(Raw(1, 0).text("t").u32(UINT32_MAX).zeros(4096).error(), "4294967295 dimensions");
}

TEST(GgufRegression, AlignmentsThatBreakArithmeticAreRefused) {
  const auto aligned_to = [](uint32_t type, auto value) {
    return Raw(0, 1).text("general.alignment").u32(type).number(value).zeros(64);
  };
  EXPECT_TRUE(aligned_to(4, uint32_t(64)).good());
  for (uint32_t bad : {0u, 1u, 4u, 24u, 33u, UINT32_MAX, 1u << 31}) {
    expect_in(aligned_to(4, bad).error(), "no power of two");
  }
  expect_in(aligned_to(11, int64_t(-32)).error(), "no power of two");
  expect_in(aligned_to(6, 32.0f).error(), "not a number");
}

TEST(GgufRegression, TypesOutOfRangeAreRefused) {
  expect_in(Raw(0, 1).text("k").u32(13).zeros(64).error(), "value type 13 does not exist");
  expect_in(Raw(0, 1).text("k").u32(UINT32_MAX).zeros(64).error(), "does not exist");
  expect_in(Raw(0, 1).text("k").u32(9).u32(13).zeros(64).error(), "item type 13 does not exist");
  expect_in(Raw(0, 1).text("k").u32(9).u32(9).u64(1).zeros(64).error(Code::unsupported), "array of arrays");
  expect_in(Raw(0, 1).text("k").u32(7).number(uint8_t(2)).error(), "a boolean that is 2");
  expect_in(Raw(0, 1).text("k").u32(10).u64(UINT64_MAX).error(Code::unsupported), "63 bits");
  for (uint32_t type : {4u, 5u, 31u, 38u, 43u, 255u, UINT32_MAX}) {
    expect_in(Raw(1, 0).tensor("t", {256}, type, 0).zeros(4096).error(Code::unsupported), "is unknown");
  }
}

TEST(GgufRegression, DuplicatesAndEmptyNamesAreRefused) {
  expect_in(Raw(0, 2).text("k").u32(4).u32(1).text("k").u32(4).u32(2).error(), "'k': the key is there twice");
  expect_in(Raw(2, 0).tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32).align().zeros(64).error(),
            "there twice");
  expect_in(Raw(0, 1).text("").u32(4).u32(1).error(), "without a name");
  expect_in(Raw(1, 0).tensor("", {8}, 0, 0).align().zeros(64).error(), "without a name");
}

TEST(GgufRegression, MessagesQuoteNamesSafely) {
  const std::string message = Raw(0, 1).text(std::string(1000, '\x1B')).u32(77).zeros(8).error();
  EXPECT_EQ(message.find('\x1B'), std::string::npos);
  EXPECT_LT(message.size(), 250u);
}

TEST(GgufRegression, SmallItemsCannotMultiplyWhatIsTaken) {
  // 20 million bytes in the file would be 160 million as integers, 640 million as empty strings.
  Raw integers(0, 1), strings(0, 1);
  integers.text("k").u32(9).u32(0).u64(20000000).zeros(20000000);
  expect_in(integers.error(Code::unsupported), "64 MiB");
  strings.text("k").u32(9).u32(8).u64(5000000).zeros(40000000);
  expect_in(strings.error(Code::unsupported), "64 MiB");
}

std::vector<std::string> reference_files() {
  std::vector<std::string> files;
  for (const char* folder :
       {"golden/models", "golden/quant", "golden/tokenizers", "data/models/tinyllamas"}) {
    if (!std::filesystem::exists(shared_path(folder))) continue;
    for (const auto& entry : std::filesystem::directory_iterator(shared_path(folder))) {
      if (entry.path().extension() == ".gguf") files.push_back(entry.path());
    }
  }
  return files;
}

TEST(GgufGolden, ReadsEveryReferenceFileWithoutAGapAndWritesItBackEqual) {
  NEED_SHARED("golden/models");
  const TempFolder folder;
  const std::vector<std::string> files = reference_files();
  EXPECT_GT(files.size(), 20u);
  for (const std::string& path : files) {
    SCOPED_TRACE(path);
    auto file = posix_env().map(path);
    ASSERT_TRUE(file.ok());
    const auto bytes = (*file)->bytes();
    auto parsed = Gguf::parse(bytes);
    ASSERT_TRUE(parsed.ok()) << std::move(parsed).status().text();
    // Their writer leaves only padding between tensors, so the sum of the sizes must be exact.
    int64_t end = parsed->head_bytes();
    GgufWriter writer;
    for (const auto& [key, value] : parsed->metadata()) writer.set(key, value);
    for (const GgufTensor& tensor : parsed->tensors()) {
      EXPECT_EQ(tensor.offset, end) << tensor.name;
      end = (tensor.offset + tensor.bytes + 31) / 32 * 32;
      writer.add(tensor.name, tensor.type, tensor.shape, bytes.subspan(tensor.offset, tensor.bytes));
    }
    EXPECT_EQ(end, int64_t(bytes.size()));

    ASSERT_TRUE(writer.write(posix_env(), folder / "again.gguf").ok());
    auto copy = posix_env().map(folder / "again.gguf");
    ASSERT_TRUE(copy.ok());
    auto again = Gguf::parse((*copy)->bytes());
    ASSERT_TRUE(again.ok()) << std::move(again).status().text();
    EXPECT_EQ(again->metadata(), parsed->metadata());
    ASSERT_EQ(again->tensors().size(), parsed->tensors().size());
    for (size_t i = 0; i < again->tensors().size(); ++i) {
      const GgufTensor &a = parsed->tensors()[i], &b = again->tensors()[i];
      EXPECT_TRUE(a.name == b.name && a.type == b.type && a.shape == b.shape && a.bytes == b.bytes);
      EXPECT_EQ(std::memcmp(bytes.data() + a.offset, (*copy)->bytes().data() + b.offset, a.bytes), 0);
    }
  }
}

TEST(GgufGolden, TruncationOfAReferenceHeadIsACleanError) {
  NEED_SHARED("golden/models/llama-dense.gguf");
  auto file = posix_env().map(shared_path("golden/models/llama-dense.gguf"));
  ASSERT_TRUE(file.ok());
  auto whole = Gguf::parse((*file)->bytes());
  ASSERT_TRUE(whole.ok());
  for (int64_t n = 0; n <= whole->head_bytes(); ++n) {
    ASSERT_EQ(Gguf::parse((*file)->bytes().first(n)).code(), Code::corrupt) << n;
  }
}

}  // namespace
}  // namespace varve

// The GGUF reader. One pass over the head; each number is checked where it is read, before it is used.
#include "core/format/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace varve {
namespace {

static_assert(std::endian::native == std::endian::little, "the format's numbers are read as they lie");

constexpr int64_t kAllowance = 64 << 20;     // what the result may take above the size of the file
constexpr uint64_t kDefaultAlignment = 32;   // of tensors
constexpr uint64_t kLeastEntry = 8 + 4 + 1;  // bytes of the shortest metadata entry
constexpr uint64_t kLeastTensor = 8 + 4 + 8 + 4 + 8;

// What a name costs in an error message: what a person can read, and not much of it.
std::string quoted(std::string_view name) {
  std::string shown = "'";
  for (char c : name.substr(0, 64)) shown += c >= ' ' && c <= '~' ? c : '?';
  return shown + (name.size() > 64 ? "...'" : "'");
}

bool known(GgufType type) {
  return type <= GgufType::f64;
}

bool whole(GgufType type) {
  return type <= GgufType::i32 || type == GgufType::u64 || type == GgufType::i64 || type == GgufType::boolean;
}

// Bytes of a value in the file; the least, where they vary.
uint64_t stored_bytes(GgufType type) {
  static constexpr uint8_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};
  return kBytes[static_cast<uint32_t>(type)];
}

class Parser {
 public:
  explicit Parser(std::span<const std::byte> file)
      : file_(file), left_to_spend_(int64_t(file.size()) + kAllowance) {}

  Status run() {
    TRY(start());
    const auto tensor_count = TRY(count("tensor count", kLeastTensor));
    const auto entry_count = TRY(count("metadata count", kLeastEntry));
    for (uint64_t i = 0; i < entry_count; ++i) TRY(entry(i));
    TRY(find_alignment());
    TRY(spend(tensor_count, sizeof(GgufTensor) + sizeof(GgufTensor*)));
    tensors.reserve(tensor_count);
    for (uint64_t i = 0; i < tensor_count; ++i) TRY(tensor(i));
    return place_tensors();
  }

  uint32_t version = 0;
  int64_t head_bytes = 0;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensor> tensors;
  std::map<std::string, size_t, std::less<>> by_name;

 private:
  Status damaged(std::string_view what) const {
    return Status(Code::corrupt,
                  "GGUF, " + subject_ + ": " + std::string(what) + "; the file is damaged, get it again");
  }
  Status unsupported(std::string_view what) const {
    return Status(Code::unsupported, "GGUF, " + subject_ + ": " + std::string(what));
  }
  uint64_t left() const { return file_.size() - at_; }

  // Memory for the result, counted before it is taken.
  Status spend(uint64_t count, uint64_t bytes_each) {
    uint64_t bytes = 0;
    if (__builtin_mul_overflow(count, bytes_each, &bytes) || bytes > uint64_t(left_to_spend_)) {
      return unsupported("holding this head takes more than the size of the file and 64 MiB");
    }
    left_to_spend_ -= int64_t(bytes);
    return {};
  }

  template <class T>
  Result<T> number(const char* field) {
    if (left() < sizeof(T)) return damaged("the file ends inside the " + std::string(field));
    T value;
    std::memcpy(&value, file_.data() + at_, sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  // A number of things that take at least `least` bytes each, so that it cannot promise more than is there.
  Result<uint64_t> count(const char* field, uint64_t least) {
    const auto value = TRY(number<uint64_t>(field));
    if (value > left() / least) {
      return damaged(std::string(field) + " " + std::to_string(value) + " does not fit the " +
                     std::to_string(left()) + " bytes left");
    }
    return value;
  }

  Result<std::string_view> text(const char* field) {
    const auto length = TRY(count(field, 1));
    TRY(spend(1, length > 15 ? length + 32 : 0));  // a short string lives inside its object
    const std::string_view found(reinterpret_cast<const char*>(file_.data()) + at_, length);
    at_ += length;
    return found;
  }

  Status start() {
    subject_ = "start";
    if (left() < 4 || std::memcmp(file_.data(), "GGUF", 4) != 0) {
      return Status(Code::corrupt, "not a GGUF file: it does not begin with 'GGUF'");
    }
    at_ = 4;
    version = TRY(number<uint32_t>("version"));
    if (version == 2 || version == 3) return {};
    if (version != 0 && (version & 0xFFFF) == 0)
      return unsupported("big-endian; convert it to little-endian");
    return unsupported("version " + std::to_string(version) + "; convert it to version 3");
  }

  Status entry(uint64_t index) {
    subject_ = "metadata entry " + std::to_string(index);
    const std::string_view key = TRY(text("key"));
    subject_ = "metadata " + quoted(key);
    if (key.empty()) return damaged("a key without a name");
    TRY(spend(1, sizeof(std::pair<std::string, GgufValue>) + 64));  // and the node of the map
    const auto [made, fresh] = metadata.try_emplace(std::string(key));
    if (!fresh) return damaged("the key is there twice");
    GgufValue& value = made->second;
    value.type = TRY(type("value type"));
    if (value.type != GgufType::array) return scalar(value);
    value.array = true;
    value.type = TRY(type("item type"));
    if (value.type == GgufType::array) return unsupported("an array of arrays");
    return array(value);
  }

  Result<GgufType> type(const char* field) {
    const auto found = GgufType(TRY(number<uint32_t>(field)));
    if (known(found)) return found;
    return damaged(std::string(field) + " " + std::to_string(uint32_t(found)) + " does not exist");
  }

  Status scalar(GgufValue& value) {
    if (value.type == GgufType::boolean) {
      value.held = TRY(integer(value.type)) == 1;
    } else if (value.type == GgufType::string) {
      value.held = std::string(TRY(text("string")));
    } else if (whole(value.type)) {
      value.held = TRY(integer(value.type));
    } else {
      value.held = TRY(real(value.type));
    }
    return {};
  }

  Status array(GgufValue& value) {
    const auto items = TRY(count("item count", stored_bytes(value.type)));
    if (value.type == GgufType::string) {
      TRY(spend(items, sizeof(std::string)));
      auto& strings = value.held.emplace<GgufValue::Strings>();
      strings.reserve(items);
      for (uint64_t i = 0; i < items; ++i) strings.emplace_back(TRY(text("string")));
    } else if (whole(value.type)) {
      TRY(spend(items, sizeof(int64_t)));
      auto& integers = value.held.emplace<GgufValue::Ints>();
      integers.reserve(items);
      for (uint64_t i = 0; i < items; ++i) integers.push_back(TRY(integer(value.type)));
    } else {
      TRY(spend(items, sizeof(double)));
      auto& reals = value.held.emplace<GgufValue::Floats>();
      reals.reserve(items);
      for (uint64_t i = 0; i < items; ++i) reals.push_back(TRY(real(value.type)));
    }
    return {};
  }

  Result<int64_t> integer(GgufType type) {
    switch (type) {
      case GgufType::u8: return int64_t(TRY(number<uint8_t>("value")));
      case GgufType::i8: return int64_t(TRY(number<int8_t>("value")));
      case GgufType::u16: return int64_t(TRY(number<uint16_t>("value")));
      case GgufType::i16: return int64_t(TRY(number<int16_t>("value")));
      case GgufType::u32: return int64_t(TRY(number<uint32_t>("value")));
      case GgufType::i32: return int64_t(TRY(number<int32_t>("value")));
      case GgufType::i64: return TRY(number<int64_t>("value"));
      default: break;
    }
    if (type == GgufType::boolean) {
      const int64_t value = TRY(number<uint8_t>("value"));
      if (value > 1) return damaged("a boolean that is " + std::to_string(value));
      return value;
    }
    const auto value = TRY(number<uint64_t>("value"));
    if (value > uint64_t(INT64_MAX))
      return unsupported(std::to_string(value) + " is more than 63 bits can hold");
    return int64_t(value);
  }

  Result<double> real(GgufType type) {
    if (type == GgufType::f32) return double(TRY(number<float>("value")));
    return TRY(number<double>("value"));
  }

  Status find_alignment() {
    const auto found = metadata.find("general.alignment");
    if (found == metadata.end()) return {};
    subject_ = "metadata 'general.alignment'";
    const auto* value = std::get_if<int64_t>(&found->second.held);
    if (!value) return damaged("not a number");
    // The format wants a multiple of 8; all who read it want a power of two.
    if (*value < 8 || *value > INT32_MAX || !std::has_single_bit(uint64_t(*value))) {
      return damaged(std::to_string(*value) + " is no power of two from 8 on");
    }
    alignment_ = uint64_t(*value);
    return {};
  }

  // Reads a declaration. The offset in it counts from the end of the head, which is not known yet.
  Status tensor(uint64_t index) {
    subject_ = "tensor " + std::to_string(index);
    GgufTensor made;
    made.name = std::string(TRY(text("name")));
    subject_ = "tensor " + quoted(made.name);
    if (made.name.empty()) return damaged("a tensor without a name");
    // The shape, and the second place of the name.
    TRY(spend(1, made.name.size() + 4 * sizeof(int64_t) + sizeof(std::pair<std::string, size_t>) + 64));
    if (!by_name.emplace(made.name, tensors.size()).second) return damaged("the name is there twice");
    const auto dimensions = TRY(number<uint32_t>("dimension count"));
    if (dimensions < 1 || dimensions > 4) {
      return damaged(std::to_string(dimensions) + " dimensions; there must be 1 to 4");
    }
    for (uint32_t i = 0; i < dimensions; ++i) {
      const auto dimension = TRY(number<uint64_t>("dimension"));
      if (dimension > uint64_t(INT64_MAX))
        return damaged("dimension " + std::to_string(dimension) + " is too large");
      made.shape.push_back(int64_t(dimension));
    }
    made.type = TRY(number<uint32_t>("tensor type"));
    auto bytes = gguf_bytes(made.type, made.shape);
    if (bytes.code() == Code::not_found)
      return unsupported("tensor type " + std::to_string(made.type) + " is unknown");
    if (!bytes.ok()) return damaged(std::move(bytes).status().message());
    made.bytes = std::move(bytes).value();
    const auto offset = TRY(number<uint64_t>("offset"));
    if (offset % alignment_ != 0) {
      return damaged("offset " + std::to_string(offset) + " is no multiple of " + std::to_string(alignment_));
    }
    if (offset > file_.size()) return beyond(offset, made.bytes);
    made.offset = int64_t(offset);
    tensors.push_back(std::move(made));
    return {};
  }

  Status beyond(uint64_t offset, int64_t bytes) const {
    return damaged("its " + std::to_string(bytes) + " bytes at " + std::to_string(offset) +
                   " end beyond the file of " + std::to_string(file_.size()) + " bytes");
  }

  // The head is known whole: turns offsets into places in the file and checks these.
  Status place_tensors() {
    // Neither sum wraps: a span has less than 2^63 bytes, and the alignment less than 2^31.
    const uint64_t begin = (at_ + alignment_ - 1) / alignment_ * alignment_;
    head_bytes = int64_t(std::min<uint64_t>(begin, file_.size()));
    std::vector<const GgufTensor*> in_order;
    in_order.reserve(tensors.size());
    for (GgufTensor& one : tensors) {
      subject_ = "tensor " + quoted(one.name);
      one.offset += int64_t(begin);
      if (one.offset > int64_t(file_.size()) || one.bytes > int64_t(file_.size()) - one.offset) {
        return beyond(uint64_t(one.offset), one.bytes);
      }
      in_order.push_back(&one);
    }
    std::sort(in_order.begin(), in_order.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
    for (size_t i = 1; i < in_order.size(); ++i) {
      subject_ = "tensor " + quoted(in_order[i]->name);
      if (in_order[i - 1]->offset + in_order[i - 1]->bytes > in_order[i]->offset) {
        return damaged("its bytes overlap those of " + quoted(in_order[i - 1]->name));
      }
    }
    return {};
  }

  const std::span<const std::byte> file_;
  uint64_t at_ = 0;
  uint64_t alignment_ = kDefaultAlignment;
  int64_t left_to_spend_;
  std::string subject_;  // what is being read, for messages
};

}  // namespace

Result<Gguf> Gguf::parse(std::span<const std::byte> file) {
  Parser parser(file);
  TRY(parser.run());
  Gguf made;
  made.version_ = parser.version;
  made.head_bytes_ = parser.head_bytes;
  made.metadata_ = std::move(parser.metadata);
  made.tensors_ = std::move(parser.tensors);
  made.by_name_ = std::move(parser.by_name);
  return made;
}

}  // namespace varve

// What each method is for: the one thing that makes it that method.
#include <algorithm>
#include <cmath>

#include "learn/compress/rig_test.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"

namespace varve {
namespace {

struct Method : testing::Test, CompressRig {
  Gguf head(const std::string& name) {
    const auto mapping = posix_env().map(folder / name).value();
    return Gguf::parse(mapping->bytes()).value();
  }
  // Of a weight, with what lies beside it.
  std::vector<float> values(const std::string& name, const std::string& role) {
    const auto model = open(folder / name);
    std::vector<float> sum;
    for (const std::string& part : {role, role + ".weight.more.1"}) {
      const WeightId id = model->weights().find(part);
      if (id == kNoWeight) continue;
      const WeightPin pin = model->weights().pin(id).value();
      std::vector<float> own(size_t((*pin).rows) * size_t((*pin).cols));
      (*pin).codec->decode((*pin).bytes, own);
      sum.resize(own.size());
      for (size_t i = 0; i < own.size(); ++i) sum[i] += own[i];
    }
    return sum;
  }
  double error(const std::string& a, const std::string& b) {  // squared, of the layer's matrices
    double sum = 0;
    for (const char* role : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"}) {
      const auto one = values(a, std::string("blk.0.") + role),
                 other = values(b, std::string("blk.0.") + role);
      for (size_t i = 0; i < one.size(); ++i) sum += std::pow(double(one[i]) - double(other[i]), 2);
    }
    return sum;
  }
};

TEST_F(Method, rtn_is_the_formats_own_encoder) {
  ASSERT_TRUE(run("q5_1+rtn", folder / "a.gguf").ok());
  ASSERT_TRUE(run("q5_1", folder / "b.gguf").ok());
  EXPECT_EQ(bytes(folder / "a.gguf"), bytes(folder / "b.gguf"));
}

TEST_F(Method, smooth_changes_weights_and_no_answer) {
  ASSERT_TRUE(run("smooth+f32", folder / "a.gguf").ok());
  EXPECT_NE(bytes(folder / "a.gguf"), bytes(base));
  EXPECT_LT(std::abs(divergence(folder / "a.gguf")), 1e-9);
}

TEST_F(Method, flap_cuts_every_layer_alike_and_leaves_a_bias) {
  ASSERT_TRUE(run("flap:share=0.5", folder / "a.gguf").ok());
  const Gguf cut = head("a.gguf");
  EXPECT_EQ(cut.integer("llama.feed_forward_length").value(), 64);
  EXPECT_EQ(cut.tensor("blk.0.ffn_up.weight")->shape, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ(cut.tensor("blk.0.ffn_down.weight")->shape, (std::vector<int64_t>{64, 64}));
  EXPECT_EQ(cut.tensor("blk.0.ffn_down.bias")->shape, std::vector<int64_t>{64});
  // What was not cut is as it was; the bias takes back some of what is lost.
  EXPECT_LT(divergence(folder / "a.gguf"), 0.1);
  auto late = run("smooth+flap", folder / "b.gguf");
  EXPECT_NE(std::move(late).status().message().find("flap comes before"), std::string::npos);
  auto blind = run("flap+q4_0", folder / "b.gguf", posix_env(), false);
  EXPECT_NE(std::move(blind).status().message().find("--calibrate"), std::string::npos);
}

TEST_F(Method, slicegpt_turns_without_changing_an_answer_and_cuts_the_width) {
  ASSERT_TRUE(run("slicegpt:share=0+f32", folder / "a.gguf").ok());
  EXPECT_LT(std::abs(divergence(folder / "a.gguf")), 1e-7);
  EXPECT_GT(error("base.gguf", "a.gguf"), 1) << "the weights are others";
  ASSERT_TRUE(run("slicegpt:share=0.5+f32", folder / "b.gguf").ok());
  const Gguf cut = head("b.gguf");
  EXPECT_EQ(cut.integer("llama.embedding_length").value(), 32);
  EXPECT_EQ(cut.tensor("blk.0.ffn_up.weight")->shape, (std::vector<int64_t>{32, 128}));
  EXPECT_EQ(cut.tensor("blk.0.ffn_down.weight")->shape, (std::vector<int64_t>{128, 32}));
  EXPECT_EQ(cut.tensor("blk.0.attn_norm.weight")->shape, std::vector<int64_t>{32});
  EXPECT_NE(cut.tensor("output.weight"), nullptr) << "the head has the last norm in it, the table has not";
  EXPECT_EQ(run("slicegpt+f32", folder / "c.gguf", posix_env(), false).code(), Code::invalid);
}

TEST_F(Method, gptq_rounds_so_that_what_was_seen_loses_less_than_by_any_other) {
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  const double gptq = loss("q4_0+gptq");
  EXPECT_LT(gptq, loss("q4_0+search"));
  EXPECT_LT(gptq, loss("q4_0"));
}

TEST_F(Method, omniquant_loses_less_than_gptq_from_which_it_begins) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  EXPECT_LT(loss("q2_k+omniquant"), 0.95 * loss("q2_k+gptq"));
  EXPECT_LT(loss("q4_0+omniquant"), loss("q4_0+gptq"));
}

// The error that is left by the rounding of each block is less than what was left before it; and a process
// with less room uses fewer blocks and answers as it would of a file that has no more.
TEST_F(Method, bitstack_blocks_come_and_go_by_the_budget) {
  wide();
  ASSERT_TRUE(run("q2_k+bitstack:blocks=2", folder / "two.gguf").ok());
  ASSERT_TRUE(run("q2_k", folder / "none.gguf").ok());
  const double none = divergence(folder / "none.gguf"), two = divergence(folder / "two.gguf");
  EXPECT_LT(two, 0.6 * none) << "table and head have no blocks";
  const auto model = open(folder / "two.gguf");
  Streaming* stays = model->weights().streaming();
  ASSERT_NE(stays, nullptr);
  const int64_t all = stays->counts().resident_bytes;
  EXPECT_EQ(all, stays->plan().pass_bytes) << "there was room for all";
  const auto texts = read_calibration(posix_env(), text, *open(base), 200, 48, ledger).value().texts;
  const auto answers = std::move(Answers::make(*open(base), texts, ops, ledger)).value();
  const auto loss = [&] { return answers.compare(*model, nullptr, ops, ledger)->kl; };
  stays->keep(all / 2);
  EXPECT_LE(stays->counts().resident_bytes, all / 2);
  const double half = loss();
  EXPECT_LT(half, none);
  EXPECT_GT(half, two);
  stays->keep(0);
  EXPECT_EQ(stays->counts().resident_bytes, 0);
  EXPECT_DOUBLE_EQ(loss(), none);
  stays->keep(all);
  EXPECT_DOUBLE_EQ(loss(), two);
  const int64_t used = ledger.used();
  ASSERT_TRUE(ledger.set_limit(used - all / 3).ok()) << "blocks are given back, the worthless first";
  EXPECT_LT(stays->counts().resident_bytes, all);
  EXPECT_EQ(run("q4_0", folder / "again.gguf").code(), Code::ok) << "of the original";
  base = folder / "two.gguf";
  EXPECT_EQ(run("q4_0", folder / "third.gguf").code(), Code::unsupported);
}

TEST_F(Method, df11_takes_less_and_loses_no_bit) {
  const TinyModel tiny{
      .layers = 1, .width = 256, .hidden = 512, .context = 256, .vocabulary = 264, .weights = "bf16"};
  ASSERT_TRUE(write_tiny_model(posix_env(), base, tiny).ok());
  const auto report = run("df11", folder / "a.gguf", posix_env(), false).value();
  for (const CompressedWeight& one : report.weights) EXPECT_EQ(one.to, "df11") << one.role;
  EXPECT_LT(double(report.bytes), 0.73 * double(report.bytes_before));
  const auto values = [&](const WeightStore& store, WeightId id) {
    const WeightPin pin = store.pin(id, 0).value();
    std::vector<float> all(size_t((*pin).rows) * size_t((*pin).cols));
    (*pin).codec->decode((*pin).bytes, all);
    return all;
  };
  const auto whole = open(base), coded = open(folder / "a.gguf");
  for (WeightId id = 0; id < whole->weights().entries().size(); ++id)
    EXPECT_EQ(values(whole->weights(), id), values(coded->weights(), id));
  EXPECT_EQ(divergence(folder / "a.gguf"), 0);
  const auto streamed = open_planned_model(posix_env(), folder / "a.gguf", ledger).value();
  const auto texts = read_calibration(posix_env(), text, *whole, 200, 48, ledger).value().texts;
  const auto answers = std::move(Answers::make(*whole, texts, ops, ledger)).value();
  EXPECT_EQ(answers.compare(*streamed, nullptr, ops, ledger)->kl, 0);
  // What was coded is a model like any other.
  base = folder / "a.gguf";
  EXPECT_TRUE(run("df11", folder / "again.gguf", posix_env(), false).ok());
  EXPECT_EQ(bytes(folder / "again.gguf"), bytes(base));
  EXPECT_TRUE(run("q4_0+gptq", folder / "small.gguf").ok());
  EXPECT_LT(divergence(folder / "small.gguf"), 0.2);
}

TEST_F(Method, df11_leaves_what_it_cannot_make_smaller_and_comes_last) {
  ASSERT_TRUE(write_tiny_model(posix_env(), base, {.layers = 1, .width = 96, .hidden = 224}).ok());
  const auto report = run("bf16+df11", folder / "a.gguf", posix_env(), false).value();
  for (const CompressedWeight& one : report.weights)
    EXPECT_EQ(one.to, "bf16") << one.role << ": rows of 96 and 224 are no whole groups";
  wide();
  auto early = run("bf16+df11+smooth", folder / "b.gguf");
  EXPECT_NE(std::move(early).status().message().find("last word"), std::string::npos);
}

TEST_F(Method, wanda_drops_what_meets_little) {
  wide();
  ASSERT_TRUE(run("wanda:share=0.25+f32", folder / "a.gguf").ok());
  ASSERT_TRUE(run("wanda:two_of_four=1+f32", folder / "b.gguf").ok());
  ASSERT_TRUE(run("wanda:share=0.5,group=16+f32", folder / "c.gguf").ok());
  const auto zeros = [&](const char* name, size_t run) {  // runs of zeros that begin where such a run may
    const auto model = open(folder / name);
    const WeightPin pin = model->weights().pin(model->weights().find("blk.0.ffn_up"), 0).value();
    const auto* values = reinterpret_cast<const float*>((*pin).bytes.data());
    size_t count = 0;
    for (size_t i = 0; i < 256 * 256; i += run)
      count += size_t(std::all_of(values + i, values + i + run, [](float one) { return one == 0; }));
    return count;
  };
  EXPECT_EQ(zeros("a.gguf", 1), 256u * 64);
  EXPECT_EQ(zeros("b.gguf", 1), 256u * 128);
  EXPECT_EQ(zeros("c.gguf", 16), 256u * 8);
  const double by_share = divergence(folder / "a.gguf");
  EXPECT_LT(by_share, divergence(folder / "b.gguf"));
  EXPECT_EQ(run("wanda:two_of_four=1,group=4+f32", folder / "d.gguf").code(), Code::invalid);
}

// Half of each block of 64 stays, those that wanda says; table and head stay whole.
TEST_F(Method, wanda_fills_the_blocks_of_a_sparse_format) {
  wide();
  const auto report = run("s4_0+wanda", folder / "a.gguf").value();
  int64_t layers = 0;
  for (const CompressedWeight& one : report.weights) {
    const bool own = one.role.starts_with("blk.");
    EXPECT_EQ(one.to, own ? "s4_0" : "q3_k") << one.role;
    layers += own ? one.bytes : 0;
    EXPECT_EQ(one.bytes, own ? int64_t(one.rows) * one.cols / 64 * 26 : one.bytes);
  }
  const auto model = open(folder / "a.gguf");
  int64_t resident = 0;
  for (const WeightEntry& one : model->weights().entries())
    resident += one.codec->name() == "s4_0" ? one.bytes : 0;
  EXPECT_EQ(resident, layers) << "expanded in the product alone";
  EXPECT_LE(model->weights().resident_bytes(), report.bytes + report.bytes / 50);
  ASSERT_TRUE(run("s4_0", folder / "b.gguf").ok());
  EXPECT_LT(divergence(folder / "a.gguf"), divergence(folder / "b.gguf")) << "by size alone";
}

TEST_F(Method, a_sparse_format_keeps_the_zeros_of_a_model_that_was_pruned) {
  wide();
  ASSERT_TRUE(run("wanda:two_of_four=1+f32", folder / "pruned.gguf").ok());
  base = folder / "pruned.gguf";
  ASSERT_TRUE(run("s4_0", folder / "stored.gguf", posix_env(), false).ok());
  ASSERT_TRUE(run("q4_0", folder / "dense.gguf", posix_env(), false).ok());
  const auto before = values("pruned.gguf", "blk.0.ffn_up"), after = values("stored.gguf", "blk.0.ffn_up");
  for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(before[i] != 0 || after[i] == 0) << i;
  EXPECT_LT(error("pruned.gguf", "stored.gguf"), 1.1 * error("pruned.gguf", "dense.gguf"))
      << "in 28 % fewer bytes";
}

// Less error than a larger format on weights that have outliers, and of these next to none.
TEST_F(Method, easyquant_keeps_outliers_beside_the_weight) {
  wide();
  const size_t step = 300;  // no more than one of 128 is far out
  scale_every(step, 12);
  const auto kept = run("q4_0+easyquant", folder / "a.gguf", posix_env(), false).value();
  const auto larger = run("q4_1", folder / "b.gguf", posix_env(), false).value();
  ASSERT_TRUE(run("q4_0+search:calibrated=0", folder / "c.gguf", posix_env(), false).ok());
  EXPECT_LT(kept.bytes, larger.bytes);
  const std::string original = "scaled.gguf";
  EXPECT_LT(error(original, "a.gguf"), 0.8 * error(original, "b.gguf"));
  EXPECT_LT(error(original, "a.gguf"), 0.8 * error(original, "c.gguf")) << "the range alone";
  const auto before = values(original, "blk.0.ffn_up"), after = values("a.gguf", "blk.0.ffn_up");
  double squares = 0;
  for (const float one : before) squares += double(one) * double(one) / double(before.size());
  int far = 0;
  for (size_t i = 0; i < before.size(); i += step) {
    if (std::abs(double(before[i])) < 4 * std::sqrt(squares)) continue;
    EXPECT_NEAR(after[i], before[i], 1e-3f * std::abs(before[i])) << i;
    ++far;
  }
  EXPECT_GT(far, 50);
  EXPECT_EQ(run("q4_0+easyquant+lorc", folder / "d.gguf").code(), Code::invalid);
}

TEST_F(Method, unequal_bits_lose_less_where_a_text_says_which_groups_count) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  const double plain = loss("slim2"), search = loss("slim2+search"), gptq = loss("slim2+gptq");
  EXPECT_LT(search, plain);
  EXPECT_LT(gptq, search);
  EXPECT_LT(loss("slim2+omniquant"), gptq);
}

TEST_F(Method, lorc_gives_back_what_few_directions_hold) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  const double plain = loss("q2_k"), few = loss("q2_k+lorc");
  EXPECT_LT(few, plain);
  EXPECT_LT(loss("q2_k+lorc:rank=128"), 0.5 * few);
  const Gguf made = head("q2_k+lorc.gguf");
  EXPECT_EQ(made.tensor("blk.0.ffn_up.weight.lora_a")->shape, (std::vector<int64_t>{256, 4}));
  EXPECT_EQ(made.tensor("blk.0.ffn_up.weight.lora_b")->shape, (std::vector<int64_t>{4, 256}));
}

TEST_F(Method, formats_of_chosen_levels_and_planes_lose_less_by_a_text) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  EXPECT_LT(loss("bp3+gptq"), loss("bp3"));
  const double gptq = loss("bitmod3+gptq");
  EXPECT_LT(gptq, loss("bitmod3"));
  EXPECT_LT(loss("bitmod3+omniquant"), gptq) << "each group has levels of its own";
}

TEST_F(Method, codebook_learns_levels_that_beat_given_ones_in_the_same_bytes) {
  wide();
  const auto loss = [&](const std::string& recipe) {
    EXPECT_TRUE(run(recipe, folder / (recipe + ".gguf")).ok());
    return divergence(folder / (recipe + ".gguf"));
  };
  const double learnt = loss("q3_k+codebook:bits=3");
  EXPECT_LT(learnt, loss("bitmod3"));
  EXPECT_LT(loss("q3_k+codebook:bits=3+gptq"), learnt);
  const Gguf made = head("q3_k+codebook:bits=3.gguf");
  EXPECT_EQ(made.tensor("blk.0.ffn_up.weight")->bytes,
            made.tensor("blk.0.ffn_up.weight")->elements() / 256 * 106);
  EXPECT_EQ(made.numbers("varve.codebook.blk.0.ffn_up.weight").value().size(), 32u);
  // What was learnt is compressed again as any other file.
  base = folder / "q3_k+codebook:bits=3.gguf";
  ASSERT_TRUE(run("q8_0", folder / "again.gguf").ok());
  EXPECT_LT(divergence(folder / "again.gguf"), 0.01);
  EXPECT_FALSE(run("codebook:bits=5", folder / "no.gguf").ok());
}

TEST_F(Method, a_target_may_go_by_correlation) {
  wide();
  const auto bits = [&](const std::string& recipe) {
    return run(recipe, folder / (recipe + ".gguf")).value().bits();
  };
  const double got = bits("target=4.6bpw:by=correlation");
  EXPECT_LT(got, 4.6001);
  EXPECT_GT(got, 4.3);
  EXPECT_NE(std::string(run("target=4bpw:by=taste", folder / "x.gguf").status().message()).find("by=taste"),
            std::string::npos);
  EXPECT_FALSE(run("target=4bpw:by=correlation,measured=1", folder / "x.gguf").ok());
}

}  // namespace
}  // namespace varve

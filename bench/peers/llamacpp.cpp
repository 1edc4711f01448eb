// Tokens a second of llama.cpp over a context that is already there: its KV cells are marked as used and
// filled with numbers, as `varve bench generate depth=N` fills its own. Uses llama.cpp's own insides, of
// c392e50 or near it.
// With PROMPT, that many tokens are read before, and timed apart.
//   driver MODEL VOCABULARY DEPTH TOKENS THREADS f16|q8_0 FLASH(0|1) ROUNDS [PROMPT]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "llama-context.h"
#include "llama.h"

int main(int argc, char** argv) {
  if (argc != 9 && argc != 10) return 1;
  const int prompt = argc == 10 ? atoi(argv[9]) : 0;
  const int vocabulary = atoi(argv[2]), depth = atoi(argv[3]), tokens = atoi(argv[4]);
  const bool q8 = strcmp(argv[6], "q8_0") == 0;
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_backend_init();
  llama_model_kv_override say[3] = {};
  say[0].tag = LLAMA_KV_OVERRIDE_TYPE_STR, strcpy(say[0].key, "tokenizer.ggml.model");
  strcpy(say[0].val_str, "no_vocab");
  say[1].tag = LLAMA_KV_OVERRIDE_TYPE_INT, strcpy(say[1].key, "llama.vocab_size");
  say[1].val_i64 = vocabulary;
  llama_model_params of_model = llama_model_default_params();
  of_model.kv_overrides = say;
  llama_model* model = llama_model_load_from_file(argv[1], of_model);
  if (model == nullptr) return fprintf(stderr, "no model\n"), 1;
  llama_context_params how = llama_context_default_params();
  how.n_ctx = depth + prompt + tokens + 64;
  how.n_threads = how.n_threads_batch = atoi(argv[5]);
  how.type_k = how.type_v = q8 ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
  how.flash_attn = atoi(argv[7]) != 0;
  llama_context* context = llama_init_from_model(model, how);
  if (context == nullptr) return fprintf(stderr, "no context (q8_0 values need flash attention)\n"), 1;
  auto& kv = context->kv_self;
  for (auto* list : {&kv.k_l, &kv.v_l}) {
    for (ggml_tensor* tensor : *list) memset(tensor->data, 0x2b, ggml_nbytes(tensor));  // about 0.05 in f16
  }
  std::vector<double> rates;
  for (int round = 0; round < atoi(argv[8]); ++round) {
    llama_kv_cache_clear(context);
    for (int i = 0; i < depth; ++i) kv.cells[size_t(i)].pos = i, kv.cells[size_t(i)].seq_id.insert(0);
    kv.head = kv.used = uint32_t(depth);
    std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
    std::vector<llama_token> text;
    for (int i = 0; i < prompt; ++i) text.push_back((i * 7 + 1) % vocabulary);
    for (int done = 0; done < prompt; done += 512) {
      if (llama_decode(context, llama_batch_get_one(&text[size_t(done)], std::min(512, prompt - done))) != 0)
        return fprintf(stderr, "decode failed\n"), 1;
    }
    const std::chrono::duration<double> read = std::chrono::steady_clock::now() - begin;
    if (prompt > 0) printf("prompt %d: %.2f tokens/s\n", prompt, prompt / read.count());
    for (int i = -2; i < tokens; ++i) {  // two to warm up
      if (i == 0) begin = std::chrono::steady_clock::now();
      llama_token token = (i + 7) % vocabulary;
      llama_batch one = llama_batch_get_one(&token, 1);
      if (llama_decode(context, one) != 0) return fprintf(stderr, "decode failed\n"), 1;
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    printf("depth %d %s flash=%s: %.2f tokens/s\n", depth, argv[6], argv[7], tokens / taken.count());
    fflush(stdout);
  }
}

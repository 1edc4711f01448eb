// Logits of llama.cpp for tokens 1, 8, 15... of a model without a tokenizer, KV in f32: a row a token, as f32.
//   driver MODEL VOCABULARY TOKENS AT_ONCE THREADS > FILE
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "llama.h"

int main(int argc, char** argv) {
  if (argc != 6) return 1;
  const int vocabulary = atoi(argv[2]), tokens = atoi(argv[3]), step = atoi(argv[4]);
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
  how.n_ctx = how.n_batch = how.n_ubatch = unsigned(tokens + 64);
  how.n_threads = how.n_threads_batch = atoi(argv[5]);
  how.type_k = how.type_v = GGML_TYPE_F32;
  llama_context* context = llama_init_from_model(model, how);
  if (context == nullptr) return fprintf(stderr, "no context\n"), 1;
  for (int first = 0; first < tokens; first += step) {
    const int rows = first + step < tokens ? step : tokens - first;
    llama_batch batch = llama_batch_init(rows, 0, 1);
    batch.n_tokens = rows;
    for (int i = 0; i < rows; ++i) {
      batch.token[i] = ((first + i) * 7 + 1) % vocabulary, batch.pos[i] = first + i;
      batch.n_seq_id[i] = 1, batch.seq_id[i][0] = 0, batch.logits[i] = 1;
    }
    if (llama_decode(context, batch) != 0) return fprintf(stderr, "decode failed\n"), 1;
    for (int i = 0; i < rows; ++i) fwrite(llama_get_logits_ith(context, i), 4, size_t(vocabulary), stdout);
    llama_batch_free(batch);
  }
}

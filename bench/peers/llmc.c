// Steps of llm.c's CPU trainer on a file of tokens, in order, at one rate: losses and times. Compiled beside a
// checkout of it (bench/peers/llmc.sh). llmc MODEL TOKENS LENGTH SEQUENCES STEPS RATE
#define TESTING
#include "train_gpt2.c"

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  const int length = atoi(argv[3]), sequences = atoi(argv[4]), steps = atoi(argv[5]);
  GPT2 model;
  gpt2_build_from_checkpoint(&model, argv[1]);
  DataLoader loader;
  dataloader_init(&loader, argv[2], (size_t)sequences, (size_t)length, 0, 1, 0);
  for (int step = 1; step <= steps; ++step) {
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    dataloader_next_batch(&loader);
    gpt2_forward(&model, loader.inputs, loader.targets, (size_t)sequences, (size_t)length);
    gpt2_zero_grad(&model);
    gpt2_backward(&model);
    gpt2_update(&model, (float)atof(argv[6]), 0.9f, 0.999f, 1e-8f, 0.0f, step);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const double time = (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec);
    printf("step %d loss %f %.0f tokens/s\n", step, model.mean_loss, length * sequences / time);
    fflush(stdout);
  }
  return 0;
}

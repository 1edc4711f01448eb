// HiddenEmbedder: the hidden states of the running model as vectors of texts. No second model, no second
// copy of weights: a text is one prompt in the engine, at the priority of a reflection.
#pragma once

#include <memory>
#include <string_view>

#include "core/base/ports.h"
#include "run/engine/engine.h"

namespace varve {

// `spec`: "model", or "model:pool=mean,layer=0,prompt=none" with
//   pool    mean, last (token), weighted (later tokens count more)
//   layer   hidden states after so many layers; 0: after all and the final norm
//   prompt  none; echo: the text twice, the second is read (Springer et al. 2024); word: "in one word"
//           (Jiang et al. 2023), to be read with pool=last
//   tokens  of a text that are read; the rest is cut off
// invalid: no such option, pooling or layer, or a model without a tokenizer. The engine must outlive it.
Result<std::unique_ptr<Embedder>> make_hidden_embedder(std::string_view spec, Engine& engine);

}  // namespace varve

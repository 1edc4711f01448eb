// Captured: memories whose attention state was computed once and is kept as an activation cube, derived from
// them. In a prompt their words come first, quoted in the user's first message; so the cube is an exact
// prefix, and a turn that has it decodes without reading them again. Whenever it does not fit, its words
// stand there all the same and are read: only time is lost. docs/activation.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "memory/recall/present.h"
#include "run/engine/engine.h"
#include "serve/session/prompt.h"

namespace varve {

class CubeStore;
class PrefixStore;
inline constexpr std::string_view kAutomatic = "automatically ";  // begins the why of such a cube

// How far from reading the state of a cube may be, as its capture declares; the kind of the cube says it.
// exact: a beginning, to the bit. rerotated: its words stand anywhere, its keys are turned to their place.
// patched: likewise, and a share of its tokens is read again. docs/activation.md has what that costs.
enum class Fidelity : uint8_t { exact, rerotated, patched };
std::string_view to_string(Fidelity fidelity);
Result<Fidelity> parse_fidelity(std::string_view text);
Fidelity fidelity_of(const CubeHeader& cube);
inline constexpr float kPatched = 0.15f;  // of the tokens (CacheBlend)

struct Captured {
  CubeHeader header;
  std::vector<Recalled> sources;  // as they are now
  std::string words;              // of them, as a prompt shows them
  int32_t tokens = 0;             // of the prompt, from its beginning; 0: not known
  int32_t reused = 0;             // of those, by the answer
  std::string trouble;            // why they are read instead; else empty

  bool holds(const CubeHeader& memory) const;  // is one of its sources, or derived from one
};

// not_found: no such cube, or one of its sources is gone; invalid: not an activation cube.
Result<Captured> find_captured(const CubeStore& cubes, const Principal& who, const CubeId& id);
// The newest activation cube of this model that holds one of the best of these.
Result<std::optional<CubeId>> captured_of(const CubeStore& cubes, const Principal& who, const Model& model,
                                          const std::vector<Recalled>& recalled);
// Bound to the space whose readers may use it.
KvIdentity identity_of_cubes(const PrefixStore& store, const std::string& space);
// Puts its pages where the engine finds them for this prompt; what hinders that becomes its trouble.
void bring(Captured& captured, const CubeStore& cubes, const Principal& who, Engine& engine,
           std::span<const Token> prompt);

// State that stands for some of the words of this prompt, wherever they are: that of cubes whose capture
// allows it, all of whose memories are among these. What cannot be had is left out.
struct Spliced {
  CubeId cube;
  Fidelity fidelity = Fidelity::rerotated;
  int32_t tokens = 0;
};
std::vector<Spliced> splice_known(const CubeStore& cubes, const Principal& who, Engine& engine,
                                  const std::vector<Recalled>& seen, Request& request);

struct CaptureOrder {
  std::vector<CubeId> memories;  // in the order of their words
  std::string title, space;      // space: the principal's own by default
  std::string system;            // what the system says in the prompts that are to begin with it
  Fidelity fidelity = Fidelity::exact;
  bool automatic = false;                 // see Habits
  int64_t most_bytes = kMaxPayloadBytes;  // invalid when it takes more
};
struct CaptureMade {
  CubeId cube;
  int32_t tokens = 0;
  int64_t bytes = 0;
};
// Computes the state and stores it. over_budget: it does not fit beside what runs; invalid: too long for the
// context, or for one cube.
Result<CaptureMade> capture(CubeStore& cubes, const Principal& who, Engine& engine, const Prompter& prompter,
                            const CaptureOrder& order, TimeMs now);

}  // namespace varve

// What a home remembers as a feed: conversations as chats, documents and notes as texts. And the briefly
// opened home itself: nobody keeps it locked for as long as a lesson takes.
#pragma once

#include "serve/cli/args.h"
#include "serve/home/home.h"

namespace varve {

struct HomeWords {  // --home, --as, --agent, and the settings beside them
  HomeOptions options;
  Principal who;
  Result<std::unique_ptr<Home>> open() const { return Home::open(options); }
};
Result<HomeWords> home_words(Args& args);

// "cube:ID", "space:NAME" or "session:NAME": as lines of JSON that Feed reads, with the cubes that they are
// from. not_found: there is nothing.
bool is_remembered(std::string_view feed);
Result<std::string> remembered(const CubeStore& cubes, const Principal& who, std::string_view feed,
                               std::vector<Source>& from);

}  // namespace varve

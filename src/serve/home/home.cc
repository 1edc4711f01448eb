#include "serve/home/home.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>

#include "core/base/process.h"
#include "core/io/relief.h"
#include "memory/cube/governance.h"
#include "memory/reflect/again.h"
#include "memory/reflect/recipe.h"
#include "memory/reflect/reflect.h"
#include "run/embed/embedder.h"
#include "run/embed/likelihood.h"
#include "run/engine/prefix_disk.h"
#include "run/model/choose/chooser.h"
#include "run/model/open_streamed.h"
#include "run/weights/stream_plan.h"
#include "serve/home/kept/former.h"
#include "serve/home/kept/past.h"
#include "serve/session/writer.h"

namespace varve {
namespace {

// Beside what is measured at the beginning: stacks, the database's pages, the small heap of a running home.
constexpr int64_t kSlackBytes = 24ll << 20;
constexpr int64_t kLeastLedgerBytes = 8ll << 20;
constexpr int32_t kLeastRows = 32;  // of one step of the engine
// Of a model that streams, what its context may take of the budget, and what is left to everything else.
constexpr int64_t kContextShare = 8, kLeftShare = 32, kLeftBytes = 4ll << 20;
constexpr int32_t kLeastContext = 256, kMostContext = 4096;

Status make_private_folder(Env& env, const std::string& folder) {
  TRY(env.make_folder(folder));
  if (chmod(folder.c_str(), 0700) != 0) {
    return Status(Code::io, folder + " is not yours to protect; choose another with --home");
  }
  return {};
}

Result<std::unique_ptr<File>> lock_folder(Env& env, const std::string& folder) {
  auto lock = env.lock(folder + "/lock");
  if (lock.code() != Code::conflict) return lock;
  return Status(Code::conflict, "another varve process uses " + folder +
                                    "; end it, talk to it over HTTP, or choose another home with --home");
}

struct Budget {
  int64_t floor = 0, ledger = 0;
};
Result<Budget> divide_budget(int64_t wanted) {
  const int64_t budget = wanted > 0 ? wanted : machine_bytes() / 4 * 3;
  const int64_t floor = resident_bytes() + kSlackBytes;
  if (budget - floor < kLeastLedgerBytes) {
    return Status(Code::over_budget, "a budget of " + format_bytes(budget) +
                                         " is too small: the program itself takes " + format_bytes(floor) +
                                         ", and " + format_bytes(kLeastLedgerBytes) +
                                         " is the least to work with; give at least --budget " +
                                         std::to_string(((floor + kLeastLedgerBytes) >> 20) + 1) + "MiB");
  }
  return Budget{floor, budget - floor};
}

class Wired : public Home {
 public:
  Wired(HomeOptions options, Env& env, const Clock& clock, std::unique_ptr<File> lock, Budget budget)
      : options_(std::move(options)),
        env_(env),
        clock_(clock),
        lock_(std::move(lock)),
        ledger_(budget.ledger, budget.floor) {}
  Status wire();

  const std::string& folder() const override { return options_.folder; }
  const HomeOptions& options() const override { return options_; }
  Ledger& ledger() override { return ledger_; }
  CubeStore& cubes() override { return *cubes_; }
  Recall& recall() override { return *recall_; }
  Engine* engine() override { return engine_.get(); }
  const Embedder* embedder() override { return embedder_.get(); }
  const Clock& clock() const override { return clock_; }
  Result<std::shared_ptr<const Adapter>> adapter(
      const Principal& who, const std::optional<std::vector<AdapterChoice>>& choices) override;
  Result<std::shared_ptr<Session>> session(const Principal& who, const std::string& id) override;
  Result<EraseReceipt> forget(const Principal& who, CubeId id, std::string why) override;
  Result<std::vector<CubeId>> learn(const Principal& who, const Turn& turn, TimeMs since) override;
  Result<std::vector<CubeId>> learn_again(const Principal& who) override;
  const std::vector<std::unique_ptr<Reflector>>& reflectors() const override { return reflectors_; }
  Afterthought::State thoughts() override {
    std::lock_guard lock(mutex_);
    return thoughts_ ? thoughts_->state() : Afterthought::State();
  }
  Status set_budget(int64_t bytes) override;
  int64_t asked_budget() const override { return asked_; }

 private:
  // With the running model as a writer, if there is one.
  using WithEach = std::function<Result<std::vector<CubeId>>(const Reflecting&, const Reflector&)>;
  Result<std::vector<CubeId>> each_reflector(const Principal& who, TimeMs since, const WithEach& act);
  Afterthought& thinking();  // under the lock
  Status again_what_went(const Principal& who, EraseReceipt& receipt);
  void name_lessons(const Principal& who, EraseReceipt& receipt);
  Status follow_recipe();
  Status forget_attention();
  Status find_secret();
  bool recall_asks_model() const;
  Status open_recall();
  Status start_model();
  Result<std::shared_ptr<const Model>> open_or_stream();
  Result<int64_t> needed() const;
  Status keep_weights();
  Status limit_to(int64_t budget);  // under its lock
  void watch_pressure();
  Status start_smaller_steps(std::shared_ptr<const Model> model);
  Status advise(Status refused) const;

  HomeOptions options_;
  Env& env_;
  const Clock& clock_;
  std::unique_ptr<File> lock_;  // first in, last out
  Ledger ledger_;
  std::unique_ptr<CubeStore> cubes_;
  std::unique_ptr<Engine> engine_;  // before those who ask it
  std::unique_ptr<AdapterShelf> shelf_;
  std::vector<AdapterChoice> attached_;  // by the setting
  std::unique_ptr<Embedder> embedder_;
  std::unique_ptr<Scorer> scorer_;
  std::vector<std::unique_ptr<Embedder>> former_;
  std::unique_ptr<Recall> recall_;
  std::vector<std::unique_ptr<Reflector>> reflectors_;
  std::unique_ptr<Reached> reached_;
  Reservation grown_floor_;
  std::mutex budget_mutex_;
  std::atomic<int64_t> asked_ = ledger_.limit() + ledger_.outside();
  std::mutex mutex_;
  Habits habits_{options_.auto_capture_bytes};
  std::unique_ptr<Afterthought> thoughts_;  // from the first session on
  std::map<std::pair<std::string, std::string>, std::weak_ptr<Session>> sessions_;
  std::unique_ptr<Relief> relief_;  // the first to go
};

// A recipe sets what was not set by itself.
Status Wired::follow_recipe() {
  if (options_.memory.empty()) return {};
  const MemoryRecipe recipe = TRY(find_memory_recipe(options_.memory).with("the setting 'memory'"));
  const HomeOptions defaults;
  if (options_.reflector == defaults.reflector) options_.reflector = recipe.reflectors;
  if (options_.recipe == defaults.recipe) options_.recipe = recipe.recall;
  if (options_.recall_tokens == defaults.recall_tokens) options_.recall_tokens = recipe.recall_tokens;
  return {};
}

Status Wired::wire() {
  TRY(follow_recipe());
  cubes_ = TRY(CubeStore::open(env_, options_.folder + "/cubes", ledger_, clock_));
  cubes_->when_erased([this] { forget_attention().ignore("forget() does it again, and says so"); });
  if (recall_asks_model()) TRY(start_model());
  TRY(open_recall());
  reflectors_ = TRY(make_reflectors(options_.reflector).with("the setting 'reflector'"));
  reached_ = std::make_unique<Reached>(env_, options_.folder, options_.reflector);
  if (!options_.model.empty() && engine_ == nullptr) TRY(start_model());
  if (engine_ != nullptr) watch_pressure();  // last: what opens needs its room
  return {};
}

Status Wired::open_recall() {
  RecallGround ground{.env = &env_, .folder = options_.folder + "/index"};
  FormerEmbedders former(env_, options_.folder, options_.embeddings);
  if (!options_.embeddings.empty()) {
    const EmbedderParts parts{env_, ledger_, engine_.get(), options_.engine.threads};
    embedder_ = TRY(open_embedder(options_.embeddings, parts).with("the setting 'embeddings'"));
    for (const std::string& setting : former.settings()) {
      auto opened = open_embedder(setting, parts);
      if (!opened.ok()) continue;  // then its vectors are of no use, and memories are found by their words
      ground.former.push_back(opened->get());
      former_.push_back(std::move(opened).value());
    }
  }
  if (engine_ != nullptr) ground.scorer = (scorer_ = TRY(make_likelihood_scorer(*engine_))).get();
  recall_ = TRY(Recall::make(options_.recipe, *cubes_, embedder_.get(), ledger_, clock_, ground)
                    .with("the setting 'recipe'"));
  if (embedder_ != nullptr) former.keep(recall_->state().to_embed > 0).ignore("then all is embedded anew");
  return {};
}

// 32 bytes that no other home has: what is saved of attention is bound to them.
Status Wired::find_secret() {
  const std::string path = options_.folder + "/secret";
  Hash256& secret = options_.engine.prefixes.secret;
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(secret.bytes));
  auto file = env_.open(path, Open::read);
  if (file.ok() && TRY((*file)->size()) == int64_t(bytes.size())) return (*file)->read(0, bytes);
  secure_random(bytes);
  return write_file(env_, path, bytes);
}

// Then the model comes first. Else it comes last, and its context is what the indexes leave of the budget.
bool Wired::recall_asks_model() const {
  return !options_.model.empty() &&
         (embeds_by_model(options_.embeddings) || options_.recipe.find("likelihood") != std::string::npos);
}

Status Wired::start_model() {
  TRY(find_secret().with("reading the secret of the home"));
  options_.engine.prefixes.env = &env_;
  options_.engine.prefixes.folder = options_.folder + "/prefixes";
  options_.engine.pauses.env = &env_;
  options_.engine.pauses.folder = options_.folder + "/paused";
  const int64_t outside_before = resident_bytes() - ledger_.used();
  std::shared_ptr<const Model> model = TRY(open_or_stream());
  if (model->tokenizer() == nullptr) {
    return Status(Code::invalid,
                  options_.model +
                      " has no tokenizer, so it cannot read or write text; convert the model again "
                      "with its tokenizer");
  }
  // What is small at the model lies outside the ledger: what it added is booked as measured.
  const int64_t grown = resident_bytes() - ledger_.used() - outside_before;
  if (grown > 0)
    grown_floor_ = TRY(ledger_.reserve(Tag::scratch, grown).with("booking what is small at the model"));
  shelf_ = std::make_unique<AdapterShelf>(env_, *cubes_, model, ledger_);
  attached_ = TRY(parse_adapters(options_.adapter).with("the setting 'adapter'"));
  for (const AdapterChoice& choice : attached_) {  // files are everybody's, so they are opened now
    if (is_adapter_file(choice.name))
      TRY(shelf_->get({}, {&choice, 1}, true).status().with("the setting 'adapter'"));
  }
  TRY(start_smaller_steps(std::move(model)));
  return keep_weights();
}

// A model that does not fit streams its weights from the disk. Then its context is settled first, and what is
// left is for weights: a context as long as it was trained for would leave none.
Result<std::shared_ptr<const Model>> Wired::open_or_stream() {
  auto resident = open_model(env_, options_.model, ledger_);
  if (resident.code() != Code::over_budget) return resident;
  auto opened = open_planned_model(env_, options_.model, ledger_,
                                   TRY(neuron_use(options_.engine.neurons).with("reading --neurons")));
  if (opened.code() == Code::over_budget) {
    const Status whole = std::move(resident).status(), streamed = std::move(opened).status();
    return Status(Code::over_budget, std::string(whole.message()) + "; " + std::string(streamed.message()));
  }
  const std::shared_ptr<const Model> model = TRY(std::move(opened));
  if (options_.engine.context == 0) {
    const ModelShape& shape = model->shape();
    const KvRecipe recipe = TRY(parse_kv_recipe(options_.engine.kv));
    const int64_t room = (ledger_.limit() - ledger_.used()) / kContextShare;
    int32_t tokens = std::min(shape.context, kMostContext);
    while (tokens > kLeastContext && kv_bytes_for(shape.kv, recipe, tokens) > room) tokens /= 2;
    options_.engine.context = tokens;
  }
  return model;
}

// Of the ledger, beside weights that could stream: what is in use, and one conversation of full length.
Result<int64_t> Wired::needed() const {
  const Streaming* streaming = engine_->model().weights().streaming();
  const KvRecipe recipe = TRY(parse_kv_recipe(options_.engine.kv));
  const int64_t kv = kv_bytes_for(engine_->model().shape().kv, recipe, engine_->context());
  const int64_t given_back = streaming != nullptr ? streaming->counts().resident_bytes : 0;
  const int64_t others = ledger_.used() - ledger_.used(Tag::kv) - given_back;
  return others + kv + ledger_.limit() / kLeftShare + kLeftBytes;
}

// As many as the budget leaves.
Status Wired::keep_weights() {
  Streaming* streaming = engine_ == nullptr ? nullptr : engine_->model().weights().streaming();
  if (streaming != nullptr) streaming->keep(std::max<int64_t>(0, ledger_.limit() - TRY(needed())));
  return {};
}

Status Wired::set_budget(int64_t bytes) {
  std::lock_guard lock(budget_mutex_);
  TRY(limit_to(bytes));
  asked_ = bytes;
  return {};
}

// Without a model there is nothing that could be given back.
void Wired::watch_pressure() {
  const std::string& file = options_.pressure;
  const std::string path = file.empty() ? PressureGauge::find(env_) : file;
  if (path.empty() || path == "off") return;
  const auto look = [this] {
    const int64_t outside = ledger_.outside();
    return Relief::Budget{asked_, ledger_.limit() + outside, ledger_.used() + outside};
  };
  const auto set = [this](int64_t bytes) {
    std::lock_guard lock(budget_mutex_);
    const int64_t least = TRY(needed()) + ledger_.outside();  // so that no answer is refused for it
    return limit_to(std::min<int64_t>(std::max(bytes, least), asked_));
  };
  relief_ =
      std::make_unique<Relief>(PressureGauge(env_, path), clock_, options_.pressure_every_ms, look, set);
}

Status Wired::limit_to(int64_t bytes) {
  const Status refused = ledger_.set_limit(bytes - ledger_.outside());
  if (!refused.ok()) {
    const int64_t least = ledger_.used() + ledger_.outside();
    return Status(
        Code::over_budget,
        "a budget of " + format_bytes(bytes) +
            " is below what is in use and cannot be given back: " + format_bytes(ledger_.outside()) +
            " for the program itself, " + format_bytes(ledger_.used(Tag::weights)) +
            " of weights or buffers to stream them, " + format_bytes(ledger_.used(Tag::kv)) +
            " of attention state, " + format_bytes(ledger_.used(Tag::scratch)) + " of scratch; give " +
            std::to_string((least >> 20) + 1) + "MiB or more");
  }
  return keep_weights();
}

Result<std::shared_ptr<const Adapter>> Wired::adapter(
    const Principal& who, const std::optional<std::vector<AdapterChoice>>& choices) {
  if (shelf_ == nullptr) {
    if (!choices || choices->empty()) return std::shared_ptr<const Adapter>();
    return Status(Code::unsupported, "without a model there is nothing to attach an adapter to");
  }
  if (choices) return shelf_->get(who, *choices, false);
  return shelf_->get(who, attached_, true).with("the setting 'adapter'");
}

// A step of many tokens is fast and takes much scratch: where that does not fit, steps become smaller.
Status Wired::start_smaller_steps(std::shared_ptr<const Model> model) {
  for (;;) {
    auto engine = start_engine(model, ledger_, options_.engine);
    if (engine.ok()) {
      engine_ = std::move(engine).value();
      return {};
    }
    if (engine.code() != Code::over_budget) return std::move(engine).status();
    if (options_.engine.chunk_rows <= kLeastRows) return advise(std::move(engine).status());
    options_.engine.chunk_rows = std::max(kLeastRows, options_.engine.chunk_rows / 2);
  }
}

Status Wired::advise(Status refused) const {
  return Status(Code::over_budget, std::string(refused.message()) + "; of a budget of " +
                                       format_bytes(ledger_.limit() + ledger_.outside()) +
                                       " the program itself takes " + format_bytes(ledger_.outside()) +
                                       ": raise --budget, or choose a smaller model or --context");
}

Result<std::shared_ptr<Session>> Wired::session(const Principal& who, const std::string& id) {
  std::lock_guard lock(mutex_);
  std::erase_if(sessions_, [](const auto& one) { return one.second.expired(); });
  std::weak_ptr<Session>& place = sessions_[{who.whole(), id}];
  if (auto open = place.lock()) return open;
  if (engine_ != nullptr && scorer_ == nullptr) {  // the model came after recall
    auto made = make_likelihood_scorer(*engine_);  // none without a tokenizer
    if (made.ok()) scorer_ = std::move(made).value();
  }
  const SessionParts parts{*cubes_,  *recall_,     thinking(), engine_.get(), clock_, options_.recall_tokens,
                           &habits_, scorer_.get()};
  std::shared_ptr<Session> session = TRY(open_session(parts, who, id));
  place = session;
  return session;
}

Afterthought& Wired::thinking() {
  if (!thoughts_) {
    thoughts_ = std::make_unique<Afterthought>(
        AfterthoughtParts{*cubes_, *recall_, reflectors_, *reached_, embedder_.get(), engine_.get(), clock_});
  }
  return *thoughts_;
}

Result<std::vector<CubeId>> Wired::each_reflector(const Principal& who, TimeMs since, const WithEach& act) {
  std::optional<Prompter> prompter;
  std::optional<EngineWriter> writer;
  Interrupt interrupt;
  if (engine_ != nullptr) {
    prompter.emplace(engine_->model());
    writer.emplace(*engine_, *prompter, who.whole(), clock_, interrupt);
  }
  std::vector<CubeId> stored;
  for (const auto& reflector : reflectors_) {
    const Reflecting with{who, *cubes_, *recall_, embedder_.get(), writer ? &*writer : nullptr, since};
    for (const CubeId& id : TRY(act(with, *reflector))) stored.push_back(id);
  }
  return stored;
}

// Checkpoints of lessons that go on may have learnt it, and say so to nobody.
void Wired::name_lessons(const Principal& who, EraseReceipt& receipt) {
  const std::string folder = options_.folder + "/lessons/" + who.name;
  const auto lessons = env_.list(folder);
  for (size_t i = 0; lessons.ok() && i < lessons->size(); ++i) {
    receipt.not_reached.push_back("the unfinished lesson in " + folder + "/" + (*lessons)[i] +
                                  " may have learnt from it: begin it anew with --fresh, or delete it");
  }
}

// Without a model, too: what its last run left lies on the disk.
Status Wired::forget_attention() {
  return engine_ != nullptr ? engine_->forget_prefixes()
                            : forget_saved_prefixes(env_, options_.folder + "/prefixes");
}

Result<std::vector<CubeId>> Wired::learn(const Principal& who, const Turn& turn, TimeMs since) {
  return each_reflector(who, since, [&](const Reflecting& with, const Reflector& reflector) {
    return reflect(with, reflector, turn);
  });
}

Result<std::vector<CubeId>> Wired::learn_again(const Principal& who) {
  return each_reflector(who, 0, derive_again);
}

// At once without a model. What needs one would take long: that stays listed, for the afterthought of a home
// with a model, and for 'varve reflect'.
Status Wired::again_what_went(const Principal& who, EraseReceipt& receipt) {
  size_t again = 0;
  for (const auto& reflector : reflectors_) {
    const auto made = derive_again({who, *cubes_, *recall_, embedder_.get(), nullptr}, *reflector);
    if (made.ok()) again += made->size();
  }
  if (again > 0) receipt.indexes.push_back(std::to_string(again) + " derived again from what is left");
  const size_t left = TRY(cubes_->governance().rebuilds(who)).size();
  if (left == 0) return {};
  receipt.indexes.push_back(
      std::to_string(left) + " wait to be derived again from what is left, " +
      (engine_ != nullptr ? "by the model when it is idle" : "by 'varve reflect' with a model"));
  if (engine_ == nullptr) return {};
  std::lock_guard lock(mutex_);
  thinking().lost(who);
  return {};
}

Result<EraseReceipt> Wired::forget(const Principal& who, CubeId id, std::string why) {
  EraseReceipt receipt = TRY(cubes_->erase(who, id, std::move(why)));
  if (!receipt.rebuild.empty())
    again_what_went(who, receipt).ignore("it is erased; what is left to derive again stays listed");
  const Status dropped = forget_attention();
  if (dropped.ok()) {
    receipt.indexes.push_back("attention state dropped, what the disk kept of it too");
  } else {
    receipt.not_reached.push_back("attention state of former turns: " + std::string(dropped.message()));
  }
  if (shelf_ != nullptr) shelf_->clear();
  name_lessons(who, receipt);
  return receipt;
}

}  // namespace

Result<std::string> default_folder() {
  if (const char* folder = std::getenv("VARVE_HOME"); folder != nullptr && *folder != 0)
    return std::string(folder);
  const passwd* user = getpwuid(getuid());
  if (user == nullptr || user->pw_dir == nullptr || *user->pw_dir == 0) {
    return Status(Code::not_found, "this user has no home directory; set VARVE_HOME or give --home");
  }
  return std::string(user->pw_dir) + "/.varve";
}

Result<std::unique_ptr<Home>> Home::open(const HomeOptions& wanted, Env& env, const Clock& clock) {
  HomeOptions options = wanted;
  if (options.folder.empty()) options.folder = TRY(default_folder());
  TRY(make_private_folder(env, options.folder));
  std::unique_ptr<File> lock = TRY(lock_folder(env, options.folder));
  const Budget budget = TRY(divide_budget(options.budget_bytes));
  auto home = std::make_unique<Wired>(std::move(options), env, clock, std::move(lock), budget);
  TRY(home->wire());
  return std::unique_ptr<Home>(std::move(home));
}

}  // namespace varve

#include "core/base/log.h"
#include "run/weights/stream_plan.h"
#include "serve/home/control.h"
#include "serve/home/home.h"

namespace varve {
namespace {

Json of_plan(const StreamPlan& plan, const StreamCounts& counts) {
  Json groups = Json::array();
  for (const StreamPlan::Group& one : plan.groups)
    groups.push(Json::object().set("roles", one.roles).set("bytes", one.bytes).set("stays", one.resident));
  Json out = Json::object();
  out.set("bytes_a_token", plan.pass_bytes).set("stay", plan.resident_bytes);
  out.set("streamed_a_token", plan.streamed_bytes()).set("read_by_row", plan.by_row_bytes);
  out.set("experts_read_when_chosen", plan.routed_bytes).set("buffers", plan.ring_bytes);
  out.set("vectors", plan.vector_bytes).set("read_bytes", plan.disk.read_bytes);
  out.set("readers", plan.disk.readers).set("disk_bytes_per_s", plan.disk.bytes_per_second);
  out.set("first_byte_s", plan.disk.first_byte_seconds).set("product_bytes_per_s", plan.product_rate);
  out.set("direct", plan.direct).set("why_not_direct", plan.word);
  out.set("predicted_tokens_per_s", plan.tokens_per_second(counts)).set("weights", std::move(groups));
  out.set("stay_now", counts.resident_bytes).set("read_so_far", counts.read_bytes);
  out.set("left_out", plan.leaves_out ? plan.pass_bytes - plan.resident_bytes : 0);
  out.set("experts_asked_for", counts.routed).set("experts_there", counts.routed_there);
  out.set("experts_foreseen", counts.routed_foreseen);
  Json neurons = Json::object();
  neurons.set("bytes", plan.neuron_bytes).set("room", plan.neuron_room).set("bytes_of_one", plan.neuron_row);
  neurons.set("why_not", plan.neuron_word).set("reads_per_s", plan.neuron_reads_per_second());
  neurons.set("read_along", plan.neuron_rate.gap_bytes).set("could_fire", counts.neurons);
  neurons.set("fired", counts.fired).set("there", counts.fired_there);
  neurons.set("reads", counts.neuron_reads).set("read_so_far", counts.neuron_read_bytes);
  neurons.set("read_a_token", plan.neuron_bytes_a_token(counts));
  out.set("neurons", std::move(neurons));
  return out.set("waited_s", counts.waited_seconds);
}

}  // namespace

Json budget_report(Home& home) {
  const Ledger& ledger = home.ledger();
  Json out = Json::object(), tags = Json::object();
  out.set("asked", home.asked_budget())
      .set("budget", ledger.limit() + ledger.outside())
      .set("floor", ledger.outside());
  out.set("ledger_limit", ledger.limit()).set("ledger_used", ledger.used());
  for (int tag = 0; tag < int(Tag::count); ++tag)
    tags.set(std::string(to_string(Tag(tag))), ledger.used(Tag(tag)));
  out.set("used_by_tag", std::move(tags));
  if (home.engine() == nullptr) return out;
  if (Streaming* streaming = home.engine()->model().weights().streaming())
    out.set("streaming", of_plan(streaming->plan(), streaming->counts()));
  return out;
}

std::unique_ptr<Control> open_control(Home& home) {
  auto control =
      Control::open(home.folder(), home.cubes().governance(), [&home](std::optional<int64_t> bytes) {
        Status set = bytes ? home.set_budget(*bytes) : Status();
        return set.ok() ? Result<Json>(budget_report(home)) : Result<Json>(std::move(set));
      });
  if (control.ok()) return std::move(control).value();
  log(LogLevel::warning, "'varve backup' and 'varve budget' do not reach this process: " +
                             std::string(std::move(control).status().message()));
  return nullptr;
}

}  // namespace varve

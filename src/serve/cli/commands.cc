#include "serve/cli/builtin.h"

namespace varve {
namespace {

constexpr std::string_view kChat =
    "varve chat [--model FILE] [--session ID] ...\n\n"
    "  --model FILE       GGUF file of the model; 'nano': the one that Varve brings along, the default; "
    "'none':\n"
    "                     memory answers on its own\n"
    "  --session ID       the conversation to go on with; default 'chat'\n";
constexpr std::string_view kComplete = "varve complete --model FILE --prompt TEXT ...\n";
constexpr std::string_view kBatch =
    "varve batch FILE.jsonl --model FILE ...\n\n"
    "  Each line: {\"prompt\" or \"messages\", \"custom_id\", \"max_tokens\", \"temperature\", \"seed\"}.\n"
    "  Lines of answers come as they end. What prompts begin with in common is read once.\n";
constexpr std::string_view kServe =
    "varve serve [--model FILE] [--address 127.0.0.1] [--port 8080] ...\n\n"
    "  --no-key           anybody on this machine may ask, as --as NAME\n"
    "  --no-remember      chats are neither recalled for nor stored unless a request says so\n"
    "  --expose           needed to listen on an address that is not this machine's own\n"
    "  --allow-host A,B   further names in the Host header that mean this server\n"
    "  --allow-origin A,B web pages that may call\n"
    "  --max-body SIZE    of a request; default 32MiB\n";
constexpr std::string_view kMcp =
    "varve mcp [--read-only] ...\n"
    "       varve mcp --server URL --key KEY|FILE\n\n"
    "  Speaks the Model Context Protocol on stdin and stdout: a program that offers tools to a\n"
    "  model starts it. 'varve serve' offers the same at http://ADDRESS:PORT/mcp.\n\n"
    "  --read-only        only the tools that change nothing\n"
    "  --server URL       speaks for a running 'varve serve', which has the home\n"
    "  --key KEY|FILE     whose memory, and what may be done to it: 'varve key add NAME'\n";
constexpr std::string_view kKey =
    "varve key add NAME [--role read|write|admin] [--agent AGENT] [--session ID]\n"
    "       varve key revoke NAME [--agent AGENT] [--session ID]\n"
    "       varve key list\n\n"
    "  --agent AGENT      acts for NAME with what 'varve space lend' gave it, and no more\n"
    "  --session ID       sees and writes that conversation only\n";
constexpr std::string_view kRecall =
    "varve recall WORDS... [--limit N] [--tokens N] [--as-of DATE] [--known-at DATE] [--reference DATE]\n";
constexpr std::string_view kRemember =
    "varve remember WORDS... [--event 2024-05-08] [--space S]\n"
    "       varve remember --file TEXT.txt [--event 2024-05-08] [--space S]\n";
constexpr std::string_view kCapture =
    "varve capture ID... --model FILE [--title TEXT] [--space S] [--fidelity F]\n"
    "       varve capture --recall WORDS... --model FILE [--limit N]\n\n"
    "  The model reads these memories once, and what it computed of them is kept: a chat that\n"
    "  begins with them, by --activation or because they are recalled, need not read them again.\n\n"
    "  --system TEXT      what the system says in those chats, if anything\n"
    "  --fidelity F       exact: a beginning, to the bit (default); rerotated: its words may stand\n"
    "                     anywhere; patched: likewise, and 15 % of its tokens are read again\n";
constexpr std::string_view kProfile =
    "varve profile heads --model FILE --text FILE -o HEADS [--tokens N] [--window N] [--threads N]\n\n"
    "  Which KV heads look far back: a file for --kv \"policy=... allot=heads:file=HEADS\".\n\n"
    "  --text FILE        what the model reads; --tokens of it, default 2048\n"
    "  --window N         what is no further back is near; default 64\n";
constexpr std::string_view kForget =
    "varve forget ID|WORDS... [--yes] [--receipt FILE]\n"
    "       varve forget --verify FILE\n\n"
    "  --receipt FILE     the receipt as JSON, to be verified later\n"
    "  --verify FILE      whether what a receipt lists is still gone\n";
constexpr std::string_view kCube =
    "varve cube list [--space S] [--kind K] [--session ID] [--all] [--limit N] [--after ID]\n"
    "                 [--as-of DATE] [--valid-at DATE]\n"
    "       varve cube show ID [--version N | --as-of DATE]\n"
    "       varve cube history ID\n"
    "       varve cube diff ID [--from N] [--to N]\n"
    "       varve cube revise ID WORDS... [--base N]\n"
    "       varve cube restore ID --version N [--base N]\n"
    "       varve cube export ID [FILE]\n"
    "       varve cube import FILE [--space S]\n\n"
    "  --as-of DATE       as it was known then;  --valid-at DATE  what held then\n"
    "  --base N           conflict if there is a newer version than N\n";
constexpr std::string_view kSpace =
    "varve space list\n"
    "       varve space create NAME\n"
    "       varve space show SPACE\n"
    "       varve space grant SPACE WHOM reader|writer|admin\n"
    "       varve space revoke SPACE WHOM\n"
    "       varve space lend AGENT reader|writer|admin|none\n"
    "       varve space cap SPACE SIZE|none [--evict archive|drop] [--evidence-too]\n"
    "       varve space rules SPACE [--secrets allow|redact|refuse] [--personal allow|redact|refuse]\n"
    "                   [--cap SIZE] [--evict archive|drop] [--evidence-too|--evidence-stays]\n"
    "                   [--half-life-days N]\n"
    "       varve space tend [SPACE]\n\n"
    "  NAME's space is called 'me:NAME' by everybody; ':NAME' is short for one of your own.\n"
    "  An agent to whom rights are lent acts with --as YOU --agent AGENT.\n";
constexpr std::string_view kConflicts =
    "varve conflicts [--space S] [--all]\n"
    "       varve conflicts --settle newer|older|both NEWER OLDER\n";
constexpr std::string_view kAudit = "varve audit [--space S] [--after N] [--limit N]\n";
constexpr std::string_view kBackup = "varve backup FOLDER\n";
constexpr std::string_view kRestore = "varve restore FOLDER --home DIR\n";
constexpr std::string_view kFsck =
    "varve fsck [--repair]\n\n"
    "  --repair           drops what nobody can miss, and damaged indexes, which are built anew\n";
constexpr std::string_view kImported =
    "varve import FILE [--space S] [--believe]\n\n"
    "  FILE: Varve's own JSONL, mem0's memories, or the conversations.json of a ChatGPT or Claude\n"
    "  export. What is there already is left alone, so an import that was cut off goes on.\n\n"
    "  --space S          where to; default the space of who asks\n"
    "  --believe          take the file's word on who said what; else all of it comes from outside\n\n"
    "varve import ADAPTER --model FILE.gguf [--name NAME] [--space S]\n\n"
    "  A GGUF adapter or a folder of PEFT's becomes a cube; a model that it is not for refuses it.\n";
constexpr std::string_view kExported =
    "varve export FILE.jsonl|- [--space S] [--all]\n\n"
    "  --space S          only this space; default every space that may be read\n"
    "  --all              archived and expired memories too\n\n"
    "varve export NAME|ID --gguf FILE | --peft FOLDER [--model FILE.gguf]\n\n"
    "  An adapter as a file; PEFT's format asks for the model where it orders heads otherwise.\n";
constexpr std::string_view kLearn =
    "varve learn --model FILE.gguf --feed FROM[,FROM...] -o NAME|FILE.gguf\n\n"
    "  The product is an adapter, or with a recipe of all weights, as full or zo2, another model.\n\n"
    "  -o NAME            a cube of your memory, or its next version; -o FILE.gguf a file\n"
    "  --feed FROM        space:NAME, session:NAME, cube:ID are what you remember; else files: lines\n"
    "                     of JSON with messages, with prompt and completion, or with text;\n"
    "                     anything else is plain text\n"
    "  --recipe SPEC      as lora:rank=8,alpha=16; see 'varve list'\n"
    "  --objective SPEC   sft, dpo:beta=.1 or simpo:beta=2,margin=1; the last two learn from pairs of "
    "answers\n"
    "  --on ROLES         which weights, as 'blk.*.attn_q,blk.*.attn_v'; default all of the blocks\n"
    "  --peft             -o is a folder in PEFT's format\n"
    "  The options of 'varve pretrain' from --steps on; --keep recompute is the default here.\n"
    "  --hold-out N       one example in N is only measured by; default 50 from 200 examples on, 0 none\n"
    "  --weights auto|resident|stream   where the model's own weights are; auto streams them from disk\n"
    "                     when they do not fit the budget\n"
    "  --home DIR --as NAME   whose memory\n"
    "  'varve chat --adapter NAME' uses it.\n";
constexpr std::string_view kMerge =
    "varve merge --model FILE.gguf --adapter ADAPTER[:STRENGTH]... -o MERGED.gguf\n\n"
    "  The model with adapters worked in, files or cubes by name, in the model's own number formats. A few "
    "rows at a\n"
    "  time: the model may be larger than memory.\n\n"
    "  --budget SIZE      what the whole process may take; default half the machine's\n";
constexpr std::string_view kCompress =
    "varve compress --model FILE.gguf --to RECIPE [--calibrate TEXT] -o OUT.gguf\n\n"
    "  RECIPE: words with '+' between: a number format (q4_k) or a target (target=4.5bpw, target=120MiB;\n"
    "  target=3.5bpw:measured=0 does not measure what each weight loses), and methods of 'varve list' in "
    "order:\n"
    "  q3_k+gptq, q4_0:scale=search, smooth+q4_k+search. The same command goes on where another was cut "
    "off.\n\n"
    "  --calibrate TEXT   a text of the kind that the model will read: plain, or lines as for 'varve learn'\n"
    "  --tokens N         so many of it; default 16384, in stretches of --length N; default 256\n"
    "  --plan             which format each weight gets, and stop\n"
    "  --budget SIZE      what the whole process may take; the model may be larger\n"
    "  --threads N --json\n";
constexpr std::string_view kPretrain =
    "varve pretrain TEXT... -o MODEL.gguf [--layers 7 --width 384 --hidden 1024 --heads 6 --kv-heads 2]\n\n"
    "  --vocabulary N     tokens, learnt from the text; default 8192\n"
    "  --type FORMAT      of the matrices in the file; default bf16\n"
    "  --words NAME       how text is cut into words before tokens are learnt; default qwen2\n"
    "  --activation NAME  of the network's gate: silu, relu, gelu or gelu_pytorch_tanh; default silu\n"
    "  --untied           the head has weights of its own\n"
    "  --experts N --used K   a mixture: N networks of --hidden in each layer, of which a token uses K (2)\n"
    "  --name NAME        of the model\n"
    "  --temperature T    the file says that it is best sampled so\n"
    "  Marks of control tokens in the text, as <|endoftext|>, are those tokens.\n\n"
    "  --steps N --rate R --warmup N   how long, how fast, and from which step at full rate\n"
    "  --length N --sequences N   tokens of a sequence, and sequences of a batch\n"
    "  --parts N          batches that are summed for one step\n"
    "  --recipe SPEC      as galore:rank=96; see 'varve list'; what follows is said besides\n"
    "  --optimizer SPEC   the recipe's with this rule\n"
    "  --selector SPEC    which layers learn, as lisa:layers=2,every=20\n"
    "  --gradient fused   a layer's gradient is used before the next is made\n"
    "  --keep hold|recompute|spill   what becomes of activations until backward needs them\n"
    "                     hold:recompute=.5 and spill:recompute=.5 play half of their rows again\n"
    "  --slots FORMAT     how what is kept is encoded; default bf16\n"
    "  --decay D --clip C --seed N --threads N\n"
    "  --save-every N     steps between checkpoints; the same command goes on from the last one\n"
    "  --fresh            begin anew although there is a checkpoint\n"
    "  --plan             print what it will take, by class, and stop\n"
    "  --budget SIZE      what the whole process may take, as 2GiB; default half the machine's\n"
    "  --json             lines of JSON instead of words for people\n";
constexpr std::string_view kReflect =
    "varve reflect [--memory RECIPE] [--since 2024-05-08] [--rebuild] [--space S] [--model FILE]\n\n"
    "  Derives from what was said before what a recipe derives; a turn is reflected on once, and\n"
    "  a command that was cut off goes on. Without a model, what can be derived without one.\n\n"
    "  --memory RECIPE    one of 'varve list'; default what the settings say\n"
    "  --since DATE       only what was said then or later\n"
    "  --rebuild          drop what these reflectors derived, then derive it anew\n";
constexpr std::string_view kFeedback =
    "varve feedback ID helped|useless\n\n"
    "  Counts a use of something derived; what is used often and rarely helps is archived.\n";
constexpr std::string_view kExplain = "varve explain\n";
constexpr std::string_view kDoctor = "varve doctor [--model FILE]\n";

constexpr std::string_view kBudget =
    "varve budget [SIZE]\n\n"
    "  What the process that has this home open may take, and what takes it. With SIZE, as 800MiB, it\n"
    "  takes no more from now on: a model that streams keeps fewer or more weights in memory, and\n"
    "  writes the same words slower or faster. Less than what it cannot give back is refused.\n";
constexpr std::string_view kNeurons =
    "varve neurons --model FILE.gguf\n\n"
    "  Writes FILE.gguf.neurons, for a model of the ReLU family that is larger than its budget: what\n"
    "  belongs to a neuron lies side by side there, and a token reads only the neurons that fire. The\n"
    "  words stay the same. A command that was cut off goes on where it was.\n\n"
    "  --whole            the gate's row as well, of a gated model of any family: for --neurons coreinfer\n"
    "  --sketch FORMAT    whole, and the gate in few bits as q4_0 or q2_k: for --neurons sketch\n"
    "  --budget SIZE      what the whole process may take; the model may be larger\n";
constexpr std::string_view kIndex =
    "varve index [rebuild]\n\n"
    "  rebuild            throws the indexes away and makes them anew from the memories\n";

constexpr std::string_view kWorld =
    "varve world [--seed N] [--split train|eval] [--kinds KINDS] [--from N] [--count N] [-o FILE]\n\n"
    "  --kinds KINDS      a mixture such as 4*single+distract:memories=30+prose; varve list names them\n"
    "  --from N           the first item: any item can be made again alone\n"
    "  --count N          how many; default 1000\n"
    "  --stats            counts instead of the items\n";

constexpr Command kCommands[] = {
    {"chat", "talk, with memory", kChat, run_chat, Shared::turn},
    {"serve", "the same over HTTP, as OpenAI's clients speak it", kServe, run_serve, Shared::home},
    {"mcp", "memory as tools for other programs' models, over stdio", kMcp, run_mcp, Shared::home},
    {"key", "who may use the server", kKey, run_key, Shared::home},
    {"recall", "what memory holds about some words", kRecall, run_recall, Shared::home},
    {"remember", "keep some words, or a text file", kRemember, run_remember, Shared::home},
    {"capture", "let a model read some memories once, for every chat to come", kCapture, run_capture,
     Shared::home},
    {"profile", "which heads of a model look far back, for --kv", kProfile, run_profile},
    {"forget", "erase memories for good, with a receipt", kForget, run_forget, Shared::home},
    {"cube", "memories one by one: list, show, history, diff, restore, ...", kCube, run_cube, Shared::home},
    {"space", "shared spaces: who may do what, caps, what is screened", kSpace, run_space, Shared::home},
    {"conflicts", "memories that contradict, and which of them holds", kConflicts, run_conflicts,
     Shared::home},
    {"audit", "who did what to which memory when; no words", kAudit, run_audit, Shared::home},
    {"backup", "copy all memories to a new folder, with checksums", kBackup, run_backup, Shared::home},
    {"restore", "a backup, checked, into a home without memories", kRestore, run_restore, Shared::home},
    {"fsck", "check every row, file and hash of the memories", kFsck, run_fsck, Shared::home},
    {"import", "memories from Varve, mem0, ChatGPT or Claude", kImported, run_import, Shared::home},
    {"export", "memories as lines of JSON", kExported, run_export, Shared::home},
    {"index", "what recall holds in RAM and on disk; rebuild makes it anew", kIndex, run_index, Shared::home},
    {"reflect", "derive notes, facts, summaries from what was said", kReflect, run_reflect, Shared::home},
    {"feedback", "say whether a derived memory was of use", kFeedback, run_feedback, Shared::home},
    {"explain", "what the newest turn recalled, reused and stored", kExplain, run_explain, Shared::home},
    {"complete", "let a model go on with a text; no memory", kComplete, run_complete, Shared::turn},
    {"batch", "a file of requests; what they begin with in common is read once", kBatch, run_batch,
     Shared::turn},
    {"world", "dialogues to train and measure the embedded model", kWorld, run_world},
    {"learn", "teach a model from a file: an adapter beside it", kLearn, run_learn},
    {"merge", "an adapter worked into its model, as a new file", kMerge, run_merge},
    {"compress", "a model as a smaller file", kCompress, run_compress},
    {"pretrain", "a small model from nothing but text", kPretrain, run_pretrain},
    {"list", "every method that can be chosen", "varve list [--json]\n", run_list},
    {"settings", "every setting, its range and default", "varve settings [--json]\n", run_settings},
    {"budget", "what a running chat or server may take, changed while it runs", kBudget, run_budget,
     Shared::home},
    {"neurons", "let a larger ReLU model read only what fires", kNeurons, run_neurons},
    {"doctor", "machine, budget, disk, and whether the home is sound", kDoctor, run_doctor, Shared::home},
};

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

}  // namespace varve

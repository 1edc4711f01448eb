"""The 15M llama of `varve bench train_curve` trained a second time, by hand in numpy with plain AdamW:
llama_adamw.py START.gguf TOKENS.bin LENGTH SEQUENCES STEPS RATE SHOWN. From one start (train_curve's start=FILE)
and the same tokens in the same order, so the losses may be compared step by step."""
import struct
import sys

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def read_gguf(path):
    data = open(path, "rb").read()
    at = 0

    def take(form):
        nonlocal at
        values = struct.unpack_from("<" + form, data, at)
        at += struct.calcsize("<" + form)
        return values[0] if len(values) == 1 else values

    def text():
        nonlocal at
        size = take("Q")
        at += size
        return data[at - size : at].decode()

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            inner, count = take("IQ")
            return [value(inner) for _ in range(count)]
        return take("BbHhIif?  Qqd"[kind])

    magic, _, tensors, keys = take("IIQQ")
    assert magic == 0x46554747, path + " is no GGUF file"
    meta = {}
    for _ in range(keys):
        name = text()
        meta[name] = value(take("I"))
    places = []
    for _ in range(tensors):
        name, rank = text(), take("I")
        shape = [take("Q") for _ in range(rank)]
        kind, offset = take("IQ")
        assert kind == 0, name + " is not F32"
        places.append((name, shape[::-1], offset))
    unit = meta.get("general.alignment", 32)
    base = (at + unit - 1) // unit * unit
    return meta, {
        name: np.frombuffer(data, "<f4", int(np.prod(shape)), base + offset).reshape(shape).copy()
        for name, shape, offset in places
    }


def read_tokens(path):
    data = open(path, "rb").read()
    assert struct.unpack_from("<I", data)[0] == 20240520, path + " is no file of tokens"
    return np.frombuffer(data, "<u2", offset=1024).astype(np.int64)


class Llama:
    def __init__(self, meta, weights):
        self.w = weights
        self.layers, self.heads = meta["llama.block_count"], meta["llama.attention.head_count"]
        self.kv = meta["llama.attention.head_count_kv"]
        self.eps = meta["llama.attention.layer_norm_rms_epsilon"]
        self.base = meta.get("llama.rope.freq_base", 10000.0)

    def norm(self, x, name):
        inverse = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps)
        return x * inverse * self.w[name], (x, inverse)

    def norm_back(self, d, name, saved, grads):
        x, inverse = saved
        grads[name] = (d * x * inverse).reshape(-1, x.shape[-1]).sum(0)
        d = d * self.w[name]
        return inverse * d - x * inverse**3 * (d * x).mean(-1, keepdims=True)

    def linear(self, x, name):
        return x @ self.w[name].T

    def linear_back(self, d, x, name, grads):
        flat = d.reshape(-1, d.shape[-1])
        grads[name] = flat.T @ x.reshape(-1, x.shape[-1])
        return d @ self.w[name]

    def turned(self, x, sign):  # [B, heads, T, width]; neighbours are a pair
        half = x.shape[-1] // 2
        angle = np.arange(x.shape[2])[:, None] * self.base ** (-np.arange(half) / half)
        cos, sin = np.cos(angle).astype(x.dtype), sign * np.sin(angle).astype(x.dtype)
        out = np.empty_like(x)
        out[..., 0::2] = x[..., 0::2] * cos - x[..., 1::2] * sin
        out[..., 1::2] = x[..., 0::2] * sin + x[..., 1::2] * cos
        return out

    def split(self, x, heads):
        return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    def joined(self, x):
        return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)

    def attend(self, x, at):
        each = self.heads // self.kv
        q = self.turned(self.split(self.linear(x, at + "attn_q.weight"), self.heads), 1)
        k = self.turned(self.split(self.linear(x, at + "attn_k.weight"), self.kv), 1).repeat(each, 1)
        v = self.split(self.linear(x, at + "attn_v.weight"), self.kv).repeat(each, 1)
        score = q @ k.swapaxes(-1, -2) / np.float32(np.sqrt(q.shape[-1]))
        score[..., np.triu(np.ones(score.shape[-2:], bool), 1)] = -np.inf
        share = np.exp(score - score.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        mixed = self.joined(share @ v)
        return self.linear(mixed, at + "attn_output.weight"), (x, q, k, v, share, mixed)

    def attend_back(self, d, at, saved, grads):
        x, q, k, v, share, mixed = saved
        each = self.heads // self.kv
        d = self.split(self.linear_back(d, mixed, at + "attn_output.weight", grads), self.heads)
        dv = share.swapaxes(-1, -2) @ d
        dshare = d @ v.swapaxes(-1, -2)
        dscore = share * (dshare - (dshare * share).sum(-1, keepdims=True)) / np.float32(np.sqrt(q.shape[-1]))

        def back(one, name, heads, turn):
            one = one.reshape(one.shape[0], heads, -1, *one.shape[2:]).sum(2)
            one = self.turned(one, -1) if turn else one
            return self.linear_back(self.joined(one), x, at + name, grads)

        return (
            back(dscore @ k, "attn_q.weight", self.heads, True)
            + back(dscore.swapaxes(-1, -2) @ q, "attn_k.weight", self.heads // each, True)
            + back(dv, "attn_v.weight", self.heads // each, False)
        )

    def feed(self, x, at):
        gate, up = self.linear(x, at + "ffn_gate.weight"), self.linear(x, at + "ffn_up.weight")
        sigmoid = 1 / (1 + np.exp(-gate))
        return self.linear(gate * sigmoid * up, at + "ffn_down.weight"), (x, gate, up, sigmoid)

    def feed_back(self, d, at, saved, grads):
        x, gate, up, sigmoid = saved
        d = self.linear_back(d, gate * sigmoid * up, at + "ffn_down.weight", grads)
        dgate = d * up * sigmoid * (1 + gate * (1 - sigmoid))
        return self.linear_back(dgate, x, at + "ffn_gate.weight", grads) + self.linear_back(
            d * gate * sigmoid, x, at + "ffn_up.weight", grads
        )

    def gradients(self, tokens, targets):
        grads, saved = {}, []
        x = self.w["token_embd.weight"][tokens]
        for layer in range(self.layers):
            at = f"blk.{layer}."
            for norm, part in (("attn_norm.weight", self.attend), ("ffn_norm.weight", self.feed)):
                normed, before = self.norm(x, at + norm)
                y, inside = part(normed, at)
                saved.append((before, inside))
                x = x + y
        last, before = self.norm(x, "output_norm.weight")
        logits = last @ self.w["token_embd.weight"].T
        logits -= logits.max(-1, keepdims=True)
        share = np.exp(logits)
        total = share.sum(-1, keepdims=True)
        rows = np.indices(targets.shape)
        loss = float((np.log(total[..., 0]) - logits[rows[0], rows[1], targets]).mean())
        share /= total
        share[rows[0], rows[1], targets] -= 1
        share /= targets.size
        d = self.linear_back(share, last, "token_embd.weight", grads)
        d = self.norm_back(d, "output_norm.weight", before, grads)
        for layer in reversed(range(self.layers)):
            at = f"blk.{layer}."
            for norm, back in (("ffn_norm.weight", self.feed_back), ("attn_norm.weight", self.attend_back)):
                before, inside = saved.pop()
                d = d + self.norm_back(back(d, at, inside, grads), at + norm, before, grads)
        np.add.at(grads["token_embd.weight"], tokens.reshape(-1), d.reshape(-1, d.shape[-1]))
        return loss, grads


def main():
    start, path = sys.argv[1:3]
    length, sequences, steps, rate, shown = (kind(v) for kind, v in zip((int, int, int, float, int), sys.argv[3:]))
    model, tokens = Llama(*read_gguf(start)), read_tokens(path)
    first = {name: np.zeros_like(w) for name, w in model.w.items()}
    second = {name: np.zeros_like(w) for name, w in model.w.items()}
    batch, losses = length * sequences, []
    for step in range(steps):
        at = step % ((len(tokens) - 1) // batch) * batch
        loss, grads = model.gradients(*(tokens[i : i + batch].reshape(sequences, length) for i in (at, at + 1)))
        losses.append(loss)
        for name, w in model.w.items():
            g = grads[name]
            first[name] += (1 - BETA1) * (g - first[name])
            second[name] += (1 - BETA2) * (g * g - second[name])
            w -= rate * (first[name] / (1 - BETA1 ** (step + 1))) / (
                np.sqrt(second[name] / (1 - BETA2 ** (step + 1))) + EPSILON
            )
        window = max(1, steps // shown)
        if (step + 1) % window == 0 or step + 1 == steps:
            some = losses[step // window * window :]
            print(f"mean loss of steps {step // window * window + 1} to {step + 1}  {np.mean(some):.4f}", flush=True)


main()

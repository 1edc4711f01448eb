"""Text to the token files of llm.c: the 8,191 most frequent words and marks, all others 0. tokens.py TEXT OUT"""
import collections
import re
import struct
import sys

text, out = sys.argv[1:]
pieces = re.findall(r" ?\w+|[^\w\s]|\s", open(text, encoding="utf-8").read())
known = {piece: i + 1 for i, (piece, _) in enumerate(collections.Counter(pieces).most_common(8191))}
tokens = [known.get(piece, 0) for piece in pieces]
with open(out, "wb") as file:
    file.write(struct.pack("<256i", 20240520, 1, len(tokens), *[0] * 253))
    file.write(struct.pack(f"<{len(tokens)}H", *tokens))
print(len(tokens), "tokens")

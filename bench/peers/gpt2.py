"""A fresh GPT-2 shape for llm.c with as many values as the 15M llama (14.0 M): gpt2.py OUT"""
import array
import random
import struct
import sys

LENGTH, VOCABULARY, LAYERS, HEADS, WIDTH = 512, 8192, 6, 6, 384
random.seed(1)


def drawn(count, size=0.02):
    return array.array("f", (random.gauss(0, size) for _ in range(count)))


def filled(count, value=0.0):
    return array.array("f", [value]) * count


residual = 0.02 / (2 * LAYERS) ** 0.5
tensors = [drawn(VOCABULARY * WIDTH), drawn(LENGTH * WIDTH)]
tensors += [filled(LAYERS * WIDTH, 1), filled(LAYERS * WIDTH)]
tensors += [drawn(LAYERS * 3 * WIDTH * WIDTH), filled(LAYERS * 3 * WIDTH)]
tensors += [drawn(LAYERS * WIDTH * WIDTH, residual), filled(LAYERS * WIDTH)]
tensors += [filled(LAYERS * WIDTH, 1), filled(LAYERS * WIDTH)]
tensors += [drawn(LAYERS * 4 * WIDTH * WIDTH), filled(LAYERS * 4 * WIDTH)]
tensors += [drawn(LAYERS * 4 * WIDTH * WIDTH, residual), filled(LAYERS * WIDTH)]
tensors += [filled(WIDTH, 1), filled(WIDTH)]
with open(sys.argv[1], "wb") as file:
    head = [20240326, 3, LENGTH, VOCABULARY, LAYERS, HEADS, WIDTH, VOCABULARY]
    file.write(struct.pack("<256i", *head, *[0] * (256 - len(head))))
    for tensor in tensors:
        tensor.tofile(file)
print(sum(len(tensor) for tensor in tensors), "values")

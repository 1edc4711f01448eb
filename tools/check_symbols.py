#!/usr/bin/env python3
"""Fails when an object of an instruction set (math/kernel/<isa>/) offers a weak symbol or calls out: the linker
may pick the weak copy for every caller, also on machines that lack the instructions. Objects of one set may
share what is named after it, as quantize_avx2.

check_symbols.py <build folder> [<nm>]"""
import pathlib
import re
import subprocess
import sys

build = pathlib.Path(sys.argv[1])
nm = sys.argv[2] if len(sys.argv) > 2 else "nm"
objects = [path for path in sorted(build.rglob("*.o")) if re.search(r"math/kernel/(avx2|avx512|amx)/", str(path))]
if not objects:
    sys.exit(f"no kernel objects under {build}")
# What a compiler or sanitizer may call on its own; everything else is code that belongs elsewhere.
allowed = re.compile(
    r"mem(cpy|set|move|cmp)|typeinfo .*|vtable for __cxxabiv1::.*|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer|sanitize|sancov|start|stop|stack_chk|odr)\w*")
problems = []
for path in objects:
    own = re.compile(r"varve::\w+_" + re.search(r"kernel/(\w+)/", str(path)).group(1) + r"\(.*")
    for line in subprocess.run([nm, "-C", path], check=True, capture_output=True, text=True).stdout.splitlines():
        kind, name = re.match(r"[0-9a-f ]*([A-Za-z?]) (.*)", line).groups()
        where = f"{path.relative_to(build)}: {name}"
        if kind in "WVuv" and not allowed.fullmatch(name):
            problems.append(f"{where} is weak")
        elif kind == "U" and not allowed.fullmatch(name) and not own.match(name):
            problems.append(f"{where} is called")
        elif kind in "TDBRG" and not re.match(r"varve::override_\w+\(varve::Kernels&\)", name) and not allowed.fullmatch(name) and not own.match(name):
            problems.append(f"{where} is not an override")
print("\n".join(problems) or f"{len(objects)} kernel objects keep to themselves")
sys.exit(bool(problems))

#!/usr/bin/env python3
"""Fails when code outgrows the sizes of STYLE.md or uses a banned name. tools/shape_allow.txt lists the
exceptions with what they may be at most; it may only shrink. Kernels and generated tables are exempt.
With --list it prints every Status that is dropped on purpose."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMITS = {"source": 500, "header": 250, "method": 250, "function": 60, "line": 110, "files": 20}
BANNED = re.compile(r"\b(class|struct|enum class|namespace)\s+\w*(Manager|Helper|Util|Utils|Handler|Processor|Data|Info)\b")
EXEMPT = re.compile(r"/(kernel/|.*_table\.(h|cc)$|.*_tables\.(h|cc)$)")
NOT_A_FUNCTION = re.compile(r"^\s*(if|for|while|switch|else|do|namespace|struct|class|enum|union|return|extern|}|#)")


def functions(lines):
    """(first line number, length) of each function, trusting clang-format's indentation."""
    start = None
    for number, line in enumerate(lines, 1):
        if start is None:
            opens = line.rstrip().endswith("{") and not NOT_A_FUNCTION.match(line)
            indent = len(line) - len(line.lstrip())
            if opens and indent <= 4 and (")" in line or "const {" in line) and "= [" not in line:
                start, depth = number, indent
        elif line.rstrip() in (" " * depth + "}", " " * depth + "};"):
            yield start, number - start + 1
            start = None


NAMESPACE = re.compile(r"^namespace( [\w:]+)? \{")
TYPE = re.compile(r"^(?:struct|class|union|enum class|enum) ([\w:]+)[^;]*\{")


def defined_twice():
    """Types of one full name in two files: the linker would merge their functions without a word."""
    seen = {}
    for folder in ("src", "bench", "eval"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in {".h", ".cc"} or "_test." in path.name:
                continue
            scope, name = [], str(path.relative_to(ROOT))
            for line in path.read_text().splitlines():
                if opened := NAMESPACE.match(line):
                    scope.append((opened[1] or "").strip())
                elif line.startswith("}  // namespace"):
                    scope.pop()
                elif (found := TYPE.match(line)) and "" not in scope:
                    full = "::".join(scope + [found[1]])
                    if seen.setdefault(full, name) != name:
                        yield f"{name}: {full} is also defined in {seen[full]}"


def measured():
    for folder in ("src", "apps", "bench", "eval", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in {".h", ".cc"}:
                continue
            name = str(path.relative_to(ROOT))
            if EXEMPT.search("/" + name):
                continue
            lines = path.read_text().splitlines()
            kind = "header" if path.suffix == ".h" else "source"
            if folder == "src" and (path.parent / "all.def").exists() and kind == "source" and "_test" not in name:
                kind = "method"
            yield f"{name} {kind}", len(lines), LIMITS[kind]
            for number, length in functions(lines):
                yield f"{name}:{number} function", length, LIMITS["function"]
            for number, line in enumerate(lines, 1):
                if len(line) > LIMITS["line"] and "_test.cc" not in name and "http" not in line:
                    yield f"{name}:{number} line", len(line), LIMITS["line"]
                if BANNED.search(line):
                    yield f"{name}:{number} banned name: {line.strip()}", 1, 0
    for folder in sorted({p.parent for p in (ROOT / "src").rglob("*.h")}):
        files = [p for p in folder.iterdir() if p.suffix in {".h", ".cc"} and "_test" not in p.name]
        if not (folder / "all.def").exists():
            yield f"{folder.relative_to(ROOT)} files", len(files), LIMITS["files"]


allowed = {}
allow_file = ROOT / "tools/shape_allow.txt"
if allow_file.exists():
    for line in allow_file.read_text().splitlines():
        if line and not line.startswith("#"):
            what, most = line.rsplit(" ", 1)
            allowed[what] = int(most)

if "--list" in sys.argv:
    for path in sorted((ROOT / "src").rglob("*.cc")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if '.ignore("' in line:
                print(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    sys.exit(0)

problems = list(defined_twice())
for what, size, limit in measured():
    key = re.sub(r":\d+ ", " ", what)
    if size > max(limit, allowed.get(key, 0)):
        problems.append(f"{what}: {size}, limit {limit}")
print("\n".join(problems) or "shapes hold")
sys.exit(bool(problems))

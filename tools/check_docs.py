#!/usr/bin/env python3
"""Fails when a document names a file or folder of this tree that does not exist, or a test that its file lacks: `file`: NameOne,
name_two."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
problems = []
for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").rglob("*.md")]:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for name in re.findall(r"`((?:src|tools|tests|docs|bench|eval|apps)/[\w./-]+)`", line):
            if not (ROOT / name).exists():
                problems.append(f"{path.relative_to(ROOT)}:{number}: {name} does not exist")
        for name, tests in re.findall(r"`((?:src|tests)/[\w./-]+\.cc)`: (\w+(?:, \w+)*)", line):
            for test in tests.split(", ") if (ROOT / name).exists() else []:
                if test not in (ROOT / name).read_text():
                    problems.append(f"{path.relative_to(ROOT)}:{number}: {name} has no {test}")
print("\n".join(problems) or "every file that the documents name exists")
sys.exit(bool(problems))

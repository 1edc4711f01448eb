#!/usr/bin/env python3
"""Fails when a document names a file or folder of this tree that does not exist."""
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
print("\n".join(problems) or "every file that the documents name exists")
sys.exit(bool(problems))

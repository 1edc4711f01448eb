#!/usr/bin/env python3
"""Fails when docs/papers.md names a file that does not exist, or whose first lines do not name the method, or when
its rows are not numbered 0, 1, 2 ... without a gap."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
problems, rows = [], []
for line in (ROOT / "docs/papers.md").read_text().splitlines():
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if len(cells) != 6 or not cells[0].isdigit():
        continue
    rows.append(int(cells[0]))
    if not (name := cells[5].strip("`")):
        continue
    path = ROOT / name
    if not path.exists():
        problems.append(f"row {cells[0]}: {name} does not exist")
        continue
    head = "".join(path.read_text().splitlines(True)[:8]).lower()
    word = re.split(r"[\s:(]", cells[1])[0].lower()
    if word not in head:
        problems.append(f"row {cells[0]}: the first lines of {name} do not name {word}")
if rows != list(range(len(rows))) or len(rows) < 400:
    problems.append(f"{len(rows)} rows, not numbered in order")
print("\n".join(problems) or f"{len(rows)} methods, every named file exists")
sys.exit(bool(problems))

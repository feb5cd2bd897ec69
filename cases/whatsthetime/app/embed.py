#!/usr/bin/env python3
"""Writes user-data.sh into every template that has a `Fn::Base64: |` block: a template must work alone."""
import pathlib
import re

APP = pathlib.Path(__file__).parent
SCRIPT = (APP / "user-data.sh").read_text()

for template in sorted(APP.parent.glob("phase-*.yaml")):
    lines, out, depth = template.read_text().splitlines(), [], None
    for line in lines:
        if depth is not None and (not line.strip() or len(line) - len(line.lstrip()) > depth):
            continue
        if depth is not None:
            out.append("")
            depth = None
        out.append(line)
        if re.fullmatch(r" *Fn::Base64: (&\w+ )?\|", line):
            depth = len(line) - len(line.lstrip())
            out += [" " * (depth + 2) + text if text else "" for text in SCRIPT.splitlines()]
    template.write_text("\n".join(out) + "\n")

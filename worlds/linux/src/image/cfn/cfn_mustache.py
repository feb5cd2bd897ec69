"""Mustache templates, as files with a `context` are: variables (escaped for HTML unless in three braces or after `&`), sections, inverted
sections and comments. Partials and other delimiters are refused.

Reference: mustache(5).
"""

import html
import re

import cfn_common

TAG = re.compile(r"\{\{(?:\{\s*(?P<raw>[^}]*?)\s*\}|(?P<sign>[#^/!&>=]?)\s*(?P<name>[^}]*?)\s*)\}\}", re.DOTALL)
# A section's own line leaves no empty line behind.
ALONE = re.compile(r"^[ \t]*(\{\{[#^/!][^}]*\}\})[ \t]*\n", re.MULTILINE)


def render(template, context):
    """The text that a template gives in a context."""
    parts, rest = parse(ALONE.sub(r"\1", template), None)
    return "".join(text(part, [context]) for part in parts)


def parse(template, section):
    """The parts up to the end of a section, and what follows it."""
    parts = []
    while match := TAG.search(template):
        if match.start():
            parts.append(("text", template[: match.start()]))
        template = template[match.end():]
        sign, name = match["sign"], match["name"]
        if match["raw"] is not None:
            parts.append(("raw", match["raw"]))
        elif sign == "/":
            if name != section:
                raise cfn_common.Failure(f"Mustache: {name} ends, where {section} is open")
            return parts, template
        elif sign in ("#", "^"):
            inside, template = parse(template, name)
            parts.append((sign, name, inside))
        elif sign in (">", "="):
            raise cfn_common.Failure(f"Mustache: partials and other delimiters are not possible here: {match[0]}")
        elif sign != "!":
            parts.append(("raw" if sign == "&" else "escaped", name))
    if section is not None:
        raise cfn_common.Failure(f"Mustache: {section} does not end")
    return parts + [("text", template)], ""


def text(part, stack):
    """What one part gives; `stack` is the context and those around it."""
    kind, name = part[0], part[1]
    if kind == "text":
        return name
    value = lookup(name, stack)
    if kind == "raw":
        return shown(value)
    if kind == "escaped":
        return html.escape(shown(value))
    empty = value in (None, False, "", [], {})
    if kind == "^":
        return "".join(text(inner, stack) for inner in part[2]) if empty else ""
    if empty:
        return ""
    items = value if isinstance(value, list) else [value]
    return "".join(text(inner, [*stack, item]) for item in items for inner in part[2])


def lookup(name, stack):
    """The nearest context's member of that name; members of members are joined by dots."""
    if name == ".":
        return stack[-1]
    first, *more = name.split(".")
    found = next((context[first] for context in reversed(stack) if isinstance(context, dict) and first in context), None)
    for part in more:
        found = found.get(part) if isinstance(found, dict) else None
    return found


def shown(value):
    return "" if value is None else str(value)

"""Names in the code of a dump: how they are written, and which of them name a schema.

A dump of one schema is loaded under another name, so nothing in it may name a schema: not another one, which
lies outside the target, and not its own, which is the source.
"""

from __future__ import annotations

import re

# Possessive (++), so that no part of a name is ever taken for a name: `a``b` is not `a` and something behind it.
QUOTED = rb"(?:`(?:[^`]|``)++`|\"(?:[^\"]|\"\")++\")"  # in double quotes under ANSI_QUOTES
NAME = rb"(?:" + QUOTED + rb"|[\w$\x80-\xff]++)"

# Where MariaDB itself writes the schema's own name: in the head of a trigger, if it was typed so, and always before
# a sequence in a default.
_OWN = [
    re.compile(pattern.replace(b"NAME", NAME), re.IGNORECASE)
    for pattern in (
        rb"(\bTRIGGER\s+(?:IF NOT EXISTS\s+)?+)(NAME)\s*\.\s*(?=NAME\s+(?:BEFORE|AFTER)\s)",
        rb"(\bTRIGGER\s+(?:IF NOT EXISTS\s+)?+NAME\s+(?:BEFORE|AFTER)\s+\w+\s+ON\s+)(NAME)\s*\.\s*(?=NAME)",
        rb"(\b(?:NEXT|LAST)VAL\()(NAME)\.(?=NAME\))",
    )
]


def unquoted(name: bytes) -> str:
    """What a name means, without its quotes."""
    mark = name[:1]
    if mark in (b"`", b'"'):
        name = name[1:-1].replace(mark * 2, mark)
    return name.decode("utf-8", "replace")


def without_own_schema(code: bytes, schema: str) -> bytes:
    """A definition without the schema's own name, where the server has put it there.

    What somebody wrote into a body or a view stays as it is.
    """
    for pattern in _OWN:
        code = pattern.sub(lambda found: found[1] if unquoted(found[2]).lower() == schema.lower() else found[0], code)
    return code

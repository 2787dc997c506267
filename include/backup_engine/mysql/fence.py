"""The fence of a restore: which statements may run at all, and what in them would reach out of the target.

It judges what the server will read, not what it looks like: so it knows the session's SQL mode and character set,
which decide what is a string, and the server's version, which decides what in a comment is run. What no dump
program writes is refused, and so is what cannot be understood.

Dynamic SQL (PREPARE, EXECUTE IMMEDIATE) in procedures and events cannot be judged. It is let in, because nothing of a
restore runs it: procedures are never called, events are created disabled, and the server allows it in no function
and no trigger, nor in what these call.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

from include.backup_engine.errors import RestoreRefused
from include.backup_engine.mysql.identifiers import NAME, QUOTED
from include.backup_engine.mysql.qualified import schemas_named
from include.backup_engine.mysql.statements import Lexer
from include.backup_engine.records import Flavour

Charset = Literal["utf8", "other", "misleading"]
"""Misleading: the second byte of a character may look like a quote or a backslash."""
Kind = Literal["skip", "setting", "run", "keys", "insert", "table", "code", "event", "alter_database"]

_MARK = re.compile(rb"/\*(M?)!(\d{5,6})?|\*/")
_NAMES = re.compile(QUOTED)
_NAME_OR_MARK = re.compile(_NAMES.pattern + b"|" + _MARK.pattern)
# The session's settings that dump programs write, and variables of the user.
_SETTABLE = (
    rb"@\w+|(?:@@(?:SESSION\.)?|SESSION\s+)?(?:SQL_MODE|TIME_ZONE|CHARACTER_SET_(?:CLIENT|RESULTS|CONNECTION)"
    rb"|COLLATION_CONNECTION|UNIQUE_CHECKS|FOREIGN_KEY_CHECKS|SQL_NOTES|NOTE_VERBOSITY|SQL_QUOTE_SHOW_CREATE"
    rb"|SYSTEM_VERSIONING_INSERT_HISTORY|INFORMATION_SCHEMA_STATS_EXPIRY)"
)
_SETTING = rb"(?:" + _SETTABLE + rb")\s*:?=\s*(''|[-@\w.]+)"
_PATTERNS: tuple[tuple[Kind, bytes], ...] = (
    ("skip", rb"(COMMIT|START TRANSACTION)\Z"),
    ("skip", rb"SET\s+(@OLD_AUTOCOMMIT\s*=\s*@@AUTOCOMMIT\s*,\s*)?(@@)?AUTOCOMMIT\s*=\s*([01]|@OLD_AUTOCOMMIT)\s*\Z"),
    ("setting", rb"SET\s+(NAMES\s+\w+(\s+COLLATE\s+\w+)?|" + _SETTING + rb"(\s*,\s*" + _SETTING + rb")*)\s*\Z"),
    ("run", rb"DROP (TABLE|VIEW|SEQUENCE|PROCEDURE|FUNCTION|TRIGGER|EVENT) IF EXISTS QUOTED\s*\Z"),
    ("keys", rb"ALTER TABLE QUOTED (DISABLE|ENABLE) KEYS\s*\Z"),
    ("run", rb"(DO|SELECT) SETVAL\(QUOTED, -?\d+, [01]\)\Z"),
    ("skip", rb"(UNLOCK TABLES|LOCK TABLES QUOTED WRITE)\s*\Z"),
    ("table", rb"CREATE (SEQUENCE|TABLE) QUOTED(?!\s*\.)"),
    ("event", rb"CREATE\s+(DEFINER\s*=\s*QUOTED(@QUOTED)?\s+)?EVENT\s+(IF NOT EXISTS\s+)?+ANYNAME(?!\s*\.)"),
    (
        "code",
        rb"CREATE\s+((OR REPLACE|AGGREGATE|ALGORITHM\s*=\s*\w+|DEFINER\s*=\s*QUOTED(@QUOTED)?|SQL SECURITY \w+)\s+)*"
        rb"(((JSON\s+(RELATIONAL\s+)?DUALITY\s+)?VIEW|TRIGGER)\s+(IF NOT EXISTS\s+)?+ANYNAME(?!\s*\.)"
        rb"|(?P<routine>PROCEDURE|FUNCTION)\s+ANYNAME\s*\()",
    ),
    ("alter_database", rb"ALTER DATABASE QUOTED CHARACTER SET \w+ COLLATE \w+\s*\Z"),
)
_ALLOWED = tuple(
    (kind, re.compile(pattern.replace(b"ANYNAME", NAME).replace(b"QUOTED", QUOTED), re.IGNORECASE | re.DOTALL))
    for kind, pattern in _PATTERNS
)


def _rows(string: bytes) -> re.Pattern[bytes]:
    """An INSERT of constants. Outside of strings there is no name, so no call and no query, and no comment."""
    columns = rb"(?:\((?:QUOTED|\w+)(?:, ?(?:QUOTED|\w+))*\) )?"
    head = rb"INSERT INTO QUOTED " + columns + rb"VALUES?\s*+(?=\()"
    constants = (
        rb"(?:[\d(),.\s]*+(?:STRING|NULL|(?<=0)x[0-9A-Fa-f]++(?=[,)])|[-+](?=[\d.])|(?<=[\d.])[eE][-+]?(?=\d)|DEFAULT"
        rb"|_\w++ ?(?=['0])|[bBxX](?=')))*+[\d(),.\s]*+\Z"
    )
    return re.compile(head.replace(b"QUOTED", QUOTED) + constants.replace(b"STRING", string), re.DOTALL)


# By whether backslashes escape. Written so that it keeps pace with the server: every byte of a restore goes through.
_INSERT = {
    True: _rows(rb"'[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+'"),
    False: _rows(rb"'[^']*+(?:''[^']*+)*+'"),
}
# Engines that keep a table's rows in the server's own files. Others reach into other servers, tables or files.
_ENGINES = frozenset(
    b"INNODB MYISAM ARIA MEMORY HEAP CSV ARCHIVE BLACKHOLE ROCKSDB TOKUDB MROONGA COLUMNSTORE NDB NDBCLUSTER".split()
)
_ENGINE = re.compile(rb"\bENGINE\b\s*=?\s*(\w*)", re.IGNORECASE)
_REACHING_OPTION = re.compile(
    rb"\b(?:(UNION)\s*=?\s*\(|((?:DATA|INDEX)\s+DIRECTORY)\b|(CONNECTION)\s*=?\s*')", re.IGNORECASE
)
_QUERY = re.compile(rb"\bSELECT\b", re.IGNORECASE)
_OTHER_LANGUAGE = re.compile(rb"\bLANGUAGE\s+(?!SQL\b)\w+", re.IGNORECASE)
# What the server lets a function or trigger do beyond tables.
_POWER = re.compile(
    rb"(?:\bINTO\s+(?:OUTFILE|DUMPFILE)|\bLOAD_FILE(?=\s*\()"
    rb"|(?:\bSET|,)\s*(?:@@\s*)?(?:GLOBAL|PERSIST|PERSIST_ONLY)(?:\s+|\s*\.\s*)\w+\s*:?=|\bSET\s+STATEMENT"
    rb"|\bKILL\s+(?!FROM\b|AS\b)(?=\w)|\bSHUTDOWN(?=\s*(?:;|WAIT\b|END\b|\Z))|\bPURGE\s+(?:BINARY|MASTER)"
    rb"|\bCHANGE\s+(?:MASTER|REPLICATION)|\b(?:START|STOP)\s+(?:ALL\s+)?(?:SLAVE|REPLICA)S?\b|\bBINLOG\s*'')",
    re.IGNORECASE,
)
_HIGH = re.compile(rb"[\x80-\xff]")
# Bytes whose meaning depends on the character set: a schema's name, and what may make "--" a comment.
_UNREADABLE = re.compile(rb"(?:`[^`]*[\x80-\xff][^`]*`|[\w$]*[\x80-\xff][\w$\x80-\xff]*)\s*\.|--[\x80-\xff]")
_HEAD = rb"CREATE\s+(?:DEFINER\s*=\s*(?:CURRENT_USER|QUOTED(?:@QUOTED)?)\s+)?EVENT\s+(?:IF NOT EXISTS\s+)?+ANYNAME\s+"
_DISABLED = re.compile(
    (
        _HEAD + rb"ON SCHEDULE (?:AT ''|EVERY (?:''|\d+) \w+(?: STARTS '')?(?: ENDS '')?)"
        rb" ON COMPLETION (?:NOT )?PRESERVE DISABLE\b(?! ON)"
    ).replace(b"ANYNAME", NAME).replace(b"QUOTED", QUOTED),
    re.IGNORECASE,
)  # fmt: skip
_FOREIGN_DEFINER = re.compile(rb"[^`'\"]*\bDEFINER\s*=\s*[`'\"]", re.IGNORECASE)


class Fence:
    """Judges statements of one dump.

    :param database: the target.
    :param source_database: the schema that the dump was taken from.
    :param other_schemas: those that the loading account can see; what it cannot see, it cannot reach.
    :param powerful: whether the loading account has privileges beyond its databases.
    """

    def __init__(
        self, database: str, *, source_database: str, other_schemas: Collection[str], flavour: Flavour, version: str,
        powerful: bool,
    ) -> None:  # fmt: skip
        self._source = source_database
        # information_schema is read by ordinary code, and nobody can write to it.
        harmless = {database, "information_schema"}
        self._forbidden = {name.lower() for name in {*other_schemas, source_database} if name not in harmless}
        self._flavour = flavour
        numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
        self._version = sum(number * weight for number, weight in zip(numbers, (10000, 100, 1), strict=False))
        self._powerful = powerful
        self._lexer = Lexer()
        self._escapes = True
        self._charset: Charset = "utf8"

    def obey(self, *, backslash_escapes: bool, ansi_quotes: bool, charset: Charset) -> None:
        """Read on as the session now reads."""
        self._lexer.use(backslash_escapes, ansi_quotes)
        self._escapes = backslash_escapes
        self._charset = charset

    def is_disabled(self, event: bytes) -> bool:
        """Whether a statement creates an event that does not run."""
        return bool(_DISABLED.match(self._code(event)))

    def names_definer(self, statement: bytes) -> bool:
        """Whether a statement creates something in the name of another account."""
        return bool(_FOREIGN_DEFINER.match(self._code(statement)))

    def _code(self, statement: bytes) -> bytes:
        return _without_marks(self._lexer.code(statement))

    def admit(self, statement: bytes, number: int) -> tuple[Kind, bytes]:
        """What kind of statement this is, if it is one that may run, and what of it is code.

        :raises RestoreRefused: it may not.
        """
        if self._charset == "misleading" and _HIGH.search(statement):
            raise RestoreRefused(
                f"Statement {number} of the dump is in a character set in which code cannot be told from text.",
                "If you trust the backup all the same, decrypt it and load it by hand.",
            )
        if statement.startswith(b"INSERT INTO "):
            if _INSERT[self._escapes].match(statement):
                return "insert", b""
            raise _needless(number)
        marked = self._lexer.code(statement)
        if not self._is_run(marked):
            if marked.startswith(b"/*") and statement.count(b"*/") == 1 and statement.endswith(b"*/"):
                return "skip", b""  # all of it is for another server
            raise _needless(number)
        return self._kind(_without_marks(marked), number)

    def _kind(self, code: bytes, number: int) -> tuple[Kind, bytes]:
        plain = _NAMES.sub(b"`x`", code).replace(b"''", b"")
        unfinished = b"'" in plain or b'"' in plain or b"/*" in plain
        if unfinished or (self._charset != "utf8" and _UNREADABLE.search(code)):
            raise _needless(number)
        for kind, pattern in _ALLOWED:
            if found := pattern.match(code):
                if kind in ("code", "event", "table"):
                    self._refuse_schemas(code, number)
                if kind == "table":
                    _refuse_options(_NAMES.sub(b"`x`", code), number)
                elif kind == "code" and (language := _OTHER_LANGUAGE.search(plain)):
                    raise RestoreRefused(
                        f"Statement {number} of the dump creates code that is not written in SQL, and cannot be judged"
                        f" ({language[0].decode()}).",
                        "Remove it from the source, or load the backup by hand.",
                    )
                elif kind == "code" and (self._powerful or (found["routine"] or b"").upper() != b"PROCEDURE"):
                    _refuse_power(plain, number)
                return kind, code
        raise _needless(number)

    def _is_run(self, marked: bytes) -> bool:
        """Whether the server runs what stands in all its version comments, and none stands in another."""
        inside = False
        for mark in _MARK.finditer(_NAMES.sub(b"`x`", marked)):
            opens = mark[0] != b"*/"
            if opens == inside:
                return False
            inside = opens
            if opens and not self._runs(mark[1] == b"M", mark[2]):
                return False
        return not inside

    def _runs(self, mariadb_only: bool, digits: bytes | None) -> bool:
        """MariaDB manual, "Comment Syntax"; MySQL manual, 11.7 "Comments"."""
        if self._flavour == "mysql":
            return not mariadb_only and (digits is None or (len(digits) == 5 and int(digits) <= self._version))
        if digits is None:
            return True
        return int(digits) <= self._version and (mariadb_only or not 50700 <= int(digits) <= 99999)

    def _refuse_schemas(self, code: bytes, number: int) -> None:
        for schema in schemas_named(code):
            if schema.lower() not in self._forbidden:
                continue
            if schema.lower() == self._source.lower():
                raise RestoreRefused(
                    f"Statement {number} of the dump names the schema {schema} that it was taken from.",
                    "Restore under that very name, on another server; or take the name out of the source's code.",
                )
            raise RestoreRefused(
                f"Statement {number} of the dump reaches into the schema {schema}, outside its target.",
                "Restore on a server of its own, or remove that object from the source.",
            )


def _without_marks(marked: bytes) -> bytes:
    """The code without the marks of version comments. What looks like one inside a quoted name is part of the name."""
    return _NAME_OR_MARK.sub(lambda found: found[0] if found[0][:1] in b'`"' else b"", marked).strip()


def _needless(number: int) -> RestoreRefused:
    return RestoreRefused(
        f"Statement {number} of the dump is not one that a dump of a single schema needs.",
        "If you trust the backup all the same, decrypt it and load it by hand.",
    )


def lies_elsewhere(definition: str) -> str:
    """The option in a table's definition, as SHOW CREATE TABLE writes it, for which a restore will refuse the table;
    empty: there is none.
    """
    return _reaching_option(_NAMES.sub(b"`x`", _without_marks(Lexer().code(definition.encode()))))


def _reaching_option(plain: bytes) -> str:
    """What makes a table reach out of the target."""
    reaching = [b" ".join(filter(None, found.groups())) for found in _REACHING_OPTION.finditer(plain)]
    reaching += [b"ENGINE " + name for name in _ENGINE.findall(plain) if name.upper() not in _ENGINES]
    return reaching[0].decode("ascii", "replace") if reaching else ""


def _refuse_options(plain: bytes, number: int) -> None:
    if option := _reaching_option(plain):
        raise RestoreRefused(
            f"Statement {number} of the dump creates a table whose content lies elsewhere ({option}).",
            "Exclude the table from the backup, or load the backup by hand.",
        )
    if _QUERY.search(plain):
        raise _needless(number)


def _refuse_power(plain: bytes, number: int) -> None:
    """Code that a comparison might run, and that acts on the server instead of on tables."""
    if found := _POWER.search(plain):
        what = " ".join(found[0].decode("ascii", "replace").upper().strip(",'@ ").split())
        raise RestoreRefused(
            f"Statement {number} of the dump creates code that acts on the whole server ({what}).",
            "A procedure: restore with an account of include/sql, whose rights end at its databases."
            " Anything else: remove it from the source, or load the backup by hand.",
        )

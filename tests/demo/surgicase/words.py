"""Synthetic people and texts, made from the lists in ``words.txt``. Nobody in here exists."""

from __future__ import annotations

from pathlib import Path

from tests.demo.surgicase.plan import Dice


def read_lists(file: Path) -> dict[str, list[str]]:
    """``[title]``, then lines of entries with bars between them."""
    lists: dict[str, list[str]] = {}
    for line in filter(None, file.read_text(encoding="utf-8").splitlines()):
        if line.startswith("["):
            entries = lists[line.strip("[]")] = []
        else:
            entries.extend(line.split(" | "))
    return lists


LISTS = read_lists(Path(__file__).with_suffix(".txt"))
FIRST_NAMES, LAST_NAMES = LISTS["first names"], LISTS["last names"]
STREETS, CITIES, LATIN1_CITIES = LISTS["streets"], LISTS["cities"], LISTS["latin1 cities"]
DRUGS, SUBSTANCES, ANALYTES, DEVICES = LISTS["drugs"], LISTS["substances"], LISTS["analytes"], LISTS["devices"]
SITES, FINDINGS, ACTIONS = LISTS["sites"], LISTS["findings"], LISTS["actions"]
TOOLS, PHRASES, SPECIALTIES = LISTS["tools"], LISTS["phrases"], LISTS["specialties"]
PROCEDURE_KINDS, DIAGNOSIS_KINDS = LISTS["procedure kinds"], LISTS["diagnosis kinds"]

NASTY_TEXTS = (
    "'); DROP TABLE patients; --",
    "line one\nline two\r\nline three\ttabbed\\n not a newline\\",
    "ends like a statement);\nINSERT INTO `patients` VALUES (1);\n-- Dump completed on 2024-01-01  0:00:00\n",
    "DELIMITER ;;\nSELECT 1;;\n\\! echo shell\n\\. file\n/*!40101 SET NAMES latin1 */;\nUSE `mysql`;",
    "'' \"\" `` \\' \\\" %s %d {x} ${HOME} $(id) \x01\x08\x1a\x7f \\0 \\Z \\N NULL",
    "emoji 🩺🫀👩🏽\u200d⚕\ufe0f, 4-byte \U0001d518, combining e\u0301 n\u0303, RTL \u202eabc\u202c, BOM \ufeff",
    "   leading and trailing blanks   ",
    "",
)
"""Texts that have broken escaping, splitting or re-coding somewhere."""

NASTY_BYTES = (
    b"\x00\x27\x5c\x0a\xff",
    b"\x00",
    b"\xff\xfe\x00\x00\x1a\x0d\x0a\x22",
    b"');\n-- \x00\\'",
    b"\xc3\x28\xed\xa0\x80\xf0\x28\x8c\x28",
    b"   ",
    b"",
)
"""Bytes that have broken quoting, padding or re-coding somewhere; some are not UTF-8."""


def sentence(dice: Dice) -> str:
    kind, pick, number = dice.random(), dice.pick, dice.below
    if kind < 0.45:
        return f"The {pick(SITES)} was {pick(ACTIONS)} with {pick(TOOLS)} and found {pick(FINDINGS)}."
    if kind < 0.6:
        return (
            f"{number(24):02}:{number(60):02} BP {90 + number(90)}/{45 + number(55)}, HR {50 + number(70)}, "
            f"SpO2 {90 + number(10)} %, T {(355 + number(35)) / 10}; {pick(DRUGS)} {number(400) / 4} mg."
        )
    if kind < 0.8:
        site = pick(SITES).capitalize()
        return f"{site}: {pick(FINDINGS)}, {pick(FINDINGS)}; {pick(SITES)} {pick(ACTIONS)}."
    return f"{pick(PHRASES)} (Dr {pick(LAST_NAMES)}, x{1000 + number(9000)})."


def note(dice: Dice) -> str:
    """A note of 0.3 to 8 KB, 3 KB on average, in paragraphs."""
    count = int(dice.triangular(4, 110, 20))
    return "".join(sentence(dice) + ("\n\n" if dice.random() < 0.15 else " ") for _ in range(count))


def person(dice: Dice) -> tuple[str, str]:
    """First and last name, now and then with a middle initial, a hyphen or decomposed accents."""
    first, last = dice.pick(FIRST_NAMES), dice.pick(LAST_NAMES)
    kind = dice.random()
    if kind < 0.3:
        first = f"{first} {chr(65 + dice.randrange(26))}."
    elif kind < 0.4:
        last = f"{last}-{dice.pick(LAST_NAMES)}"
    elif kind < 0.42:
        first += "-Rene\u0301"
    return first, last

"""The five tables that make up the size: vitals, notes, images, audit log, laboratory results."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from tests.demo.surgicase import plan as p
from tests.demo.surgicase import words
from tests.demo.surgicase.plan import CANARY, Plan, with_gaps
from tests.demo.surgicase.sql import Rows, row, table

SECONDS = p.DAYS * 86_400
STAMPS = [str(p.FIRST_DAY + timedelta(minutes=minute)) for minute in range(0, p.DAYS * 1440, 97)]


@table("vitals", "id, case_id, recorded_at, heart_rate, systolic, diastolic, saturation, temperature")
def vitals(plan: Plan) -> Rows:
    """One reading a minute for half an hour, then the next case. Written as text at once: it is most of the rows."""
    dice = plan.dice("vitals")
    number = 0
    while number < plan.vitals:
        case_id, start = plan.some_case(dice), dice.pick(STAMPS)[:14]
        heart, systolic = 55 + dice.below(55), 95 + dice.below(65)
        for minute in range(min(30, plan.vitals - number)):
            number += 1
            noise = dice.getrandbits(20)
            saturation = 92 + (noise >> 3) % 8 if noise & 0x7000 else "NULL"
            yield (
                f"({number},{case_id},'{start}{minute:02}:{noise % 60:02}.{noise % 1000:03}',{heart + noise % 9},"
                f"{systolic + (noise >> 4) % 13},{55 + (noise >> 8) % 31},{saturation},{36 + (noise >> 12) % 25 / 10})"
            )


@table("clinical_notes", "id, case_id, author_id, kind, tags, written_at, body")
def clinical_notes(plan: Plan) -> Rows:
    dice = plan.dice("clinical_notes")
    for number in range(plan.notes):
        body = words.note(dice)
        if number % 500 == 0:
            body = f"{CANARY} {body}"
        if number % 100 < len(words.NASTY_TEXTS):
            body += words.NASTY_TEXTS[number % 100]
        kind = dice.pick(["pre-op", "operative", "anaesthesia", "post-op", "discharge"])
        tags = ",".join(tag for tag in ("dictated", "amended", "sensitive") if dice.random() < 0.2)
        written = p.FIRST_DAY + timedelta(seconds=dice.below(SECONDS), microseconds=dice.below(10**6))
        yield row(with_gaps(number), plan.some_case(dice), dice.below(p.STAFF) + 1, kind, tags, written, body)


@table("images", "id, case_id, modality, taken_at, pixels, thumbnail, sha256")
def images(plan: Plan) -> Rows:
    """JPEG-like: a short constant head, then bytes that do not compress. A few are much larger than the others."""
    dice = plan.dice("images")
    sizes = [size for size in (5_000_000, 3_000_000, 2_000_000) if size < plan.image_bytes * 0.3] or [300_000]
    left = plan.image_bytes - sum(sizes)
    while left > 0:
        sizes.append(int(dice.triangular(8_000, 90_000, 30_000)))
        left -= sizes[-1]
    for number, size in enumerate(sizes):
        pixels = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + dice.randbytes(size)
        thumbnail = words.NASTY_BYTES[number % len(words.NASTY_BYTES)] if number % 2 else None
        taken = p.FIRST_DAY + timedelta(milliseconds=dice.below(SECONDS * 1000))
        modality = dice.pick(["XR", "CT", "MR", "US", "photo"])
        yield row(number + 1, plan.some_case(dice), modality, taken, pixels, thumbnail, sha256(pixels).digest())


@table("audit_log", "id, occurred_at, actor, action, entity, entity_id, detail")
def audit_log(plan: Plan) -> Rows:
    """Oldest first, so that the partitions fill up one after the other."""
    dice = plan.dice("audit_log")
    step = SECONDS / plan.audits
    for number in range(plan.audits):
        occurred = p.FIRST_DAY + timedelta(seconds=number * step, microseconds=dice.below(1000))
        actor = f"anna{dice.below(150)}"
        action = dice.pick(["read", "read", "read", "update", "insert", "print", "export"])
        entity = dice.pick(["cases", "patients", "clinical_notes", "images", "invoices"])
        detail = (
            f'{{"ip": "10.{dice.below(256)}.{dice.below(256)}.{dice.below(256)}", "session": '
            f'"{dice.getrandbits(128):032x}", "browser": "Mozilla/5.0 (X11; rv:{90 + dice.below(40)}.0)", "changed": '
            f'["{dice.pick(words.SITES)}", "{dice.pick(words.FINDINGS)}"], "reason": "{dice.pick(words.ACTIONS)} by '
            f'Dr {dice.pick(words.LAST_NAMES)}", "took_ms": {dice.below(90_000) / 100}, "ok": true}}'
        )
        yield row(number + 1, occurred, actor, action, entity, dice.below(200_000), detail if number % 20 else None)


@table("lab_results", "id, patient_id, analyte, value, unit, reference_low, drawn_at")
def lab_results(plan: Plan) -> Rows:
    dice = plan.dice("lab_results")
    for number in range(plan.lab_results):
        value = dice.gauss(100, 30) if number % 50 else "NULL"
        drawn = dice.pick(STAMPS)
        analyte, unit = dice.pick(words.ANALYTES), dice.pick(["mmol/L", "mg/dL", "g/L", "%"])
        patient, low = plan.some_patient(dice), f"{number % 97}.1234567891"
        yield f"({number + 1},{patient},'{analyte}',{value},'{unit}',{low},'{drawn}')"


BULK = (vitals, clinical_notes, images, audit_log, lab_results)

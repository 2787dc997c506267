"""Patients, cases and what belongs to them."""

from __future__ import annotations

import json
from datetime import timedelta

from tests.demo.surgicase import plan as p
from tests.demo.surgicase import words
from tests.demo.surgicase.plan import CANARY, Dice, Plan, with_gaps
from tests.demo.surgicase.sql import Raw, Rows, row, table
from tests.demo.surgicase.tables.organisation import diagnosis_code, procedure_code


@table(
    "patients",
    "id, mrn, ssn, first_name, last_name, born_on, sex, blood_type, organ_donor, address, email, remarks, preferences, "
    "registered_at",
)
def patients(plan: Plan) -> Rows:
    dice = plan.dice("patients")
    for number in range(plan.patients):
        first, last = words.person(dice)
        mrn = f"MR{10_000_000 + number * 37 % 60_000_000}"
        ssn = f"9{dice.randrange(100):02}-{dice.randrange(100):02}-{dice.randrange(10_000):04}"
        address = f"{dice.randrange(1, 9999)} {dice.pick(words.STREETS)} Street, {dice.pick(words.CITIES)}"
        if number % 1000 == 0:
            address += f" c/o {CANARY}"
        remarks = words.NASTY_TEXTS[number % len(words.NASTY_TEXTS)][:255] if number % 13 == 0 else None
        preferences = None
        if number % 3 == 0:
            wishes = {
                "language": dice.pick(["en", "es", "fr", "zh-Hant"]),
                "call": bool(number % 2),
                "diet": ["halal", None],
            }
            preferences = json.dumps(wishes)
        donor = None if number % 11 == 0 else number % 2
        email = f"p{number}@example.org" if number % 4 else None
        blood = dice.pick(["A+", "A-", "B+", "B-", "AB+", "AB-", "0+", "0-", None])
        registered = p.FIRST_DAY + timedelta(milliseconds=dice.randrange(p.DAYS * 86_400_000))
        sex = dice.pick(["female", "male", "female", "male", "other", ""])
        yield row(
            with_gaps(number), mrn, ssn, first, last, birthday(dice, number), sex, blood, donor, address, email,
            remarks, preferences, registered,
        )  # fmt: skip


def birthday(dice: Dice, number: int) -> str:
    year, month, day = dice.randrange(1925, 2023), dice.randrange(1, 13), dice.randrange(1, 29)
    if number % 40 == 7:
        return "0000-00-00"
    if number % 40 == 8:
        return f"{year}-00-00"
    return f"{year}-{month:02}-{day:02}"


@table("patient_contacts", "patient_id, kind, value")
def patient_contacts(plan: Plan) -> Rows:
    dice = plan.dice("patient_contacts")
    for number in range(plan.patients):
        for kind in dice.sample(["home", "mobile", "work", "next of kin"], number % 4):
            value = " ".join(words.person(dice)) if kind == "next of kin" else f"+1 555 {dice.randrange(10**7):07}"
            yield row(with_gaps(number), kind, value)


@table("allergies", "id, patient_id, substance, severity, noted_on")
def allergies(plan: Plan) -> Rows:
    dice = plan.dice("allergies")
    for number in range(plan.patients // 3):
        severity = dice.pick(["mild", "moderate", "severe", "life-threatening"])
        noted = (p.FIRST_DAY + timedelta(dice.below(p.DAYS))).date() if number % 4 else None
        yield row(with_gaps(number), plan.some_patient(dice), dice.pick(words.SUBSTANCES), severity, noted)


@table("insurance_policies", "insurer_id, policy_number, patient_id, valid_from, valid_until, copay")
def insurance_policies(plan: Plan) -> Rows:
    dice = plan.dice("insurance_policies")
    for number in range(plan.patients):
        since = (p.FIRST_DAY + timedelta(dice.below(p.DAYS))).date()
        until = "0000-00-00" if number % 3 else str(since + timedelta(730))
        copay = Raw(f"0.{dice.randrange(10_000):04}")
        yield row(dice.below(p.INSURERS) + 1, f"PN{number:09}", with_gaps(number), since, until, copay)


def status(number: int) -> str:
    """Of the number-th case; the older the likelier closed."""
    return ("closed", "closed", "closed", "cancelled", "closed", "scheduled", "closed", "in progress", "requested")[
        number % 9
    ]


@table(
    "cases",
    "id, case_number, patient_id, surgeon_id, procedure_code, follow_up_of, status, priority, scheduled_at, "
    "incision_at, closure_at, risk, estimate, details, updated_at",
)
def cases(plan: Plan) -> Rows:
    dice = plan.dice("cases")
    for number in range(plan.cases):
        scheduled = p.FIRST_DAY + timedelta(minutes=dice.randrange(p.DAYS * 288) * 5)
        incision = closure = None
        if status(number) in ("closed", "in progress"):
            incision = scheduled + timedelta(seconds=dice.randrange(3600), microseconds=dice.randrange(10**6))
        if status(number) == "closed" and incision:
            closure = incision + timedelta(seconds=dice.randrange(600, 20_000), microseconds=1)
        details = {
            "laterality": dice.pick(["left", "right", "n/a"]),
            "tags": dice.sample(["elective", "robotic", "re-do", "day case"], 2),
            "position": {"table": dice.pick(["supine", "prone", "lateral"]), "tilt": dice.randrange(-15, 16)},
            "comment": words.sentence(dice),
        }
        earlier = with_gaps(dice.randrange(number)) if number % 12 == 11 else None
        estimate = Raw(f"{dice.randrange(50_000, 9_000_000) / 100:.2f}")
        procedure = procedure_code(dice.below(p.PROCEDURES))
        surgeon = dice.below(p.SURGEONS) + 1
        yield row(
            with_gaps(number), f"C{number:011}", plan.some_patient(dice), surgeon, procedure, earlier, status(number),
            dice.randrange(1, 6), scheduled, incision, closure, dice.random() ** 3, estimate,
            json.dumps(details, ensure_ascii=False), scheduled + timedelta(microseconds=dice.randrange(10**6)),
        )  # fmt: skip


@table("case_status_audit", "case_id, status, changed_by, reason")
def case_status_audit(plan: Plan) -> Rows:
    for number in range(0, plan.cases, 10):
        yield row(with_gaps(number), "requested", "anna0", "first; entered")


@table("case_staff", "case_id, staff_id, duty, hours")
def case_staff(plan: Plan) -> Rows:
    dice = plan.dice("case_staff")
    for number in range(plan.cases):
        for member in dice.sample(range(p.STAFF), number % 3):
            hours = Raw(f"{dice.randrange(1, 1200) / 100}") if number % 5 else None
            yield row(with_gaps(number), member + 1, dice.pick(["scrub", "circulating", "anaesthesia"]), hours)


@table("case_procedures", "case_id, position, procedure_code, laterality")
def case_procedures(plan: Plan) -> Rows:
    dice = plan.dice("case_procedures")
    for number in range(plan.cases):
        for position in range(number % 3):
            laterality = dice.pick(["left", "right", "both", "n/a"])
            yield row(with_gaps(number), position + 1, procedure_code(dice.below(p.PROCEDURES)), laterality)


@table("case_diagnoses", "case_id, diagnosis_code, present_on_admission")
def case_diagnoses(plan: Plan) -> Rows:
    dice = plan.dice("case_diagnoses")
    for number in range(plan.cases):
        for diagnosis in dice.sample(range(p.DIAGNOSES), 1 + number % 2):
            yield row(with_gaps(number), diagnosis_code(diagnosis), dice.random() < 0.6)


@table("schedules", "id, case_id, room_id, starts_at, reserved, confirmed_at")
def schedules(plan: Plan) -> Rows:
    dice = plan.dice("schedules")
    for number in range(plan.cases):
        starts = p.FIRST_DAY + timedelta(minutes=dice.randrange(p.DAYS * 288) * 5)
        confirmed = starts - timedelta(milliseconds=dice.randrange(10**8)) if number % 4 else None
        reserved = f"{dice.randrange(1, 30):02}:{dice.randrange(0, 60, 5):02}:00"
        yield row(number + 1, with_gaps(number), dice.below(p.ROOMS) + 1, starts, reserved, confirmed)


@table("consents", "case_id, kind, signed_at, revoked_at, witness_id, document, signature")
def consents(plan: Plan) -> Rows:
    dice = plan.dice("consents")
    for number in range(0, plan.cases, 2):
        signed = p.FIRST_DAY + timedelta(milliseconds=dice.randrange(p.DAYS * 8_640_000) * 10)
        revoked = "0000-00-00 00:00:00" if number % 30 else str((signed + timedelta(1)).replace(microsecond=0))
        document = {"version": number % 5, "text": words.sentence(dice), "🖊": "signed", "pages": [1, 2.5, None, {}]}
        signature = words.NASTY_BYTES[number // 2 % len(words.NASTY_BYTES)] + dice.randbytes(24)
        kind = dice.pick(["surgery", "anaesthesia", "blood products", "research"])
        witness = dice.below(p.STAFF) + 1 if number % 7 else None
        yield row(
            with_gaps(number), kind, signed, revoked, witness, json.dumps(document, ensure_ascii=False), signature
        )


@table("medications_given", "case_id, given_at, drug, dose, unit, rate")
def medications_given(plan: Plan) -> Rows:
    dice = plan.dice("medications_given")
    for number in range(plan.cases):
        for drug in dice.sample(words.DRUGS, number % 3):
            given = p.FIRST_DAY + timedelta(milliseconds=dice.randrange(p.DAYS * 864_000) * 100)
            dose = Raw(f"{dice.randrange(10**9) / 10**6:.6f}")
            rate = dice.expovariate(0.1) if number % 2 else None
            yield row(with_gaps(number), given, drug, dose, dice.pick(["mg", "\N{MICRO SIGN}g", "mL", "IU"]), rate)


@table("implants", "udi, case_id, serial, maker, sterile_until")
def implants(plan: Plan) -> Rows:
    dice = plan.dice("implants")
    for number in range(0, plan.cases, 8):
        ending = words.NASTY_BYTES[number // 8 % len(words.NASTY_BYTES)][:4].rjust(4, b"\x00")
        serial = words.NASTY_BYTES[number // 8 % len(words.NASTY_BYTES)] + dice.randbytes(8)
        until = "0000-00-00" if number % 5 == 0 else f"20{dice.randrange(24, 40)}-{dice.randrange(1, 13):02}-00"
        maker = f"{dice.pick(words.LATIN1_CITIES)} Médical"
        yield row(dice.randbytes(12) + ending, plan.some_case(dice), serial, maker, until)


@table("alarm_events", "case_id, raised_at, device, level, message")
def alarm_events(plan: Plan) -> Rows:
    dice = plan.dice("alarm_events")
    for number in range(plan.cases // 2):
        raised = p.FIRST_DAY + timedelta(seconds=dice.randrange(p.DAYS * 86_400))
        message = dice.pick(["low pressure", "leads off", 'it\'s "loud"', None])
        event = row(plan.some_case(dice), raised, dice.pick(words.DEVICES), dice.randrange(-1, 4), message)
        yield from [event] * (1 + number % 3)


CLINICAL = (
    cases,
    patients,
    schedules,
    consents,
    alarm_events,
    case_staff,
    case_diagnoses,
    case_procedures,
    medications_given,
    insurance_policies,
    patient_contacts,
    allergies,
    implants,
    case_status_audit,
)

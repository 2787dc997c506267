"""Sites, people, rooms, equipment, payers, code lists: the same few rows at every size."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID

from tests.demo.surgicase import plan as p
from tests.demo.surgicase import words
from tests.demo.surgicase.plan import Plan
from tests.demo.surgicase.sql import Raw, Rows, row, table


@table("specialties", "id, code, title")
def specialties(plan: Plan) -> Rows:
    for number, title in enumerate(words.SPECIALTIES):
        yield row(number, f"SP{number:03}", title)


@table("hospitals", "id, name, plate_name, location, catchment, opened")
def hospitals(plan: Plan) -> Rows:
    dice = plan.dice("hospitals")
    names = ["St. Mary's", 'The "Old" Infirmary', "Hôpital Nord", "Klinikum Süd", "Lakeview", "General\\Central"]
    for number, name in enumerate(names):
        x, y = dice.uniform(-80, -70), dice.uniform(35, 45)
        square = f"{x - 1} {y - 1},{x + 1} {y - 1},{x + 1} {y + 1},{x - 1} {y + 1},{x - 1} {y - 1}"
        area = Raw(f"ST_GeomFromText('POLYGON(({square}))')") if number % 2 else None
        yield row(number + 1, name, name, Raw(f"ST_GeomFromText('POINT({x} {y})')"), area, 1955 + number * 11)


@table("departments", "id, hospital_id, name, head_surgeon_id")
def departments(plan: Plan) -> Rows:
    for number in range(p.DEPARTMENTS):
        name = f"{words.SPECIALTIES[1 + number % 7]} {number // p.HOSPITALS + 1}"
        yield row(number + 1, number % p.HOSPITALS + 1, name, None if number % 10 == 9 else number * 2 + 1)


@table("surgeons", "id, department_id, specialty_id, npi, first_name, last_name, licensed, signature")
def surgeons(plan: Plan) -> Rows:
    dice = plan.dice("surgeons")
    for number in range(p.SURGEONS):
        signature = words.NASTY_BYTES[number % len(words.NASTY_BYTES)]
        npi = f"1{number:03}{dice.randrange(10**6):06}"
        yield row(
            number + 1, number // 2 + 1, number % 8, npi, *words.person(dice), dice.randrange(1980, 2023), signature
        )


@table("staff", "id, manager_id, department_id, full_name, role, skills, flags, hourly_rate")
def staff(plan: Plan) -> Rows:
    dice = plan.dice("staff")
    roles = ["nurse", "anaesthetist", "technician", "scrub", "porter", 'it\'s "other"']
    for number in range(p.STAFF):
        manager = None if number < 4 else dice.randrange(number) + 1
        skills = ",".join(skill for skill in ("ACLS", "PALS", "BLS", "laser", "robot") if dice.random() < 0.4)
        rate = Raw(f"{dice.randrange(1800, 16000) / 100:.2f}")
        name = " ".join(words.person(dice))
        yield row(number + 1, manager, number % p.DEPARTMENTS + 1, name, dice.pick(roles), skills, number % 256, rate)


@table("shifts", "staff_id, works_on, starts_at, length, correction")
def shifts(plan: Plan) -> Rows:
    dice = plan.dice("shifts")
    lengths = ["08:00:00", "12:30:00.500", "36:00:00", "00:00:00.001", "838:59:59"]
    corrections = ["00:00:00", "-00:15:00.000001", "-12:00:00", "01:07:03.999999"]
    for number in range(p.STAFF):
        for day in dice.sample(range(p.DAYS), 5):
            works_on = (p.FIRST_DAY + timedelta(day)).date()
            start = dice.pick(["06:00:00", "14:00:00", "22:00:00"])
            yield row(number + 1, works_on, start, dice.pick(lengths), dice.pick(corrections))


@table("users", "id, login, staff_id, password_hash, password_salt, second_factor, disabled")
def users(plan: Plan) -> Rows:
    dice = plan.dice("users")
    for number in range(p.USERS):
        login = f"{'Anna' if number % 2 else 'anna'}{number // 2}"
        password_hash = dice.randbytes(30) + (b"\x00\x00", b"  ", b"\n'")[number % 3]
        factor = dice.randbytes(20) if number % 3 else b""
        yield row(number + 1, login, number + 1, password_hash, dice.randbytes(16), factor, number % 7 == 0)


@table("user_sessions", "id, user_id, client_address, opened_at, closed_at")
def user_sessions(plan: Plan) -> Rows:
    dice = plan.dice("user_sessions")
    for number in range(1000):
        opened = p.FIRST_DAY + timedelta(seconds=dice.randrange(p.DAYS * 86_400), microseconds=dice.randrange(10**6))
        closed = None if number % 9 == 0 else opened.replace(microsecond=0) + timedelta(seconds=dice.randrange(30_000))
        address = f"2001:db8::{dice.randrange(1, 0xFFFF):x}" if number % 2 else f"::ffff:192.0.2.{number % 250}"
        yield row(str(UUID(int=dice.getrandbits(128), version=4)), dice.below(p.USERS) + 1, address, opened, closed)


@table("rooms", "id, hospital_id, code, kind, fitted_with, floor, area_m2")
def rooms(plan: Plan) -> Rows:
    dice = plan.dice("rooms")
    for number in range(p.ROOMS):
        kind = ("operating", "operating", "recovery", "hybrid", "scope")[number % 5]
        fitted = ",".join(dice.sample(["laminar flow", "C-arm", "laser", "robot", "microscope"], number % 4))
        area = Raw(f"{dice.randrange(1500, 9000) / 100}")
        yield row(number + 1, number % p.HOSPITALS + 1, f"OR-{number:02}", kind, fitted, number % 7 - 2, area)


@table("equipment", "id, parent_id, room_id, asset_tag, name, specification, price")
def equipment(plan: Plan) -> Rows:
    dice = plan.dice("equipment")
    for number in range(p.EQUIPMENT):
        specification = {
            "maker": dice.pick(["Ziegler & Söhne", 'Acme "Med"', "東京医科", "O'Hara"]),
            "serial": dice.randrange(10**9),
            "volts": [110, 230],
            "calibration": {"offset": dice.random(), "path": "C:\\cal\\x.txt", "ok": True, "by": None},
        }
        text = json.dumps(specification, ensure_ascii=False)
        tag = None if number % 3 == 0 else f"EQ-{number:05}"
        parent = number // 8 * 8 + 1 if number % 8 else None
        name = f"{words.DEVICES[number % len(words.DEVICES)]} {number}"
        price = Raw(f"{dice.randrange(10**9) / 100:.2f}")
        yield row(number + 1, parent, dice.below(p.ROOMS) + 1 if number % 5 else None, tag, name, text, price)


@table("equipment_checks", "equipment_id, checked_on, next_due, took, reading")
def equipment_checks(plan: Plan) -> Rows:
    dice = plan.dice("equipment_checks")
    readings = [0.1 + 0.2, 1e308, 5e-324, -1.7976931348623157e308, 2.2250738585072014e-308, 1 / 3, 123456789.123456789]
    for number in range(p.EQUIPMENT):
        for day in dice.sample(range(p.DAYS), 4):
            checked = (p.FIRST_DAY + timedelta(day)).date()
            due = "0000-00-00" if dice.random() < 0.2 else str(checked + timedelta(365))
            reading = dice.pick(readings) if dice.random() < 0.3 else dice.gauss(0, 1)
            yield row(number + 1, checked, due, f"00:{dice.randrange(60):02}:{dice.randrange(60):02}.250", reading)


@table("suppliers", "id, name, city, terms")
def suppliers(plan: Plan) -> Rows:
    dice = plan.dice("suppliers")
    for number in range(p.SUPPLIERS):
        city = dice.pick(words.LATIN1_CITIES)
        yield row(number + 1, f"Médica {number} & Cº", city, '30 days; 2 % off\n-- "net" isn\'t gross')


@table("insurers", "id, name, balance_cents")
def insurers(plan: Plan) -> Rows:
    for number in range(p.INSURERS):
        yield row(number + 1, f"{words.LAST_NAMES[number * 7]} Mutual", 100_000_000)


@table("procedure_codes", "code, title, relative_value, minutes")
def procedure_codes(plan: Plan) -> Rows:
    dice = plan.dice("procedure_codes")
    for number in range(p.PROCEDURES):
        title = f"{words.PROCEDURE_KINDS[number % 7]} {words.SITES[number % len(words.SITES)]}"
        yield row(procedure_code(number), title, Raw(f"{dice.randrange(500_000) / 10_000}"), dice.randrange(15, 600))


@table("diagnosis_codes", "code, title, guidance")
def diagnosis_codes(plan: Plan) -> Rows:
    dice = plan.dice("diagnosis_codes")
    for number in range(p.DIAGNOSES):
        title = f"{words.DIAGNOSIS_KINDS[number % 7]} {words.SITES[number % len(words.SITES)]}"
        yield row(diagnosis_code(number), title, " ".join(words.sentence(dice) for _ in range(4)))


def procedure_code(number: int) -> str:
    return f"{27_000 + number * 13}"


def diagnosis_code(number: int) -> str:
    return f"{'CDEKMNST'[number % 8]}{number % 100:02}.{number // 100}{number % 10}"


ORGANISATION = (
    specialties,
    hospitals,
    departments,
    surgeons,
    staff,
    shifts,
    users,
    user_sessions,
    rooms,
    equipment,
    equipment_checks,
    suppliers,
    insurers,
    procedure_codes,
    diagnosis_codes,
)

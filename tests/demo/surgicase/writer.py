"""Changes the demo database all the time, as the clinic would while a backup runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from pymysql.cursors import Cursor
from pymysql.err import OperationalError

from tests.demo.surgicase.plan import INSURERS, ROOMS, STAFF, SUPPLIES, SURGEONS, Dice
from tests.demo.surgicase.server import Connect, flavour_of, session
from tests.demo.surgicase.words import note

LOCK_WAIT_TIMEOUT, DEADLOCK, RECORD_CHANGED = 1205, 1213, 1020


class Clinic:
    """The transactions. Each leaves the invariants true: see ``invoices.total`` and ``insurers.balance_cents``."""

    def __init__(self, cursor: Cursor, has_sequence: bool) -> None:
        self.cursor = cursor
        self.dice = Dice()
        self.has_sequence = has_sequence
        self.cases, self.patients = self.highest("cases"), self.highest("patients")
        self.invoices, self.vitals = self.highest("invoices"), self.highest("vitals")
        self.notes = [note(self.dice) for _ in range(20)]

    def highest(self, table: str) -> int:
        self.cursor.execute(f"SELECT MAX(id) FROM {table}")
        [[highest]] = self.cursor.fetchall()
        return int(highest)

    def some(self, highest: int) -> int:
        """An id up to ``highest``; thanks to the gaps there may be no such row."""
        return self.dice.randrange(highest) + 1

    def register_patient(self) -> None:
        mrn = "next_mrn()" if self.has_sequence else f"'{self.dice.getrandbits(40):010x}'"
        self.cursor.execute(
            f"INSERT INTO patients (mrn, ssn, first_name, last_name, born_on, address, registered_at) VALUES ({mrn}, "
            f"'900-00-0000', 'Zoë', 'O''Writer', '1980-00-00', 'somewhere; else', NOW(3))"
        )
        patient = self.cursor.lastrowid
        self.cursor.execute(
            f"INSERT INTO patient_contacts VALUES ({patient}, 'mobile', '+1 555 {self.dice.below(10**7)}')"
        )

    def open_case(self) -> None:
        self.cursor.execute(
            "INSERT INTO cases "
            "(case_number, patient_id, surgeon_id, procedure_code, scheduled_at, risk, estimate, details) "
            f"SELECT 'W{self.dice.getrandbits(44):011X}', id, {self.some(SURGEONS)}, '27000', NOW(), 0.1, 1000, '{{}}' "
            f"FROM patients WHERE id >= {self.some(self.patients)} ORDER BY id LIMIT 1"
        )
        case = self.cursor.lastrowid
        self.cursor.execute(
            "INSERT INTO schedules (case_id, room_id, starts_at, reserved) "
            f"VALUES ({case}, {self.some(ROOMS)}, NOW(), '2:00')"
        )
        self.cursor.execute(f"INSERT INTO case_status_audit VALUES ({case}, 'requested', 'writer', NULL)")

    def advance_case(self) -> None:
        status = self.dice.pick(["scheduled", "in progress", "closed", "cancelled"])
        self.cursor.execute(f"UPDATE cases SET status = '{status}' WHERE id = {self.some(self.cases)}")

    def record_vitals(self) -> None:
        values = [f"({self.some(self.cases)}, NOW(3), {self.dice.randrange(50, 120)}, 97, 36.6)" for _ in range(5)]
        self.cursor.execute(
            f"INSERT INTO vitals (case_id, recorded_at, heart_rate, saturation, temperature) VALUES {','.join(values)}"
        )
        self.cursor.execute(f"DELETE FROM vitals WHERE id = {self.some(self.vitals)}")

    def write_note(self) -> None:
        self.cursor.execute(
            "INSERT INTO clinical_notes (case_id, author_id, kind, written_at, body) "
            f"SELECT id, {self.some(STAFF)}, 'post-op', NOW(6), %s FROM cases "
            f"WHERE id >= {self.some(self.cases)} ORDER BY id LIMIT 1",
            (self.dice.pick(self.notes),),
        )
        self.cursor.execute(f"UPDATE clinical_notes SET tags = 'amended' WHERE id = {self.cursor.lastrowid - 5}")

    def bill(self) -> None:
        invoice, amount = self.some(self.invoices), self.dice.randrange(1, 1000)
        self.cursor.execute(f"SELECT line_count FROM invoices WHERE id = {invoice} FOR UPDATE")
        for (lines,) in self.cursor.fetchall():
            self.cursor.execute(
                "INSERT INTO invoice_lines (invoice_id, line, text, quantity, unit_price) "
                f"VALUES ({invoice}, {lines + 1}, 'late', 1, {amount})"
            )
            self.cursor.execute(
                f"UPDATE invoices SET line_count = line_count + 1, total = total + {amount} WHERE id = {invoice}"
            )

    def move_money(self) -> None:
        payer, payee = self.dice.sample(range(1, INSURERS + 1), 2)
        cents = self.dice.randrange(10_000)
        self.cursor.execute(f"UPDATE insurers SET balance_cents = balance_cents - {cents} WHERE id = {payer}")
        self.cursor.execute(f"UPDATE insurers SET balance_cents = balance_cents + {cents} WHERE id = {payee}")

    def use_supplies(self) -> None:
        supply = self.some(SUPPLIES)
        self.cursor.execute(f"UPDATE supplies SET stock = stock - 1 WHERE id = {supply}")
        self.cursor.execute(
            "INSERT INTO supply_usage (supply_id, case_id, quantity, used_at) "
            f"SELECT {supply}, id, 1, NOW() FROM cases WHERE id >= {self.some(self.cases)} ORDER BY id LIMIT 1"
        )

    def raise_alarm(self) -> None:
        event = f"({self.some(self.cases)}, NOW(), 'monitor', 1, 'twice')"
        self.cursor.execute(f"INSERT INTO alarm_events VALUES {event}, {event}")
        self.cursor.execute(f"DELETE FROM alarm_events WHERE case_id = {self.some(self.cases)}")

    def transactions(self) -> list[Callable[[], None]]:
        return [
            self.register_patient,
            self.open_case,
            self.advance_case,
            self.record_vitals,
            self.write_note,
            self.bill,
            self.move_money,
            self.use_supplies,
            self.raise_alarm,
        ]


def writer(connect: Connect, database: str, stop: Event, rate: float | None = None) -> int:
    """Runs small transactions over 14 tables until ``stop`` is set, no DDL; returns how many were committed.

    A transaction that lost a deadlock or waited too long for a lock is rolled back and tried anew. Any number of
    writers may work at the same time.

    :param rate: transactions per second; None is as many as one connection can do.
    :raises pymysql.err.MySQLError: anything else went wrong.
    """
    done = 0
    with session(connect, database) as cursor:
        cursor.execute("SET SESSION foreign_key_checks = 1, unique_checks = 1, autocommit = 0")
        clinic = Clinic(cursor, has_sequence=flavour_of(connect) == "mariadb")
        cursor.execute("COMMIT")
        transactions = clinic.transactions()
        began = time.monotonic()
        while not stop.is_set():
            try:
                transactions[done % len(transactions)]()
                cursor.execute("COMMIT")
            except OperationalError as error:
                if error.args[0] not in (LOCK_WAIT_TIMEOUT, DEADLOCK, RECORD_CHANGED):
                    raise
                cursor.execute("ROLLBACK")
                continue
            done += 1
            if rate:
                stop.wait(max(0.0, began + done / rate - time.monotonic()))
    return done

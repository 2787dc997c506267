"""How many rows each table gets, and which keys they have: everything that follows from size and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import TypeVar

T = TypeVar("T")

CANARY = "CANARY-7f3a91c4e05d4b62"
"""Stands in rows of ``patients`` and ``clinical_notes`` and nowhere else: to be searched for where it must not be."""

FIRST_DAY = datetime(2023, 3, 1, 6, 0)
DAYS = 1000
"""Everything happened on these days after FIRST_DAY, in UTC."""

HOSPITALS, DEPARTMENTS, SURGEONS, STAFF, USERS, ROOMS, EQUIPMENT = 6, 30, 60, 400, 300, 48, 240
SUPPLIERS, SUPPLIES, INSURERS, PROCEDURES, DIAGNOSES = 25, 500, 12, 120, 300

FIXED_MB = 2.5
"""What the tables take that are the same at every size."""


class Dice(Random):
    """Adds two draws that are several times as fast as ``choice`` and ``randrange``, and good enough here."""

    def pick(self, pool: Sequence[T]) -> T:
        return pool[int(self.random() * len(pool))]

    def below(self, limit: int) -> int:
        return int(self.random() * limit)


@dataclass(frozen=True)
class Plan:
    """Row counts for a size in MB (10^6 bytes of InnoDB ``data_length``), and the seed."""

    size_mb: int
    seed: int

    def dice(self, name: str) -> Dice:
        """One of its own for each table, so that tables can be filled in any order."""
        return Dice(f"{self.seed}/{name}")

    def scaled(self, per_mb: float) -> int:
        return round((self.size_mb - FIXED_MB) * per_mb)

    @property
    def patients(self) -> int:
        return self.scaled(95)

    @property
    def cases(self) -> int:
        return self.scaled(190)

    @property
    def notes(self) -> int:
        return self.scaled(65)

    @property
    def image_bytes(self) -> int:
        return self.scaled(170_000)

    @property
    def vitals(self) -> int:
        return self.scaled(3700)

    @property
    def audits(self) -> int:
        return self.scaled(550)

    @property
    def lab_results(self) -> int:
        return self.scaled(230)

    @property
    def invoices(self) -> int:
        return self.scaled(80)

    def some_patient(self, dice: Dice) -> int:
        return with_gaps(dice.below(self.patients))

    def some_case(self, dice: Dice) -> int:
        return with_gaps(dice.below(self.cases))


def with_gaps(index: int) -> int:
    """AUTO_INCREMENT value of the index-th row: as if every 51st had been rolled back."""
    return 1 + index + index // 50


def invoice_lines(index: int) -> list[tuple[int, int]]:
    """Quantity and unit price in cents of each line of the index-th invoice."""
    return [
        (1 + (index * 7 + line * 3) % 5, 1_000 + (index * 7_919 + line * 104_729) % 900_000)
        for line in range(1 + index % 6)
    ]

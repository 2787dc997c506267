"""A SurgiCase-like demo database: synthetic, deterministic, any size, with everything that makes dumps difficult.

``generate`` makes it, ``writer`` keeps changing it, ``CANARY`` marks row data that must never appear elsewhere.
"""

from __future__ import annotations

from tests.demo.surgicase.generate import generate
from tests.demo.surgicase.plan import CANARY
from tests.demo.surgicase.server import Connect, Flavour, connector, flavour_of
from tests.demo.surgicase.writer import writer

__all__ = ["CANARY", "Connect", "Flavour", "connector", "flavour_of", "generate", "writer"]

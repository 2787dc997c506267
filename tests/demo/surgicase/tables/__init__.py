"""Rows of the 45 tables, in the groups of the schema files."""

from __future__ import annotations

from tests.demo.surgicase.tables.bulk import BULK
from tests.demo.surgicase.tables.clinical import CLINICAL
from tests.demo.surgicase.tables.logistics import LOGISTICS
from tests.demo.surgicase.tables.odd import ODD
from tests.demo.surgicase.tables.organisation import ORGANISATION

TABLES = (*BULK, *CLINICAL, *LOGISTICS, *ORGANISATION, *ODD)
"""All tables that get rows, the longest to load first."""

__all__ = ["TABLES"]

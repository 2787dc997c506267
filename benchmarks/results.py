"""What was measured, as it is kept beside the report: a run of other shapes adds to it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from benchmarks.contestants import Kind
from benchmarks.product import Told
from benchmarks.shapes import SHAPES
from include.backup_engine.records import Flavour


class Sample(BaseModel):
    """One run of one contestant.

    :param problem: why it does not count; empty when it does.
    :param incomplete: what is missing from its result, although its figures count.
    :param memory: bytes; ``server_written``: bytes that the database server wrote to its disk.
    :param stored: bytes in the bucket afterwards.
    :param told: what the product says about it.
    """

    wall: float
    client_cpu: float
    server_cpu: float
    sink_cpu: float
    memory: int
    server_written: int = 0
    stored: int = 0
    told: Told | None = None
    problem: str = ""
    incomplete: str = ""


class Row(BaseModel):
    """A contestant's runs, one for each round.

    :param absent: why it has none.
    """

    name: str
    kind: Kind
    remark: str = ""
    absent: str = ""
    samples: list[Sample] = []

    @property
    def good(self) -> list[Sample]:
        """Those that count."""
        return [sample for sample in self.samples if not sample.problem]


class Share(BaseModel):
    """One step of a backup or of a restore, measured alone.

    :param client_cpu: processor seconds here; ``server_cpu``: on the database server.
    """

    name: str
    client_cpu: float
    server_cpu: float = 0.0


class Section(BaseModel):
    """One shape at one size on one flavour of server.

    :param version: of the server, with its name.
    :param sql_bytes: of the dump.
    """

    server: Flavour
    version: str
    shape: str
    size_mb: int
    tables: int
    sql_bytes: int
    began: str
    backup: list[Row] = []
    restore: list[Row] = []
    profile: list[Share] = []
    profile_of_restore: list[Share] = []


class Point(BaseModel):
    """The product at one size of surgicase on one flavour of server."""

    server: Flavour
    size_mb: int
    sql_bytes: int
    backup: list[Sample] = []
    restore: list[Sample] = []


class Results(BaseModel):
    """All of it."""

    machine: str = ""
    sections: list[Section] = []
    scaling: list[Point] = []
    airflow: dict[str, float] = {}

    def put(self, section: Section) -> None:
        """Add a section, or replace the one of that shape and server."""
        others = [kept for kept in self.sections if (kept.server, kept.shape) != (section.server, section.shape)]
        self.sections = sorted([*others, section], key=lambda one: (tuple(SHAPES).index(one.shape), one.server))


def load(file: Path) -> Results:
    """What an earlier run has left, or nothing."""
    return Results.model_validate_json(file.read_text()) if file.exists() else Results()

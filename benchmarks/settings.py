"""What a run measures: read from the environment, so that `make bench BENCH_SIZE_MB=64` works."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchmarks.contestants import PEERS, SERVER_NAMES
from benchmarks.shapes import SHAPES
from include.backup_engine.records import Flavour
from tests.servers.processes import ROOT

Word = TypeVar("Word", bound=str)
PARTS = ("backup", "restore", "profile", "scaling", "airflow")


@dataclass(frozen=True)
class Settings:
    """One run.

    :param size_mb: size of each shape's data in 10^6 bytes.
    :param servers: the flavours of server, one after the other.
    :param peers: which peers take part; the product and the floors always do.
    :param rounds: how often each contestant runs.
    :param scaling_mb: sizes at which the cost per GB is measured, in 10^6 bytes.
    :param parts: which of :data:`PARTS` are measured.
    :param output: folder of the report.
    :param folder: keeps the shapes' data from one run to the next.
    """

    size_mb: int
    rounds: int
    servers: tuple[Flavour, ...]
    peers: tuple[str, ...]
    shapes: tuple[str, ...]
    scaling_mb: tuple[int, ...]
    parts: tuple[str, ...]
    output: Path
    folder: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """From the variables ``BENCH_...``; README.md lists them.

        :raises ValueError: a value that is not understood.
        """

        def words(name: str, default: str, allowed: tuple[Word, ...]) -> tuple[Word, ...]:
            given = environment.get(name, default)
            chosen = set(allowed) if given == "all" else set(given.replace(",", " ").split())
            if unknown := chosen - set(allowed):
                raise ValueError(f"{name}: {', '.join(sorted(unknown))} is none of: {', '.join(allowed)}, all")
            return tuple(word for word in allowed if word in chosen)

        return cls(
            size_mb=int(environment.get("BENCH_SIZE_MB", "2048")),
            rounds=int(environment.get("BENCH_ROUNDS", "5")),
            servers=words("BENCH_SERVERS", "all", tuple(SERVER_NAMES)),
            peers=words("BENCH_PEERS", "all", PEERS),
            shapes=words("BENCH_SHAPES", "surgicase", tuple(SHAPES)),
            scaling_mb=tuple(map(int, environment.get("BENCH_SCALING_MB", "64,256,1024").replace(",", " ").split())),
            parts=words("BENCH_PARTS", "all", PARTS),
            output=Path(environment.get("BENCH_OUTPUT", ROOT / "benchmarks")).absolute(),
            folder=Path(environment.get("BENCH_FOLDER", ROOT / ".run" / "bench")).absolute(),
        )

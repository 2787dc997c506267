"""What a run measures: read from the environment, so that `make bench BENCH_SIZE_MB=64` works."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.shapes import SHAPES
from tests.servers.processes import ROOT

PARTS = ("backup", "restore", "profile", "scaling", "airflow")


@dataclass(frozen=True)
class Settings:
    """One run.

    :param size_mb: size of each shape's data in 10^6 bytes.
    :param rounds: how often each contestant runs.
    :param scaling_mb: sizes at which the cost per GB is measured, in 10^6 bytes.
    :param parts: which of :data:`PARTS` are measured.
    :param output: folder of the report.
    :param folder: keeps the shapes' data from one run to the next.
    """

    size_mb: int
    rounds: int
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

        def words(name: str, default: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
            given = environment.get(name, default)
            chosen = allowed if given == "all" else tuple(given.replace(",", " ").split())
            if unknown := set(chosen) - set(allowed):
                raise ValueError(f"{name}: {', '.join(sorted(unknown))} is none of: {', '.join(allowed)}, all")
            return chosen

        return cls(
            size_mb=int(environment.get("BENCH_SIZE_MB", "2048")),
            rounds=int(environment.get("BENCH_ROUNDS", "5")),
            shapes=words("BENCH_SHAPES", "surgicase", tuple(SHAPES)),
            scaling_mb=tuple(map(int, environment.get("BENCH_SCALING_MB", "64,256,1024").replace(",", " ").split())),
            parts=words("BENCH_PARTS", "all", PARTS),
            output=Path(environment.get("BENCH_OUTPUT", ROOT / "benchmarks")).absolute(),
            folder=Path(environment.get("BENCH_FOLDER", ROOT / ".run" / "bench")).absolute(),
        )

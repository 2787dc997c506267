"""How long a run will take, roughly: said before it begins, so that nobody learns it by waiting."""

from __future__ import annotations

from benchmarks.contestants import BACKUPS, RESTORES, Contestant
from benchmarks.settings import Settings
from benchmarks.shapes import SMALL_TABLES

_START = 4.0
_STAGE = 30.0
_AIRFLOW = 60.0
"""Seconds: of a contestant's interpreters and of letting the servers rest; of starting servers; of Airflow's part."""

_GENERATION = 0.2
_BACKUP = 0.015
_RESTORE = 0.04
"""Seconds by MB of data, of an average contestant on two cores."""

_TABLE = {"generation": 0.03, "backup": 0.005, "restore": 0.02}
"""Seconds by table of the shape ``small``."""


def estimate(settings: Settings) -> str:
    """One line: minutes, and what they are for."""
    seconds: dict[str, float] = {}
    for server in settings.servers:
        if {"backup", "restore"} & set(settings.parts):
            for shape in settings.shapes:
                made, each = _shape(settings, shape)
                exists = (settings.folder / f"{server}-{shape}-{settings.size_mb}" / "complete").exists()
                seconds["making data"] = seconds.get("making data", 0.0) + (0.0 if exists else made)
                seconds["rounds"] = seconds.get("rounds", 0.0) + _STAGE + settings.rounds * each
        if "scaling" in settings.parts:
            for size_mb in settings.scaling_mb:
                if not (settings.folder / f"{server}-surgicase-{size_mb}" / "complete").exists():
                    seconds["making data"] = seconds.get("making data", 0.0) + size_mb * _GENERATION
                each = 2 * _START + size_mb * (_BACKUP + _RESTORE)
                seconds["scaling"] = seconds.get("scaling", 0.0) + _STAGE + settings.rounds * each
    if "airflow" in settings.parts:
        seconds["Airflow"] = _AIRFLOW
    parts = ", ".join(f"{name} {value / 60:.0f}" for name, value in seconds.items())
    return f"This takes about {sum(seconds.values()) / 60:.0f} min on two cores: {parts}"


def _shape(settings: Settings, shape: str) -> tuple[float, float]:
    """Seconds for making a shape's data, and for each round of it."""
    backups = [one for one in BACKUPS if _chosen(one, settings)]
    restores = [one for one in RESTORES if "restore" in settings.parts and _chosen(one, settings)]
    if shape == "small":
        made, backup, restore = (SMALL_TABLES * _TABLE[name] for name in ("generation", "backup", "restore"))
    else:
        made, backup, restore = (settings.size_mb * rate for rate in (_GENERATION, _BACKUP, _RESTORE))
    return made, len(backups) * (_START + backup) + len(restores) * (_START + restore)


def _chosen(contestant: Contestant, settings: Settings) -> bool:
    return not contestant.peer or contestant.peer in settings.peers

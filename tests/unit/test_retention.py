"""The rules of retention on random histories: clock skew, gaps, several a day, locks, broken and undrilled backups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from include.backup_engine.anomalies import Measures
from include.backup_engine.names import BackupName
from include.backup_engine.policy import RetentionPolicy
from include.backup_engine.retention import RetentionPlan, Surveyed, decide, decide_safety
from include.backup_engine.store.catalog import Entry, State
from include.backup_engine.store.s3 import UnfinishedUpload

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
GAP = timedelta(hours=26)
DAY = timedelta(days=1)
RULES = RetentionPolicy(daily=2, weekly=0, monthly=0, yearly=0, minimum=1)


def backup(
    age: timedelta,
    *,
    state: State = "complete",
    skew: timedelta = timedelta(minutes=-20),
    size: int = 100,
    rows: int = 1000,
    verified: bool = True,
    drilled: bool = False,
    unproven: str | None = None,
) -> Surveyed:
    """A backup named ``age`` before NOW; ``skew`` is how far its name is ahead of S3's clock."""
    name = BackupName(NOW - age)
    entry = Entry(
        name, "s", f"p/s/{name.object_name}", size, name.taken_at - skew, state,
        None if state == "complete" else f"It is {state}.",
    )  # fmt: skip
    measures = Measures(
        compression="gzip", size=size, sql_bytes=0, compressed_bytes=0, tables=["t"], rows={"t": rows}, ratios={},
        excluded=[],
    )  # fmt: skip
    return Surveyed(entry, unproven, name.stem, measures, "v", verified, drilled)


def plan(
    backups: Sequence[Surveyed], rules: RetentionPolicy = RULES, held: frozenset[str] = frozenset()
) -> RetentionPlan:
    return decide("s", backups, [], rules, GAP, NOW, lambda found: "held" if found.label in held else None)


# Random histories -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class History:
    backups: tuple[Surveyed, ...]
    rules: RetentionPolicy
    held: frozenset[str]

    def plan(self) -> RetentionPlan:
        return plan(self.backups, self.rules, self.held)

    @property
    def counted(self) -> list[Surveyed]:
        """What counts, newest first; told here by the definition, not by the code."""
        good = [
            found
            for found in self.backups
            if found.entry.state == "complete"
            and found.unproven is None
            and found.taken_at <= found.entry.stored_at + timedelta(minutes=15)
        ]
        return sorted(good, key=lambda found: found.taken_at, reverse=True)


def history(seed: int) -> History:
    """A random history; left to itself, hypothesis prefers tiny ones, of which nothing may be deleted."""
    rng = Random(seed)
    calm = rng.random() < 0.7  # tonight's backup is good, and sizes are as usual: something may be deleted
    widest = rng.choice([14, 90, 3000])
    ages = {rng.randint(30, widest * 1440) for _ in range(rng.randint(0, 60))}
    usual = (90, 110) if calm else (0, 400)
    good: list[State] = ["complete"] * 9
    made = [
        backup(
            timedelta(minutes=age),
            state=rng.choice([*good, "incomplete", "unreadable", "unknown_format"]),
            skew=timedelta(minutes=rng.choice([*[-20] * 9, 10, 60, 100_000])),
            size=rng.randint(*usual),
            rows=rng.randint(*usual),
            verified=rng.random() < 0.5,
            drilled=rng.random() < 0.2,
            unproven=rng.choice([*[None] * 9, "It is forged."]),
        )
        for age in ages
    ]
    if calm:
        made.append(backup(timedelta(seconds=1), rows=100))
    rng.shuffle(made)
    numbers = {kind: rng.randint(0, 6) for kind in ("daily", "weekly", "monthly", "yearly")}
    held = frozenset(found.label for found in made if rng.random() < 0.1)
    return History(tuple(made), RetentionPolicy(**numbers, minimum=rng.randint(1, 5)), held)


histories = st.integers(0, 2**32).map(history)


def test_the_random_histories_are_worth_their_name() -> None:
    plans = [history(seed).plan() for seed in range(300)]
    assert sum(bool(made.of("delete")) for made in plans) > 100
    assert sum(bool(made.blocked) for made in plans) > 60


def _periods(found: Surveyed) -> dict[str, object]:
    day = found.taken_at
    return {
        "daily": day.date(),
        "weekly": tuple(day.isocalendar())[:2],
        "monthly": (day.year, day.month),
        "yearly": day.year,
    }


@settings(max_examples=600, deadline=None)
@given(histories)
def test_p16_what_must_never_go_stays(history: History) -> None:
    made, counted = history.plan(), history.counted
    gone = {decision.name for decision in made.of("delete")}
    event("deletes" if gone else "deletes nothing")
    assert {decision.name for decision in made.decisions} == {found.label for found in history.backups}
    assert not gone & history.held
    assert not gone & {found.label for found in counted[: history.rules.minimum]}
    drilled = [found for found in counted if found.drilled]
    for found in history.backups:
        if found.label in gone:
            # Only what counts, or a leftover; and never without a newer backup that a drill has proved.
            leftover = found.entry.state == "incomplete" and NOW - found.entry.stored_at > timedelta(days=2)
            assert found in counted or leftover
            assert any(proof.taken_at > found.taken_at for proof in drilled)
    assert not drilled or drilled[0].label not in gone


@settings(max_examples=600, deadline=None)
@given(histories)
def test_p16_nothing_goes_while_the_newest_is_missing_unverified_or_abnormal(history: History) -> None:
    made, counted = history.plan(), history.counted
    before = counted[1:8]
    bad = (
        not counted
        or NOW - counted[0].taken_at > GAP
        or not counted[0].verified
        or any(
            values
            and not (0.8 <= newest / usual <= 2 if (usual := _median(values)) else newest == 0)
            for newest, values in (
                (counted[0].entry.size or 0, [found.entry.size or 0 for found in before]),
                (_rows(counted[0]), [_rows(found) for found in before]),
            )
        )
    )  # fmt: skip
    event("blocked" if made.blocked else "not blocked")
    if bad:
        assert made.blocked
    if made.blocked:
        assert made.of("delete") == []
        assert made.lines()[-1].startswith("Nothing may be deleted: ")


def _rows(found: Surveyed) -> int:
    assert found.measures
    return found.measures.rows["t"]


def _median(values: Sequence[int]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


@settings(max_examples=600, deadline=None)
@given(histories)
def test_the_slots_stay_covered_and_what_nothing_wants_goes(history: History) -> None:
    made, counted = history.plan(), history.counted
    gone = {decision.name for decision in made.of("delete")}
    kept = [found for found in counted if found.label not in gone]
    wanted = {found.label for found in counted[: history.rules.minimum]}
    for kind in ("daily", "weekly", "monthly", "yearly"):
        number = getattr(history.rules, kind)
        periods = list(dict.fromkeys(_periods(found)[kind] for found in counted))[:number]
        for period in periods:
            newest = next(found for found in counted if _periods(found)[kind] == period)
            assert newest in kept
            wanted.add(newest.label)
    if not made.blocked:
        proof = max((found.taken_at for found in counted if found.drilled), default=datetime.min.replace(tzinfo=UTC))
        superfluous = {found.label for found in counted if found.taken_at < proof} - wanted - history.held
        assert gone & {found.label for found in counted} == superfluous


@settings(max_examples=600, deadline=None)
@given(histories)
def test_a_second_plan_after_the_first_is_applied_deletes_nothing(history: History) -> None:
    first = history.plan()
    gone = {decision.name for decision in first.of("delete")}
    left = replace(history, backups=tuple(found for found in history.backups if found.label not in gone))
    second = left.plan()
    assert second.of("delete") == []
    assert [decision.key for decision in second.of("keep")] == [decision.key for decision in first.of("keep")]


@settings(max_examples=200, deadline=None)
@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_the_list_does_not_matter(history: History, random: Random) -> None:
    shuffled = list(history.backups)
    random.shuffle(shuffled)
    assert replace(history, backups=tuple(shuffled)).plan() == history.plan()


@settings(max_examples=600, deadline=None)
@given(histories, histories, st.integers(35, 400))
def test_only_old_safety_backups_go_and_the_newest_never(main: History, safety: History, days: int) -> None:
    main_plan = main.plan()
    made = safety_plan(main_plan, safety, days)
    event("blocked" if made.blocked else "deletes" if made.of("delete") else "deletes nothing")
    assert bool(made.blocked) == bool(main_plan.blocked)
    gone = {decision.name for decision in made.of("delete")}
    assert len(made.decisions) == len(safety.backups)
    assert not (main_plan.blocked and gone)
    assert not gone & safety.held
    counted = safety.counted
    for kept in (counted[:1], [found for found in counted if found.verified][:1]):
        assert not gone & {found.label for found in kept}
    for found in safety.backups:
        old = NOW - found.taken_at > timedelta(days=days) and NOW - found.entry.stored_at > timedelta(days=days)
        if found.label in gone:
            assert old
            assert found in counted or found.entry.state == "incomplete"
            assert counted[0].taken_at > found.taken_at
        elif found in counted[1:] and old and not main_plan.blocked and found.label not in safety.held:
            assert found is next(found for found in counted if found.verified)
    left = tuple(found for found in safety.backups if found.label not in gone)
    assert safety_plan(main_plan, replace(safety, backups=left), days).of("delete") == []


def safety_plan(main: RetentionPlan, safety: History, days: int) -> RetentionPlan:
    rules = RULES.model_copy(update={"safety_days": days})
    return decide_safety(main, safety.backups, [], rules, lambda found: "held" if found.label in safety.held else None)


def test_the_random_safety_backups_are_worth_their_name() -> None:
    plans = [safety_plan(history(seed).plan(), history(seed + 1000), 90) for seed in range(300)]
    assert sum(bool(made.of("delete")) for made in plans) > 60


# One rule at a time -----------------------------------------------------------------------------------------


def series(number: int, **newest: object) -> list[Surveyed]:
    """One backup a day, the one of yesterday drilled; ``newest`` changes tonight's."""
    made = [backup(number_of * DAY, drilled=number_of == 1) for number_of in range(number)]
    return [backup(timedelta(), **newest), *made[1:]]  # type: ignore[arg-type]  # arguments of backup


def test_daily_slots_minimum_and_proof() -> None:
    made = plan(series(6))
    assert made.blocked is None
    assert [decision.action for decision in made.decisions] == ["keep", "keep", "delete", "delete", "delete", "delete"]
    assert made.decisions[0].reason == "daily 2026-11-24, one of the newest 1"
    assert made.decisions[5].reason == (
        "no slot is left for it; db_backup_20261123_030000 is newer and has passed a drill"
    )


def test_the_plan_for_people() -> None:
    made = decide(
        "s", [*series(3), backup(9 * DAY, state="incomplete"), backup(4 * DAY, state="unreadable")],
        [UnfinishedUpload("p/s/x", "id", NOW - 3 * DAY), UnfinishedUpload("p/s/y", "id", NOW - DAY)],
        RULES, GAP, NOW, lambda found: None,
    )  # fmt: skip
    assert made.lines() == [
        "keep    db_backup_20261124_030000          100 B  daily 2026-11-24, one of the newest 1",
        "keep    db_backup_20261123_030000          100 B  daily 2026-11-23",
        "delete  db_backup_20261122_030000          100 B  no slot is left for it; db_backup_20261123_030000 is newer"
        " and has passed a drill",
        "ignore  db_backup_20261120_030000          100 B  It is unreadable.",
        "delete  db_backup_20261115_030000          100 B  left by a killed attempt (no sidecar);"
        " db_backup_20261123_030000 is newer and has passed a drill",
        "abort   upload of p/s/x, began 2026-11-21 03:00",
        "Retention of s: keep 2, delete 2, ignore 1, abort 1 uploads",
    ]


def test_it_survives_json() -> None:
    made = plan(series(4))
    assert RetentionPlan.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    ("backups", "told"),
    [
        ([], "no backup that counts"),
        ([backup(DAY, state="unreadable")], "no backup that counts"),
        ([backup(timedelta(hours=27)), backup(40 * DAY)], "is 27 h old; one is missing"),
        (series(9, verified=False), "no evidence says"),
        (series(9, size=201), "it has 201 bytes, and the median of the 7 before it is 100"),
        (series(9, size=79), "abnormal"),
        (series(9, rows=2001), "2,001 rows"),
        (series(9, rows=799), "799 rows"),
        (series(2, rows=0), "the median of the 1 before it is 1,000"),
        (series(9, state="incomplete"), "does not count: It is incomplete"),
        (series(9, state="unknown_format"), "does not count"),
        (series(9, unproven="It is forged."), "does not count: It is forged"),
    ],
)
def test_what_blocks_everything(backups: list[Surveyed], told: str) -> None:
    made = plan(backups)
    assert told in str(made.blocked)
    assert made.of("delete") == []


@pytest.mark.parametrize("newest", [{"size": 200}, {"size": 80}, {"rows": 2000}, {"rows": 800}])
def test_twice_as_much_and_a_fifth_less_are_still_normal(newest: dict[str, int]) -> None:
    assert plan(series(9, **newest)).blocked is None


def test_evidence_that_cannot_be_relied_on_blocks_everything() -> None:
    made = decide("s", series(9), [], RULES, GAP, NOW, lambda found: None, alarm="the evidence is broken")
    assert (made.blocked, made.of("delete")) == ("the evidence is broken", [])


def test_p16_a_backup_from_the_future_neither_counts_nor_blocks() -> None:
    future = backup(timedelta(days=-400), skew=timedelta(days=500), drilled=True)
    made, without = plan([future, *series(6)]), plan(series(6))
    assert (made.decisions[0].action, made.blocked) == ("ignore", None)
    assert made.decisions[1:] == without.decisions


def test_p16_without_any_drill_nothing_goes() -> None:
    made = plan([backup(number * DAY) for number in range(40)])
    assert made.blocked is None
    assert made.of("delete") == []
    assert made.decisions[-1].reason == "no newer backup has passed a drill"


def test_locks_are_asked_about_only_where_something_would_go() -> None:
    asked: list[str] = []

    def held(found: Surveyed) -> str | None:
        asked.append(found.label)
        return "under legal hold"

    made = decide("s", series(4), [], RULES, GAP, NOW, held)
    assert asked == ["db_backup_20261122_030000", "db_backup_20261121_030000"]
    assert [decision.reason for decision in made.decisions[2:]] == ["under legal hold"] * 2
    assert made.of("delete") == []


def test_the_same_second_is_not_newer() -> None:
    drilled = backup(9 * DAY, drilled=True)
    assert drilled.entry.name
    name = replace(drilled.entry.name, compression="zstd")
    twin = replace(drilled, entry=replace(drilled.entry, name=name, key=f"p/s/{name.object_name}"), drilled=False)
    made = plan([backup(timedelta()), backup(DAY), drilled, twin])
    assert made.of("delete") == []


def test_only_what_is_named_like_a_backup_of_the_past_is_a_leftover() -> None:
    old = backup(9 * DAY, state="incomplete")
    nameless = replace(old, entry=replace(old.entry, name=None, key="p/s/notes.encrypted"))
    future = backup(8 * DAY, state="incomplete", skew=DAY)
    made = plan([*series(3), old, nameless, future])
    assert [decision.key for decision in made.of("delete")][1:] == [old.entry.key]


def test_a_week_belongs_to_one_year() -> None:
    last_of_2024 = backup(NOW - datetime(2024, 12, 30, 3, tzinfo=UTC))  # ISO week 2025-W01
    first_of_2024 = backup(NOW - datetime(2024, 1, 3, 3, tzinfo=UTC))  # ISO week 2024-W01
    weekly = RetentionPolicy(daily=0, weekly=9, monthly=0, yearly=0, minimum=1)
    made = plan([*series(2), last_of_2024, first_of_2024], weekly)
    assert [decision.reason for decision in made.decisions[2:]] == ["weekly 2025-W01", "weekly 2024-W01"]


def test_no_upload_is_aborted_while_everything_is_blocked() -> None:
    old = [UnfinishedUpload("p/s/x", "id", NOW - 3 * DAY)]
    for newest, aborted in ((series(3), 1), (series(3, verified=False), 0)):
        made = decide("s", newest, old, RULES, GAP, NOW, lambda found: None)
        assert len(made.uploads) == aborted


def test_the_plan_for_safety_backups_says_why() -> None:
    found = [backup(number * DAY, verified=number == 200) for number in (10, 80, 91, 150, 200, 300)]
    uploads = [UnfinishedUpload("p/s-safety/x", "id", NOW - 3 * DAY)]

    def made(main: RetentionPlan) -> RetentionPlan:
        return decide_safety(main, found, uploads, RULES, lambda each: "held" if each is found[3] else None)

    good = made(plan(series(3)))
    assert good.source == "s-safety"
    assert [(each.action, each.reason) for each in good.decisions] == [
        ("keep", "the newest"),
        ("keep", "not older than 90 days"),
        ("delete", "older than 90 days"),
        ("keep", "held"),
        ("keep", "the newest that was read back"),
        ("delete", "older than 90 days"),
    ]
    assert len(good.uploads) == 1
    blocked = made(plan(series(3, verified=False)))
    assert str(blocked.blocked).startswith("that of s is blocked, no evidence says")
    assert (blocked.of("delete"), blocked.uploads) == ([], [])

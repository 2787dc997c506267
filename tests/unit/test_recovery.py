"""What may be asked of a recovery, what follows from it, and how it is judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.backup_engine.compare import Comparison
from include.backup_engine.errors import RecoveryFailed, RequestRefused
from include.backup_engine.plan import Plan
from include.backup_engine.policy import Policy
from include.backup_engine.recovery import Approval, Recovery, judge, next_step, require_approval, sound_request
from tests.unit.test_plan import plan_of

NOW = datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC)
OVERWRITE = {
    "mode": "restore",
    "target_database": "surgicase",
    "overwrite": True,
    "confirm": "surgicase",
    "reason": "x",
}


@pytest.fixture
def policy() -> Policy:
    return Policy.model_validate(
        {
            "version": 1,
            "vault": {"bucket": "bucket", "region": "us-east-1", "data_key_id": "alias/a", "sse_key_id": "alias/b"},
            "sources": {"main": {"conn_id": "main_mysql", "database": "surgicase", "compression": "zstd"}},
        }
    )


def _ask(policy: Policy, **given: Any) -> Recovery:
    return sound_request({"source": "main"} | given, policy, run_at=NOW, requested_at=NOW, requested_by="ada")


def test_defaults_change_nothing_and_name_a_new_database(policy: Policy) -> None:
    recovery = _ask(policy)
    assert (recovery.request.mode, recovery.request.backup) == ("dry_run", "latest")
    assert (recovery.conn_id, recovery.database) == ("main_mysql", "surgicase_restored")
    assert recovery.incoming == "surgicase_restored_incoming_20261124030405"
    assert recovery.place.databases == ["surgicase_restored", recovery.incoming]


def test_an_empty_form_field_is_not_given(policy: Policy) -> None:
    assert _ask(policy, target_database=None, tables=None, reason=None).database == "surgicase_restored"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"target_databse": "x"}, "parameter target_databse is unknown"),
        ({"source": "other"}, "no source 'other'"),
        ({"mode": "destroy"}, "parameter mode is not valid"),
        ({"tables": ["patients"], "overwrite": True}, "overwrite nothing"),
        (OVERWRITE | {"tables": ["patients"]}, "overwrite nothing"),
        ({"target_database": "x" * 41}, "41 characters, more than 40"),
        ({"target_database": "mysql"}, "cannot be a target"),
        ({"target_database": "drill_x"}, "cannot be a target"),
        ({"target_database": "a`b"}, "cannot be a target"),
        (OVERWRITE | {"confirm": "surgicas"}, "confirm is 'surgicas'"),
        (OVERWRITE | {"confirm": ""}, "confirm is ''"),
        (OVERWRITE | {"reason": "  "}, "needs a reason"),
        (OVERWRITE | {"target_database": ""}, "surgicase_restored would be overwritten"),
        ({"mode": "restore", "confirm": "surgicase_restored"}, "does not ask for"),
    ],
)
def test_contradictory_requests_are_refused_by_name(policy: Policy, given: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestRefused, match=said):
        _ask(policy, **given)


def test_single_tables_are_part_of_the_place(policy: Policy) -> None:
    place = _ask(policy, tables=["b", "a", "b"]).place
    assert (place.tables, place.overwrite, place.run_at) == (["b", "a"], False, NOW)


def test_a_plan_for_an_overwrite_needs_no_confirmation_yet(policy: Policy) -> None:
    assert _ask(policy, target_database="surgicase", overwrite=True).place.overwrite


def test_safety_backups_have_a_source_of_their_own_and_can_be_asked_for(policy: Policy) -> None:
    recovery = _ask(policy, **OVERWRITE)
    assert recovery.safety_source == "main-safety"
    added = recovery.safety_policy(policy).source("main-safety")
    assert (added.conn_id, added.database, added.compression) == ("main_mysql", "surgicase", "zstd")
    back = _ask(policy, **OVERWRITE | {"source": "main-safety"})
    assert (back.safety_source, back.conn_id) == ("main-safety", "main_mysql")


YES = Approval(approved=True, responder="grace", responded_at=NOW, reason="agreed")
NO = Approval(approved=False, responder="grace", responded_at=NOW, reason="not now")
LATE = Approval(approved=False, responder=None, responded_at=NOW, reason="")


@pytest.mark.parametrize(
    ("given", "plan", "step"),
    [
        ({}, plan_of(), "report"),
        ({"mode": "restore"}, plan_of(), "restore_beside"),
        (OVERWRITE, plan_of(overwrite=True), "approve"),
        (OVERWRITE, plan_of(overwrite=True, tables=0), "restore_beside"),
        (OVERWRITE, plan_of(overwrite=True, blockers=["x"]), "report"),
    ],
)
def test_what_follows_a_plan(policy: Policy, given: dict[str, Any], plan: Plan, step: str) -> None:
    assert next_step(_ask(policy, **given), plan) == step


@pytest.mark.parametrize("approval", [None, NO, LATE, YES])
def test_nothing_is_overwritten_without_approval_and_safety_backup(approval: Approval | None) -> None:
    with pytest.raises(RequestRefused):
        require_approval(plan_of(overwrite=True), approval, None)


def test_a_new_database_needs_no_approval() -> None:
    require_approval(plan_of(), None, None)


def _comparison(*findings: str) -> Comparison:
    return Comparison(
        tables=1, rows=1, objects=0, views_run=0, foreign_keys_checked=0, findings=list(findings), not_compared=[]
    )


@pytest.mark.parametrize(
    ("given", "parts", "failure"),
    [
        ({}, {"plan": plan_of()}, None),
        ({}, {"plan": None}, "no plan could be made"),
        ({}, {"plan": plan_of(blockers=["the account lacks CREATE"])}, "the account lacks CREATE"),
        ({"mode": "restore"}, {"plan": plan_of()}, "nothing was restored"),
        (OVERWRITE, {"plan": plan_of(overwrite=True)}, "not approved in time"),
        (OVERWRITE, {"plan": plan_of(overwrite=True), "approval": LATE}, "not approved in time"),
        (OVERWRITE, {"plan": plan_of(overwrite=True), "approval": NO}, "not approved by grace"),
        (OVERWRITE, {"plan": plan_of(overwrite=True), "approval": YES}, "no safety backup"),
    ],
)
def test_what_was_asked_for_and_did_not_happen_is_a_failure(
    policy: Policy, given: dict[str, Any], parts: dict[str, Any], failure: str | None
) -> None:
    result = judge(_ask(policy, **given), NOW + timedelta(seconds=90), **parts)
    assert result.seconds == 90
    if failure is None:
        result.raise_if_failed()
        return
    with pytest.raises(RecoveryFailed, match=failure):
        result.raise_if_failed()

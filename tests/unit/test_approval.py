"""Whose yes to an overwrite counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.backup_engine.policy import RecoveryPolicy
from include.backup_engine.recovery import Approval, weigh_answer

NOW = datetime(2026, 11, 24, 3, 4, 5, tzinfo=UTC)
LISTED, FOUR_EYES = {"approvers": ["7", "9"]}, {"four_eyes": True}


def _answer(
    rules: dict[str, object], *, requester: str | None = "ada", yes: bool = True, user: str | None = "7",
    name: str | None = "grace", reason: str = "agreed",
) -> Approval:  # fmt: skip
    return weigh_answer(
        RecoveryPolicy.model_validate(rules), requester, yes=yes, user_id=user, user_name=name, responded_at=NOW,
        reason=reason,
    )  # fmt: skip


@pytest.mark.parametrize("rules", [{}, LISTED, FOUR_EYES, LISTED | FOUR_EYES])
def test_another_person_who_may_approves(rules: dict[str, object]) -> None:
    given = _answer(rules)
    assert (given.approved, given.responder, given.objection) == (True, "grace", None)


@pytest.mark.parametrize("requester", ["grace", "7", None])
def test_by_default_the_one_who_asked_may_approve(requester: str | None) -> None:
    assert _answer({}, requester=requester).approved


@pytest.mark.parametrize(
    ("rules", "requester", "user", "reason", "said"),
    [
        ({}, "ada", "7", "", "no reason was given"),
        (LISTED, "ada", "8", "agreed", "grace is none of recovery.approvers"),
        (FOUR_EYES, "grace", "7", "agreed", "two persons, and grace started the run"),
        (FOUR_EYES, "7", "7", "agreed", "two persons, and grace started the run"),
        (FOUR_EYES, None, "7", "agreed", "the run does not say who started it"),
        (LISTED | FOUR_EYES, "grace", "7", "agreed", "two persons, and grace started the run"),
    ],
)
def test_a_yes_that_does_not_count(
    rules: dict[str, object], requester: str | None, user: str, reason: str, said: str
) -> None:
    given = _answer(rules, requester=requester, user=user, reason=reason)
    assert not given.approved
    assert said in str(given.objection)


def test_a_no_is_anybody_s_and_needs_no_objection() -> None:
    for rules in ({}, LISTED | FOUR_EYES):
        assert _answer(rules, requester="grace", user="8", yes=False, reason="").objection is None
    silent = _answer({}, yes=False, user=None, name=None, reason="")
    assert (silent.approved, silent.responder) == (False, None)

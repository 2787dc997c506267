"""``retention``: which backups the policy would delete, and why; or delete them."""

from __future__ import annotations

import argparse

from include.backup_engine.commands.answers import RetentionAnswer
from include.backup_engine.commands.desk import Commands, Desk, add_command, add_json, print_json
from include.backup_engine.deletion import Deletions, carry_out
from include.backup_engine.retention import RetentionPlan
from include.backup_engine.retention_survey import plan_retention, plan_safety_retention


def add(commands: Commands) -> None:
    """Add the command."""
    retiring = add_command(
        commands, "retention", retire, "Say which backups the policy would delete, and why; or delete them."
    )
    retiring.add_argument("--apply", action="store_true", help="delete; without it nothing is deleted")
    add_json(retiring)


def retire(desk: Desk, options: argparse.Namespace) -> None:
    """Plan, and perhaps delete; the safety backups of the source, too."""
    desk.policy.source(desk.source)
    plan = plan_retention(desk.source, desk.policy, desk.vault, desk.keyring)
    safety = plan_safety_retention(plan, desk.policy, desk.vault, desk.keyring)
    plans = [plan, safety] if safety else [plan]
    if not options.json:
        print("\n".join(line for each in plans for line in each.lines()))
    done = _carried_out(desk, plans) if options.apply else {}
    if options.json:
        answer = RetentionAnswer(
            plan=plan,
            applied=done.get(plan.source),
            safety_plan=safety,
            safety_applied=done.get(safety.source) if safety else None,
        )
        print_json(answer)
    for source, each in done.items() if not options.json else ():
        print(
            f"{source}: deleted {len(each.deleted)}, refused {len(each.refused)},"
            f" aborted {len(each.aborted_uploads)} uploads"
        )


def _carried_out(desk: Desk, plans: list[RetentionPlan]) -> dict[str, Deletions]:
    roles = desk.policy.vault
    deleter, writer = desk.vault_as(roles.retention_conn_id), desk.vault_as(roles.writer_conn_id)
    return {plan.source: carry_out(plan, deleter, desk.vault, writer, desk.reporter) for plan in plans}

"""The accounts of a lost server: the one step of a recovery that is taken only on request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backup_airflow.operators.recovery import ChosenOperator
from include.backup_engine.plan import Plan
from include.backup_engine.recovery_steps import bring_accounts


class BringAccountsOperator(ChosenOperator):
    """Create the accounts that the plan names, if they were asked for. Returns their names, and who was refused.

    .. code-block:: python

        BringAccountsOperator(task_id="bring_accounts", …, plan=plan.output)

    :param plan: what PlanRecoveryOperator returned. (templated)
    """

    template_fields: Sequence[str] = ("source", "recovery", "backup", "plan")

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def execute(self, context: Any) -> dict[str, Any] | None:
        """Create."""
        if not self.asked.request.accounts:
            self.reporter.line("Accounts were not asked for")
            return None
        plan = Plan.model_validate(self.plan)
        created = bring_accounts(plan, self.stored, self.target, self.policy, self.reader_keyring, self.reporter)
        return created.model_dump(mode="json")

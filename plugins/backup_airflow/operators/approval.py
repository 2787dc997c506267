"""A person's yes or no to an overwrite, kept as evidence whatever it is."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param
from airflow.sdk.execution_time.hitl import HITLUser

from include.backup_engine.errors import RequestRefused
from include.backup_engine.policy import load_policy
from include.backup_engine.recovery import Approval, weigh_answer


class ApproveOverwriteOperator(ApprovalOperator):
    """Ask a person whether the target may be overwritten; no answer in time is a no, and so is a yes without a reason.

    The policy says who may answer (``recovery.approvers``), and whether that may be the one who started the run
    (``recovery.four_eyes``). What was answered, by whom and when, is kept under the key ``approval``, also when it
    was a no.

    .. code-block:: python

        ApproveOverwriteOperator(task_id="approve", subject="…?", body="…", response_timeout=timedelta(hours=1))
    """

    KEY = "approval"
    REASON = "approval_reason"

    def __init__(self, **kwargs: Any) -> None:
        # A value that is not valid as it stands would fail the task before anybody is asked. The DAG's own parameter
        # `reason` is the requester's.
        kwargs["params"] = {
            self.REASON: Param(
                "", type="string", title="Reason", source="task",
                description="Why, for the evidence, without patient data. Approving without a reason is a rejection.",
            )
        }  # fmt: skip
        super().__init__(defaults=self.REJECT, fail_on_reject=True, **kwargs)

    def execute(self, context: Any) -> None:
        """Ask, and let Airflow refuse answers of those who may not give one."""
        rules, requester = load_policy().recovery, context["dag_run"].triggering_user_name
        others = [user for user in rules.approvers if not (rules.four_eyes and user == requester)]
        # To Airflow, nobody means everybody. Whatever it lets through is looked at again below.
        self.assigned_users = [HITLUser(id=user, name=user) for user in others or rules.approvers] or None
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer, then go on or fail."""
        if "error" not in event:
            user = event.get("responded_by_user") or {}
            approval = weigh_answer(
                load_policy().recovery,
                context["dag_run"].triggering_user_name,
                yes=event["chosen_options"] == [self.APPROVE],
                user_id=user.get("id"),
                user_name=user.get("name"),
                responded_at=event["responded_at"],
                reason=str((event["params_input"] or {}).get(self.REASON) or "").strip(),
            )
            context["ti"].xcom_push(key=self.KEY, value=approval.model_dump(mode="json"))
            if approval.objection:
                raise RequestRefused(
                    f"The overwrite was approved, which does not count: {approval.objection}.",
                    "Start the recovery again, and let somebody who may approve it, with a reason.",
                )
        return super().execute_complete(context, event)


def approval_of(found: Any) -> Approval | None:
    """The answer that was given, from its template: JSON, or nothing."""
    if not found or found == "null":
        return None
    return Approval.model_validate_json(found) if isinstance(found, str) else Approval.model_validate(found)

"""A person's yes or no to an overwrite, kept as evidence whatever it is."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import Param

from include.backup_engine.errors import RequestRefused
from include.backup_engine.recovery import Approval


class ApproveOverwriteOperator(ApprovalOperator):
    """Ask a person whether the target may be overwritten; no answer in time is a no, and so is a yes without a reason.

    What was answered, by whom and when, is kept under the key ``approval``, also when it was a no.

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
                "", type="string", title="Reason", description="Why. Required to approve.", source="task"
            )
        }
        super().__init__(defaults=self.REJECT, fail_on_reject=True, **kwargs)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        """Keep the answer, then go on or fail."""
        if "error" not in event:
            user = event.get("responded_by_user") or {}
            reason = str((event["params_input"] or {}).get(self.REASON) or "").strip()
            yes = event["chosen_options"] == [self.APPROVE]
            approval = Approval(
                approved=yes and bool(reason),
                responder=user.get("name") or user.get("id"),
                responded_at=event["responded_at"],
                reason=reason,
            )
            context["ti"].xcom_push(key=self.KEY, value=approval.model_dump(mode="json"))
            if yes and not reason:
                raise RequestRefused(
                    "The overwrite was approved without a reason, which counts as a rejection.",
                    "Start the recovery again, and give a reason when approving.",
                )
        return super().execute_complete(context, event)


def approval_of(found: Any) -> Approval | None:
    """The answer that was given, from its template: JSON, or nothing."""
    if not found or found == "null":
        return None
    return Approval.model_validate_json(found) if isinstance(found, str) else Approval.model_validate(found)

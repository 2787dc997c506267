"""``make screenshots``: the pages that a person sees in a recovery, as docs/runbook.md shows them."""

from __future__ import annotations

import shutil
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from tests.demo.stack import SOURCE, Stack, create_account, stack
from tests.servers.airflow import Airflow
from tests.servers.browser import Browser
from tests.servers.processes import ROOT, wait_until

DAG = "disaster_recovery"
IMAGES = ROOT / "docs" / "images"
OVERWRITE = {
    "mode": "restore", "source": SOURCE, "backup": "latest", "target_conn_id": "recovery_mysql",
    "target_database": SOURCE, "overwrite": True, "confirm": SOURCE, "reason": "ticket 4711: table cases was emptied",
}  # fmt: skip
_SETTLED_SECONDS = 3  # pages go on moving after their text is there


def main() -> int:
    """Run an overwrite up to the question, and through it; keep what is seen on the way."""
    folder = ROOT / ".run" / "screenshots"
    IMAGES.mkdir(parents=True, exist_ok=True)
    try:
        with (
            stack(folder, 20) as parts,
            _airflow(parts) as airflow,
            Browser(folder / "browser", height=1400) as browser,
        ):
            for dag in ("nightly_backup", "restore_drill"):
                airflow.wait(dag, airflow.trigger(dag))
            run_id = airflow.trigger(DAG, OVERWRITE)
            run = f"{airflow.url}/dags/{DAG}/runs/{urllib.parse.quote(run_id, safe='')}"
            wait_until(
                lambda: airflow.task_states(DAG, run_id).get("approve") == "awaiting_input", 240, "nobody is asked",
                every=0.5,
            )  # fmt: skip
            browser.open(f"{airflow.url}/auth/login")
            browser.cookie("_token", airflow.token("admin"))
            _form(airflow, browser)
            _question(run, browser)
            wait_until(lambda: airflow.run_state(DAG, run_id) == "success", 400, "the recovery did not end", every=0.5)
            _outcome(run, browser)
    finally:
        shutil.rmtree(folder / "browser", ignore_errors=True)
    for file in sorted(IMAGES.glob("*.png")):
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1000} kB")
    return 0


@contextmanager
def _airflow(parts: Stack) -> Iterator[Airflow]:
    server = parts.source
    assert server.certificate is not None
    create_account(server, "recovery_account.sql", "recovery", "recovery-secret")
    server.sql(
        "SET GLOBAL log_bin_trust_function_creators = 1;"
        f"GRANT SELECT, EXECUTE ON `{SOURCE}\\_before\\_%`.* TO surgicase_app@'%'"
    )
    ssl = {"ca": str(server.certificate.authority)}
    connection = server.airflow_connection("recovery", "recovery-secret", ssl=ssl)
    with parts.airflow({"AIRFLOW_CONN_RECOVERY_MYSQL": connection}) as airflow:
        yield airflow
    for (name,) in server.sql(f"SHOW DATABASES LIKE '{SOURCE}\\_%'"):
        server.sql(f"DROP DATABASE `{name}`")


def _form(airflow: Airflow, browser: Browser) -> None:
    """The trigger form; of its sections, one is open at a time."""
    browser.open(f"{airflow.url}/dags/{DAG}")
    browser.click("//button[normalize-space()='Trigger']")
    browser.wait_for("Single Run")
    for number in (1, 2, 3):
        browser.click(f"//*[@role='dialog']//button[starts-with(normalize-space(), '{number}. ')]")
        _keep(browser, f"recovery_form_{number}", "//*[@role='dialog'][contains(., 'Single Run')]")


def _question(run: str, browser: Browser) -> None:
    """What a person reads before the overwrite; then the yes."""
    browser.resize(1250)
    browser.open(f"{run}/tasks/approve/required_actions")
    browser.wait_for("goes back to")
    browser.type("//input[@id='element_approval_reason']", "ward and IT agreed by phone")
    _keep(browser, "recovery_approval")
    browser.click("//button[normalize-space()='Approve']")


def _outcome(run: str, browser: Browser) -> None:
    browser.resize(1000)
    browser.open(f"{run}/tasks/plan?try_number=1")
    browser.wait_for("expected duration")
    _keep(browser, "recovery_plan")
    browser.resize(700)
    browser.open(run)
    browser.click("//button[starts-with(@aria-label, 'Show Graph')]")
    browser.click("//button[@aria-label='Collapse Details Panel']")
    time.sleep(_SETTLED_SECONDS)
    browser.click("//button[@aria-label='Fit View']")
    _keep(browser, "recovery_graph")


def _keep(browser: Browser, name: str, path: str | None = None) -> None:
    time.sleep(_SETTLED_SECONDS)
    browser.screenshot(IMAGES / f"{name}.png", path)


if __name__ == "__main__":
    sys.exit(main())

"""The night after somebody has emptied a table, on every server; tests/dags has what the DAG makes of it."""

from __future__ import annotations

import pytest

from include.backup_engine.anomalies import Judgement, judge_stored
from include.backup_engine.errors import AbnormalBackup
from include.backup_engine.names import BackupName
from include.backup_engine.policy import AnomalyPolicy
from include.backup_engine.report import Reporter
from tests.integration.keyed import DATABASE, EVERY_SERVER, Site
from tests.servers.localstack import Aws


@pytest.fixture
def site(aws: Aws, request: pytest.FixtureRequest) -> Site:
    return Site.new(aws, request.getfixturevalue(EVERY_SERVER[request.param]))


@pytest.mark.parametrize("site", EVERY_SERVER, indirect=True)
def test_p15_a_table_that_was_emptied_is_told_by_what_the_sidecars_hold(site: Site) -> None:
    def judged() -> Judgement:
        name = BackupName.parse(site.back_up())
        return judge_stored("clinic", name, site.policy(), site.vault, site.keyring, Reporter())

    assert judged() == Judgement(compared_with=0, anomalies=[])
    assert judged() == Judgement(compared_with=1, anomalies=[])
    site.server.sql(f"DELETE FROM {DATABASE}.patients")
    found = judged()
    assert found.compared_with == 2
    assert "table patients is empty; it had 2 rows" in found.anomalies
    with pytest.raises(AbnormalBackup, match="patients is empty"):
        found.raise_if_refused("the backup", AnomalyPolicy(action="fail"))
    assert site.entry().state == "complete"

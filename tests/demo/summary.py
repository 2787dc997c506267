"""What the demo prints at its end, computed from the evidence records in the bucket and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from include.backup_engine import evidence
from include.backup_engine.evidence import EvidenceRecord
from include.backup_engine.plan import Plan
from include.backup_engine.report import megabytes, rate
from include.backup_engine.store.s3 import Vault


def summarise(vault: Vault, kinds: Sequence[str] = ("backup", "drill", "recovery")) -> tuple[list[str], list[str]]:
    """The lines to print about the last record of each kind, and what is not proven."""
    numbered = evidence.check_chain(vault)
    last: dict[str, EvidenceRecord] = {
        record.kind: record for _, _, record in evidence.records(vault) if record.kind in kinds
    }
    lines: list[str] = []
    unproven: list[str] = [kind for kind in kinds if kind not in last]
    unproven += [f"{kind} {record.outcome}" for kind, record in last.items() if record.outcome != "passed"]
    if backup := last.get("backup"):
        lines += _backup(backup.facts, vault.policy.sse_key_id, unproven)
    if drill := last.get("drill"):
        lines += _drill(drill.facts, unproven)
    if recovery := last.get("recovery"):
        lines += _recovery(recovery.facts, unproven)
    lines.append(f"Evidence   {numbered} records, chain unbroken")
    return lines, unproven


def _backup(facts: dict[str, Any], sse_key_arn: str, unproven: list[str]) -> list[str]:
    verification, consistency = facts["verification"], facts["consistency"]
    stored, stages = verification["stored"], facts["timings"]["stages"]
    if consistency["verdict"] != "exact":
        unproven.append(f"consistency is {consistency['verdict']}")
    if (stored["sse"], stored["sse_kms_key_id"]) != ("aws:kms", sse_key_arn):
        unproven.append("server-side encryption is not what the policy asks for")
    seconds = stages["Dump, compress, encrypt, upload"]
    counts = ", ".join(f"{number} {kind}s" for kind, number in facts["counts"].items() if number)
    return [
        f"Backup     {facts['backup']}",
        f"  holds    {counts}; {facts['rows']} rows",
        f"  sizes    {megabytes(facts['sql_bytes'])} of SQL, {megabytes(facts['compressed_bytes'])} compressed,"
        f" {megabytes(stored['size'])} stored",
        f"  rates    dumped, encrypted and stored in {seconds:.1f} s, {rate(facts['sql_bytes'], seconds)} of SQL;"
        f" read back and verified at {rate(verification['sql_bytes'], verification['seconds'])}",
        f"  snapshot {consistency['verdict']} by {consistency['method']}, locked for {consistency['lock_seconds']} s,"
        f" binary log {consistency['coordinates']['binlog_file']}:{consistency['coordinates']['binlog_position']}",
        f"  data key {verification['kms_key_id']}",
        f"  S3 says  {stored['sse']} under {stored['sse_kms_key_id']}, bucket key {stored['bucket_key']},"
        f" SHA-256 {stored['checksum']}",
        f"  memory   {megabytes(facts['timings']['peak_memory_bytes'])} at most to make it,"
        f" {megabytes(verification['peak_memory_bytes'])} to verify it",
    ]


def _drill(facts: dict[str, Any], unproven: list[str]) -> list[str]:
    comparison, restoration = facts.get("comparison"), facts.get("restoration")
    unproven += facts["failures"]
    if not comparison or not restoration:
        return ["Drill      did not get to a comparison"]
    unproven += [f"not compared: {item}" for item in comparison["not_compared"]]
    return [
        f"Drill      {facts['picked']['backup']} restored into {facts['picked']['database']}",
        f"  compared {comparison['tables']} tables, {comparison['rows']} rows, {comparison['objects']} objects with"
        f" what the source held: {len(comparison['findings'])} differences",
        f"  worked   {comparison['views_run']} views run, {restoration['events_disabled']} events created disabled,"
        f" no orphans under {comparison['foreign_keys_checked']} foreign keys",
        f"  loaded   {restoration['statements']} statements, {megabytes(restoration['sql_bytes'])} in"
        f" {restoration['seconds']:.1f} s, {rate(restoration['sql_bytes'], restoration['seconds'])}",
        f"  RTO      {facts['rto_seconds']:.1f} s (target {facts['rto_target_seconds']:.0f} s)",
        f"  RPO      {facts['rpo_seconds']:.1f} s (target {facts['rpo_target_seconds']:.0f} s)",
        f"  scratch  database {'is gone' if facts['scratch_is_gone'] else 'IS STILL THERE'}",
        f"  memory   {megabytes(restoration['peak_memory_bytes'])} at most",
    ]


def _recovery(facts: dict[str, Any], unproven: list[str]) -> list[str]:
    unproven += facts["failures"]
    if not facts.get("plan"):
        return ["Recovery   did not get to a plan"]
    return [
        "Recovery   a plan, nothing was changed:",
        *(f"  {line}" for line in Plan.model_validate(facts["plan"]).lines()),
    ]

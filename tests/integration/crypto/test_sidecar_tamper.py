"""Every field of a stored sidecar, changed or removed, keeps the backup from being opened. KMS is real."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from include.backup_engine.errors import IntegrityError, KeyRefused
from tests.integration.crypto.backups import ORIGINALS_FIELDS, Count, Open, Stored


def changed(value: Any) -> Any:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value[:-1] + ("A" if value[-1:] != "A" else "B")
        case list():
            return value + value[:1] if value else ["x"]
        case _:
            return value | {"x": "y"}


def tampered_documents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field at any depth edited, then removed; then one added."""

    def places(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
        keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
        for key in keys:
            yield (*path, key)
            yield from places(node[key], (*path, key))

    for path in places(document, ()):
        for remove in (False, True):
            forged = copy.deepcopy(document)
            parent = forged
            for key in path[:-1]:
                parent = parent[key]  # type: ignore[index]  # an index of a list, too
            if remove:
                del parent[path[-1]]  # type: ignore[arg-type]
            else:
                parent[path[-1]] = changed(parent[path[-1]])  # type: ignore[index]
            yield f"{'removed' if remove else 'edited'} {path}", forged
    yield "added", document | {"a_later_field": 1}


@pytest.mark.parametrize("maker", ["v1", "v2"])
def test_every_field_edited_or_removed(opened: Open, maker: str, request: pytest.FixtureRequest, count: Count) -> None:
    stored: Stored = request.getfixturevalue(maker)
    refused: dict[str, str] = {}
    for what, document in tampered_documents(json.loads(stored.sidecar)):
        with pytest.raises((IntegrityError, KeyRefused)) as caught:
            opened(Stored(json.dumps(document).encode(), stored.message))
            pytest.fail(f"accepted: {what}")
        assert caught.type is not IntegrityError
        refused[what] = caught.type.__name__
    assert refused["added"] == refused["edited ('metadata', 'tables_count')"] == "SidecarTampered"
    count(len(refused))


def test_every_original_field_that_opens_the_file(opened: Open, original: Stored, count: Count) -> None:
    """Without a MAC, what describes the dump is not protected; what opens it is."""
    document = json.loads(original.sidecar)
    cases = 0
    for field in ORIGINALS_FIELDS:
        for forged in (document | {field: changed(document[field])}, {k: v for k, v in document.items() if k != field}):
            if (field == "metadata" and field in forged) or (field not in forged and field.endswith("_size")):
                continue
            with pytest.raises((IntegrityError, KeyRefused)):
                opened(Stored(json.dumps(forged).encode(), original.message)).verify([original.message])
            cases += 1
    count(cases)

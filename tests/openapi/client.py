"""Goes through the API with the client that openapi-python-client generates from the document."""

import csv
import json
import os
from datetime import datetime, timedelta, timezone
from io import StringIO
from uuid import UUID

from uptok_client import AuthenticatedClient
from uptok_client.api.keys import change_key, create_key, delete_key, get_current_key, get_key, list_keys
from uptok_client.api.keys import replace_key, revoke_key
from uptok_client.api.sessions import download_sessions_csv, download_sessions_ndjson, export_sessions
from uptok_client.api.sessions import get_session, list_sessions, record_sessions
from uptok_client.models import ChangeKeyRequest, Channel, CreatedKey, CreateKeyRequest, ExportForm, Key
from uptok_client.models import ExportFormStatus, KeyPage, Problem, RecordOutcome, RecordSessionsResult
from uptok_client.models import ReplaceKeyRequest, RevokeForm, Scope
from uptok_client.models import Session, SessionPage, SessionStatus, SessionToRecord
from uptok_client.types import Unset

URL = os.environ["UPTOK_URL"]
CLIENT = AuthenticatedClient(base_url=URL, token=os.environ["UPTOK_API_KEY"])
# The last one is a refund; the amounts need more than 32 bits, and exceed what a double can hold.
AMOUNTS = [4990, 9007199254740993, None, -3_000_000_000]
BEGIN = datetime(2026, 10, 1, 10, tzinfo=timezone.utc)


def session(index: int, amount: int | None) -> SessionToRecord:
    begin = BEGIN + timedelta(hours=index, microseconds=index)
    status = SessionStatus.COMPLETED if index % 2 == 0 else SessionStatus.MISSED
    return SessionToRecord(
        status=status,
        channel=Channel.VIDEO,
        created_at=begin,
        ended_at=begin + timedelta(minutes=5),
        external_id=f"call-{index}",
        order_value_minor=amount,
        currency=None if amount is None else "EUR",
        shopper_phone="+4930123456",
        notes="-1\n=x",
        tags=["vip"],
    )


def record() -> None:
    sessions = [session(index, amount) for index, amount in enumerate(AMOUNTS)]
    first = record_sessions.sync(client=CLIENT, body=sessions, idempotency_key="client.py")
    assert isinstance(first, RecordSessionsResult) and first.created == len(AMOUNTS), first
    again = record_sessions.sync(client=CLIENT, body=sessions)
    assert isinstance(again, RecordSessionsResult) and again.unchanged == len(AMOUNTS), again
    wrong = session(9, None)
    wrong.currency = "euro"
    refused = record_sessions.sync(client=CLIENT, body=[wrong])
    assert isinstance(refused, Problem) and refused.code == "invalid_item", refused
    partial = record_sessions.sync(client=CLIENT, body=[sessions[0], wrong], partial=True)
    assert isinstance(partial, RecordSessionsResult), partial
    rejected = partial.results[1]
    assert rejected.outcome == RecordOutcome.REJECTED and not isinstance(rejected.errors, Unset), partial
    assert rejected.errors[0].field == "currency", partial


def read() -> list[Session]:
    found: list[Session] = []
    page = list_sessions.sync(client=CLIENT, per_page=3)
    while isinstance(page, SessionPage) and not isinstance(page.next_cursor, Unset):
        found += page.data
        page = list_sessions.sync(client=CLIENT, per_page=3, cursor=page.next_cursor)
    assert isinstance(page, SessionPage), page
    found += page.data
    assert [it.order_value_minor for it in found] == AMOUNTS, found
    assert found[1].created_at == BEGIN + timedelta(hours=1, microseconds=1), found[1]
    assert found[2].currency is None and found[2].started_at is None, found[2]
    one = get_session.sync(found[3].session_id, client=CLIENT)
    assert one == found[3], one
    by_page = list_sessions.sync(client=CLIENT, per_page=3, page=2)
    assert isinstance(by_page, SessionPage) and by_page.data == found[3:], by_page
    form = ExportForm(per_page=1, page=2, from_=BEGIN, status=ExportFormStatus.MISSED)
    exported = export_sessions.sync(client=CLIENT, body=form)
    assert isinstance(exported, SessionPage) and exported.data == found[3:], exported
    return found


def filter_and_download(found: list[Session]) -> None:
    missed = list_sessions.sync(client=CLIENT, status=SessionStatus.MISSED, channel=Channel.VIDEO)
    assert isinstance(missed, SessionPage) and missed.total_sessions == 2, missed
    later = list_sessions.sync(client=CLIENT, updated_since=found[-1].updated_at + timedelta(days=1))
    assert isinstance(later, SessionPage) and later.data == [], later
    file = download_sessions_csv.sync(client=CLIENT)
    assert isinstance(file, str), file
    rows = list(csv.DictReader(StringIO(file)))
    assert [row["orderValueMinor"] for row in rows] == ["4990", "9007199254740993", "", "-3000000000"], rows
    lines = download_sessions_ndjson.sync_detailed(client=CLIENT, status=SessionStatus.MISSED).content
    assert [Session.from_dict(json.loads(line)) for line in lines.splitlines()] == found[1::2], lines


def manage_keys() -> None:
    request = CreateKeyRequest(
        name="generated", scopes=[Scope.SESSIONSREAD], expires="30", allowed_networks=["127.0.0.1", "10.0.0.0/8"]
    )
    created = create_key.sync_detailed(client=CLIENT, body=request)
    key = created.parsed
    assert isinstance(key, CreatedKey) and created.headers["Location"].endswith(key.public_key), created
    current = get_current_key.sync(client=AuthenticatedClient(base_url=URL, token=key.client_key))
    assert isinstance(current, Key) and current.allowed_networks == ["127.0.0.1", "10.0.0.0/8"], current
    change = ChangeKeyRequest(requests_per_minute=60)
    changed = change_key.sync(key.public_key, client=CLIENT, body=change)
    assert isinstance(changed, Key) and changed.requests_per_minute == 60, changed
    replaced = replace_key.sync(key.public_key, client=CLIENT, body=ReplaceKeyRequest(grace_seconds=3600))
    assert isinstance(replaced, CreatedKey), replaced
    keys = list_keys.sync(client=CLIENT, q="generated")
    assert isinstance(keys, KeyPage) and keys.total_keys == 2, keys
    assert delete_key.sync_detailed(key.public_key, client=CLIENT).status_code == 204
    revoked = revoke_key.sync_detailed(client=CLIENT, body=RevokeForm(client_key=replaced.client_key))
    assert revoked.status_code == 204, revoked
    gone = get_key.sync(replaced.public_key, client=CLIENT)
    assert isinstance(gone, Problem) and gone.status == 404, gone


def fail() -> None:
    stranger = AuthenticatedClient(base_url=URL, token="uptok_x")
    unknown = list_sessions.sync(client=stranger)
    assert isinstance(unknown, Problem) and unknown.code == "invalid_key", unknown
    missing = get_session.sync(UUID(int=0), client=CLIENT)
    assert isinstance(missing, Problem) and missing.status == 404, missing
    wrong = list_sessions.sync(client=CLIENT, page=1, cursor="s1")
    assert isinstance(wrong, Problem) and not isinstance(wrong.errors, Unset), wrong
    assert wrong.errors[0].field == "cursor", wrong


record()
filter_and_download(read())
manage_keys()
fail()
print("The generated client works.")

import os

import openapi_client as api

configuration = api.Configuration(host=os.environ["UPTOK_URL"], access_token=os.environ["UPTOK_API_KEY"])
client = api.ApiClient(configuration)
sessions, keys = api.SessionsApi(client), api.KeysApi(client)

body = [
    api.SessionToRecord(
        external_id=f"call-{index}",
        status="missed" if index % 2 else "completed",
        channel="video",
        created_at=f"2026-10-01T10:00:00.00000{index}Z",
        ended_at="2026-10-01T10:05:00Z",
        order_value_minor=amount,
    )
    for index, amount in enumerate([4990, 9007199254740991, None, -3_000_000_000])
]
assert sessions.record_sessions(body, idempotency_key="python").created == 4

found, cursor = [], None
while True:
    page = sessions.list_sessions(per_page=3, cursor=cursor)
    found += page.data
    cursor = page.next_cursor
    if cursor is None:
        break
missed = sessions.list_sessions(status=api.SessionStatus.MISSED, updated_since=found[0].updated_at)
form = sessions.export_sessions(page=2, per_page=3, order="asc", status="missed")
assert (missed.total_sessions, form.total_sessions, form.data) == (2, 2, [])
assert len(sessions.download_sessions_csv().splitlines()) == 5

created = keys.create_key(api.CreateKeyRequest(name="generated", scopes=[api.Scope.SESSIONS_COLON_READ], expires="30"))
keys.change_key(created.public_key, api.ChangeKeyRequest(requests_per_minute=60))
keys.revoke_key(client_key=created.client_key)
try:
    keys.get_key(created.public_key)
    raise SystemExit("A revoked key was found.")
except api.exceptions.NotFoundException as error:
    assert api.Problem.from_json(error.body).code == "not_found"

total = sum(it.order_value_minor or 0 for it in found)
print(len(found), total, sum(it.order_value_minor is None for it in found), found[1].created_at.microsecond)

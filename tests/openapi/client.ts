// Goes through the API with openapi-fetch and the types that openapi-typescript generates from the document.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./uptok.js";

type Session = components["schemas"]["Session"];
type SessionToRecord = components["schemas"]["SessionToRecord"];

const baseUrl = process.env["UPTOK_URL"] ?? "";
const connect = (key: string) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const client = connect(process.env["UPTOK_API_KEY"] ?? "");
// The last one is a refund; the amounts need more than 32 bits.
const amounts = [4990, 9007199254740991, null, -3_000_000_000];

function session(index: number, amount: number | null): SessionToRecord {
  return {
    externalId: `call-${index}`,
    status: index % 2 === 0 ? "completed" : "missed",
    channel: "video",
    createdAt: `2026-10-01T1${index}:00:00.00000${index}Z`,
    endedAt: `2026-10-01T1${index}:05:00Z`,
    orderValueMinor: amount,
    currency: amount === null ? null : "EUR",
    tags: ["vip"],
  };
}

async function record(): Promise<void> {
  const body = amounts.map((amount, index) => session(index, amount));
  const header = { "Idempotency-Key": "client.ts" };
  const first = await client.POST("/api/sessions", { body, params: { header } });
  assert.equal(first.data?.created, amounts.length);
  const again = await client.POST("/api/sessions", { body });
  assert.equal(again.data?.unchanged, amounts.length);
  const wrong = { ...session(9, null), currency: "euro" };
  const refused = await client.POST("/api/sessions", { body: [wrong] });
  assert.equal(refused.error?.code, "invalid_item");
  const partial = await client.POST("/api/sessions", { body: [wrong], params: { query: { partial: true } } });
  assert.equal(partial.data?.results[0]?.outcome, "rejected");
  assert.equal(partial.data?.results[0]?.errors?.[0]?.field, "currency");
}

async function read(): Promise<Session[]> {
  const found: Session[] = [];
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? { perPage: 3 } : { perPage: 3, cursor };
    const { data } = await client.GET("/api/sessions", { params: { query } });
    assert(data);
    found.push(...data.data);
    cursor = data.nextCursor;
  } while (cursor !== undefined);
  assert.deepEqual(found.map((it) => it.orderValueMinor), amounts);
  assert.equal(found[1]?.createdAt, "2026-10-01T11:00:00.000001Z");
  assert.equal(found[2]?.currency, null);
  const second = await client.GET("/api/sessions", { params: { query: { perPage: 3, page: 2 } } });
  assert.deepEqual(second.data?.data, found.slice(3));
  const sessionId = found[3]?.sessionId ?? "";
  const one = await client.GET("/api/sessions/{sessionId}", { params: { path: { sessionId } } });
  assert.deepEqual(one.data, found[3]);
  return found;
}

async function filterAndDownload(found: Session[]): Promise<void> {
  const query = { status: "missed", channel: "video" } as const;
  const missed = await client.GET("/api/sessions", { params: { query } });
  assert.deepEqual(missed.data?.data, [found[1], found[3]]);
  const file = await client.GET("/api/sessions.csv", { parseAs: "text" });
  assert.equal(file.data?.trimEnd().split("\r\n").length, amounts.length + 1);
  const lines = await client.GET("/api/sessions.ndjson", { params: { query }, parseAs: "text" });
  const sessions = lines.data?.trimEnd().split("\n").map((line): Session => JSON.parse(line));
  assert.deepEqual(sessions, missed.data?.data);
  const exported = await client.POST("/api/sessions/export-csv-data", {
    body: { page: 2, perPage: 3 },
    bodySerializer: toForm,
  });
  assert.deepEqual(exported.data?.data, found.slice(3));
}

/** A multipart form; fetch sets its Content-Type. */
function toForm(fields: object | undefined): FormData {
  const form = new FormData();
  Object.entries(fields ?? {}).forEach(([name, value]) => form.set(name, String(value)));
  return form;
}

async function manageKeys(): Promise<void> {
  const created = await client.POST("/api/keys", {
    body: { name: "generated", scopes: ["sessions:read"], expires: "30", allowedNetworks: ["127.0.0.1"] },
  });
  assert(created.data);
  const { clientKey, publicKey } = created.data;
  const current = await connect(clientKey).GET("/api/keys/current");
  assert.deepEqual(current.data?.scopes, ["sessions:read"]);
  const params = { path: { publicKey } };
  const changed = await client.PATCH("/api/keys/{publicKey}", { params, body: { requestsPerMinute: 60 } });
  assert.equal(changed.data?.requestsPerMinute, 60);
  const replaced = await client.POST("/api/keys/{publicKey}/replacement", { params, body: { graceSeconds: 3600 } });
  assert(replaced.data);
  const keys = await client.GET("/api/keys", { params: { query: { q: "generated" } } });
  assert.equal(keys.data?.totalKeys, 2);
  assert.equal((await client.DELETE("/api/keys/{publicKey}", { params })).response.status, 204);
  const body = { clientKey: replaced.data.clientKey };
  const revoked = await client.POST("/api/keys/revoke", { body, bodySerializer: toForm });
  assert.equal(revoked.response.status, 204);
}

async function fail(): Promise<void> {
  assert.equal((await connect("uptok_x").GET("/api/sessions")).error?.code, "invalid_key");
  const wrong = await client.GET("/api/sessions", { params: { query: { page: 1, cursor: "s1" } } });
  assert.equal(wrong.error?.errors?.[0]?.field, "cursor");
}

await record();
await filterAndDownload(await read());
await manageKeys();
await fail();
console.log("The generated client works.");

import assert from "node:assert/strict";
import { Configuration, KeysApi, ResponseError, Scope, SessionStatus, SessionsApi } from "./client/index";
import type { Session } from "./client/index";

const configuration = new Configuration({
  basePath: process.env["UPTOK_URL"] ?? "",
  accessToken: process.env["UPTOK_API_KEY"] ?? "",
});
const sessions = new SessionsApi(configuration);
const keys = new KeysApi(configuration);

async function main(): Promise<void> {
  const sessionToRecord = [4990, 9007199254740991, null, -3_000_000_000].map((orderValueMinor, index) => ({
    externalId: `call-${index}`,
    status: index % 2 === 1 ? SessionStatus.Missed : SessionStatus.Completed,
    channel: "video" as const,
    createdAt: new Date(`2026-10-01T10:00:00.00${index}Z`),
    endedAt: new Date("2026-10-01T10:05:00Z"),
    orderValueMinor,
  }));
  const recorded = await sessions.recordSessions({ sessionToRecord, idempotencyKey: "typescript" });
  assert.equal(recorded.created, 4);

  const found: Session[] = [];
  let cursor: string | undefined;
  do {
    const page = await sessions.listSessions(cursor === undefined ? { perPage: 3 } : { perPage: 3, cursor });
    found.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  const missed = await sessions.listSessions({ status: SessionStatus.Missed });
  const form = await sessions.exportSessions({ page: 2, perPage: 3, order: "asc", status: "missed" });
  assert.deepEqual([missed.totalSessions, form.totalSessions, form.data], [2, 2, []]);
  assert.equal((await sessions.downloadSessionsCsv()).trimEnd().split("\r\n").length, 5);

  const createKeyRequest = { name: "generated", scopes: [Scope.SessionsRead], expires: "30" };
  const created = await keys.createKey({ createKeyRequest });
  await keys.changeKey({ publicKey: created.publicKey, changeKeyRequest: { requestsPerMinute: 60 } });
  await keys.revokeKey({ clientKey: created.clientKey });
  await assert.rejects(
    keys.getKey({ publicKey: created.publicKey }),
    (error) => error instanceof ResponseError && error.response.status === 404,
  );

  const total = found.reduce((sum, it) => sum + BigInt(it.orderValueMinor ?? 0), 0n);
  const nulls = found.filter((it) => it.orderValueMinor === null).length;
  // A Date has milliseconds.
  console.log(found.length, String(total), nulls, found[1]?.createdAt.getMilliseconds());
}

void main();

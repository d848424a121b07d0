// Copies all sessions of a client to a file, and at every later start what has changed since.
//
//     npm ci && npx tsc
//     UPTOK_URL=https://uptok.example UPTOK_API_KEY=... node export.js [sessions.ndjson]
//
// Needs Node 18 or newer. Node 22.18 and newer also run export.ts as it is. README.md explains the file.

import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const TRIES = 5;
const LONGEST_WAIT = 300; // seconds; a server that asks for more ends the program
const TIMEOUT = 60_000; // milliseconds
// A change counts from when it began, not from when it was stored, so the last minute is always read again.
const OVERLAP = 60_000; // milliseconds

/** How much of the file is complete, and where to go on. */
interface Progress {
  bytes: number;
  cursor: string | null;
  updatedSince: string | null;
  startedAt: string | null;
}

interface Page {
  /** Each session as the server wrote it. */
  lines: string[];
  nextCursor: string | null;
  /** The time of the server, in milliseconds. */
  time: number;
}

/** Why the export stopped, for people. */
class Stop extends Error {}

async function loadPage(url: string, key: string, query: URLSearchParams): Promise<Page> {
  for (let attempt = 1; ; attempt++) {
    const { response, text } = await get(`${url}/api/sessions?${query}`, key);
    if (response.ok) {
      return parsePage(text, response.headers.get("Date"));
    }
    const wait = waitSeconds(response.headers.get("Retry-After"));
    const isBusy = response.status === 429 || response.status === 503;
    if (!isBusy || attempt === TRIES || wait > LONGEST_WAIT) {
      throw new Stop(describe(response.status, text));
    }
    await sleep(wait * 1000);
  }
}

async function get(address: string, key: string): Promise<{ response: Response; text: string }> {
  const headers = { Authorization: `Bearer ${key}`, Accept: "application/json" };
  // The key must not follow a redirect to another server.
  const options: RequestInit = { headers, redirect: "manual", signal: AbortSignal.timeout(TIMEOUT) };
  const response = await fetch(address, options).catch(() => {
    throw new Stop(`${new URL(address).origin} cannot be reached`);
  });
  const text = await response.text().catch(() => {
    throw new Stop("the answer broke off");
  });
  return { response, text };
}

function parsePage(text: string, date: string | null): Page {
  let page: { data?: unknown[]; nextCursor?: string };
  try {
    page = JSON.parse(text);
  } catch {
    throw new Stop("the answer broke off");
  }
  const count = page.data?.length ?? 0;
  // Copied as text, because JSON.parse rounds numbers above 2^53. A session contains no object.
  const lines = text.match(/\{(?:[^{}"]|"(?:[^"\\]|\\.)*")*\}/g) ?? [];
  const time = Date.parse(date ?? "");
  if (Number.isNaN(time) || !Array.isArray(page.data) || (count > 0 && lines.length !== count)) {
    throw new Stop("the answer is not one of Uptok");
  }
  return { lines: lines.slice(0, count), nextCursor: page.nextCursor ?? null, time };
}

function waitSeconds(retryAfter: string | null): number {
  return /^\d+$/.test(retryAfter ?? "") ? Number(retryAfter) : 5;
}

/** The first sentence that the server says, and the status. */
function describe(status: number, text: string): string {
  let detail = "the server refused the request";
  try {
    detail = String(JSON.parse(text).detail).split(". ")[0]!.replace(/\.$/, "");
  } catch {
    // A proxy answered.
  }
  return `${detail} (HTTP ${status})`;
}

function loadProgress(path: string, progressPath: string): Progress {
  if (fs.existsSync(progressPath)) {
    return JSON.parse(fs.readFileSync(progressPath, "utf8"));
  }
  if (fs.existsSync(path) && fs.statSync(path).size > 0) {
    throw new Stop(`${path} exists already, and is not from this program`);
  }
  const progress = { bytes: 0, cursor: null, updatedSince: null, startedAt: null };
  saveProgress(progress, progressPath);
  return progress;
}

/** Replaces the file in one step, so that it is whole whenever the program is killed. */
function saveProgress(progress: Progress, progressPath: string): void {
  const file = fs.openSync(`${progressPath}.new`, "w");
  fs.writeFileSync(file, JSON.stringify(progress));
  fs.fsyncSync(file);
  fs.closeSync(file);
  fs.renameSync(`${progressPath}.new`, progressPath);
}

/** Appends every session, or those that changed since the last export. Returns how many. */
async function exportSessions(url: string, key: string, path: string): Promise<number> {
  const progressPath = `${path}.progress`;
  const progress = loadProgress(path, progressPath);
  const file = fs.openSync(path, "a");
  if (fs.fstatSync(file).size < progress.bytes) {
    throw new Stop(`${path} is shorter than it was; delete it and ${progressPath}`);
  }
  // What was written after the last saved progress comes again.
  fs.ftruncateSync(file, progress.bytes);
  let count = 0;
  do {
    const query = new URLSearchParams({ perPage: "1000" });
    if (progress.cursor) query.set("cursor", progress.cursor);
    if (progress.updatedSince) query.set("updatedSince", progress.updatedSince);
    const page = await loadPage(url, key, query);
    progress.startedAt ??= new Date(page.time - OVERLAP).toISOString();
    fs.writeFileSync(file, page.lines.map((line) => `${line}\n`).join(""));
    fs.fsyncSync(file);
    count += page.lines.length;
    progress.bytes = fs.fstatSync(file).size;
    progress.cursor = page.nextCursor;
    if (progress.cursor === null) {
      progress.updatedSince = progress.startedAt;
      progress.startedAt = null;
    }
    saveProgress(progress, progressPath);
  } while (progress.cursor !== null);
  return count;
}

const url = (process.env["UPTOK_URL"] ?? "http://localhost:8080").replace(/\/+$/, "");
const key = (process.env["UPTOK_API_KEY"] ?? "").trim();
const path = process.argv[2] ?? "sessions.ndjson";
try {
  if (!/^uptok_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/.test(key)) {
    throw new Stop("UPTOK_API_KEY is not an API key of Uptok");
  }
  if (!URL.canParse(url) || !/^https?:\/\//.test(url)) {
    throw new Stop("UPTOK_URL does not begin with https:// or http://");
  }
  console.log(`${await exportSessions(url, key, path)} sessions written to ${path}`);
} catch (error) {
  const reason = error instanceof Error ? error.message : "unknown error";
  const safe = key === "" ? reason : reason.replaceAll(key, "(key)");
  console.error(`The export stopped and can be started again: ${safe}.`);
  process.exitCode = 1;
}

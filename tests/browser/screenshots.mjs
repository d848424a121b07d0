// Takes the pictures of README.md and docs/ from a running Uptok with the demo client.
//
//   node screenshots.mjs BINARY FOLDER

import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

const [binary, folder] = process.argv.slice(2);
const WIDTH = 1280;
const KEYS = ["Data lake", "Call-centre wallboard", "Order sync", "Monthly report", "Warehouse import"];
// Calls of the last 30 days, so that the charts have a shape.
const HISTORY = `
  insert into key_usage (client_id, public_key, hour, endpoint, status_class, requests)
  select client_id, public_key, date_trunc('hour', now()) - make_interval(hours => 6 * n),
         'GET /api/sessions', case when n % 11 = 7 then 4 else 2 end,
         4 + (n * 7 + ascii(right(name, 1))) % 23
  from api_keys, generate_series(0, 119) n where name <> 'Data lake'
  on conflict do nothing;
  insert into key_last_uses (client_id, public_key, used_at, address, user_agent)
  select client_id, public_key, now() - make_interval(mins => 2 + ascii(right(name, 1)) % 50), '203.0.113.24',
         'warehouse-sync/2.4 (python-requests)'
  from api_keys where name <> 'Data lake'
  on conflict do nothing`;

const freePort = () =>
  new Promise((done) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });

const port = await freePort();
const base = `http://127.0.0.1:${port}`;
const data = mkdtempSync(join(tmpdir(), "uptok-screenshots-"));
const environment = {
  ...process.env,
  UPTOK_DATA_DIR: data,
  UPTOK_LISTEN: `127.0.0.1:${port}`,
  UPTOK_PUBLIC_URL: base,
  UPTOK_LOG: "warn",
};
delete environment.DATABASE_URL;
const server = spawn(binary, ["serve", "--demo"], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
const stopped = new Promise((done) => server.once("exit", done));

async function waitUntilReady() {
  let printed = "";
  for await (const chunk of server.stdout) {
    printed += chunk;
    if (printed.includes("Uptok is at")) break;
  }
  // Reads on, so that a full pipe does not stop the server.
  server.stdout.resume();
  const [, password] = /Password\s+(\S+)/.exec(printed) ?? [];
  if (!password) throw new Error(`Uptok did not start: ${printed}`);
  return password;
}

// For root, the database is elsewhere: PostgreSQL does not run as root, and its account cannot use this folder.
function removeData() {
  const database = realpathSync(join(data, "postgres"));
  for (const path of [database, `${database}.data-dir`, data]) rmSync(path, { recursive: true, force: true });
}

async function submit(page, selector) {
  await Promise.all([page.waitForNavigation(), page.click(selector)]);
}

async function take(page, name, path, theme) {
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
  if (path) await page.goto(base + path, { waitUntil: "networkidle0" });
  await page.screenshot({ path: join(folder, `${name}.webp`), type: "webp", quality: 80 });
}

async function takeAll(page, password) {
  await page.setViewport({ width: WIDTH, height: 800, deviceScaleFactor: 2 });
  await page.goto(`${base}/login`);
  await page.type("#field-email", "demo@example.org");
  await page.type("#field-password", password);
  await submit(page, ".stack .button");
  for (const name of KEYS) {
    await page.goto(`${base}/settings/api-keys`);
    await page.type("#key-name", name);
    await submit(page, ".generate .button");
  }
  await take(page, "new-key", null, "light");
  const url = execFileSync(binary, ["database-url"], { env: environment, encoding: "utf8" }).trim();
  execFileSync("psql", ["--quiet", "--set=ON_ERROR_STOP=1", "--command", HISTORY, url]);
  await take(page, "api-keys", "/settings/api-keys", "light");
  await take(page, "sessions", "/sessions", "light");
  await take(page, "usage", "/settings/usage", "dark");
}

// Chromium refuses to run as root with its sandbox.
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
let browser;
try {
  const password = await waitUntilReady();
  browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", ...sandbox],
  });
  await takeAll(await browser.newPage(), password);
} finally {
  await browser?.close();
  server.kill("SIGTERM");
  await stopped;
  removeData();
}

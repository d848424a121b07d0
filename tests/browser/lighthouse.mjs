// Runs Lighthouse on pages of a running Uptok and prints one JSON line per page and device.
//
//   node lighthouse.mjs CATEGORIES COOKIE URL…
//
// CATEGORIES are separated by commas. COOKIE may be empty.

import { desktopConfig, default as lighthouse } from "lighthouse";
import puppeteer from "puppeteer-core";

const [categories, cookie, ...urls] = process.argv.slice(2);
const devices = { mobile: undefined, desktop: desktopConfig };

// Chromium refuses to run as root with its sandbox.
const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--disable-gpu", "--disable-dev-shm-usage", ...sandbox],
});
try {
  for (const url of urls) {
    for (const [device, config] of Object.entries(devices)) {
      const page = await browser.newPage();
      const flags = {
        onlyCategories: categories.split(","),
        extraHeaders: cookie ? { Cookie: cookie } : {},
        logLevel: "error",
      };
      const { lhr } = await lighthouse(url, flags, config, page);
      const scores = Object.values(lhr.categories).map(({ id, score }) => [id, Math.round(score * 100)]);
      const failed = Object.values(lhr.categories)
        .filter(({ id }) => id !== "performance")
        .flatMap(({ auditRefs }) => auditRefs.filter(({ weight }) => weight > 0))
        .map(({ id }) => lhr.audits[id])
        .filter(({ score }) => score !== null && score < 1)
        .map(({ id, title, details }) => ({ id, title, items: details?.items }));
      const path = new URL(lhr.finalDisplayedUrl).pathname;
      console.log(JSON.stringify({ path, device, scores: Object.fromEntries(scores), error: lhr.runtimeError, failed }));
      await page.close();
    }
  }
} finally {
  await browser.close();
}

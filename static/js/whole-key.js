// The key that was just made: copies it, and takes it off the page when the page is left.

const box = document.querySelector("[data-whole-key]");
const text = box?.querySelector("[data-whole-key-text]");
const button = box?.querySelector("[data-copy]");
const status = box?.querySelector("[data-copied]");

async function copy() {
  // Only https and localhost have a clipboard; elsewhere the old way still works.
  try {
    await navigator.clipboard.writeText(text.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(text);
    return document.execCommand("copy");
  }
}

if (box) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const isCopied = await copy();
    if (isCopied) getSelection().removeAllRanges();
    status.textContent = isCopied ? "Copied" : "Press Ctrl+C to copy";
  });

  // The back/forward cache keeps the page as it is now: without the secret, like every later list.
  addEventListener("pagehide", () => {
    const [prefix, publicPart] = text.textContent.split("_");
    const masked = document.createElement("code");
    masked.textContent = `${prefix}_${publicPart}_••••`;
    for (const part of box.children) part.textContent = "";
    box.replaceChildren(masked);
  }, { once: true });
}

// Copies a newly created key, and removes it when the user leaves the page.

// The browser would send the form again for Back and Reload, so the page gets the address of the list.
const address = document.querySelector("[data-address]")?.dataset.address;
if (address) history.replaceState(null, "", address);

const box = document.querySelector("[data-whole-key]");
const text = box?.querySelector("[data-whole-key-text]");
const button = box?.querySelector("[data-copy]");
const status = box?.querySelector("[data-copied]");

async function copy() {
  // The Clipboard API exists only over HTTPS and on localhost; elsewhere `execCommand` still works.
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
  button.focus();
  button.addEventListener("click", async () => {
    const isCopied = await copy();
    if (isCopied) getSelection().removeAllRanges();
    status.textContent = isCopied ? "Copied" : "Press Ctrl+C to copy";
  });

  // The back/forward cache stores the page in its current state, so mask the key first.
  addEventListener("pagehide", () => {
    const [prefix, publicPart] = text.textContent.split("_");
    const masked = document.createElement("code");
    masked.textContent = `${prefix}_${publicPart}_••••`;
    for (const part of box.children) part.textContent = "";
    box.replaceChildren(masked);
  }, { once: true });
}

// Copies a new link. Without this script it can be selected in its field.

const field = document.querySelector("[data-link]");
const button = document.querySelector("[data-copy-link]");
const status = document.querySelector("[data-link-copied]");

async function copy() {
  // The Clipboard API exists only over HTTPS and on localhost; elsewhere `execCommand` still works.
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.select();
    return document.execCommand("copy");
  }
}

if (field) {
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    status.textContent = (await copy()) ? "Copied" : "Press Ctrl+C to copy";
  });
}

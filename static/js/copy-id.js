// Copies the id before a button. Without scripts the buttons stay hidden, and the ids can be selected.

const status = document.querySelector("[data-copy-status]");
const buttons = document.querySelectorAll("[data-copy-id]");

async function copyText(element) {
  // The Clipboard API exists only over HTTPS and on localhost; elsewhere `execCommand` still works.
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
}

async function copyId(button) {
  const isCopied = await copyText(button.previousElementSibling);
  if (isCopied) getSelection().removeAllRanges();
  for (const other of buttons) other.textContent = "Copy";
  button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
  status.textContent = isCopied ? "Copied" : "Press Ctrl+C to copy";
}

for (const button of buttons) {
  button.hidden = false;
  button.addEventListener("click", () => copyId(button));
}

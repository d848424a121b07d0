// Copies what is before a button: the text of an element, or the value of a field. Without scripts the buttons stay
// hidden, and what they would copy can be selected.

const buttons = document.querySelectorAll("[data-copy]");

async function copy(source) {
  // The Clipboard API exists only over HTTPS and on localhost; elsewhere `execCommand` still works.
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    return true;
  } catch {
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    return document.execCommand("copy");
  }
}

function showResult(button, isCopied) {
  document.querySelector("[data-copied]").textContent = isCopied ? "Copied" : "Press Ctrl+C to copy";
  for (const label of document.querySelectorAll("[data-copy-label]")) {
    if (!button.contains(label)) label.textContent = "Copy";
    else label.textContent = isCopied ? "Copied" : "Press Ctrl+C";
  }
}

for (const button of buttons) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const isCopied = await copy(button.previousElementSibling);
    if (isCopied) getSelection().removeAllRanges();
    showResult(button, isCopied);
  });
}

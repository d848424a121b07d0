// Removes a newly created key when the user leaves the page. copy.js copies it.

// The browser would send the form again for Back and Reload, so the page gets the address of the list.
const address = document.querySelector("[data-address]")?.dataset.address;
if (address) history.replaceState(null, "", address);

const box = document.querySelector("[data-whole-key]");

if (box) {
  box.querySelector("[data-copy]").focus();

  // The back/forward cache stores the page in its current state, so mask the key first.
  addEventListener("pagehide", () => {
    const [prefix, publicPart] = box.querySelector("[data-whole-key-text]").textContent.split("_");
    const masked = document.createElement("code");
    masked.textContent = `${prefix}_${publicPart}_••••`;
    for (const part of box.children) part.textContent = "";
    box.replaceChildren(masked);
  }, { once: true });
}

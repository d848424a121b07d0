// Enhances forms and action menus. Every page works without it.

// Milliseconds after which a form can be submitted again even if no response has arrived.
const LOCK_TIMEOUT = 10_000;
const submittedForms = new Set();

function unlock(form) {
  submittedForms.delete(form);
  for (const button of form.querySelectorAll("button[aria-disabled]")) {
    button.removeAttribute("aria-disabled");
  }
}

// Most pages say what gets the focus; on the others it is what has to be corrected.
if (!document.querySelector("[autofocus]")) document.querySelector("main [aria-invalid=true]")?.focus();

addEventListener("submit", (event) => {
  const form = event.target;
  if (submittedForms.has(form)) {
    event.preventDefault();
    return;
  }
  submittedForms.add(form);
  // Not `disabled`, which would lose the focus and which Firefox restores after a reload.
  for (const button of form.querySelectorAll("button:not([type=button])")) {
    button.setAttribute("aria-disabled", "true");
  }
  setTimeout(unlock, LOCK_TIMEOUT, form);
});

// The back/forward cache restores the page with its forms locked.
addEventListener("pageshow", () => submittedForms.forEach(unlock));

// Entering a date selects the option it belongs to.
addEventListener("input", (event) => {
  if (event.target.matches("input[type=date]")) {
    const choice = event.target.closest(".pair")?.querySelector("input[type=radio]");
    if (choice) choice.checked = true;
  }
});

function closeMenus(shouldClose) {
  for (const menu of document.querySelectorAll("details.actions[open]")) {
    if (!shouldClose(menu)) continue;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  }
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMenus(() => true);
});

addEventListener("click", (event) => closeMenus((menu) => !menu.contains(event.target)));

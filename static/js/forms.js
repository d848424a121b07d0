// What forms and action menus do beyond HTML. Every page works without it.

// A request that never ends must not lock its form for good.
const PATIENCE = 10_000;
const sent = new Set();

function release(form) {
  sent.delete(form);
  for (const button of form.querySelectorAll("button[aria-disabled]")) {
    button.removeAttribute("aria-disabled");
  }
}

addEventListener("submit", (event) => {
  const form = event.target;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  sent.add(form);
  // Not `disabled`: that would take the focus away, and Firefox keeps it over a reload.
  for (const button of form.querySelectorAll("button:not([type=button])")) {
    button.setAttribute("aria-disabled", "true");
  }
  setTimeout(release, PATIENCE, form);
});

// The back/forward cache brings the page back as it was left: with its forms sent.
addEventListener("pageshow", () => sent.forEach(release));

// A day that is given is meant.
addEventListener("input", (event) => {
  if (event.target.matches("input[type=date]")) {
    const choice = event.target.closest(".pair")?.querySelector("input[type=radio]");
    if (choice) choice.checked = true;
  }
});

function closeMenus(isLeft) {
  for (const menu of document.querySelectorAll("details.actions[open]")) {
    if (!isLeft(menu)) continue;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  }
}

addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeMenus(() => true);
});

addEventListener("click", (event) => closeMenus((menu) => !menu.contains(event.target)));

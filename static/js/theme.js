// Changes the theme without loading the page again, so that typed text and a key that is shown once stay.

const form = document.querySelector(".themes");

function show(theme) {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  document.querySelector("meta[name=color-scheme]").content = theme === "system" ? "light dark" : theme;
  const bar = getComputedStyle(document.querySelector(".side")).backgroundColor;
  for (const meta of document.querySelectorAll("meta[name=theme-color]")) meta.content = bar;
  for (const button of form.elements) button.setAttribute("aria-pressed", String(button.value === theme));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  // forms.js locks the forms that it sees, but this one can be submitted again at once.
  event.stopPropagation();
  const theme = event.submitter.value;
  show(theme);
  fetch(form.action, {
    method: "POST",
    body: new URLSearchParams({ theme }),
    redirect: "manual",
    keepalive: true,
  });
});

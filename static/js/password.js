// Adds a button to each password field that shows what was typed.

function addButton(field) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "reveal";
  button.setAttribute("aria-controls", field.id);
  // After the field, which would lose the focus if it were moved.
  field.after(button);

  const show = (isShown) => {
    field.type = isShown ? "text" : "password";
    button.textContent = isShown ? "Hide" : "Show";
    button.setAttribute("aria-label", `${button.textContent} password`);
  };
  show(false);
  button.addEventListener("click", () => show(field.type === "password"));
  // Browsers store what was typed into fields of other types.
  field.form.addEventListener("submit", () => show(false));
}

document.querySelectorAll("input[type=password]").forEach(addButton);

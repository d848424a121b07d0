// Counts the selected rows of a table, and selects all of them. Without it, the bar below the table still works.

const bar = document.querySelector("[data-selection]");
const boxes = [...document.querySelectorAll(`input[form="${bar?.id}"]`)];
const selectAllBoxes = document.querySelectorAll("[data-select-all]");

function showCount() {
  const count = boxes.filter((box) => box.checked).length;
  bar.querySelector("[data-selection-count]").textContent = `${count} selected`;
  bar.querySelector("button").disabled = count === 0;
  for (const box of selectAllBoxes) {
    box.checked = count === boxes.length;
    box.indeterminate = count > 0 && count < boxes.length;
  }
}

if (bar) {
  for (const box of selectAllBoxes) {
    box.hidden = false;
    box.parentElement.hidden = false;
  }
  addEventListener("change", ({ target }) => {
    if (target.matches("[data-select-all]")) {
      for (const box of boxes) box.checked = target.checked;
    }
    showCount();
  });
  // Browsers check the boxes again after a reload, without a change event.
  addEventListener("pageshow", showCount);
  showCount();
}

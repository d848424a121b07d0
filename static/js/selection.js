// Counts the selected rows of a table, and selects all of them or none. Without it, the bar at the table still works.

const bar = document.querySelector("[data-selection]");
const boxes = [...document.querySelectorAll(`input[form="${bar?.id}"]`)];
const selectAllBoxes = document.querySelectorAll("[data-select-all]");

function showCount() {
  const count = boxes.filter((box) => box.checked).length;
  bar.querySelector("[data-selection-count]").textContent = count ? `${count} selected` : "";
  bar.querySelector("[data-selection-label]").textContent = count === 1 ? "Delete 1 key" : `Delete ${count} keys`;
  bar.querySelector("button:not([type])").disabled = count === 0;
  for (const box of selectAllBoxes) {
    box.checked = count === boxes.length;
    box.indeterminate = count > 0 && count < boxes.length;
  }
}

function selectAll(isSelected) {
  for (const box of boxes) box.checked = isSelected;
  showCount();
}

if (bar) {
  const clear = bar.querySelector("[data-selection-clear]");
  for (const box of selectAllBoxes) {
    box.hidden = false;
    box.parentElement.hidden = false;
  }
  clear.hidden = false;
  clear.addEventListener("click", () => {
    selectAll(false);
    // The bar, and with it the focus, is gone.
    boxes[0].focus();
  });
  addEventListener("change", ({ target }) => {
    if (target.matches("[data-select-all]")) selectAll(target.checked);
    else showCount();
  });
  // Browsers check the boxes again after a reload, without a change event.
  addEventListener("pageshow", showCount);
  showCount();
}

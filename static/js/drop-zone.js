// Lets a file be dropped on the area around the file input. The input itself works without this.

const zone = document.querySelector("[data-drop-zone]");
const input = zone?.querySelector("input[type=file]");
const status = zone?.querySelector("[data-drop-status]");

function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

function isInZone(event) {
  return event.target instanceof Node && zone.contains(event.target);
}

function choose(file) {
  // The input takes one file, and takes files only in a list.
  const list = new DataTransfer();
  list.items.add(file);
  input.files = list.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

if (zone) {
  zone.classList.add("is-active");
  zone.querySelector("[data-drop-hint]").hidden = false;

  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    // Otherwise a file dropped beside the area would replace the page.
    event.preventDefault();
    event.dataTransfer.dropEffect = isInZone(event) ? "copy" : "none";
    zone.classList.toggle("is-target", isInZone(event));
  });

  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) zone.classList.remove("is-target");
  });

  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    zone.classList.remove("is-target");
    const [file] = event.dataTransfer.files;
    if (isInZone(event) && file) choose(file);
  });

  input.addEventListener("change", () => {
    const [file] = input.files;
    status.textContent = file ? `${file.name} is ready to upload.` : "";
  });
}

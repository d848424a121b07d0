// Empties a page that enters the back/forward cache, and loads it again when it comes back: what it shows may be for a
// user who has logged out since. `Cache-Control: no-store` does not keep pages out of that cache.
// Not a module, so that it runs before there is any content.

addEventListener("pagehide", (event) => {
  if (!event.persisted) return;
  const root = document.documentElement;
  // Keeps the height, and so the scroll position.
  root.style.minHeight = `${root.scrollHeight}px`;
  document.body.remove();
});

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

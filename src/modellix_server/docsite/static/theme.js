// The reader's choice of light or dark, kept in this browser. It runs before the page is shown, so that nothing flashes.
const KEPT = "modellix-docs-theme";
const root = document.documentElement;
try {
  const kept = localStorage.getItem(KEPT);
  if (kept) root.dataset.theme = kept;
} catch {
  // A browser that keeps nothing: the system decides.
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-switch-theme]")) return;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem(KEPT, root.dataset.theme);
  } catch {
    // It holds for this page alone.
  }
});

// What every page gains by script: copying, and times in the browser's zone. All else works without it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
  if (!button.textContent.endsWith("✓")) button.append(" ✓");
});

function localize() {
  for (const time of document.querySelectorAll("time[data-local]")) {
    const at = new Date(time.dateTime);
    const two = (number) => String(number).padStart(2, "0");
    time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
    if (time.dataset.local === "second") time.textContent += `:${two(at.getSeconds())}`;
    time.removeAttribute("data-local");
  }
}
localize();
new MutationObserver(localize).observe(document.body, { childList: true, subtree: true });

// What every page gains by script: copying, times in the browser's zone, keys. All else works without it.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
  if (!button.textContent.endsWith("✓")) button.append(" ✓");
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-print]")) print();
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

// On a phone the navigation is one row: the page's own entry is in sight.
const own = document.querySelector(".side nav [aria-current]");
own?.parentElement.scrollTo({ left: own.offsetLeft - own.parentElement.offsetLeft - own.parentElement.clientWidth / 3 });

// `/` goes to the search, Ctrl+Enter runs, Escape closes what is open.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const search = document.querySelector("[data-search], [role=search] input:not([type=hidden])");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    [...document.querySelectorAll("[data-run]")].find((button) => button.checkVisibility())?.click();
  }
  if (event.key === "Escape") {
    for (const open of document.querySelectorAll("details.teams[open], details.confirm[open]")) {
      open.open = false;
      if (open.contains(document.activeElement)) open.querySelector("summary").focus();
    }
  }
});

// A dismissed announcement stays away until the browser is closed.
document.addEventListener("click", (event) => {
  const bar = event.target.closest("[data-dismiss]")?.closest("[data-announcement]");
  if (!bar) return;
  const name = "modellix-dismissed=";
  const former = document.cookie.split("; ").find((one) => one.startsWith(name))?.slice(name.length);
  document.cookie = `${name}${former ? `${former}.` : ""}${bar.dataset.announcement}; path=/; samesite=lax`;
  bar.remove();
});

// What every page gains by script: copying, and times in the browser's zone. All else works without it.
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
    button.append(" ✓");
  }, { once: true });
}
for (const time of document.querySelectorAll("time[data-local]")) {
  const at = new Date(time.dateTime);
  const two = (number) => String(number).padStart(2, "0");
  time.textContent = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

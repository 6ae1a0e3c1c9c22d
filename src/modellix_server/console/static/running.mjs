// Keeps pieces of a page that show an unfinished task up to date. One stream for all of them says which has news; that
// piece is then fetched anew, and with it the balance. Nothing is followed while the page is hidden. Elapsed times run by themselves.
let source = null;
let followed = "";

const pieces = () => [...document.querySelectorAll("[data-task][data-live]")];

async function renew(piece) {
  const answer = await fetch(piece.dataset.live);
  if (!answer.ok || !piece.isConnected) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById(piece.id);
  if (!fresh) return;
  const balance = page.getElementById("balance");
  if (balance) document.getElementById("balance")?.replaceWith(balance);
  const focus = piece.contains(document.activeElement) ? document.activeElement.id : "";
  piece.replaceWith(fresh);
  if (focus) document.getElementById(focus)?.focus();
}

function heard(message) {
  const news = JSON.parse(message.data);
  for (const piece of pieces().filter((one) => one.dataset.task === news.task)) {
    const bar = piece.querySelector("progress");
    if (bar && news.progress !== null) bar.value = news.progress;
    if (news.changed) renew(piece).catch(() => {});
  }
}

function follow() {
  const shown = document.hidden ? [] : pieces();
  const names = [...new Set(shown.map((one) => one.dataset.task))].sort().join();
  if (names === followed) return;
  followed = names;
  source?.close();
  source = null;
  if (!names) return;
  const query = new URLSearchParams(new URL(shown[0].dataset.live, location.href).search);
  for (const one of shown.slice(0, 50)) query.append("task", `${one.dataset.task}~${one.dataset.moves}`);
  source = new EventSource(`/console/tasks/events?${query}`);
  source.addEventListener("message", heard);
}

setInterval(() => {
  for (const one of document.querySelectorAll("[data-since]")) {
    const seconds = Math.max(0, (Date.now() - Date.parse(one.dataset.since)) / 1000);
    one.textContent = seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")} min`;
  }
}, 500);
// Pieces that are fetched anew at intervals, such as a log that is watched.
setInterval(() => {
  if (document.hidden) return;
  for (const one of document.querySelectorAll("[data-live][data-every]")) {
    const now = Date.now();
    if (now - (one.lastRenewed ?? (one.lastRenewed = now)) < Number(one.dataset.every)) continue;
    one.lastRenewed = now;
    renew(one).catch(() => {});
  }
}, 500);
new MutationObserver(follow).observe(document.body, { childList: true, subtree: true });
document.addEventListener("visibilitychange", follow);
follow();

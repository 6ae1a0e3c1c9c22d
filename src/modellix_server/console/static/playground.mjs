// The playground's live parts: tabs without a new page, twins of ranges, dice, counters, the marked field.
const panels = [...document.querySelectorAll("[data-panel]")];
const tabs = [...document.querySelectorAll("[data-tab]")];

function show(name) {
  for (const panel of panels) panel.hidden = panel.dataset.panel !== name;
  for (const tab of tabs) tab.dataset.tab === name ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current");
}

for (const tab of tabs) {
  tab.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    show(tab.dataset.tab);
    history.pushState(null, "", tab.href);
  });
}
addEventListener("popstate", () => show(new URLSearchParams(location.search).get("tab") ?? "form"));

document.addEventListener("input", ({ target }) => {
  const twin = target.dataset.twin ? document.getElementById(target.dataset.twin) : document.querySelector(`[data-twin="${target.id}"]`);
  if (target.id || target.dataset.twin) if (twin && twin.value !== target.value) twin.value = target.value;
  if (target.dataset.most) count(target);
});

function count(area) {
  const note = document.querySelector(`label[for="${area.id}"] small`);
  if (note) note.textContent = `${[...area.value].length.toLocaleString()} / ${Number(area.dataset.most).toLocaleString()}`;
}
document.querySelectorAll("[data-most]:is(textarea)").forEach(count);

for (const die of document.querySelectorAll("[data-dice]")) {
  die.addEventListener("click", () => {
    const seed = document.getElementById(die.dataset.dice);
    const least = Math.max(0, Number(seed.min || 0));
    seed.value = least + Math.floor(Math.random() * (Math.min(Number(seed.max || 2147483647), 2147483647) - least));
    seed.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

// The field that the server's refusal is about.
function mark() {
  for (const field of document.querySelectorAll(".field.wrong")) {
    field.classList.remove("wrong");
    field.querySelector("[aria-invalid]")?.removeAttribute("aria-invalid");
  }
  const at = document.querySelector("#quote .problem")?.dataset.at;
  const field = at && document.querySelector(`.field[data-path="${CSS.escape(at)}"]`);
  if (!field) return;
  field.classList.add("wrong");
  field.querySelector("[name]:not([type=hidden])")?.setAttribute("aria-invalid", "true");
}
document.addEventListener("htmx:after:swap", mark);
mark();

// A field for pictures, videos or sounds: choose, drop, paste or photograph a file, or write a link. Files are uploaded
// at once; the form carries their ids. Without script the same fields take links and ids as text.
class Media extends HTMLElement {
  connectedCallback() {
    if (this.list) return;
    this.words = JSON.parse(this.dataset.words);
    this.most = Number(this.dataset.most);
    this.list = this.querySelector(".items");
    this.first = this.list.querySelector("input").id;
    this.label = this.querySelector("label").firstChild.textContent.trim();
    this.picker = Object.assign(document.createElement("input"), { type: "file", hidden: true, multiple: this.most > 1, tabIndex: -1 });
    this.picker.accept = this.dataset.kinds.split(" ").map((kind) => `${kind}/*`).join();
    this.picker.setAttribute("aria-hidden", "true");
    this.picker.addEventListener("change", () => { this.take(this.picker.files); this.picker.value = ""; });
    this.choose = Object.assign(document.createElement("button"), { type: "button", className: "choose" });
    this.choose.addEventListener("click", () => this.picker.click());
    this.status = Object.assign(document.createElement("p"), { className: "hint" });
    this.status.setAttribute("role", "status");
    this.list.after(this.picker, this.choose, this.status);
    for (const item of this.items()) this.dress(item);
    this.addEventListener("dragover", (event) => { event.preventDefault(); this.classList.add("over"); });
    this.addEventListener("dragleave", () => this.classList.remove("over"));
    this.addEventListener("drop", (event) => {
      event.preventDefault();
      this.classList.remove("over");
      this.take(event.dataTransfer.files);
    });
    this.addEventListener("paste", (event) => {
      if (!event.clipboardData.files.length) return;
      event.preventDefault();
      this.take(event.clipboardData.files);
    });
    this.tidy();
  }

  items() { return [...this.list.children]; }
  filled() { return this.items().filter((item) => item.querySelector("input").value.trim()); }

  dress(item) {
    const input = item.querySelector("input");
    const picture = document.createElement("span");
    picture.className = "preview";
    const button = (text, sign, act) => {
      const made = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: sign, title: text });
      made.setAttribute("aria-label", `${text}: ${this.label}`);
      made.addEventListener("click", act);
      return made;
    };
    item.prepend(picture);
    if (this.most > 1) item.append(button(this.words.earlier, "↑", () => { this.list.prepend(item); this.changed(); }));
    item.append(button(this.words.remove, "×", () => { input.value = ""; delete input.dataset.url; this.changed(); this.choose.focus(); }));
    input.addEventListener("input", () => { delete input.dataset.url; this.preview(item); this.tidy(); });
    this.preview(item);
  }

  preview(item) {
    const input = item.querySelector("input");
    const url = input.dataset.url ?? input.value.trim();
    const picture = item.querySelector(".preview");
    picture.replaceChildren();
    const ours = input.dataset.url || [location.origin, this.dataset.files].some((origin) => url.startsWith(`${origin}/`));
    if (!ours) return;  // pages load nothing from elsewhere
    const kind = input.dataset.kind ?? (/\.(mp4|webm|mov)([?#]|$)/.test(url) ? "video" : /\.(mp3|wav|m4a|aac|flac|ogg)([?#]|$)/.test(url) ? "audio" : "image");
    if (kind === "audio") return;
    const shown = document.createElement(kind === "video" ? "video" : "img");
    shown.src = url;
    if (kind === "video") shown.muted = true; else shown.alt = "";
    shown.addEventListener("error", () => shown.remove());
    picture.append(shown);
  }

  async take(files) {
    for (const file of [...files].slice(0, Math.max(1, this.most - this.filled().length))) {
      this.status.textContent = `${this.words.sending}: ${file.name}`;
      const body = new FormData();
      body.append("file", file);
      try {
        const answer = await fetch(this.dataset.upload, { method: "POST", body });
        const said = await answer.json();
        if (!answer.ok) throw new Error(said.detail);
        this.put(said);
        this.status.textContent = "";
      } catch (error) {
        this.status.textContent = `${file.name}: ${error.message}`;
      }
    }
  }

  put(file) {
    let item = this.most === 1 ? this.items()[0] : this.items().find((one) => !one.querySelector("input").value.trim());
    if (!item) item = this.another();
    const input = item.querySelector("input");
    Object.assign(input.dataset, { url: file.url, kind: file.kind });
    input.value = file.id;
    input.title = file.name;
    this.preview(item);
    this.changed();
  }

  another() {
    const item = document.createElement("div");
    item.className = "item";
    const input = Object.assign(document.createElement("input"), { type: "text", name: this.dataset.name, placeholder: this.words.link });
    input.setAttribute("aria-label", `${this.label} ${this.items().length + 1}`);
    item.append(input);
    this.list.append(item);
    this.dress(item);
    return item;
  }

  changed() {
    for (const item of this.items()) this.preview(item);
    this.tidy();
    this.list.querySelector("input").dispatchEvent(new Event("input", { bubbles: true }));
  }

  // One empty field at the end as long as there is room.
  tidy() {
    const empty = this.items().filter((item) => !item.querySelector("input").value.trim());
    for (const item of empty.slice(1)) item.remove();
    const room = this.filled().length < this.most;
    if (empty[0]) room || this.most === 1 ? this.list.append(empty[0]) : empty[0].remove();
    else if (room) this.another();
    this.choose.textContent = this.filled().length && this.most > 1 ? this.words.more : this.words.choose;
    this.choose.hidden = this.most > 1 && !room;
    this.list.querySelector("input").id = this.first;
  }
}
customElements.define("mx-media", Media);

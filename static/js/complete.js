// Suggestions while a word is typed, in fields with data-complete.
//
//   <form data-suggest="/policy/rules/suggest/">
//     <input data-complete="tools">         names, several with spaces between
//     <textarea data-complete="when">       what a condition may name
//
// The field is a combobox with a listbox: arrows choose, Enter or Tab takes, Escape
// closes. Without this module the field is what it is.

const MOST = 12;
const WAIT_MS = 120;
const WORD = { names: /[^\s,]*$/, when: /[A-Za-z_][\w.[\]"]*$/ };
const SELECTOR = ["servers", "tools", "tags", "effects"];
const kept = new Map();
let count = 0;

async function offersFor(field, word) {
  const form = field.form;
  const query = new URLSearchParams({ field: field.dataset.complete });
  if (field.dataset.complete === "when") {
    for (const name of SELECTOR) query.set(name, form.elements[name]?.value ?? "");
  } else {
    query.set("word", word);
  }
  const address = `${form.dataset.suggest}?${query}`;
  if (!kept.has(address)) {
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (!answer.ok) return [];
    kept.set(address, (await answer.json()).offers);
  }
  return kept.get(address);
}

function fitting(offers, word) {
  const plain = word.toLowerCase();
  const starts = offers.filter((one) => one.text.toLowerCase().startsWith(plain));
  const holds = offers.filter((one) => !starts.includes(one) && one.text.toLowerCase().includes(plain));
  return [...starts, ...holds].filter((one) => one.text !== word).slice(0, MOST);
}

class Completer {
  constructor(field) {
    this.field = field;
    this.word = field.dataset.complete === "when" ? WORD.when : WORD.names;
    this.place = field.parentElement.classList.contains("tg-complete") ? field.parentElement : this.wrap();
    this.list = document.createElement("ul");
    this.list.className = "tg-offers";
    this.list.id = `offers-${++count}`;
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Suggestions");
    this.list.hidden = true;
    this.place.append(this.list);
    this.at = -1;
    this.asked = 0;
    if (field.tagName === "INPUT") field.setAttribute("role", "combobox");
    if (field.tagName === "INPUT") field.setAttribute("aria-expanded", "false");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", this.list.id);
    field.addEventListener("input", () => this.soon());
    field.addEventListener("focus", () => { if (field.tagName === "INPUT") this.soon(); });
    field.addEventListener("blur", () => this.close());
    field.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const row = event.target.closest("li");
      if (row) this.take(row.dataset.text);
    });
  }

  wrap() {
    const place = document.createElement("div");
    place.className = "tg-complete";
    this.field.replaceWith(place);
    place.append(this.field);
    return place;
  }

  typed() {
    return this.word.exec(this.field.value.slice(0, this.field.selectionStart))?.[0] ?? "";
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(), WAIT_MS);
  }

  async show() {
    const word = this.typed();
    if (!word && this.field.dataset.complete === "when") return this.close();
    const asked = ++this.asked;
    const offers = fitting(await offersFor(this.field, word), word);
    if (asked !== this.asked || document.activeElement !== this.field) return;
    if (!offers.length) return this.close();
    this.at = -1;
    this.list.replaceChildren(...offers.map((one, number) => {
      const row = document.createElement("li");
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", "false");
      row.id = `${this.list.id}-${number}`;
      row.dataset.text = one.text;
      row.append(one.text);
      const detail = document.createElement("span");
      detail.textContent = one.detail;
      row.append(detail);
      return row;
    }));
    this.list.hidden = false;
    if (this.field.tagName === "INPUT") this.field.setAttribute("aria-expanded", "true");
  }

  close() {
    clearTimeout(this.timer);
    this.asked++;
    this.list.hidden = true;
    this.at = -1;
    this.field.removeAttribute("aria-activedescendant");
    if (this.field.tagName === "INPUT") this.field.setAttribute("aria-expanded", "false");
  }

  choose(step) {
    const rows = [...this.list.children];
    rows[this.at]?.setAttribute("aria-selected", "false");
    this.at = (this.at + step + rows.length + (this.at < 0 && step < 0 ? 1 : 0)) % rows.length;
    const row = rows[this.at];
    row.setAttribute("aria-selected", "true");
    row.scrollIntoView({ block: "nearest" });
    this.field.setAttribute("aria-activedescendant", row.id);
  }

  key(event) {
    if (this.list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.choose(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.close();
    } else if ((event.key === "Enter" || event.key === "Tab") && this.at >= 0) {
      event.preventDefault();
      this.take(this.list.children[this.at].dataset.text);
    }
  }

  take(text) {
    const end = this.field.selectionStart;
    this.field.setRangeText(text, end - this.typed().length, end, "end");
    this.close();
    this.field.focus();
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    clearTimeout(this.timer);
  }
}

for (const field of document.querySelectorAll("form[data-suggest] [data-complete]")) new Completer(field);

// The editor: line numbers, Tab, Ctrl-Enter, snippets and calls to insert.

const area = document.getElementById("play-code");
const language = document.getElementById("play-language");
const STARTS = { python: "from tools import …", typescript: "await tools.…" };
const KEEP = "tollgate:playground";

function number(editor, field) {
  const gutter = document.createElement("div");
  gutter.className = "tg-gutter";
  gutter.setAttribute("aria-hidden", "true");
  editor.prepend(gutter);
  const draw = () => {
    const count = field.value.split("\n").length;
    if (gutter.childElementCount === count) return;
    gutter.replaceChildren(
      ...Array.from({ length: count }, (_, at) => {
        const line = document.createElement("div");
        line.textContent = String(at + 1);
        return line;
      }),
    );
  };
  field.addEventListener("input", draw);
  field.addEventListener("scroll", () => { gutter.scrollTop = field.scrollTop; });
  draw();
}

// execCommand keeps the browser's own undo history, which setting value does not.
function type(text) {
  area.focus();
  if (!document.execCommand("insertText", false, text)) {
    area.setRangeText(text, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input"));
  }
}

function lineStart() {
  return area.value.lastIndexOf("\n", area.selectionStart - 1) + 1;
}

function indent(back) {
  if (back) {
    const start = lineStart();
    const spaces = /^ {1,4}/.exec(area.value.slice(start))?.[0].length ?? 0;
    if (!spaces) return;
    const at = area.selectionStart;
    area.setSelectionRange(start, start + spaces);
    type("");
    area.setSelectionRange(Math.max(start, at - spaces), Math.max(start, at - spaces));
  } else type("    ");
}

function replaceAll(text) {
  area.focus();
  area.select();
  type(text);
}

function insertCall(call, line) {
  if (line && !area.value.includes(line)) {
    area.setSelectionRange(0, 0);
    type(`${line}\n`);
    area.setSelectionRange(area.value.length, area.value.length);
  }
  type(call);
}

const isTypeScript = () => language.value === "typescript";

function snippetOf(button) {
  return isTypeScript() ? button.dataset.typescript : button.dataset.snippet;
}

// Signatures, and an example that nobody has changed, follow the language.
function follow() {
  for (const part of document.querySelectorAll("[data-language]")) {
    part.hidden = part.dataset.language !== language.value;
  }
  area.placeholder = STARTS[language.value];
  for (const button of document.querySelectorAll("[data-snippet]")) {
    const link = new URL(button.href);
    link.searchParams.set("language", language.value);
    button.href = link.href;
    const other = isTypeScript() ? button.dataset.snippet : button.dataset.typescript;
    if (area.value.trim() === other.trim()) replaceAll(snippetOf(button));
  }
}

function goTo(line) {
  const lines = area.value.split("\n");
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  area.focus();
  area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
}

if (area) {
  const editor = area.closest("[data-editor]");
  number(editor, area);
  try {
    if (!area.value) area.value = sessionStorage.getItem(KEEP) ?? "";
    area.dispatchEvent(new Event("input"));
    area.addEventListener("input", () => sessionStorage.setItem(KEEP, area.value));
  } catch {
    // Storage may be closed; the script is then only kept on this page.
  }
  language.addEventListener("change", () => { follow(); language.focus(); });
  document.addEventListener("htmx:after:swap", follow);
  follow();
  let leaving = false;
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      area.form.requestSubmit();
    } else if (event.key === "Escape") {
      leaving = true;
      return;
    } else if (event.key === "Tab" && !leaving && !event.ctrlKey && !event.altKey) {
      event.preventDefault();
      indent(event.shiftKey);
    }
    leaving = false;
  });
  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-snippet], [data-insert], [data-go-to-line]");
    if (!target) return;
    event.preventDefault();
    if (target.dataset.snippet) replaceAll(snippetOf(target));
    else if (target.dataset.insert && isTypeScript()) insertCall(target.dataset.typescript, "");
    else if (target.dataset.insert) insertCall(target.dataset.insert, target.dataset.import);
    else goTo(Number(target.dataset.goToLine));
  });
}

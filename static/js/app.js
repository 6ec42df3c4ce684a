// What every page does: theme, copy, dialogs, confirmation, keyboard.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

function say(text) {
  const status = $("#tg-status");
  if (status) status.textContent = text;
}

function showTheme() {
  const chosen = window.tollgateTheme.choice();
  for (const button of $$("[data-theme-set]")) {
    button.setAttribute("aria-pressed", String(button.dataset.themeSet === chosen));
  }
}

async function copy(button) {
  const from = button.dataset.copyFrom && $(button.dataset.copyFrom);
  const text = from ? (from.value ?? from.textContent) : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context the clipboard is closed: fall back to a selection.
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  button.dataset.done = "";
  say("Copied");
  setTimeout(() => delete button.dataset.done, 1500);
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-theme-set], [data-copy], [data-copy-from], [data-open]");
  if (!target) return;
  if (target.dataset.themeSet) {
    window.tollgateTheme.set(target.dataset.themeSet);
    showTheme();
  } else if (target.dataset.open) {
    $(target.dataset.open)?.showModal();
  } else {
    copy(target);
  }
});

// A form with data-confirm asks first; htmx must not see the first submit.
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (!form.dataset?.confirm || form.dataset.confirmed === "yes") {
      delete form.dataset?.confirmed;
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    const dialog = $("#tg-confirm");
    $("#tg-confirm-text").textContent = form.dataset.confirm;
    $("#tg-confirm-yes").textContent = form.dataset.confirmYes || "Go on";
    const submitter = event.submitter;
    dialog.returnValue = "no";
    dialog.addEventListener(
      "close",
      () => {
        if (dialog.returnValue !== "yes") return;
        form.dataset.confirmed = "yes";
        form.requestSubmit(submitter ?? undefined);
      },
      { once: true },
    );
    dialog.showModal();
  },
  true,
);

// Filter forms with data-auto are sent as soon as a choice is made.
document.addEventListener("change", (event) => {
  const form = event.target.closest("form[data-auto]");
  if (form && event.target.matches("select, input[type=checkbox], input[type=date]")) {
    form.requestSubmit();
  }
});

// What scrolls sideways can be reached by keyboard, even without a link inside.
function reachScrollers() {
  for (const frame of $$(".tg-table-frame, .tg-code-lines")) {
    if (frame.scrollWidth > frame.clientWidth) frame.tabIndex = 0;
    else frame.removeAttribute("tabindex");
  }
}
reachScrollers();
window.addEventListener("resize", reachScrollers);
document.addEventListener("htmx:after:swap", reachScrollers);

function typing(element) {
  return element.closest("input, textarea, select, [contenteditable], dialog[open]");
}

function moveRow(step) {
  const rows = $$("tbody tr a[data-row]");
  if (!rows.length) return;
  const at = rows.indexOf(document.activeElement);
  rows[Math.min(rows.length - 1, Math.max(0, at + step))].focus();
}

let going = 0;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (going && Date.now() - going < 1500) {
    going = 0;
    const link = $(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      window.location.assign(link.href);
      return;
    }
  }
  if (event.key === "g") going = Date.now();
  else if (event.key === "?") $("#tg-help").showModal();
  else if (event.key === "j") moveRow(1);
  else if (event.key === "k") moveRow(-1);
  else if (event.key === "/") {
    const search = $("[data-search]") || $("main input[type=search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  }
});

document.addEventListener("tollgate:theme", showTheme);
showTheme();

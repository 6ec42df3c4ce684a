// Decides by keyboard: a or r choose, Ctrl+Enter sends with the reason.

const $ = (selector, root = document) => root.querySelector(selector);

// The form beside the chosen row; on a page with one request, its only form.
function formFor(element) {
  const card = element.closest?.("article, section");
  return (card && $("form[data-decide]", card)) || (document.querySelectorAll("form[data-decide]").length === 1 ? $("form[data-decide]") : null);
}

function choose(form, key) {
  for (const button of form.querySelectorAll("[data-verdict]")) {
    button.classList.toggle("tg-chosen", button.dataset.verdict === key);
  }
  form.dataset.chosen = key;
  const reason = $("textarea[name=reason]", form);
  reason.focus();
  const words = key === "a" ? "Approve" : "Reject";
  $("#tg-status").textContent = `${words}: give a reason, then press Control and Enter`;
}

document.addEventListener("keydown", (event) => {
  const inForm = event.target.closest?.("form[data-decide]");
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && inForm?.dataset.chosen) {
    event.preventDefault();
    inForm.requestSubmit($(`[data-verdict="${inForm.dataset.chosen}"]`, inForm));
    return;
  }
  if (event.key === "Escape" && inForm) {
    ($("a[data-row]", inForm.closest("article") ?? document) ?? document.body).focus();
    return;
  }
  // After g a letter leads elsewhere: app.js has taken it.
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog[open]")) return;
  if (event.key !== "a" && event.key !== "r") return;
  const form = formFor(event.target);
  if (!form) return;
  event.preventDefault();
  choose(form, event.key);
});

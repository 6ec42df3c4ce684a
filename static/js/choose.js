// Ticks every row of a list at once, and says how many are ticked.

const boxes = (name) => [...document.querySelectorAll(`input[type=checkbox][name="${CSS.escape(name)}"]`)];

function count(name) {
  const chosen = boxes(name).filter((box) => box.checked).length;
  const place = document.querySelector(`[data-chosen-count="${CSS.escape(name)}"]`);
  if (place) place.textContent = chosen ? `${chosen} ticked:` : "Tick tools, then";
}

document.addEventListener("change", (event) => {
  const all = event.target.dataset.chooseAll;
  if (all) for (const box of boxes(all)) box.checked = event.target.checked;
  count(all || event.target.name);
});

// Sets the theme before the first paint. A classic, blocking script in <head>.
(function () {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function choice() {
    try {
      return localStorage.getItem("theme") || "system";
    } catch {
      return "system";
    }
  }

  function apply() {
    const chosen = choice();
    const theme = chosen === "system" ? (dark.matches ? "dark" : "light") : chosen;
    root.setAttribute("data-bs-theme", theme);
    root.setAttribute("data-theme-choice", chosen);
    document.dispatchEvent(new CustomEvent("tollgate:theme", { detail: { theme, chosen } }));
  }

  window.tollgateTheme = {
    choice,
    set(chosen) {
      try {
        localStorage.setItem("theme", chosen);
      } catch {
        // Private windows may refuse storage: the choice then lasts for this page.
      }
      apply();
    },
  };
  root.classList.add("tg-js");
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  apply();
})();

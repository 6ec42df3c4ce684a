// Draws figures that the page carries as JSON.
//
//   {{ figure|json_script:"runs-figure" }}
//   <div class="tg-chart" data-chart="runs-figure" role="group" aria-label="Runs a day"></div>
//
// Colours are written in the figure as "var(--tg-chart-1)" and resolved here, on load
// and whenever the theme changes. A bar or point with customdata[0] = "/path?…" leads
// there when it is clicked. A button with data-png="runs-figure" downloads the chart. Load plotly before this module (classic script, deferred).

const config = {
  displaylogo: false,
  showSendToCloud: false,
  showEditInChartStudio: false,
  plotlyServerURL: "",
  responsive: true,
  modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]],
};

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

function colour(name) {
  // Custom properties hold light-dark(…): only a used colour is resolved.
  probe.style.color = name;
  return getComputedStyle(probe).color;
}

function resolved(value) {
  if (typeof value === "string") return value.startsWith("var(--") ? colour(value) : value;
  if (Array.isArray(value)) return value.map(resolved);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item)]));
  }
  return value;
}

function axis(own, shared) {
  return { ...shared, ...own, title: own?.title };
}

function layoutOf(figure) {
  const own = resolved(figure.layout || {});
  const line = colour("var(--tblr-border-color)");
  const shared = { gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true };
  const layout = {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: colour("var(--tblr-body-color)"), family: "system-ui, sans-serif", size: 12 },
    margin: { l: 48, r: 12, t: 12, b: 36 },
    colorway: [1, 2, 3, 4, 5, 6, 7].map((n) => colour(`var(--tg-chart-${n})`)),
    hoverlabel: { bgcolor: colour("var(--tblr-bg-surface)"), bordercolor: line },
    ...own,
  };
  for (const key of Object.keys(own)) {
    if (/^[xy]axis\d*$/.test(key)) layout[key] = axis(own[key], shared);
  }
  layout.xaxis ??= shared;
  layout.yaxis ??= shared;
  return layout;
}

function draw(element) {
  const source = document.getElementById(element.dataset.chart);
  if (!source || !window.Plotly) return;
  const figure = JSON.parse(source.textContent);
  const small = "small" in element.dataset;
  window.Plotly.react(element, resolved(figure.data || []), layoutOf(figure), {
    ...config,
    displayModeBar: small ? false : "hover",
    staticPlot: small,
  });
  if (element.dataset.drawn) return;
  element.dataset.drawn = "yes";
  element.on?.("plotly_click", ({ points }) => {
    const to = points[0]?.customdata;
    const path = Array.isArray(to) ? to[0] : to;
    if (typeof path === "string" && /^\/(?!\/)/.test(path)) window.location.assign(path);
  });
}

export function drawAll(root = document) {
  for (const element of root.querySelectorAll("[data-chart]")) draw(element);
}

// The chart on the page's own ground, with data-png-title over it. Plotly's own download
// would need blob: images, which the page's policy does not let in.
async function savePng(button) {
  const source = document.getElementById(button.dataset.png);
  const chart = document.querySelector(`[data-chart="${CSS.escape(button.dataset.png)}"]`);
  if (!source || !chart || !window.Plotly) return;
  const figure = JSON.parse(source.textContent);
  const layout = layoutOf(figure);
  const [width, height] = [1200, Math.max(600, layout.height || 0)];
  const svg = await window.Plotly.toImage(
    {
      data: resolved(figure.data || []),
      layout: {
        ...layout,
        paper_bgcolor: colour("var(--tblr-bg-surface)"),
        title: { text: button.dataset.pngTitle || "", font: { size: 15 }, x: 0.02, xanchor: "left" },
        margin: { ...layout.margin, t: 60 },
        showlegend: true,
      },
    },
    { format: "svg", width, height },
  );
  const image = new Image();
  image.src = svg;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * 2, height * 2];
  canvas.getContext("2d").drawImage(image, 0, 0, width * 2, height * 2);
  const link = document.createElement("a");
  link.download = `${button.dataset.pngName || "chart"}.png`;
  link.href = canvas.toDataURL("image/png");
  link.click();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-png]");
  if (button) savePng(button);
});

drawAll();
document.addEventListener("tollgate:theme", () => drawAll());
document.addEventListener("htmx:after:swap", () => drawAll());

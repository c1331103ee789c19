"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  for (const [name, spec] of Object.entries(charts)) {
    const place = document.getElementById("chart-" + name);
    if (place) vegaEmbed(place, spec, { renderer: "svg", actions: false, tooltip: { theme: "custom" } });
  }

  const table = document.getElementById("rows");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const value = (row, column) => {
    const cell = row.cells[column];
    if (!("value" in cell.dataset)) return cell.textContent.trim();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const heading = button.parentElement;
    const down = heading.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.querySelectorAll("th")) other.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const column = Number(button.dataset.column);
    rows.sort((a, b) => {
      const [x, y] = [value(a, column), value(b, column)];
      if (x === null || y === null) return (x === null) - (y === null); // what was not measured stays last
      return down ? compare(y, x) : compare(x, y);
    });
    body.append(...rows);
  });

  const filter = document.getElementById("filter");
  const count = document.getElementById("count");
  const selects = [...document.querySelectorAll(".filters select")];
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const cells = [...row.cells].map((cell) => cell.textContent.trim());
      const fits = words.every((word) => texts.get(row).includes(word))
        && selects.every((select) => !select.value || cells.includes(select.value));
      row.hidden = !fits;
      shown += fits;
    }
    count.textContent = shown < rows.length ? `${shown} of ${rows.length} shown` : `${rows.length} rows`;
  };
  filter.addEventListener("input", apply);
  for (const select of selects) select.addEventListener("change", apply);
  apply();

  table.addEventListener("click", (event) => {
    const link = event.target.closest("tbody a");
    if (link) document.getElementById(link.hash.slice(1)).open = true;
  });

  for (const figure of document.querySelectorAll("figure:has(.compare)")) {
    const slider = figure.querySelector("input[type=range]");
    const move = () => figure.querySelector(".compare").style.setProperty("--at", slider.value + "%");
    slider.addEventListener("input", move);
    const truth = figure.querySelector(".truth");
    const before = figure.querySelector(".before");
    const hazy = before.src;
    truth?.addEventListener("change", () => {
      before.src = truth.checked ? before.dataset.clear : hazy;
    });
  }
  addEventListener("beforeprint", () => { for (const detail of document.querySelectorAll("details")) detail.open = true; });
})();

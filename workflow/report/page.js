"use strict";
(() => {
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const narrow = window.matchMedia("(max-width: 600px)").matches;

  for (const script of document.querySelectorAll("script[data-figure]")) {
    const { data, layout } = JSON.parse(script.textContent);
    if (narrow) {
      layout.font.size = 12;
      layout.legend.font.size = 12;
    }
    const settings = { ...config, displayModeBar: narrow ? false : "hover" };
    Plotly.newPlot(script.dataset.figure, data, layout, settings).then((box) => {
      box.dataset.drawn = "true";
    });
  }

  const show = (element) => {
    const { visible, ranges } = JSON.parse(element.dataset.setting);
    for (const id of new Set([...Object.keys(visible), ...Object.keys(ranges)])) {
      const layout = Object.fromEntries(
        Object.entries(ranges[id] ?? {}).map(([axis, ends]) => [`${axis}.range`, ends]),
      );
      Plotly.update(id, id in visible ? { visible: visible[id] } : {}, layout);
    }
  };

  for (const group of document.querySelectorAll(".control[role=group]")) {
    const buttons = [...group.querySelectorAll("button")];
    for (const button of buttons) {
      button.addEventListener("click", () => {
        for (const other of buttons) {
          other.setAttribute("aria-pressed", String(other === button));
        }
        show(button);
      });
    }
  }

  for (const list of document.querySelectorAll("select:not([data-scene])")) {
    const filter = () => {
      for (const row of document.querySelectorAll(`#${list.dataset.table} tbody tr`)) {
        row.hidden = row.dataset.group !== list.value;
      }
    };
    if (list.dataset.table) {
      filter();
      list.addEventListener("change", filter);
    } else {
      list.addEventListener("change", () => show(list.selectedOptions[0]));
    }
  }

  const open = window.matchMedia("print");
  open.addEventListener("change", (event) => {
    for (const details of document.querySelectorAll("details")) {
      details.open = event.matches;
    }
  });
})();

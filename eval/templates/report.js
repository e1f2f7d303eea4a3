"use strict";
// Without this the list reads as well: it is sorted, and every item opens.
{
  const items = [...document.querySelectorAll("#wrong li")];
  const byId = (id) => document.getElementById(id);
  const texts = new Map(items.map((item) => [item, item.textContent.toLowerCase()]));
  const filter = () => {
    const words = byId("words").value.toLowerCase().trim();
    let shown = 0;
    for (const item of items) {
      const fits = !byId("cause").value || item.dataset.cause === byId("cause").value;
      item.hidden = !(fits && texts.get(item).includes(words));
      shown += !item.hidden;
    }
    byId("shown").value = `${shown} of ${items.length} shown`;
  };
  const sort = () => {
    const sign = byId("order").value === "falling" ? -1 : 1;
    for (const list of document.querySelectorAll("#wrong ol")) {
      list.append(...[...list.children].sort((a, b) => sign * (a.dataset.confidence - b.dataset.confidence)));
    }
  };
  byId("cause").onchange = filter;
  byId("words").oninput = filter;
  byId("order").onchange = sort;
  byId("controls").onsubmit = () => false;
  byId("controls").hidden = false;
  filter();
}

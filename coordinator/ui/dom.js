// Building and updating the page. Data only ever becomes text nodes and attribute values of our own choosing: names of
// nodes and words of models come from outside, and must never be read as markup.

const kSvg = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.filter((c) => c !== undefined && c !== null));
  return node;
}

/** An HTML element; children are strings (text) or nodes. */
export const el = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same of SVG. */
export const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(kSvg, tag), attributes, children);

/** Sets text, and touches nothing when it is the same: a selection in it stays. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** As setText, for one of the page's own elements; `tone` is "good", "warn", "bad" or nothing. */
export function show(id, text, tone = '') {
  const node = byId(id);
  setText(node, text);
  for (const t of ['good', 'warn', 'bad']) node.classList.toggle(t, t === tone);
}

/** What a cell shows: text, or {text, sub, tone}. */
function setCell(td, cell) {
  const c = typeof cell === 'object' && cell !== null ? cell : {text: cell};
  const shape = JSON.stringify(c);
  if (td.dataset.shape === shape) return;
  td.dataset.shape = shape;
  td.replaceChildren(el('span', {class: c.tone}, String(c.text ?? '–')));
  if (c.sub) td.append(el('small', {}, c.sub));
}

/** Makes the rows of `tbody` those of `rows`: [{key, cells}], in this order. The columns' classes are the header's. */
export function fillTable(tbody, rows) {
  const heads = [...tbody.parentElement.tHead.rows[0].cells];
  const old = new Map([...tbody.rows].map((r) => [r.dataset.key, r]));
  let next = tbody.firstElementChild;
  for (const {key, cells} of rows) {
    let tr = old.get(key);
    old.delete(key);
    if (!tr) {
      // With their roles said, rows stay rows where a narrow page lays them out as paragraphs.
      tr = el('tr', {'data-key': key, role: 'row'});
      heads.forEach((h, i) => tr.append(i === 0 ? el('th', {scope: 'row', role: 'rowheader', class: h.className})
                                                : el('td', {role: 'cell', class: h.className})));
    }
    cells.forEach((c, i) => setCell(tr.cells[i], c));
    if (tr === next) next = next.nextElementSibling;
    else tbody.insertBefore(tr, next);
  }
  for (const tr of old.values()) tr.remove();
}

/** Replaces what `node` holds by what make() makes, only when `seen` is not what it was. */
export function redraw(node, seen, make) {
  const shape = JSON.stringify(seen);
  if (node.dataset.shape === shape) return;
  node.dataset.shape = shape;
  node.replaceChildren(...[make()].flat());
}

/** Makes the options of a select {value: label}; the choice stays when it is still there. */
export function setOptions(select, options) {
  const shape = JSON.stringify(options);
  if (select.dataset.shape === shape) return;
  select.dataset.shape = shape;
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, label]) => el('option', {value}, label)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

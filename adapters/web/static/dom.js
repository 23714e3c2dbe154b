// Small tools for a page that is told the same things again and again: what has not changed is not touched, so that
// focus, selection and scroll position stay where they are. Text only ever becomes text, never markup.

/** Make an element: `props` are attributes (class, data-…, aria-…) and `on…` listeners. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else attribute(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const $ = (id) => document.getElementById(id);

/** Set an attribute, or take it away with null, if that changes anything. */
export function attribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value === true ? "" : String(value));
  }
}

export function text(element, value) {
  const said = value ?? "";
  if (element.textContent !== said) element.textContent = said;
}

export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/**
 * Draw, and if what had the focus goes by it, give the focus to the neighbour that came instead, or to the panel that
 * it was in: who works with the keyboard, or hears the page, stays where he was.
 */
export function keepingFocus(draw) {
  const held = document.activeElement;
  if (held === null || held === document.body) {
    draw();
    return;
  }
  const absent = [...held.parentElement.children].filter((element) => !element.checkVisibility());
  const panel = held.closest("section");
  draw();
  if (held === document.activeElement && held.checkVisibility()) return;
  if (document.querySelector("dialog[open]")) return;
  const instead = absent.find((element) => element.checkVisibility() && element.matches("button")) ?? panel;
  if (instead === panel) panel?.setAttribute("tabindex", "-1");
  instead?.focus({ preventScroll: true });
}

/**
 * Make the children of `parent` stand for `items`, in their order. `make(item)` builds what is new and may leave an
 * `update(item)` on it; what has gone leaves.
 */
export function keyed(parent, items, key, make) {
  const known = new Map();
  for (const child of parent.children) known.set(child.dataset.key, child);
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = known.get(name);
    if (element === undefined) {
      element = make(item);
      element.dataset.key = name;
    }
    known.delete(name);
    element.update?.(item);
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const gone of known.values()) gone.remove();
}

const LONG = 17;

/** A list of names and figures in a <dl>: [name, value, tone?] each. */
export function figures(dl, entries) {
  keyed(dl, entries, ([name]) => name, ([name]) => {
    const value = h("dd");
    const group = h("div", {}, h("dt", {}, name), value);
    group.update = ([, said, tone]) => {
      text(value, said);
      attribute(value, "data-sign", tone || null);
      attribute(group, "data-long", String(said).length > LONG || null);
    };
    return group;
  });
}

/** A table row of cells, each with the name of its column for narrow screens. */
export function row(...cells) {
  return h("tr", { role: "row" }, ...cells);
}

export function cell(label, props = {}, ...children) {
  return h("td", { role: "cell", "data-label": label, ...props }, h("span", { class: "said" }, ...children));
}

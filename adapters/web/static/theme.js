// Light, dark, or as the system has it; and the theme's colours for what is painted on a canvas.

import { $, attribute, text } from "/ui/static/dom.js";

const KEY = "tidegate.theme";
const NEXT = { auto: "light", light: "dark", dark: "auto" };

export function startTheme(changed) {
  const apply = (theme) => {
    attribute(document.documentElement, "data-theme", theme === "auto" ? null : theme);
    text($("theme"), `Theme: ${theme}`);
  };
  let theme = localStorage.getItem(KEY);
  if (!(theme in NEXT)) theme = "auto";
  apply(theme);
  $("theme").addEventListener("click", () => {
    theme = NEXT[theme];
    localStorage.setItem(KEY, theme);
    apply(theme);
    changed();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

/** What a colour of the style sheet is right now, as a canvas takes it. */
export function colour(name) {
  const probe = document.createElement("i");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

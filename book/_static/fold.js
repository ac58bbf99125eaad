// One switch for all folded code of a page; the browser remembers which way it stands.
(() => {
  const KEY = "mialab-book-code";
  const folds = [...document.querySelectorAll("article details.hide")];
  if (!folds.length) return;

  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Show all code";
  const counted = document.createElement("span");
  counted.textContent = `Code is folded in ${folds.length} places on this page.`;
  const line = document.createElement("div");
  line.className = "fold-all";
  line.append(counted, button);
  folds[0].closest("div.cell").before(line);

  const turn = (open) => {
    button.setAttribute("aria-pressed", open);
    for (const fold of folds) fold.open = open;
  };
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-pressed") !== "true";
    turn(open);
    try {
      localStorage.setItem(KEY, open ? "open" : "folded");
    } catch {} // storage may be forbidden: the switch works, and is forgotten
  });

  let stored = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {}
  turn(stored === "open");
})();

// The list of what can be pressed: a button for each, and its key, which another click changes.

// What is the same already is left alone: the browser would lay the page out again for every frame.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setAttribute(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

class Panel {
  // hold(name, on): a button went down or up. tap(name): it was pressed by the keyboard.
  constructor(element, keys, { hold, tap, say }) {
    Object.assign(this, { element, keys, hold, tap, say });
    this.choosing = null; // the control for which a key is being chosen
    this.rows = new Map(keys.controls.map(({ name, stays }) => [name, this.row(name, stays)]));
    element.replaceChildren(...[...this.rows.values()].map(({ row }) => row));
    this.show();
  }

  row(name, stays) {
    const row = document.createElement("div");
    row.className = "control";
    const act = this.button(row, name);
    const key = this.button(row, "");
    key.className = "key-of";
    const down = (event) => {
      if (event.button) return;
      act.setPointerCapture(event.pointerId);
      this.hold(name, true);
    };
    act.addEventListener("pointerdown", down);
    for (const up of ["pointerup", "pointercancel", "lostpointercapture"]) act.addEventListener(up, () => this.hold(name, false));
    act.addEventListener("click", (event) => event.detail === 0 && this.tap(name)); // 0: by the keyboard
    key.addEventListener("click", () => this.choose(name));
    key.addEventListener("keydown", (event) => this.chosen(event, name));
    key.addEventListener("blur", () => this.choosing === name && this.choose(null));
    return { row, act, key, stays };
  }

  button(row, text) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    row.append(button);
    return button;
  }

  choose(name) {
    this.choosing = name;
    if (name) this.say(`Press the new key for “${name}”; Escape leaves it as it is.`);
    this.show();
  }

  chosen(event, name) {
    if (this.choosing !== name || event.key === "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    const problem = event.key === "Escape" ? "" : this.keys.problem(event.key);
    if (problem) return this.say(problem);
    if (event.key !== "Escape") this.keys.choose(name, event.key);
    this.say(event.key === "Escape" ? "" : `“${name}” is on ${signOf(plainKey(event.key))} now.`);
    this.choose(null);
  }

  show(staying = null, idle = false) {
    for (const [name, { act, key, stays }] of this.rows) {
      const sign = this.choosing === name ? "press a key" : signOf(this.keys.of(name));
      setText(key, sign);
      setAttribute(key, "aria-label", `Key for ${name}: ${sign}. Change it`);
      if (stays) setAttribute(act, "aria-pressed", String(name === staying));
      act.disabled = idle;
    }
  }
}

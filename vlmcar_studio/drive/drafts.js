// Episodes that were driven and not saved, by a process or a tab that has gone: driven on from, saved, or discarded.

class Drafts {
  // wish(wish): do this with one. say(words): tell the person.
  constructor(element, { wish, say }) {
    Object.assign(this, { element, wish, say });
    this.sure = null; // the draft that a second click discards
  }

  show(drafts) {
    this.element.replaceChildren(...drafts.map((draft) => this.row(draft)));
    this.element.hidden = !drafts.length;
  }

  row(draft) {
    const row = document.createElement("div");
    row.className = "draft";
    row.append(Object.assign(document.createElement("p"), { textContent: this.words(draft) }));
    const bar = Object.assign(document.createElement("div"), { className: "bar" });
    row.append(bar);
    const wish = (kind, more) => () => this.wish({ do: kind, draft: draft.name, ...more });
    if (!draft.error) {
      const again = () => {
        this.say(`${draft.steps === 1 ? "One step is" : `${draft.steps} steps are`} being done again …`);
        this.wish({ do: "drive-on", draft: draft.name });
      };
      this.button(bar, "Continue from there", again).className = "main";
      if (draft.success !== false) this.button(bar, "Save it as an expert's", wish("save-draft", { source: "expert" }));
      if (draft.success !== true) this.button(bar, "Save it as a near miss", wish("save-draft", { source: "near-miss" }));
    }
    const discard = this.button(bar, "Discard it", () => {
      if (this.sure === draft.name) return wish("discard", {})();
      this.sure = draft.name;
      discard.textContent = "Lose it for good";
    });
    return row;
  }

  words({ name, steps, seed, created, success, error }) {
    if (error) return `The unsaved episode ${name} cannot be read: ${error}`;
    const count = steps === 1 ? "one step" : `${steps} steps`;
    const time = new Date(created);
    const when = Number.isNaN(time.valueOf()) ? "" : `, begun ${time.toLocaleString()}`;
    const solved = { true: "; the environment calls it solved", false: "" }[success] ?? "";
    return `You drove ${count} from seed ${seed} that ${steps === 1 ? "was" : "were"} not saved${when}${solved}.`;
  }

  button(bar, text, action) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: text });
    button.addEventListener("click", action);
    bar.append(button);
    return button;
  }
}

// Which key does what: as the family says, until somebody chooses another. Kept by the browser for each family.

const TAKEN = new Set(["r", "c", "tab", "escape", "shift", "control", "alt", "altgraph", "meta", "capslock", "contextmenu"]);
const SIGNS = { " ": "space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", "": "none" };

const plainKey = (key) => (key.length === 1 ? key.toLowerCase() : key);
const signOf = (key) => SIGNS[key] ?? key;

class Keys {
  constructor(family, controls) {
    this.place = `vlmcar.keys.${family}`;
    this.controls = controls;
    this.read();
  }

  read() {
    let kept = {};
    try {
      kept = JSON.parse(localStorage.getItem(this.place)) ?? {};
    } catch {
      // What cannot be read is as good as nothing.
    }
    this.byName = new Map(this.controls.map(({ name, key }) => [name, typeof kept[name] === "string" ? kept[name] : key]));
  }

  of(name) {
    return this.byName.get(name) ?? "";
  }

  name(key) {
    const wanted = plainKey(key);
    for (const [name, own] of this.byName) if (own && plainKey(own) === wanted) return name;
    return null;
  }

  // Why a key cannot be chosen; empty where it can.
  problem(key) {
    if (/^F\d+$/.test(key) || TAKEN.has(key.toLowerCase())) return `${signOf(key)} is taken by the browser or the app; choose another key.`;
    return "";
  }

  // Two controls never share a key: the one that had it gets the other's.
  choose(name, key) {
    const other = this.name(key);
    if (other && other !== name) this.byName.set(other, this.of(name));
    this.byName.set(name, plainKey(key));
    this.keep();
  }

  reset() {
    try {
      localStorage.removeItem(this.place);
    } catch {
      // Nothing is kept, so there is nothing to forget.
    }
    this.read();
  }

  keep() {
    try {
      localStorage.setItem(this.place, JSON.stringify(Object.fromEntries(this.byName)));
    } catch {
      // A browser that keeps nothing still takes the keys until the page is left.
    }
  }
}

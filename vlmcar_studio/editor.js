// Names the editor for whoever hears the page, and lets Tab out of it after Escape, since in it Tab indents.
// The editor is a document of its own, in a frame that comes and goes: it is looked for as long as the page shows it.

const LOOK_AGAIN_MS = 500;
const RING = "3px solid var(--st-primary-color, #1f6f8b)";

export default function ({ data }) {
  function look() {
    for (const frame of document.querySelectorAll("iframe[src*='streamlit_ace']")) {
      const field = frame.contentDocument?.querySelector("textarea.ace_text-input");
      if (!field || field.dataset.named) continue;
      field.dataset.named = "yes";
      frame.title = data.label;
      field.setAttribute("aria-label", `${data.label}. Tab indents; Escape, then Tab, leaves the editor.`);
      letOut(frame.contentDocument);
      for (const bar of frame.contentDocument.querySelectorAll(".ace_scrollbar")) bar.tabIndex = -1; // no stops of Tab
      field.addEventListener("focus", () => (frame.style.outline = RING));
      field.addEventListener("blur", () => (frame.style.outline = ""));
    }
  }

  look();
  const looking = setInterval(look, LOOK_AGAIN_MS);
  return () => clearInterval(looking);
}

function letOut(page) {
  let leaving = false;
  page.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "Tab" && leaving) event.stopImmediatePropagation(); // the browser's own Tab is left
      if (event.key !== "Shift") leaving = event.key === "Escape";
    },
    true,
  );
}

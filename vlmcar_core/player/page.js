// The player in a page of its own: one trajectory at a time, chosen by a button; everything is in the page.

const place = document.querySelector(".replay");
const choices = [...document.querySelectorAll("[data-replay]")];
let shown = null;

function show(choice) {
  if (shown) shown.stop();
  shown = new Player(place, JSON.parse(document.getElementById(choice.dataset.replay).textContent));
  shown.commit = () => {};
  for (const one of choices) one.setAttribute("aria-pressed", String(one === choice));
}

for (const choice of choices) choice.addEventListener("click", () => show(choice));

// The lanes are drawn in the page's colours.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const track of shown.tracks) track.resize();
  shown.draw();
});

show(choices[0]);

// What Streamlit calls: makes a player, gives it new data, ends it.
// Frames come from the app's own route; everything is drawn here, so stepping costs no round trip.
// Python is told the chosen frame a quarter of a second after the last move, and a span once it is marked.

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".replay");
  if (!root) return;
  let player = root.player;
  if (!player || player.id !== data.id) {
    if (player) player.stop();
    player = new Player(root, data);
    root.player = player;
  } else {
    player.update(data);
  }
  player.commit = (name, value) => setStateValue(name, value);
  return () => {
    if (root.player) root.player.stop();
    root.player = null;
  };
}

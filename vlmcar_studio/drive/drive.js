// What Streamlit calls: makes a pad, gives it new data, ends it and with it the environment.

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".drive");
  if (!root) return;
  let pad = root.pad;
  if (!pad || pad.id !== data.session) {
    if (pad) pad.stop();
    pad = new Pad(root, data);
    root.pad = pad;
  } else {
    pad.update(data);
  }
  pad.commit = (name, value) => setStateValue(name, value);
  return () => {
    if (root.pad) root.pad.stop();
    root.pad = null;
  };
}

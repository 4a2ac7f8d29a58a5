// The way to an environment: wishes go out with a number, each answer comes back with the same.

const DECODER = new TextDecoder();

class Link {
  // heard(answer, png): an answer, and its frame where it brought one. gone(words): nothing comes any more, and why.
  constructor(session, heard, gone) {
    this.heard = heard;
    this.gone = gone;
    this.number = 0;
    this.waiting = new Map(); // number of a wish to when it was sent
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/vlmcar/drive/${encodeURIComponent(session)}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = (event) => this.read(event.data);
    this.socket.onclose = () => this.end("The connection to the environment has ended; start it again.");
  }

  get open() {
    return this.socket !== null && this.socket.readyState === WebSocket.OPEN;
  }

  send(wish) {
    if (!this.open) return null;
    const number = ++this.number;
    this.waiting.set(number, performance.now());
    this.socket.send(JSON.stringify({ number, ...wish }));
    return number;
  }

  read(data) {
    const length = new DataView(data).getUint32(0);
    const answer = JSON.parse(DECODER.decode(new Uint8Array(data, 4, length)));
    if (answer.ended) return this.end(answer.error);
    answer.sent = this.waiting.get(answer.number);
    this.waiting.delete(answer.number);
    this.heard(answer, data.byteLength > 4 + length ? new Blob([new Uint8Array(data, 4 + length)], { type: "image/png" }) : null);
  }

  end(words) {
    if (!this.socket) return;
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
    this.socket = null;
    this.gone(words);
  }
}

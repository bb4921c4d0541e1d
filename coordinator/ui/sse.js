// Server-sent events out of chunks that end anywhere: in a line, in an event, in a character. Pure.

/** Feed it bytes; it hands on the data of each whole event. Comments (keep-alives) and other fields are skipped. */
export class EventParser {
  constructor(onData) {
    this.onData = onData;
    this.text = new TextDecoder();
    this.rest = '';
    this.data = [];
  }

  feed(bytes) {
    this.rest += this.text.decode(bytes, {stream: true});
    for (;;) {
      const end = this.rest.search(/[\r\n]/);
      if (end < 0) return;
      const pair = this.rest.startsWith('\r\n', end);
      if (this.rest[end] === '\r' && end + 1 === this.rest.length) return;  // its \n may be in the next chunk
      this.line(this.rest.slice(0, end));
      this.rest = this.rest.slice(end + (pair ? 2 : 1));
    }
  }

  line(line) {
    if (line === '') {
      if (this.data.length > 0) this.onData(this.data.join('\n'));
      this.data = [];
    } else if (line === 'data' || line.startsWith('data:')) {
      const value = line.slice(5);
      this.data.push(value.startsWith(' ') ? value.slice(1) : value);
    }
  }
}

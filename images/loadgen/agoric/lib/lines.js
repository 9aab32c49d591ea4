// JSON objects, one per line, over a Unix stream socket.
import net from 'net';

/**
 * Connect to a Unix socket and exchange JSON lines with the listener.
 *
 * @param {string} path
 * @param {(message: any) => void} onMessage called for each complete line
 * @returns {Promise<{ send: (message: any) => void, ended: Promise<void> }>}
 *   `ended` is fulfilled when the other side has closed; it is rejected when
 *   the connection fails or the other side sends what is not JSON.
 */
export const connectLines = (path, onMessage) =>
  new Promise((connected, refused) => {
    const socket = net.connect(path);
    let rest = '';
    let closing;

    const ended = new Promise((resolve, reject) => {
      closing = { resolve, reject };
    });
    // A failure reaches those who await it; without one it must not crash the process.
    ended.catch(() => {});

    socket.setEncoding('utf8');
    socket.on('error', error => {
      refused(error);
      closing.reject(error);
    });
    socket.once('close', () => closing.resolve());
    socket.on('data', chunk => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop();
      try {
        lines.filter(line => line !== '').forEach(line => onMessage(JSON.parse(line)));
      } catch (error) {
        closing.reject(error);
        socket.destroy();
      }
    });
    socket.once('connect', () =>
      connected({
        send: message => {
          socket.write(`${JSON.stringify(message)}\n`);
        },
        ended,
      }),
    );
  });
